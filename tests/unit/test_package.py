"""The package as its users meet it: what an import loads, and what it says without OpenCV."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import edgevision

ROOT = Path(__file__).resolve().parents[2]
NO_LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"


def python(code: str, *, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that looks for modules in ``path`` first."""
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        cwd=path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def fake_cv2(folder: Path, code: str) -> Path:
    (folder / "cv2").mkdir()
    (folder / "cv2" / "__init__.py").write_text(code)
    return folder


def message(done: subprocess.CompletedProcess[str]) -> str:
    """Return the text of the ConfigurationError that ended a program."""
    assert done.returncode == 1, done.stderr
    name = "edgevision.errors.ConfigurationError: "
    assert name in done.stderr, done.stderr
    return done.stderr.rpartition(name)[2]


@pytest.mark.parametrize("name", ["aiohttp", "azure", "pydantic", "rich", "typer", "yaml"])
def test_import_loads_nothing_large(name: str, imported: set[str]) -> None:
    assert "edgevision" in imported
    assert name not in imported


@pytest.fixture(scope="module")
def imported() -> set[str]:
    code = "import edgevision, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = python(code)
    assert done.returncode == 0, done.stderr
    return {str(name).partition(".")[0] for name in json.loads(done.stdout)}


def test_every_public_name_is_there() -> None:
    assert edgevision.__doc__
    for name in edgevision.__all__:
        assert getattr(edgevision, name) is not None, name
    assert set(edgevision.__all__) <= set(dir(edgevision))


def test_the_wheel_is_installed_with_its_command() -> None:
    distribution = metadata.distribution("edgevision")
    assert distribution.version == edgevision.__version__
    (command,) = distribution.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("edgevision", "edgevision.cli:main")
    assert Path(sys.executable).with_name("edgevision").exists()


def test_without_libgl_it_names_the_two_ways_out(tmp_path: Path) -> None:
    folder = fake_cv2(tmp_path, f"raise ImportError({NO_LIBGL!r})")
    said = message(python("from edgevision import Frame", path=folder))
    assert NO_LIBGL in said
    assert "apt-get install libgl1 libglib2.0-0" in said
    assert "pip install opencv-python-headless" in said


@pytest.mark.parametrize(
    "command",
    [
        [str(Path(sys.executable).with_name("edgevision")), "demo"],
        [sys.executable, "-m", "edgevision", "demo"],
    ],
    ids=["edgevision", "python -m edgevision"],
)
def test_the_command_says_it_without_a_traceback(tmp_path: Path, command: list[str]) -> None:
    folder = fake_cv2(tmp_path, f"raise ImportError({NO_LIBGL!r})")
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"edgevision: OpenCV cannot be loaded: {NO_LIBGL}")
    assert "apt-get install libgl1 libglib2.0-0" in done.stderr
    assert "pip install opencv-python-headless" in done.stderr


def test_without_opencv_it_says_what_to_install(tmp_path: Path) -> None:
    said = message(python("import sys; sys.modules['cv2'] = None\nfrom edgevision import Frame"))
    assert "needs OpenCV 4.8 or newer, below 6; it is not installed: pip install" in said


def test_a_folder_named_cv2_is_not_taken_for_opencv(tmp_path: Path) -> None:
    (tmp_path / "cv2").mkdir()
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
    said = message(python(code + "from edgevision.opencv import load; load()", path=tmp_path))
    assert str(tmp_path / "cv2") in said


@pytest.mark.parametrize("version", ["3.4.18", "4.7.0", "6.0.0", "nonsense"])
def test_a_wrong_opencv_version_is_refused(tmp_path: Path, version: str) -> None:
    folder = fake_cv2(tmp_path, f"__version__ = {version!r}")
    said = message(python("from edgevision import Frame", path=folder))
    assert f"needs OpenCV 4.8 or newer, below 6; {folder}/cv2/__init__.py is {version}" in said


@pytest.mark.parametrize("version", ["4.8.0", "4.14.0-dev", "5.0.0-pre", "5.12.1"])
def test_a_right_opencv_version_is_taken(tmp_path: Path, version: str) -> None:
    folder = fake_cv2(tmp_path, f"__version__ = {version!r}")
    done = python("from edgevision.opencv import load; print(load().__version__)", path=folder)
    assert (done.stdout.strip(), done.stderr) == (version, "")


def test_another_import_error_of_opencv_is_passed_on(tmp_path: Path) -> None:
    folder = fake_cv2(tmp_path, "import a_module_that_is_missing")
    said = message(python("from edgevision import Frame", path=folder))
    assert "OpenCV cannot be loaded: No module named 'a_module_that_is_missing'" in said
