"""Wheels: OpenCV's, which pip keeps, and edgevision's, which brings its Dockerfiles along."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from edgevision.deploy import platforms, wheel
from edgevision.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
VERSION = "4.14.0.94+cu130.sm90"


def _script(name: str) -> ModuleType:
    """Return one of the scripts beside OpenCV's Dockerfile as a module."""
    path = ROOT / "docker" / "opencv" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


wheel_file = _script("wheel_file")
build_wheel = _script("build_wheel")


def _pack(folder: Path, name: str, version: str, requires: str = "", code: str = "") -> Path:
    """Write a wheel as PyPI has them."""
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({"cv2/__init__.py": code} if code else {}),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in files.items():
            archive.writestr(entry, text)
        records = [f"{entry},," for entry in [*files, f"{info}/RECORD"]]
        archive.writestr(f"{info}/RECORD", "\n".join(records) + "\n")
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: the CUDA build, PyPI's four, and packages that ask for each."""
    folder = tmp_path_factory.mktemp("index")
    package = tmp_path_factory.mktemp("installed") / "cv2"
    package.mkdir()
    (package / "__init__.py").write_text('marker = "CUDA"\n')
    made = wheel_file.WheelFile(VERSION, "py3-none-any", "OpenCV with CUDA")
    made.write(package, folder / "cuda")
    (folder / "cuda" / "constraints.txt").write_text(wheel_file.constraints(VERSION))
    for name in wheel_file.NAMES:
        for version in ("4.10.0.84", "5.0.0.93"):
            _pack(folder, name, version, code='marker = "PyPI"\n')
        asks = name.replace("opencv", "asks")
        _pack(folder, f"{asks}-any", "1.0", f"Requires-Dist: {name}\n")
        _pack(folder, f"{asks}-least", "1.0", f"Requires-Dist: {name}>=4.8,<6\n")
        _pack(folder, f"{asks}-exact", "1.0", f"Requires-Dist: {name}==4.10.0.84\n")
    return folder


