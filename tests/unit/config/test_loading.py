"""A pipeline.yaml as a whole: what it means, and what is said about mistakes in it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from edgevision.config import PipelineConfig, from_mapping, load, parse
from edgevision.errors import ConfigurationError

STAGES = """
from pathlib import Path
from edgevision import Frame, Param, Stage

class Probe(Stage):
    area: int = Param(5, ge=1, le=100, unit="px")
    line: list[tuple[float, float]] = Param([], help="two points")
    model: Path | None = Param(None)
    models: list[Path] = Param([])

    def process(self, frame: Frame) -> None:
        frame.values["area"] = self.area

class Needy(Stage):
    where: str = Param(help="a place")

    def process(self, frame: Frame) -> None:
        pass

class Keyed(Stage):
    key: str = Param("", secret=True, max_length=3)

    def process(self, frame: Frame) -> None:
        pass

class Old(Stage):
    def __init__(self, weights):
        self.weights = weights

    def process(self, frame: Frame) -> None:
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stages.py").write_text(STAGES)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def refusals(folder: Path, text: str) -> list[str]:
    """Return what is said, without the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        parse(textwrap.dedent(text), file="p.yaml", folder=folder)
    error = caught.value
    assert error.problems
    for problem in error.problems:
        assert problem.file == "p.yaml"
    assert not any(line.startswith("Traceback") for line in str(error).splitlines())
    return [str(problem).removeprefix("p.yaml:") for problem in error.problems]


def test_the_smallest_pipeline(folder: Path) -> None:
    config = load(write(folder, 'cameras: {cam: "webcam:0"}'))
    assert config.cameras["cam"].source.uri == "webcam:0"
    assert config.module == folder.name
    assert config.web is not None
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert [upstream.type for upstream in config.upstream] == ["console"]
    assert config.file == folder / "pipeline.yaml"
    assert config.camera_specs()[0].stages == []


def test_everything_reaches_the_runner(folder: Path) -> None:
    text = """
    version: 1
    module: counter
    cameras:
      door:
        source: {uri: "webcam:1", width: 1280, height: 720}
        policy: wait
        max_age_ms: 500
        queue_size: 3
        stall_s: 4
        stage_timeout_s: 5.5
        reconnect: {first_s: 0.5, longest_s: 9}
      yard: {source: "synthetic:", stages: [./stages.py:Probe]}
      dark: {source: "synthetic:?seed=3", stages: []}
    stages:
      - ./stages.py:Probe: {area: 7, line: [[0, 0.5], [1, 0.5]]}
      - use: ./stages.py:Probe
        name: second
        on_error: quarantine
        max_consecutive_errors: 3
        params: {area: 8}
    publish: {when: interval, interval_s: 10}
    upstream: [console, {jsonl: {path: out/m.jsonl, keep: 2}}, "jsonl:b.jsonl", {type: console}]
    web: false
    poison: true
    """
    config = load(write(folder, text))
    door, yard, dark = config.camera_specs()
    assert (door.name, door.policy, door.queue_size) == ("door", "wait", 3)
    assert (door.max_age_s, door.stall_s, door.stage_timeout_s) == (0.5, 4.0, 5.5)
    assert (door.first_retry_s, door.longest_retry_s, door.poison) == (0.5, 9.0, True)
    source = door.source()
    assert source.live
    assert door.source() is not source
    stages = [spec for spec in door.stages if not isinstance(spec, type)]
    first, second = (spec.create() for spec in stages)  # type: ignore[union-attr]
    assert first.settings()["line"] == [(0.0, 0.5), (1.0, 0.5)]
    assert second.settings()["area"] == 8
    described = [(s.name, s.on_error, s.max_consecutive_errors) for s in stages]  # type: ignore[union-attr]
    assert described == [("probe", "drop", 10), ("second", "quarantine", 3)]
    assert len(yard.stages) == 1
    assert dark.stages == []
    assert config.web is None
    assert config.publish.when == "interval"
    paths = [getattr(upstream, "path", None) for upstream in config.upstream]
    assert paths == [None, str(folder / "out/m.jsonl"), str(folder / "b.jsonl"), None]
    assert len(config.open_upstreams()) == 4


def test_each_camera_gets_stages_of_its_own(folder: Path) -> None:
    text = 'cameras: {a: "webcam:0", b: "webcam:1"}\nstages: [./stages.py:Probe]'
    a, b = load(write(folder, text)).camera_specs()
    made = [spec.create() for camera in (a, b) for spec in camera.stages]  # type: ignore[union-attr]
    assert made[0] is not made[1]
    assert type(made[0]) is type(made[1])


def test_relative_paths_are_relative_to_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
    cameras:
      a: clip.mp4?loop=1
      b: file:deep/clip.mp4
      c: images:frames
      d: /dev/video0
      e: frames/*.png
      f: ~/clip.mp4
      g: rtsp://host/clip.mp4
    stages:
      - ./stages.py:Probe: {model: m.onnx, models: [a.onnx, /b.onnx]}
    """
    write(folder, text)
    monkeypatch.chdir(folder.parent)
    config = load(Path(folder.name) / "pipeline.yaml")
    made = [spec.source().uri for spec in config.camera_specs()]
    assert made[:5] == [
        f"{folder.name}/clip.mp4",
        f"{folder.name}/deep/clip.mp4",
        f"{folder.name}/frames",
        "/dev/video0",
        f"{folder.name}/frames/*.png",
    ]
    assert made[5] == str(Path("~/clip.mp4").expanduser())
    assert made[6] == "rtsp://host/clip.mp4"
    values = config.stages[0].values
    assert values["model"] == Path(folder.name) / "m.onnx"
    assert values["models"] == [Path(folder.name) / "a.onnx", Path("/b.onnx")]


