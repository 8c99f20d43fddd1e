"""`--reload`: a saved stage file takes effect while the camera stays open."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.command import Running

STAGE = """
from edgevision import Frame, Stage
from helpers import VALUE

class Version(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["version"] = VALUE + OWN
"""
PIPELINE = """
cameras:
  cam: {source: "synthetic:?width=160&height=96&fps=30"}
stages: [./stages.py:Version]
publish: {when: every}
web: false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helpers.py").write_text("VALUE = 10\n")
    (tmp_path / "stages.py").write_text(STAGE + "\nOWN = 1\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    with Running("run", "--reload", folder=folder) as process:
        wait_for_version(process, 11)
        yield process
        process.signal(signal.SIGINT)
        done = process.end()
        assert done.code == 0
        # The camera was never closed: one start, and every frame has the number after the last.
        assert sum("is live" in line for line in done.err.splitlines()) == 1


def wait_for_version(process: Running, version: int) -> dict[str, Any]:
    def find(running: Running) -> dict[str, Any] | None:
        lines = (json.loads(line) for line in running.out)
        return next((m for m in lines if m.get("values", {}).get("version") == version), None)

    found: dict[str, Any] = process.wait_for(find)
    return found


def test_a_saved_stage_takes_effect(folder: Path, running: Running) -> None:
    before = running.messages()[0]
    (folder / "stages.py").write_text(STAGE + "\nOWN = 2\n")
    after = wait_for_version(running, 12)
    assert "stages.py: reloaded" in running.log("reloaded")["message"]
    assert after["run"] == before["run"]
    assert after["sequence"] > before["sequence"]


def test_what_a_stage_imports_takes_effect(folder: Path, running: Running) -> None:
    (folder / "helpers.py").write_text("VALUE = 20\n")
    wait_for_version(running, 21)


def test_what_a_stage_imports_from_now_on_takes_effect(folder: Path, running: Running) -> None:
    (folder / "more.py").write_text("MORE = 100\n")
    (folder / "stages.py").write_text(STAGE + "\nfrom more import MORE\nOWN = 1 + MORE\n")
    wait_for_version(running, 111)
    (folder / "more.py").write_text("MORE = 2000\n")
    wait_for_version(running, 2011)


def test_a_mistake_is_shown_and_the_stage_goes_on(folder: Path, running: Running) -> None:
    (folder / "stages.py").write_text("class Version(\n")
    log = running.log("the stages go on as they were")
    assert log["level"] == "error"
    assert "SyntaxError" in log["message"]
    assert "stages.py, line 1" in log["message"]
    assert "traceback" not in log
    count = len(running.out)
    running.wait_for(lambda r: len(r.out) > count + 3)
    assert running.messages()[-1]["values"]["version"] == 11
    (folder / "stages.py").write_text(STAGE + "\nOWN = 3\n")
    wait_for_version(running, 13)


def test_a_stage_that_cannot_start_leaves_the_old_one(folder: Path, running: Running) -> None:
    broken = STAGE + "\n    def start(self):\n        raise OSError('no model')\n\nOWN = 4\n"
    (folder / "stages.py").write_text(broken)
    assert "no model" in running.log("go on as they were")["message"]
    count = len(running.out)
    running.wait_for(lambda r: len(r.out) > count + 3)
    assert running.messages()[-1]["values"]["version"] == 11


def test_a_parameter_of_the_pipeline_takes_effect(folder: Path, running: Running) -> None:
    text = PIPELINE.replace("[./stages.py:Version]", "[./stages.py:Version, edges]")
    (folder / "pipeline.yaml").write_text(text)
    running.log("pipeline.yaml: reloaded")


def test_other_changes_are_named(folder: Path, running: Running) -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("fps=30", "fps=20"))
    assert running.log("only stages are reloaded")["level"] == "warning"
