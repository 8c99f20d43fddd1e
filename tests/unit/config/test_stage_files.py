"""Stages from files and modules: found, kept apart, and explained when they do not load."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevision import Frame, Stage
from edgevision.config import load_stage
from edgevision.config.stage_files import StageFiles
from edgevision.errors import ConfigurationError

ONE = """
from edgevision import Frame, Stage

class One(Stage):
    def process(self, frame: Frame) -> None:
        pass
"""


@pytest.fixture(autouse=True)
def modules_as_before() -> Iterator[None]:
    before = dict(sys.modules)
    path = list(sys.path)
    yield
    assert sys.path == path
    for name in set(sys.modules) - set(before):
        if not name.startswith(("edgevision", "cv2", "numpy")):
            del sys.modules[name]


def write(path: Path, text: str = ONE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def refusal(use: str, folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_stage(use, folder)
    return str(caught.value)


def test_a_class_of_a_file(tmp_path: Path) -> None:
    write(tmp_path / "stages.py")
    stage = load_stage("./stages.py:One", tmp_path)
    assert issubclass(stage, Stage)
    assert stage.__name__ == "One"
    assert load_stage(f"{tmp_path}/stages.py:One").__name__ == "One"
    assert load_stage("stages.py:One", tmp_path).__name__ == "One"


def test_the_class_may_be_left_out_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path / "stages.py")
    assert load_stage("./stages.py", tmp_path).__name__ == "One"
    write(tmp_path / "two.py", ONE + ONE.replace("One", "Two"))
    assert "which stage of ./two.py? (it has: One, Two)" in refusal("./two.py", tmp_path)


def test_a_decorated_function(tmp_path: Path) -> None:
    text = """
    from edgevision import Frame, Param, stage

    @stage
    def bright(frame: Frame, *, scale: float = Param(2.0)) -> None:
        frame.values["bright"] = scale
    """
    write(tmp_path / "stages.py", text)
    assert list(load_stage("./stages.py:bright", tmp_path).parameters()) == ["scale"]


def test_two_files_of_the_same_name_do_not_clash(tmp_path: Path) -> None:
    write(tmp_path / "a" / "stages.py", ONE + "WHERE = 'a'\n")
    write(tmp_path / "b" / "stages.py", ONE + "WHERE = 'b'\n")
    files = StageFiles()
    a, b = (files.load(tmp_path / name / "stages.py") for name in "ab")
    assert (a.WHERE, b.WHERE) == ("a", "b")
    assert sys.modules[a.__name__] is a
    assert sys.modules[b.__name__] is b
    assert files.load(tmp_path / "a" / "stages.py") is a


def test_neighbours_of_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name / "helpers.py", f"WHERE = '{name}'\n")
        write(tmp_path / name / "pack" / "__init__.py", f"from helpers import WHERE as W{name}\n")
        text = "import helpers\nimport pack\nWHERE = helpers.WHERE\n"
        write(tmp_path / name / "stages.py", text)
    files = StageFiles()
    a, b = (files.load(tmp_path / name / "stages.py") for name in "ab")
    assert (a.WHERE, b.WHERE) == ("a", "b")
    assert (a.pack.Wa, b.pack.Wb) == ("a", "b")
    assert tmp_path / "a" / "helpers.py" in files.files()
    assert tmp_path / "b" / "pack" / "__init__.py" in files.files()


def test_two_files_of_a_folder_share_their_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "helpers.py", "things = []\n")
    for name in ("one", "two"):
        write(tmp_path / f"{name}.py", "from helpers import things\n")
    files = StageFiles()
    one, two = files.load(tmp_path / "one.py"), files.load(tmp_path / "two.py")
    assert one.things is two.things


def test_packages_below_the_folder_are_not_neighbours(tmp_path: Path) -> None:
    """An environment in the project's folder holds NumPy, which cannot be loaded twice."""
    installed = tmp_path / ".venv" / "site-packages"
    write(installed / "ev_test_installed.py", "")
    write(tmp_path / "stages.py", f"import sys\nsys.path.append({str(installed)!r})\n")
    write(tmp_path / "more.py", "import ev_test_installed\n")
    files = StageFiles()
    try:
        files.load(tmp_path / "stages.py")
        module = files.load(tmp_path / "more.py").ev_test_installed
    finally:
        sys.path.remove(str(installed))
    assert sys.modules["ev_test_installed"] is module
    assert StageFiles().load(tmp_path / "more.py").ev_test_installed is module