def test_anchors_may_stand_under_keys_of_ones_own(folder: Path) -> None:
    text = """
    x-small: &small {area: 2}
    x-anything: [1, {a: b}]
    cameras: {cam: "webcam:0"}
    stages:
      - ./stages.py:Probe: *small
      - ./stages.py:Probe: {<<: *small, line: []}
    """
    config = load(write(folder, text))
    assert [stage.values["area"] for stage in config.stages] == [2, 2]


CASES: list[tuple[str, list[str]]] = [
    ("[a, b]", ["1: a pipeline is a mapping that begins with 'cameras:', this is a list"]),
    ("just text", ["1: a pipeline is a mapping that begins with 'cameras:', this is a single"]),
    ("version: 1", ["1: the key 'cameras' is missing (Cameras by name"]),
    ("cameras: {}", ["1: cameras: must be a mapping with at least one entry, got a mapping"]),
    ("cameras:\n", ["1: cameras: must be a mapping with at least one entry, got nothing"]),
    ("camera: webcam:0", ["1: the key 'cameras' is", "1: camera: there is no such key, did you"]),
    ("cameras: [webcam:0]", ["1: cameras: must be a mapping with at least one entry, got a list"]),
    (
        "cameras: {a: }",
        ['1: cameras.a: a camera is a source, such as a: "webcam:0", or'],
    ),
    ("cameras: {a: {}}", ["1: cameras.a: the key 'source' is missing (Where the frames come from"]),
    ("cameras: {a: {source: }}", ["1: cameras.a.source: a source is an address, such as webcam:0"]),
    ("cameras: {a: {source: 1}}", ["'uri'; did you mean 'webcam:1'?"]),
    ("cameras: {a: {source: {}}}", ["1: cameras.a.source: the key 'uri' is missing (Address)"]),
    ("cameras: {a: {source: ''}}", ["1: cameras.a.source: must be text that is not empty"]),
    ("cameras: {a: 0}", ["1: cameras.a: a camera is a source", "; did you mean 'webcam:0'?"]),
    ("cameras: {a b: webcam:0}", ["1: cameras.a b: a name is 1 to 64 letters, digits"]),
    ("cameras: {'': webcam:0}", ["a name is 1 to 64"]),
    (
        "cameras: {a: webcm:0}",
        ["1: cameras.a: source 'webcm:0': there is no scheme 'webcm', did you mean 'webcam'?"],
    ),
    (
        "cameras:\n  a:\n    source:\n      uri: webcam:0\n      widht: 3\n",
        ["5: cameras.a.source.widht: source 'webcam:0': there is no option 'widht', did you mean"],
    ),
    (
        "cameras:\n  a:\n    source: {uri: webcam:0}\n    polcy: latest\n",
        ["4: cameras.a.polcy: there is no such key, did you mean 'policy'? (there are: source"],
    ),
    (
        "cameras:\n  a: {source: webcam:0, policy: lastest}",
        ["2: cameras.a.policy: must be 'latest' or 'wait', got 'lastest', did you mean 'latest'?"],
    ),
    (
        "cameras: {a: {source: webcam:0, max_age_ms: 500ms}}",
        ["got '500ms': write the number alone, the unit is ms"],
    ),
    (
        "cameras: {a: {source: webcam:0, queue_size: '2'}}",
        ["must be a whole number from 1 to 64 (frames), got '2': write it without quotes"],
    ),
    ("cameras: {a: {source: webcam:0, queue_size: 2.5}}", ["must be a whole number from"]),
    ("cameras: {a: {source: webcam:0, queue_size: true}}", ["from 1 to 64 (frames), got true"]),
    ("cameras: {a: {source: webcam:0, stall_s: .inf}}", ["must be a number > 0 and <= 86400"]),
    ("cameras: {a: {source: webcam:0, stall_s: .nan}}", ["must be a number > 0 and <= 86400"]),
    ("cameras: {a: {source: webcam:0, stall_s: 0}}", ["must be a number > 0 and <= 86400"]),
    (
        "cameras:\n  a:\n    source: webcam:0\n    reconnect:\n      {first_s: 9, longest_s: 5}",
        ["4: cameras.a.reconnect: first_s (9 s) must not be longer than longest_s (5 s)"],
    ),
    ("cameras: {a: {source:webcam:0}}", ["'source' is missing", "write a space after the colon"]),
    ("version: 2\n" + 'cameras: {a: "webcam:0"}', ["1: version: must be 1, got 2"]),
    ("poison: yes\n" + 'cameras: {a: "webcam:0"}', ["1: poison: must be true or false, got 'yes'"]),
    ("poison: on\n" + 'cameras: {a: "webcam:0"}', ["got 'on': write true"]),
    ("web: true\n" + 'cameras: {a: "webcam:0"}', ["1: web: must be a mapping, got true"]),
    ("web: {port: 99999}\n" + 'cameras: {a: "webcam:0"}', ["from 0 to 65535, got 99999"]),
    ("web: {prot: 1}\n" + 'cameras: {a: "webcam:0"}', ["did you mean 'port'?"]),
    ("publish: {when: chang}\n" + 'cameras: {a: "webcam:0"}', ["did you mean 'change'?"]),
    (
        "publish: {heartbeat_s: 1, min_interval_s: 5}\n" + 'cameras: {a: "webcam:0"}',
        ["1: publish: heartbeat_s (1 s) must not be shorter"],
    ),
    ("upstream: console\n" + 'cameras: {a: "webcam:0"}', ["1: upstream: must be a list, such as"]),
    ("upstream: [consol]\n" + 'cameras: {a: "webcam:0"}', ["upstream[0]: ", "did you mean 'cons"]),
    ("upstream: [3]\n" + 'cameras: {a: "webcam:0"}', ["1: upstream[0]: an upstream is a name"]),
    ("upstream: [jsonl]\n" + 'cameras: {a: "webcam:0"}', ["upstream[0]: the key 'path' is miss"]),
    (
        "upstream:\n- jsonl:\n    path: a\n    keep: -1\n" + 'cameras: {a: "webcam:0"}',
        ["4: upstream[0].jsonl.keep: must be a whole number from 0 to 1000 (files), got -1"],
    ),
    (
        "upstream: [{jsonl: {path: a, kep: 1}}]\n" + 'cameras: {a: "webcam:0"}',
        ["1: upstream[0].jsonl.kep: there is no such key, did you mean 'keep'?"],
    ),
    (
        'upstream: [{console: }, {jsonl: 3}, {console: {}, jsonl: {}}]\ncameras: {a: "webcam:0"}',
        ["upstream[1]: ", "upstream[2]: "],
    ),
]


