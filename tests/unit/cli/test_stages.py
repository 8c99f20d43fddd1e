"""`edgevision stages`, `schema` and `new stage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edgevision import stages
from edgevision.config import json_schema
from tests.unit.cli.command import on_terminal, run, words


def test_the_list_for_programs() -> None:
    lines = run("stages").lines
    assert [line["name"] for line in lines] == list(stages.BUILT_IN)
    motion = next(line for line in lines if line["name"] == "motion")
    area = next(p for p in motion["parameters"] if p["name"] == "min_area")
    assert area["type"] == "int >= 0"
    assert area["unit"] == "px"
    assert area["help"]
    assert area["schema"]["default"] == stages.load("motion").parameters()["min_area"].default


def test_the_list_for_people() -> None:
    text = on_terminal("stages").out
    for name in stages.BUILT_IN:
        assert f"\n{name} " in f"\n{text}"
    assert "Traceback" not in text


def test_one_stage_for_people() -> None:
    said = words(on_terminal("stages", "motion").out)
    for word in ("motion", "min_area", "int", ">=", "px", "400", "noise"):
        assert word in said


def test_a_stage_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from edgevision import Param, stage\n\n"
        "@stage\ndef bright(frame, *, limit: int = Param(3, ge=1, help='a limit')):\n"
        "    '''Tells what is bright.'''\n"
    )
    (line,) = run("stages", "./mine.py:bright", folder=tmp_path).lines
    assert line["description"] == "Tells what is bright."
    assert line["parameters"][0]["help"] == "a limit"


def test_schema() -> None:
    done = run("schema")
    assert json.loads(done.out) == json_schema()
    Draft202012Validator.check_schema(json.loads(done.out))


def test_schema_of_messages() -> None:
    document = json.loads(run("schema", "--message").out)
    Draft202012Validator.check_schema(document)
    assert "captured_at" in json.dumps(document)


@pytest.mark.parametrize("name", ["line_counter", "LineCounter", "line-counter"])
def test_a_new_stage_and_its_test_which_passes(tmp_path: Path, name: str) -> None:
    (line,) = run("new", "stage", name, folder=tmp_path).lines
    assert line == {
        "stage": "line_counter.py",
        "test": "test_line_counter.py",
        "class": "LineCounter",
    }
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_line_counter.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert len((tmp_path / "line_counter.py").read_text().splitlines()) <= 25


def test_what_is_next_is_said(tmp_path: Path) -> None:
    text = on_terminal("new", "stage", "counter", "--folder", "deep/er", folder=tmp_path).out
    assert "edgevision run --source webcam:0 --stage ./deep/er/counter.py" in text
    assert (tmp_path / "deep" / "er" / "test_counter.py").is_file()


def test_the_new_stage_runs_and_is_clean(tmp_path: Path) -> None:
    assert run("new", "stage", "counter", folder=tmp_path).code == 0
    arguments = ["--source", "synthetic:?frames=5&pace=fast", "--stage", "./counter.py"]
    done = run("run", *arguments, "--no-web", folder=tmp_path)
    assert done.code == 0
    assert done.lines[0]["values"]["bright"] >= 0
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,W,B,UP,SIM", "."]
    checked = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("existing", ["counter.py", "test_counter.py"])
def test_nothing_is_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    done = run("new", "stage", "counter", folder=tmp_path)
    assert done.code == 2
    assert f"{existing} is there already; nothing was written" in done.error
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("3d", "begins with a letter"),
        ("a b", "a name is letters"),
        ("../up", "a name is letters"),
        ("class", "no word of Python's"),
        ("json", "there is a module 'json' already"),
        ("cv2", "there is a module 'cv2' already"),
        ("test_x", "pytest would take it for a test"),
        ("", "a name is letters"),
        ("ünïcode", "a name is letters"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    done = run("new", "stage", name, folder=tmp_path)
    assert done.code == 2
    assert says in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("new", "stage", "counter", "--folder", "file", folder=tmp_path)
    assert done.code == 2
    assert "cannot be written" in done.error