def test_a_new_object_loads_file_and_neighbours_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write(tmp_path / "helpers.py", "VALUE = 100\n")
    path = write(tmp_path / "stages.py", "import helpers\nVALUE = helpers.VALUE\nOWN = 'aa'\n")
    old = StageFiles().load(path)
    write(tmp_path / "helpers.py", "VALUE = 200\n")
    # As long as before and within the same second: a compiled file would be taken for current.
    write(path, "import helpers\nVALUE = helpers.VALUE\nOWN = 'bb'\n")
    new = StageFiles().load(path)
    assert (old.VALUE, old.OWN) == (100, "aa")
    assert (new.VALUE, new.OWN) == (200, "bb")


def test_a_failed_load_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "helpers.py", "VALUE = 1\n")
    path = write(tmp_path / "stages.py", "import helpers\n")
    old = StageFiles().load(path)
    write(path, "import helpers\n1 / 0\n")
    with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
        StageFiles().load(path)
    assert sys.modules[old.__name__] is old
    assert sys.modules["helpers"] is old.helpers


def test_a_stage_file_may_use_dataclasses_and_text_annotations(tmp_path: Path) -> None:
    text = """
    from __future__ import annotations
    from dataclasses import dataclass
    from edgevision import Frame, Param, Stage

    @dataclass
    class Point:
        x: int

    class Own(Stage):
        points: list[tuple[float, float]] = Param([])

        def process(self, frame: Frame) -> None:
            pass
    """
    write(tmp_path / "stages.py", text)
    assert load_stage("./stages.py", tmp_path).parameters()["points"].describe_type()


def test_a_class_of_a_module(tmp_path: Path) -> None:
    write(tmp_path / "ev_test_package" / "__init__.py", "")
    write(tmp_path / "ev_test_package" / "stages.py")
    stage = load_stage("ev_test_package.stages:One", tmp_path)
    assert stage.__module__ == "ev_test_package.stages"
    assert load_stage("edgevision.stages.motion:Motion").__name__ == "Motion"


def test_a_syntax_error_shows_line_and_mark_and_no_traceback(tmp_path: Path) -> None:
    text = """\
    class A:
        def process(self, frame)
            pass
    """
    write(tmp_path / "stages.py", text)
    message = refusal("./stages.py:A", tmp_path)
    assert message.splitlines() == [
        f"{tmp_path}/stages.py cannot be loaded: SyntaxError: expected ':'",
        f"    {tmp_path}/stages.py, line 2",
        "      def process(self, frame)",
        "                              ^",
    ]


def test_paths_below_the_current_folder_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "stages.py", "x = 1\nraise OSError('no model')\n")
    assert refusal("./stages.py:A", Path()).splitlines() == [
        "stages.py cannot be loaded: OSError: no model",
        "    stages.py, line 2",
        "      raise OSError('no model')",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\ny = x / 0\n", ["ZeroDivisionError: division by zero", "line 2", "y = x / 0"]),
        ("import nowhere_at_all\n", ["No module named 'nowhere_at_all'", "line 1"]),
        ("import broken\n", ["SyntaxError", "broken.py, line 1"]),
        ("import raising\n", ["KeyError: 'a'", "raising.py, line 2", "x = {}['a']"]),
        ("raise SystemExit('bye')\n", ["SystemExit: bye", "line 1"]),
        ("from .helpers import x\n", ["line 1", "a stage file is no package"]),
        ("def f():\n  return f()\nf()\n", ["RecursionError", "line 2"]),
        ("url = 'rtsp://u:hunter2@h/'\nraise OSError(url)\n", ["OSError: rtsp://***@h/"]),
        (
            "from edgevision import Stage\nclass A(Stage):\n  def proces(self, frame): pass\n",
            ["TypeError: A.proces would never be called: did you mean 'process'?", "line 2"],
        ),
        ("\x00", ["cannot be loaded"]),
        ("# coding: nonsense\n", ["cannot be loaded", "nonsense"]),
    ],
)
def test_errors_at_import_show_the_users_line(tmp_path: Path, text: str, says: list[str]) -> None:
    (tmp_path / "stages.py").write_text(text)
    (tmp_path / "broken.py").write_text("if\n")
    (tmp_path / "raising.py").write_text("\nx = {}['a']\n")
    message = refusal("./stages.py:A", tmp_path)
    for part in says:
        assert part in message
    assert "Traceback" not in message
    assert "importlib" not in message