@pytest.mark.parametrize(("text", "says"), CASES, ids=lambda value: str(value)[:40])
def test_mistakes_say_where_and_what_would_be_right(
    folder: Path, text: str, says: list[str]
) -> None:
    found = refusals(folder, text)
    assert len(found) <= len(says), found
    for part in says:
        assert any(part in refusal for refusal in found), (part, found)


STAGE_CASES: list[tuple[str, list[str]]] = [
    ("stages: ./stages.py:Probe", ["2: stages: must be a list, got './stages.py:Probe': write ["]),
    ("stages: {motion: }", ["2: stages: must be a list, got a mapping"]),
    ("stages:\n- edgs", ["3: stages[0]: there is no built-in stage 'edgs', did you mean 'edges'?"]),
    ("stages:\n- 3", ["3: stages[0]: a stage is a name, ", ", got 3"]),
    ("stages:\n- ", ["3: stages[0]: a stage is a name, ", ", got nothing"]),
    (
        "stages:\n- ./stages.py:Probe: {area: 0}",
        ["3: stages[0]../stages.py:Probe.area: parameter area of stage probe must be int"],
    ),
    ("stages:\n- ./stages.py:Probe: {area: x}", ["must be int >= 1, <= 100 px, got 'x'"]),
    ("stages:\n- ./stages.py:Probe: {area: true}", ["got true"]),
    ("stages:\n- ./stages.py:Probe: {arae: 3}", ["did you mean 'area'? (it has: area, line, mod"]),
    ("stages:\n- ./stages.py:Probe: 5", ["must be a mapping, got 5"]),
    ("stages:\n- ./stages.py:Probe: {line: [[0, 0], [1]]}", ["line[1]: parameter line of stage"]),
    ("stages:\n- ./stages.py:Probe: {line: [[0, 0], [1, x]]}", ["line[1][1]: ", "got 'x'"]),
    (
        "stages:\n- ./stages.py:Probe:\n  area: 3\n",
        ["3: stages[0]: a stage is a name", "indent the parameters of ./stages.py:Probe further"],
    ),
    ("stages:\n- {edges: {}, on_error: drop}", ["a stage is a name", "this has edges, on_error"]),
    ("stages:\n- {}", ["a stage is a name", "this has nothing"]),
    ("stages:\n- ./stages.py:Needy", ["needs the parameter 'where', str (a place)"]),
    ("stages:\n- use: ./stages.py:Probe\n  area: 3\n", ["4: stages[0].area: there is no such key"]),
    ("stages:\n- {use: ./stages.py:Probe, name: a b}", ["stages[0].name: must be text matching"]),
    ("stages:\n- {use: ./stages.py:Probe, on_error: dorp}", ["did you mean 'drop'?"]),
    (
        "stages:\n- {use: ./stages.py:Probe, name: a}\n- {use: ./stages.py:Probe, name: a}",
        ["4: stages[1].name: stages[0] is called 'a' already"],
    ),
    ("stages:\n- ./stages.py:Old", ["its __init__ takes other arguments", "'weights'"]),
    ("stages:\n- ./stages.py:Keyed: {key: hunter2}", ["got another value"]),
    ("stages:\n- {use: ''}", ["stages[0].use: must be text that is not empty"]),
    ("stages:\n- {use: [a]}", ["stages[0].use: must be text that is not empty, got a list"]),
]


