#!/usr/bin/env python3
"""Build OpenCV with CUDA from its sources and pack it as a wheel.

It needs a C++ compiler and Python's venv; CMake, Ninja and NumPy come from PyPI into a virtual
environment of its own, and so does CUDA if ``--pip-cuda`` is given. What is done is not done again:
a build that was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import wheel_file  # type: ignore[import-not-found]  # it lies beside this script

__all__ = [
    "BuildError",
    "Recipe",
    "cmake_flags",
    "local_version",
    "main",
    "verified",
]

TOOLS = ("cmake>=3.24,<4", "ninja>=1.11", "uv>=0.9")
"""CMake 4 refuses what OpenCV before 4.11 says about policies."""

# Not built: what other programs, displays or unavailable libraries need, and what fetches files
# while it is configured.
LEFT_OUT = (
    *("apps", "java", "js", "objc", "world", "ts", "python_tests", "gapi", "julia"),
    *("rgbd", "viz", "hdf", "freetype", "sfm", "matlab", "cvv", "ovis", "cannops", "fastcv"),
    *("face", "wechat_qrcode", "xfeatures2d", "dnn_objdetect", "alphamat"),
)


class BuildError(Exception):
    """The build cannot be done; the message says what to do."""


class Recipe(argparse.Namespace):
    """What to build; the attributes are the options."""

    version: str
    source: list[str]
    sdist: str | None
    cuda: str
    sm: list[str]
    ptx: list[str]
    cudnn: bool
    cudacodec: bool
    extra: list[str]
    modules: str
    numpy: str
    gcc: str
    pip_cuda: list[str]
    cuda_home: str
    work: Path
    out: Path
    jobs: int
    configure_only: bool
    flag: list[str]


def say(text: str) -> None:
    """Tell the user."""
    print(f"--- {text}", flush=True)


def run(command: Sequence[str | Path], **options: object) -> None:
    """Run a command.

    Raises:
        BuildError: it fails.
    """
    done = subprocess.run([str(word) for word in command], **options)  # type: ignore[call-overload]
    if done.returncode:
        shown = " ".join(str(word) for word in command)
        raise BuildError(f"exit status {done.returncode} of: {shown}")


def verified(path: Path, wanted: str) -> Path:
    """Return the file if its sum is right.

    Args:
        path: the file.
        wanted: ``sha256:...``, ``sha1:...`` or ``md5:...``.

    Raises:
        BuildError: it is missing, or its sum is another; the file is kept aside then.
    """
    if not path.is_file():
        raise BuildError(f"there is no file {path}")
    algorithm, _, digest = wanted.partition(":")
    with path.open("rb") as file:
        summed = hashlib.new(algorithm)
        while block := file.read(1 << 20):
            summed.update(block)
    if summed.hexdigest() != digest:
        aside = path.with_name(path.name + ".refused")
        path.replace(aside)
        raise BuildError(
            f"{path.name} has the {algorithm} {summed.hexdigest()}, wanted is {digest}; "
            f"the file is kept as {aside}"
        )
    return path


def local_version(recipe: Recipe) -> str:
    """Return the version of the wheel, which names CUDA and the compute capabilities."""
    if not recipe.cuda:
        return f"{recipe.version}+cpu"
    cuda = "".join(recipe.cuda.split(".")[:2])
    archs = ".".join(f"sm{sm.replace('.', '')}" for sm in recipe.sm)
    return f"{recipe.version}+cu{cuda}.{archs}"


def limited_api(recipe: Recipe) -> bool:
    """Return whether one wheel can serve every Python since 3.7, which OpenCV offers since 4.5."""
    return tuple(int(part) for part in recipe.version.split(".")[:2]) >= (4, 5)


def cmake_flags(recipe: Recipe, python: Path, numpy_include: str) -> dict[str, str]:
    """Return CMake's definitions.

    Args:
        recipe: what to build.
        python: the interpreter that the bindings are built for.
        numpy_include: folder of NumPy's headers.
    """
    flags = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
        "BUILD_SHARED_LIBS": "OFF",
        "BUILD_TESTS": "OFF",
        "BUILD_PERF_TESTS": "OFF",
        "BUILD_EXAMPLES": "OFF",
        "BUILD_DOCS": "OFF",
        "BUILD_JAVA": "OFF",
        "BUILD_opencv_python2": "OFF",
        "BUILD_opencv_python3": "ON",
        "INSTALL_CREATE_DISTRIB": "ON",
        "OPENCV_PYTHON3_INSTALL_PATH": "python",
        "PYTHON3_EXECUTABLE": str(python),
        "PYTHON_DEFAULT_EXECUTABLE": str(python),
        "PYTHON3_INCLUDE_DIR": sysconfig.get_paths()["include"],
        "PYTHON3_NUMPY_INCLUDE_DIRS": numpy_include,
        "PYTHON3_LIMITED_API": "ON" if limited_api(recipe) else "OFF",
        "OPENCV_ENABLE_NONFREE": "OFF",
        "ENABLE_PRECOMPILED_HEADERS": "OFF",
        # Both fetch files while they are configured.
        "WITH_IPP": "OFF",
        "WITH_ADE": "OFF",
        "WITH_V4L": "ON",
        "WITH_GSTREAMER": "ON",
        "WITH_FFMPEG": "ON",
        "BUILD_JPEG": "ON",
        "BUILD_PNG": "ON",
        "BUILD_ZLIB": "ON",
        "WITH_OPENEXR": "OFF",
        # A module has no display.
        "WITH_GTK": "OFF",
        "WITH_QT": "OFF",
        # -ffast-math on the CPU takes NaN away from users; CUDA's is about intrinsics alone.
        "ENABLE_FAST_MATH": "OFF",
    }
    flags.update({f"BUILD_opencv_{name}": "OFF" for name in LEFT_OUT})
    if platform.machine() == "aarch64":
        flags["ENABLE_NEON"] = "ON"
    if recipe.cuda:
        flags.update(
            {
                "WITH_CUDA": "ON",
                "CUDA_ARCH_BIN": ";".join(recipe.sm),
                "CUDA_ARCH_PTX": ";".join(recipe.ptx),
                "CUDA_FAST_MATH": "ON",
                "WITH_CUBLAS": "ON",
                "WITH_CUFFT": "ON",
                "WITH_CUDNN": "ON" if recipe.cudnn else "OFF",
                "OPENCV_DNN_CUDA": "ON" if recipe.cudnn else "OFF",
            }
        )
    else:
        flags["WITH_CUDA"] = "OFF"
    codec = "ON" if recipe.cuda and recipe.cudacodec else "OFF"
    flags.update({"BUILD_opencv_cudacodec": codec, "WITH_NVCUVID": codec, "WITH_NVCUVENC": codec})
    flags.update({f"WITH_{name}": "ON" for name in recipe.extra})
    if recipe.modules:
        flags["BUILD_LIST"] = ",".join([*recipe.modules.split(","), "python3"])
    if recipe.gcc:
        flags["CMAKE_C_COMPILER"] = recipe.gcc
        flags["CMAKE_CXX_COMPILER"] = recipe.gcc.replace("gcc", "g++")
        flags["CUDA_HOST_COMPILER"] = recipe.gcc
    if shutil.which("ccache"):
        launcher = {"CMAKE_C_COMPILER_LAUNCHER": "ccache", "CMAKE_CXX_COMPILER_LAUNCHER": "ccache"}
        flags.update(launcher)
    for flag in recipe.flag:
        name, _, value = flag.partition("=")
        flags[name] = value
    return flags


class Build:
    """One build in its folder.

    Args:
        recipe: what to build.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.environment = recipe.work / "environment"
        self.python = self.environment / "bin" / "python"
        self.sources = recipe.work / "source"
        self.tree = recipe.work / "build"
        self.installed = recipe.work / "installed"

    def site(self) -> Path:
        """Return site-packages of the environment."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.environment / "lib" / version / "site-packages"

    def prepare(self) -> None:
        """Make the environment: tools, NumPy's headers and, if asked for, CUDA."""
        wanted = [*TOOLS, f"numpy{self.recipe.numpy}", *self.cuda_packages()]
        stamp = self.environment / "wanted.json"
        if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
            return
        say("installing the tools" + (" and CUDA" if self.recipe.pip_cuda else "") + " from PyPI")
        run([sys.executable, "-m", "venv", "--clear", self.environment])
        run(
            [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        )
        if self.recipe.pip_cuda:
            self._complete_cuda()
        stamp.write_text(json.dumps(wanted))

    def cuda_packages(self) -> list[str]:
        """Return the requirements of CUDA; the toolkit's own pins its parts."""
        parts = "[nvcc,cccl,npp,cublas,cufft,cudart]"
        return [
            name.replace("cuda-toolkit==", f"cuda-toolkit{parts}==")
            for name in self.recipe.pip_cuda
        ]

    def _complete_cuda(self) -> None:
        """Add the links that a compiler looks for and the packages lack."""
        for folder in self._cuda_lib_dirs():
            for library in folder.glob("lib*.so.*"):
                link = folder / (library.name.partition(".so.")[0] + ".so")
                if not link.exists():
                    link.symlink_to(library.name)
        home = self.cuda_home()
        if not (home / "lib64").exists():
            (home / "lib64").symlink_to("lib")

    def _cuda_lib_dirs(self) -> list[Path]:
        return sorted(path.parent for path in self.site().glob("nvidia/*/lib/lib*.so.*"))

    def cuda_home(self) -> Path:
        """Return the root of the toolkit.

        Raises:
            BuildError: there is none.
        """
        if not self.recipe.pip_cuda:
            return Path(self.recipe.cuda_home)
        for nvcc in self.site().glob("nvidia/*/bin/nvcc"):
            return nvcc.parent.parent
        raise BuildError("the CUDA packages from PyPI hold no nvcc")

    def fetch(self) -> list[Path]:
        """Return the source archives, each with the right sum."""
        files = []
        for given in self.recipe.source:
            path, _, digest = given.rpartition("@")
            files.append(verified(Path(path), digest))
        if self.recipe.sdist:
            files.append(self._fetch_sdist(*self.recipe.sdist.split("@", 1)))
        if not files:
            raise BuildError("no sources: give --sdist or --source")
        return files

    def _fetch_sdist(self, requirement: str, digest: str) -> Path:
        """Download a source distribution from the index that pip and uv are set up for.

        pip would also run the sources' setup.py, which builds an old NumPy; so uv is asked for
        the address alone.
        """
        folder = self.recipe.work / "download"
        folder.mkdir(parents=True, exist_ok=True)
        named = folder / "wanted.txt"
        named.write_text(requirement + "\n")
        lock = folder / "pylock.toml"
        uv = self.environment / "bin" / "uv"
        run(
            [
                uv,
                "pip",
                "compile",
                "--quiet",
                "--no-deps",
                "--no-binary",
                ":all:",
                named,
                "-o",
                lock,
            ]
        )
        address = ""
        for line in lock.read_text().splitlines():
            if line.strip().startswith("sdist") and 'url = "' in line:
                address = line.partition('url = "')[2].partition('"')[0]
        if not address:
            raise BuildError(f"the index has no source distribution of {requirement}")
        path = folder / address.rpartition("/")[2]
        if not path.is_file():
            say(f"downloading {path.name}")
            part = path.with_suffix(".part")
            with urllib.request.urlopen(address, timeout=60) as answer, part.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            part.replace(path)
        return verified(path, digest)

    def unpack(self, archives: list[Path]) -> tuple[Path, Path | None]:
        """Unpack the sources and return the folders of OpenCV and of its contrib modules."""
        names = [archive.name for archive in archives]
        stamp = self.sources / "unpacked.json"
        if not stamp.is_file() or json.loads(stamp.read_text()) != names:
            shutil.rmtree(self.sources, ignore_errors=True)
            self.sources.mkdir(parents=True)
            for archive in archives:
                say(f"unpacking {archive.name}")
                with tarfile.open(archive) as file:
                    if hasattr(tarfile, "data_filter"):
                        file.extractall(self.sources, filter="data")
                    else:
                        file.extractall(self.sources)
            stamp.write_text(json.dumps(names))

        def found(marker: str) -> Path | None:
            hits = sorted(self.sources.glob(f"*/{marker}")) + sorted(
                self.sources.glob(f"*/*/{marker}")
            )
            return hits[0] if hits else None

        core = found("modules/core/CMakeLists.txt")
        contrib = found("modules/cudaarithm/CMakeLists.txt")
        if core is None:
            raise BuildError("the sources hold no OpenCV")
        return core.parents[2], contrib.parents[1] if contrib else None

    def configure(self) -> None:
        """Let CMake configure the build."""
        source, contrib = self.unpack(self.fetch())
        code = "import numpy; print(numpy.get_include())"
        include = subprocess.check_output([str(self.python), "-c", code], text=True).strip()
        flags = cmake_flags(self.recipe, self.python, include)
        flags["CMAKE_INSTALL_PREFIX"] = str(self.installed)
        flags["CMAKE_MAKE_PROGRAM"] = str(self.environment / "bin" / "ninja")
        if contrib:
            flags["OPENCV_EXTRA_MODULES_PATH"] = str(contrib)
        if self.recipe.cuda:
            home = self.cuda_home()
            flags["CUDA_TOOLKIT_ROOT_DIR"] = str(home)
            for folder in self._cuda_lib_dirs() if self.recipe.pip_cuda else []:
                if (folder / "libcudnn.so").exists():
                    flags["CUDNN_LIBRARY"] = str(folder / "libcudnn.so")
                    flags["CUDNN_INCLUDE_DIR"] = str(folder.parent / "include")
        if self.recipe.pip_cuda:
            flags["CMAKE_INSTALL_RPATH"] = ";".join(self._rpath())
            flags["CMAKE_BUILD_RPATH"] = ";".join(str(path) for path in self._cuda_lib_dirs())
        say("configuring")
        cmake = self.environment / "bin" / "cmake"
        definitions = [f"-D{name}={value}" for name, value in flags.items()]
        run([cmake, "-S", source, "-B", self.tree, "-G", "Ninja", *definitions])

    def _rpath(self) -> list[str]:
        """Return where the loader finds NVIDIA's packages from cv2 in the same site-packages."""
        folders = sorted({path.relative_to(self.site()) for path in self._cuda_lib_dirs()})
        return [f"$ORIGIN/{up}/{folder}" for up in ("..", "../..") for folder in folders]

    def compile(self) -> None:
        """Compile and install."""
        cmake = self.environment / "bin" / "cmake"
        say(f"compiling with {self.recipe.jobs} jobs")
        run([cmake, "--build", self.tree, "--parallel", str(self.recipe.jobs)])
        shutil.rmtree(self.installed, ignore_errors=True)
        run([cmake, "--install", self.tree, "--strip"])

    def pack(self) -> Path:
        """Pack what was installed and return the wheel."""
        package = self.installed / "python" / "cv2"
        if self.recipe.pip_cuda:
            for extension in package.rglob("cv2*.so"):
                wheel_file.shorten_run_path(extension, ":".join(self._rpath()))
        data = package / "data"
        data.mkdir(exist_ok=True)
        code = 'import os\n\nhaarcascades = os.path.join(os.path.dirname(__file__), "")\n'
        (data / "__init__.py").write_text(code)
        for cascade in self.installed.glob("share/*/haarcascades/*.xml"):
            shutil.copy(cascade, data)
        version = local_version(self.recipe)
        (package / "version.py").write_text(
            f'opencv_version = "{version}"\ncontrib = True\nheadless = True\nrolling = False\n'
            "ci_build = False\n"
        )
        licenses = sorted(self.sources.glob("*/LICENSE*")) or sorted(
            self.sources.glob("*/*/LICENSE")
        )
        python = f"cp{sys.version_info.major}{sys.version_info.minor}"
        tag = "cp37-abi3" if limited_api(self.recipe) else f"{python}-{python}"
        wheel = wheel_file.WheelFile(
            version=version,
            tag=f"{tag}-linux_{platform.machine()}",
            summary=f"OpenCV {self.recipe.version} with CUDA {self.recipe.cuda or 'off'}, "
            f"sm {' '.join(self.recipe.sm) or 'none'}",
            requires=[f"numpy{self.recipe.numpy}", *self._runtime_packages()],
            licenses=licenses[:3],
        )
        path: Path = wheel.write(package, self.recipe.out)
        (self.recipe.out / "constraints.txt").write_text(wheel_file.constraints(version))
        return path

    def _runtime_packages(self) -> list[str]:
        """Return what the wheel needs of CUDA where it came from PyPI."""
        needed = ("cuda-toolkit", "nvidia-cudnn")
        return [
            name.replace("cuda-toolkit==", "cuda-toolkit[npp,cublas,cufft,cudart]==")
            for name in self.recipe.pip_cuda
            if name.startswith(needed)
        ]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="build_wheel.py", description=__doc__)
    add = made.add_argument
    add("--version", required=True, help="version of the source distribution")
    add("--source", action="append", default=[], metavar="FILE@SHA256:SUM", help="a source archive")
    add("--sdist", metavar="NAME==VERSION@SHA256:SUM", help="the sources from PyPI")
    add("--cuda", default="", help="version of CUDA; none builds for the CPU")
    add("--sm", nargs="*", default=[], help="compute capabilities")
    add("--ptx", nargs="*", default=[], help="compute capabilities whose PTX is kept")
    add("--cudnn", action="store_true", help="DNN on CUDA")
    add("--cudacodec", action="store_true", help="video decoding on CUDA")
    add("--extra", nargs="*", default=[], help="more of OpenCV's WITH_ options")
    add("--modules", default="", help="build these modules only, with commas")
    add("--numpy", default="", help="versions of NumPy, such as >=2")
    add("--gcc", default="", help="the compiler, where the default is too new for nvcc")
    add("--pip-cuda", nargs="*", default=[], help="requirements that bring CUDA from PyPI")
    add("--cuda-home", default="/usr/local/cuda", help="CUDA, where it does not come from PyPI")
    add("--work", type=Path, required=True, help="folder of the build; kept")
    add("--out", type=Path, required=True, help="where the wheel goes")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="compilations at a time")
    add("--flag", action="append", default=[], metavar="NAME=VALUE", help="one more for CMake")
    add("--configure-only", action="store_true", help="stop before compiling")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, and return the exit status."""
    recipe = parser().parse_args(arguments, namespace=Recipe())
    recipe.work = recipe.work.resolve()
    recipe.out = recipe.out.resolve()
    recipe.work.mkdir(parents=True, exist_ok=True)
    build = Build(recipe)
    try:
        build.prepare()
        build.configure()
        if recipe.configure_only:
            return 0
        build.compile()
        path = build.pack()
    except (BuildError, OSError) as error:
        print(f"build_wheel.py: {error}", file=sys.stderr)
        return 1
    say(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
