"""The command as such: help, versions, mistakes in its arguments, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import edgevision
from edgevision.cli import application
from tests.unit.cli.command import command, on_terminal, run


def test_version() -> None:
    done = run("--version")
    assert done.code == 0
    assert done.out.startswith(f"edgevision {edgevision.__version__} (OpenCV ")


def test_the_entry_point_is_installed() -> None:
    program = Path(sys.executable).with_name("edgevision")
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("edgevision ")


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_has_every_command_and_examples(arguments: list[str]) -> None:
    done = on_terminal(*arguments)
    for name in ("demo", "run", "replay", "record", "stages", "schema", "new"):
        assert f"{name} " in done.out
    assert "edgevision run --source webcam:0 --stage motion" in done.out
    assert done.code in ((0,) if arguments else (0, 2))  # depends on typer's version


@pytest.mark.parametrize(
    "name", ["demo", "run", "replay", "record", "stages", "schema", "new", "new stage"]
)
def test_every_command_has_help(name: str) -> None:
    done = on_terminal(*name.split(), "--help")
    assert done.code == 0
    assert f"Usage: edgevision {name}" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], "id you mean 'run'?"),
        (["stage"], "id you mean"),
        (["run", "--sorce", "x"], "--source"),
        (["run", "--port", "x"], "--port"),
        (["run", "--port", "99999"], "--port"),
        (["record", "webcam:0"], "issing argument"),
        (["run", "a.yaml", "b.yaml"], "b.yaml"),
        (["run"], "nothing to run: name a PIPELINE.yaml, or a --source such as webcam:0"),
        (["run", "none.yaml"], "none.yaml: there is no such file"),
        (["run", "--source", "webcm:0"], "there is no scheme 'webcm', did you mean 'webcam'?"),
        (["run", "--source", "synthetic:?fsp=3"], "there is no option 'fsp', did you mean 'fps'?"),
        (["run", "--source", "synthetic:", "--stage", "moton"], "did you mean 'motion'?"),
        (["run", "--source", "a=synthetic:", "--source", "a=webcam:0"], "two sources are called"),
        (["run", "--source", "synthetic:", "--set", "motion"], "wants STAGE.PARAM=VALUE"),
        (["run", "--source", "synthetic:", "--set", "motion.x=1"], "there is no stage 'motion'"),
        (
            ["run", "--source", "synthetic:", "--stage", "motion", "--set", "motion.min_area=x"],
            "min_area (--set): parameter min_area of stage motion must be int >= 0 px, got 'x'",
        ),
        (
            ["run", "--source", "synthetic:", "--stage", "motion", "--set", "motion.label=[1"],
            "--set motion.label:1: not YAML",
        ),
        (["run", "--source", "synthetic:", "--upstream", "consol"], "did you mean 'console'?"),
        (["replay", "none"], "none is no recording: it does not exist"),
        (["stages", "moton"], "there is no built-in stage 'moton', did you mean 'motion'?"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = run(*arguments, folder=tmp_path)
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert says in done.error
    assert "Traceback" not in done.err


def test_a_mistake_on_a_terminal_is_text(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("cameras: {cam: 'webcam:0'}\nstages: [moton, motin]\n")
    done = on_terminal("run", "p.yaml", folder=tmp_path)
    assert done.code == 2
    assert done.out.startswith("error: p.yaml:2: stages[0]: there is no built-in stage 'moton', di")
    assert "\np.yaml:2: stages[1]: there is no built-in stage 'motin'" in done.out


def test_text_and_json_can_be_asked_for(tmp_path: Path) -> None:
    assert run("run", "--text", folder=tmp_path).err.startswith("error: nothing to run")
    done = on_terminal("run", "--json", folder=tmp_path)
    assert json.loads(done.out)["message"].startswith("nothing to run")


def test_every_mistake_of_a_file_has_its_place_for_programs(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("cameras: {cam: 'webcam:0'}\nstages: [moton, motin]\n")
    (log,) = run("run", "p.yaml", folder=tmp_path).logs
    places = [(problem["file"], problem["line"], problem["path"]) for problem in log["problems"]]
    assert places == [("p.yaml", 2, "stages[0]"), ("p.yaml", 2, "stages[1]")]


def test_a_syntax_error_of_a_stage_file_shows_its_line(tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_text("class A:\n    def process(self, frame)\n        pass\n")
    done = on_terminal("run", "--source", "synthetic:", "--stage", "./stages.py:A", folder=tmp_path)
    assert done.code == 2
    assert "stages.py, line 2\n      def process(self, frame)\n" in done.out
    assert "Traceback" not in done.out


def test_no_secret_is_printed(tmp_path: Path) -> None:
    text = 'cameras: {cam: "rtps://user:${SECRET}@10.0.0.8/x"}\npoison: ${SECRET}\n'
    (tmp_path / "p.yaml").write_text(text)
    done = run("run", "p.yaml", folder=tmp_path, SECRET="hunter2-hunter2")
    assert done.code == 2
    assert "hunter2" not in done.err + done.out


def test_a_mistake_of_edgevision_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(application, "application", fail)
    assert application.run(["run"]) == 70
    said = capsys.readouterr().err
    assert "RuntimeError: a bug" in said
    assert "Please report it" in said


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1', "bash", *command("schema")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""