@pytest.mark.parametrize(("text", "says"), STAGE_CASES, ids=lambda value: str(value)[:50])
def test_mistakes_of_stages(folder: Path, text: str, says: list[str]) -> None:
    found = refusals(folder, f'cameras: {{cam: "webcam:0"}}\n{text}')
    assert len(found) == 1, found
    for part in says:
        assert part in found[0]
    assert "hunter2" not in found[0]


def test_stages_of_a_camera_are_checked_too(folder: Path) -> None:
    text = (
        'cameras:\n  cam:\n    source: "webcam:0"\n    stages:\n    - ./stages.py:Probe: {a: 1}\n'
    )
    assert refusals(folder, text)[0].startswith("5: cameras.cam.stages[0]../stages.py:Probe.a: ")


def test_all_mistakes_are_reported_in_the_order_of_the_lines(folder: Path) -> None:
    text = """\
    version: 3
    cameras:
      a: {source: "webcam:0", polcy: latest}
      b: "webcm:1"
    stages:
      - ./stages.py:Probe: {area: 0, lime: 3}
      - moton
    web: {port: x}
    poison: ${UNSET_FOR_THIS_TEST}
    """
    found = refusals(folder, text)
    lines = [int(refusal.partition(":")[0]) for refusal in found]
    assert lines == [1, 3, 4, 6, 6, 7, 8, 9]