class Interpreter:
    """A virtual environment with the CUDA build in it.

    Args:
        folder: where it is made.
        index: the folder of wheels.
    """

    def __init__(self, folder: Path, index: Path) -> None:
        venv.create(folder, with_pip=False)
        self.site = next((folder / "lib").glob("python3.*")) / "site-packages"
        self._python = folder / "bin" / "python"
        self._index = index
        (made,) = (index / "cuda").glob("*.whl")
        done = self.pip("install", "--no-deps", str(made))
        assert done.returncode == 0, done.stderr

    def pip(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run pip with the folder as its only index."""
        # pip of this environment works on another interpreter, which saves installing one.
        command = [sys.executable, "-m", "pip", "--python", str(self._python), *words]
        if words[0] == "install":
            command += ["--no-index", "--find-links", str(self._index), "--no-build-isolation"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def marker(self) -> str:
        """Return whose cv2 is imported."""
        code = "import cv2; print(cv2.marker)"
        return subprocess.check_output([str(self._python), "-c", code], text=True).strip()

    def listed(self) -> dict[str, str]:
        """Return what pip says is installed."""
        done = self.pip("list", "--format=json")
        return {entry["name"]: entry["version"] for entry in json.loads(done.stdout)}


@pytest.fixture
def interpreter(tmp_path: Path, index: Path) -> Interpreter:
    return Interpreter(tmp_path / "environment", index)


def test_pip_knows_the_build_under_each_name(interpreter: Interpreter) -> None:
    assert interpreter.listed() == dict.fromkeys(wheel_file.NAMES, VERSION)
    assert interpreter.pip("check").returncode == 0


def test_what_asks_for_any_name_keeps_the_build(interpreter: Interpreter) -> None:
    asking = [
        f"{name.replace('opencv', 'asks')}-{how}"
        for name in wheel_file.NAMES
        for how in ("any", "least")
    ]
    done = interpreter.pip("install", *asking)
    assert done.returncode == 0, done.stderr
    assert interpreter.marker() == "CUDA"
    listed = interpreter.listed()
    assert {name: listed[name] for name in wheel_file.NAMES} == dict.fromkeys(
        wheel_file.NAMES, VERSION
    )


def test_the_constraints_turn_a_silent_exchange_into_an_error(
    interpreter: Interpreter, index: Path
) -> None:
    constraints = ("--constraint", str(index / "cuda" / "constraints.txt"))
    exact = "asks-python-headless-exact"
    done = interpreter.pip("install", *constraints, exact)
    assert done.returncode != 0
    assert "opencv-python-headless" in done.stdout + done.stderr
    assert interpreter.marker() == "CUDA"
    done = interpreter.pip("install", *constraints, "--upgrade", *wheel_file.NAMES)
    assert done.returncode == 0, done.stderr
    assert interpreter.marker() == "CUDA"
    # Without the file the exact demand does what it asks for.
    assert interpreter.pip("install", exact).returncode == 0
    assert interpreter.marker() == "PyPI"


def test_a_sibling_goes_without_taking_cv2_along(interpreter: Interpreter) -> None:
    assert interpreter.pip("uninstall", "-y", "opencv-python-headless").returncode == 0
    assert "opencv-python-headless" not in interpreter.listed()
    assert interpreter.marker() == "CUDA"
    rest = set(wheel_file.NAMES) - {"opencv-python-headless"}
    assert interpreter.pip("uninstall", "-y", *rest).returncode == 0
    assert not (interpreter.site / "cv2").exists()
    assert interpreter.listed() == {}


def test_a_wheel_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    package = tmp_path / "cv2"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_bytes(b"x")
    made = wheel_file.WheelFile(VERSION, "cp37-abi3-linux_x86_64", "OpenCV", ["numpy>=2"])
    first = made.write(package, tmp_path / "a")
    second = made.write(package, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    assert first.name == "opencv_python-4.14.0.94+cu130.sm90-cp37-abi3-linux_x86_64.whl"
    with zipfile.ZipFile(first) as archive:
        assert not [name for name in archive.namelist() if "pyc" in name]


def _recipe(*more: str) -> object:
    words = ["--version", "4.14.0.94", "--work", "w", "--out", "o", *more]
    return build_wheel.parser().parse_args(words, namespace=build_wheel.Recipe())


def test_the_version_names_cuda_and_the_capabilities() -> None:
    recipe = _recipe("--cuda", "13.0.2", "--sm", "8.7", "12.0")
    assert build_wheel.local_version(recipe) == "4.14.0.94+cu130.sm87.sm120"
    assert build_wheel.local_version(_recipe()) == "4.14.0.94+cpu"


def test_the_flags_follow_the_row() -> None:
    python = Path("/usr/bin/python3")
    flags = build_wheel.cmake_flags(
        _recipe("--cuda", "12.6.68", "--sm", "8.7", "--cudnn", "--flag", "WITH_TBB=ON"), python, "n"
    )
    assert (flags["CUDA_ARCH_BIN"], flags["CUDA_ARCH_PTX"]) == ("8.7", "")
    assert (flags["WITH_CUDNN"], flags["OPENCV_DNN_CUDA"]) == ("ON", "ON")
    assert (flags["BUILD_opencv_cudacodec"], flags["WITH_NVCUVID"]) == ("OFF", "OFF")
    assert (flags["WITH_GSTREAMER"], flags["WITH_V4L"], flags["WITH_TBB"]) == ("ON", "ON", "ON")
    without = build_wheel.cmake_flags(_recipe("--modules", "core,imgproc"), python, "n")
    assert without["WITH_CUDA"] == "OFF"
    assert without["BUILD_LIST"] == "core,imgproc,python3"


def test_a_source_with_a_wrong_sum_is_kept_aside(tmp_path: Path) -> None:
    source = tmp_path / "opencv.tar.gz"
    source.write_bytes(b"other")
    with pytest.raises(build_wheel.BuildError, match="wanted is 00") as caught:
        build_wheel.verified(source, "sha256:" + "0" * 64)
    assert "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa" in str(caught.value)
    assert (tmp_path / "opencv.tar.gz.refused").is_file()
    with pytest.raises(build_wheel.BuildError, match="there is no file"):
        build_wheel.verified(source, "sha256:" + "0" * 64)


def test_folders_of_the_build_leave_the_run_path(tmp_path: Path) -> None:
    extension = tmp_path / "cv2.abi3.so"
    extension.write_bytes(b"ELF\0$ORIGIN/../nvidia:/home/me/build/lib\0rest")
    wheel_file.shorten_run_path(extension, "$ORIGIN/../nvidia")
    wanted = b"ELF\0$ORIGIN/../nvidia".ljust(
        len(b"ELF\0$ORIGIN/../nvidia:/home/me/build/lib"), b"\0"
    )
    assert extension.read_bytes() == wanted + b"\0rest"
    wheel_file.shorten_run_path(extension, "$ORIGIN/../nvidia")
    assert extension.read_bytes() == wanted + b"\0rest"


def test_the_command_names_cuda_from_pypi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "_gcc_version", lambda name: 12)
    pc = platforms.platform("x86_64-dgpu-cuda13.0")
    words = wheel.opencv_wheel_command(pc, work=tmp_path / "w", out=tmp_path, sm=["9.0"])
    recipe = build_wheel.parser().parse_args(words[2:], namespace=build_wheel.Recipe())
    assert recipe.sm == ["9.0"]
    assert recipe.ptx == []
    assert recipe.cudnn
    assert "nvidia-cuda-nvcc==13.0.88" in recipe.pip_cuda
    assert recipe.sdist.startswith("opencv-contrib-python==4.14.0.94@sha256:f2e58020")


@pytest.mark.parametrize(
    ("name", "gcc", "said"),
    [
        ("orin-r36", 12, "is not on PyPI: on the device, give --cuda-home /usr/local/cuda-12.6"),
        ("nano-r32.1", 12, "OpenCV 4.1.0 has no source distribution on PyPI"),
        ("x86_64-dgpu", 99, "nvcc of this platform takes gcc up to 15, gcc here is 99"),
        ("x86_64-dgpu", 0, "there is no gcc here: apt-get install g++"),
    ],
)
def test_what_cannot_be_built_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, gcc: int, said: str
) -> None:
    monkeypatch.setattr(wheel, "_gcc_version", lambda name: gcc)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigurationError) as caught:
        wheel.opencv_wheel_command(platforms.platform(name), work=tmp_path, out=tmp_path)
    assert said in str(caught.value)


def test_the_wheel_of_edgevision_builds_where_there_is_no_checkout(tmp_path: Path) -> None:
    made = wheel.own_wheel(tmp_path / "first")
    site = tmp_path / "site"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(site)
        scripts = [entry for entry in archive.infolist() if entry.filename.endswith(".sh")]
        libraries = [entry for entry in scripts if entry.filename.endswith("/lib.sh")]
        assert all(entry.external_attr >> 16 & 0o100 for entry in scripts if entry not in libraries)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    shutil.rmtree(tmp_path / "first")

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    plan = json.loads(run("-m", "edgevision", "build", "--platform", "orin-r36", "--print"))
    for target in plan["target"].values():
        dockerfile = Path(target["dockerfile"])
        assert site in dockerfile.parents
        assert dockerfile.is_file()
    # It packs itself again for the module's image, with everything in it.
    code = "from edgevision.deploy.wheel import own_wheel; from pathlib import Path; "
    again = run("-c", code + "print(own_wheel(Path('again')))").strip()
    with zipfile.ZipFile(tmp_path / again) as archive:
        names = set(archive.namelist())
    assert "edgevision/deploy/docker/opencv/build_wheel.py" in names
    assert "edgevision/deploy/platforms.yaml" in names
    assert [name for name in names if name.endswith(".dist-info/RECORD")]