def test_a_file_that_is_no_utf_8(tmp_path: Path) -> None:
    (tmp_path / "stages.py").write_bytes(b"x = '\xfc'\n")
    assert "SyntaxError" in refusal("./stages.py:A", tmp_path)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("./stages.py:Onee", "no 'Onee' in ./stages.py, did you mean 'One'? (its stages: One)"),
        ("./stages.py:plain", "plain in ./stages.py is a plain function: decorate it with @stage"),
        ("./stages.py:NoStage", "NoStage in ./stages.py is a class but no stage"),
        ("./stages.py:made", "is a One that is made already: name the class, ./stages.py:One"),
        ("./stages.py:NUMBER", "NUMBER in ./stages.py is a int, not a stage"),
        ("./stages.py:Base", "Base in ./stages.py is abstract"),
        ("./stages.py:Stage", "Stage in ./stages.py is abstract"),
        ("./stags.py:One", "there is no file '"),
        ("./stags.py:One", "did you mean 'stages.py'?"),
        ("./deep/stages.py:One", "deep' does not exist"),
        ("./stages:One", "a stage file ends with .py, got './stages', did you mean './stages.py:"),
        (".:One", "a stage file ends with .py"),
        ("./empty.py", "which stage of ./empty.py? (it has none)"),
        ("nowhere_at_all:One", "there is no module 'nowhere_at_all'"),
        ("stages2:One", "there is no module 'stages2', did you mean 'stages'?"),
        ("pack.stages:One", "there is no module 'pack', did you mean"),
        ("a b:One", "'a b' is neither a module nor a file"),
        ("jsn:One", "did you mean 'json'?"),
        ("json.nothing:One", "there is no module 'json.nothing'"),
        ("json:One", "there is no 'One' in module json (it has no stage)"),
        ("./stages.py:__name__", "is a str, not a stage"),
        ("moton", "there is no built-in stage 'moton', did you mean 'motion'? (there are: "),
        ("One", "there is no built-in stage 'One', did you mean './stages.py:One'?"),
        ("", "there is no built-in stage ''"),
        (":", "is neither a module nor a file"),
    ],
)
def test_what_is_no_stage(tmp_path: Path, use: str, says: str) -> None:
    text = """
    from edgevision import Frame, Stage

    class Base(Stage, abstract=True):
        pass

    class One(Base):
        def process(self, frame: Frame) -> None:
            pass

    class NoStage:
        pass

    def plain(frame):
        pass

    made = One()
    NUMBER = 3
    """
    write(tmp_path / "stages.py", text)
    write(tmp_path / "empty.py", "")
    (tmp_path / "packs.py").write_text("")
    message = refusal(use, tmp_path)
    assert says in message, message


def test_only_own_stages_are_offered(tmp_path: Path) -> None:
    write(tmp_path / "stages.py", ONE + "from edgevision.stages.motion import Motion\n")
    assert load_stage("./stages.py", tmp_path).__name__ == "One"
    assert load_stage("./stages.py:Motion", tmp_path).__name__ == "Motion"


def test_a_module_that_raises_shows_the_users_line(tmp_path: Path) -> None:
    write(tmp_path / "ev_test_bad.py", "a = 1\nb = a.nothing\n")
    message = refusal("ev_test_bad:One", tmp_path)
    assert "module ev_test_bad cannot be loaded: AttributeError" in message
    assert "ev_test_bad.py, line 2\n      b = a.nothing" in message


def test_no_error_hides_where_it_came_from(tmp_path: Path) -> None:
    write(tmp_path / "stages.py", "1 / 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_stage("./stages.py:A", tmp_path)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert traceback.format_exception(caught.value.__cause__)


def test_a_stage_of_a_file_runs(tmp_path: Path) -> None:
    import numpy as np

    from edgevision import Pipeline

    text = """
    import cv2
    from edgevision import Frame, Param, Stage

    class Mean(Stage):
        scale: float = Param(1.0)

        def process(self, frame: Frame) -> None:
            frame.values["mean"] = float(cv2.mean(frame.image)[0]) * self.scale
    """
    write(tmp_path / "stages.py", text)
    frame = Frame(np.full((4, 6, 3), 10, np.uint8))
    with Pipeline([load_stage("./stages.py", tmp_path)(scale=2.0)]) as pipeline:
        pipeline.process(frame)
        assert frame.values["mean"] == 20.0