def test_at_most_ten_mistakes_are_printed(folder: Path) -> None:
    text = 'cameras: {cam: "webcam:0"}\n' + "".join(f"k{i}: 1\n" for i in range(13))
    with pytest.raises(ConfigurationError) as caught:
        parse(text, file="p.yaml", folder=folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "... and 3 more mistakes"
    assert len(caught.value.problems) == 13
    assert caught.value.file == "p.yaml"


def test_one_mistake_has_line_and_path(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse('cameras: {cam: "webcam:0"}\nweb: {port: x}', file="p.yaml", folder=folder)
    error = caught.value
    assert (error.file, error.line, error.path) == ("p.yaml", 2, "web.port")


def test_a_broken_stage_file_is_reported_once(folder: Path) -> None:
    (folder / "stages.py").write_text("class A\n")
    text = "cameras:\n" + "".join(
        f"  c{i}: {{source: 'webcam:{i}', stages: [./stages.py:A]}}\n" for i in range(3)
    )
    found = refusals(folder, text)
    assert len(found) == 1
    assert "SyntaxError" in found[0]


def test_credentials_of_a_source_are_not_in_a_message(folder: Path) -> None:
    found = refusals(folder, 'cameras: {a: "rtspp://user:hunter2@10.0.0.8/x"}')
    assert "did you mean 'rtsp'" in found[0]
    assert "hunter2" not in found[0]


def test_the_files_to_watch(folder: Path) -> None:
    (folder / "helpers.py").write_text("")
    (folder / "stages.py").write_text("import helpers\n" + STAGES)
    config = load(write(folder, "cameras: {cam: 'webcam:0'}\nstages: [./stages.py:Probe]"))
    assert config.files == [
        folder / "pipeline.yaml",
        folder / "helpers.py",
        folder / "stages.py",
    ]


def test_loading_again_sees_what_was_saved(folder: Path) -> None:
    path = write(folder, "cameras: {cam: 'webcam:0'}\nstages: [./stages.py:Probe]")
    before = load(path).stages[0].stage
    (folder / "stages.py").write_text(STAGES.replace("Param(5,", "Param(6,"))
    after = load(path).stages[0].stage
    assert (before.parameters()["area"].default, after.parameters()["area"].default) == (5, 6)


def test_a_document_from_elsewhere(folder: Path) -> None:
    document: dict[str, Any] = {
        "cameras": {"cam": "webcam:0"},
        "stages": [{"./stages.py:Probe": {"area": 9}}],
    }
    config = from_mapping(document, folder=folder)
    assert isinstance(config, PipelineConfig)
    assert config.stages[0].values == {"area": 9}
    with pytest.raises(ConfigurationError, match=r"^stages\[0\]\..*area: parameter area"):
        from_mapping({**document, "stages": [{"./stages.py:Probe": {"area": 0}}]}, folder=folder)


def test_nothing_is_substituted_in_a_document_from_elsewhere(folder: Path) -> None:
    config = from_mapping({"cameras": {"cam": "rtsp://${HOME}/x"}}, folder=folder)
    assert config.cameras["cam"].source.uri == "rtsp://${HOME}/x"


def test_the_configuration_cannot_be_changed(folder: Path) -> None:
    config = load(write(folder, 'cameras: {cam: "webcam:0"}'))
    with pytest.raises(ValueError, match="frozen"):
        config.poison = True


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("latin.yaml", b"# T\xfcr\ncameras: {}", "latin.yaml:1: byte 0xfc at offset 3 is not UTF"),
        ("empty.yaml", b"", "empty.yaml:1: the document is empty; the smallest one is: cameras:"),
        ("tab.yaml", b"cameras:\n\tcam: x\n", "tab.yaml:2: not YAML: a tab; YAML indents with"),
        ("big.yaml", b"#" * 10_000_000, "big.yaml: the file has 10.0 MB, a pipeline has at most 1"),
        ("list.yaml", b"- a\n", "list.yaml:1: a pipeline is a mapping"),
    ],
)
def test_files_that_are_no_pipeline(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / name)
    assert says in str(caught.value)


def test_nothing_large_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys, edgevision.config as c; "
        "assert not {'pydantic', 'yaml', 'aiohttp'} & set(sys.modules); "
        "c.parse('cameras: {a: \"webcam:0\"}'); "
        "assert 'aiohttp' not in sys.modules; "
        "loaded = [m for m in sys.modules if m.startswith('edgevision.stages.')]; "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_where_pictures_are_processed_is_for_all_cameras_or_for_one(folder: Path) -> None:
    text = """
    device: cpu
    cameras:
      door: {source: "synthetic:", device: "cuda:1", max_copies: 2}
      yard: "synthetic:"
    """
    door, yard = load(write(folder, text)).camera_specs()
    assert (door.device, door.max_copies) == ("cuda:1", 2)
    assert (yard.device, yard.max_copies) == ("cpu", None)
    assert parse('cameras: {a: "webcam:0"}').camera_specs()[0].device == "auto"
    for wrong in ("device: gpu", "device: 'cuda:'", "max_copies: -1", "device: 3"):
        with pytest.raises(ConfigurationError, match=wrong.partition(":")[0]):
            parse(f'cameras: {{a: {{source: "webcam:0", {wrong}}}}}')
