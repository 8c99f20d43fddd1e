"""dev.py: what it says when it cannot work, and what it counts."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dev

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "dev.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def run(
    clone: Path, *arguments: str, first: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(first or "")}
    return subprocess.run(
        [sys.executable, "dev.py", *arguments],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_old_python_can_read_it_up_to_its_message() -> None:
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 6))


def test_an_old_python_is_told_what_is_needed(clone: Path) -> None:
    code = "import runpy, sys; sys.version_info = (3, 9, 1); runpy.run_path('dev.py')"
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 1
    assert "edgevision needs Python 3.10 or newer" in done.stderr
    assert sys.executable in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_missing_venv_module_is_named_with_its_package(clone: Path, module: str) -> None:
    fakes = clone / "fakes"
    fakes.mkdir()
    (fakes / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}')")
    done = run(clone, "demo", first=fakes)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / ".venv").exists()


def test_an_unknown_command_and_benchmark_are_refused(clone: Path) -> None:
    assert "invalid choice: 'tset'" in run(clone, "tset").stderr
    done = run(clone, "bench", "import_tim")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "no such benchmark: import_tim; there are: none",
    )


def test_an_environment_is_used_again_until_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "run.txt"
    requirements.write_text("one==1\n")
    environment = dev.Environment(str(tmp_path / "env"), str(requirements), "headless.txt", ["run"])
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    environment.stamp.write_text(json.dumps({"run": environment.wanted()}))
    monkeypatch.setitem(dev.ENVIRONMENTS, "run", environment)
    begun: list[dev.Environment] = []
    monkeypatch.setattr(dev, "create", begun.append)
    monkeypatch.setattr(dev, "install", lambda *arguments: None)
    monkeypatch.setattr(dev, "cv2_error", lambda python: "")
    assert dev.set_up("run") is environment
    assert begun == []
    requirements.write_text("one==2\n")
    dev.set_up("run")
    assert begun == [environment]
    dev.set_up("run")
    assert begun == [environment]


TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert False
@pytest.mark.skip(reason="needs a camel: apt-get install camel")
def test_skips(): pass
@pytest.mark.skip(reason="needs a camel: apt-get install camel")
def test_skips_too(): pass
@pytest.mark.skip(reason="needs a dromedary: apt-get install dromedary")
def test_skips_alone(): pass
@pytest.fixture
def breaks(): yield; raise ValueError
def test_breaks_at_its_end(breaks): pass
@pytest.mark.xfail
def test_is_known_to_fail(): assert False
"""


def test_it_counts_and_groups_what_pytest_reports(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    outcome = dev.Outcome()
    outcome.pytest("pytest", Path(sys.executable), [str(tmp_path), "-c", os.devnull, "-q"])
    assert outcome.close() == 1
    lines = capfd.readouterr().out.splitlines()
    start = lines.index("Skipped:")
    assert lines[start:] == [
        "Skipped:",
        "  2 tests need a camel: apt-get install camel",
        "  1 test needs a dromedary: apt-get install dromedary",
        "Failed: pytest",
        "2 passed, 2 failed, 3 skipped",
    ]


def test_a_pytest_that_cannot_start_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = dev.Outcome()
    outcome.pytest("pytest", Path(sys.executable), ["--no-such-option"])
    assert outcome.close() == 1
    assert capfd.readouterr().out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


def test_a_failed_check_is_named_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    outcome = dev.Outcome()
    outcome.check("lint", sys.executable, "-c", "import sys; sys.exit(3)")
    outcome.check("types", sys.executable, "-c", "")
    assert outcome.close() == 1
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("--- lint: FAILED with exit status 3") for line in lines)
    assert any(line.startswith("--- types: passed") for line in lines)
    assert lines[-2:] == ["Failed: lint", "1 passed, 1 failed, 0 skipped"]


def test_why_cv2_does_not_load_is_read_from_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dev.cv2_error(Path(sys.executable)) == ""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert dev.cv2_error(Path(sys.executable)) == "ImportError: libGL.so.1: cannot open"
