"""Environment variables and secrets: substituted, kept apart, and never shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from edgevision import redaction
from edgevision.config import parse
from edgevision.config.models import PipelineConfig
from edgevision.errors import ConfigurationError

SECRET = "".join(["hunter2"] * 2)
"""Not written out in the tests, so that a traceback's source lines do not hold it."""

STAGES = """
from edgevision import Param, Stage

class Probe(Stage):
    text: str = Param("")
    number: float = Param(1.0, ge=0)
    count: int = Param(1)
    flag: bool = Param(False)
    line: list[tuple[float, float]] = Param([])
    key: str = Param("", secret=True)

    def process(self, frame):
        pass
"""


@pytest.fixture(autouse=True)
def nothing_known_before_or_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stages.py").write_text(STAGES)
    return tmp_path


def probe(folder: Path, params: str, **environment: str) -> PipelineConfig:
    text = f"cameras: {{cam: 'webcam:0'}}\nstages:\n- ./stages.py:Probe: {{{params}}}\n"
    return parse(text, file="p.yaml", folder=folder, environment=environment)


def values(config: PipelineConfig) -> dict[str, object]:
    return config.stages[0].values


HOSTILE = [
    "a: b",
    "x\ncameras: {evil: 'webcam:1'}",
    "*alias",
    "&anchor",
    "!!python/object:os.system",
    "{a: [",
    "'\"\\",
    "# comment",
    "p@ss#w%rd/?&=+ x",
    "pässwörd ☃ \U0001f512",
    "true",
    "12345",
    "null",
    "${OTHER}",
    " spaces ",
    "-",
]


@pytest.mark.parametrize("secret", HOSTILE)
def test_whatever_a_secret_holds_is_text(folder: Path, secret: str) -> None:
    config = probe(folder, 'text: "${SECRET}"', SECRET=secret, OTHER="never")
    assert values(config) == {"text": secret}
    assert list(config.cameras) == ["cam"]


@pytest.mark.parametrize("secret", HOSTILE)
def test_a_secret_from_a_file(folder: Path, secret: str) -> None:
    (folder / "token").write_text(secret + "\n", encoding="utf-8")
    environment = {"EDGEVISION_SECRETS": str(folder)}
    config = probe(folder, "text: '${secret:token}'", **environment)
    assert values(config) == {"text": secret}
    assert values(probe(folder, "text: '${file:token}'")) == {"text": secret}


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_line_end_of_a_secret_file_is_left_out(folder: Path, ending: str) -> None:
    (folder / "token").write_bytes(b"two\nlines\n" + ending.encode())
    assert values(probe(folder, "text: '${file:token}'")) == {
        "text": "two\nlines\n" if ending else "two\nlines"
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoneytwoz"),
        ("${A}${A}", "oneone"),
        ("${NONE:-}", ""),
        ("${NONE:-a b:c}", "a b:c"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$A $ {A} $$", "$A $ {A} $$"),
        ("$${A}${A}", "${A}one"),
    ],
)
def test_forms(folder: Path, text: str, value: str) -> None:
    config = probe(folder, f"text: '{text}'", A="one", B="two", EMPTY="")
    assert values(config) == {"text": value}


def test_a_whole_value_may_stand_for_a_number_or_a_truth_value(folder: Path) -> None:
    params = 'number: "${N}", count: "${C}", flag: "${F}", line: [["${N}", 0]], text: "${N}"'
    config = probe(folder, params, N="2.5", C="7", F="true")
    assert values(config) == {
        "number": 2.5,
        "count": 7,
        "flag": True,
        "line": [(2.5, 0.0)],
        "text": "2.5",
    }
    text = 'cameras: {a: {source: "webcam:0", max_age_ms: "${AGE:-null}"}}\nweb: {port: "${P}"}'
    config = parse(text, environment={"P": "81"})
    assert config.web is not None
    assert (config.web.port, config.cameras["a"].max_age_ms) == (81, None)


def test_part_of_a_value_never_becomes_a_number(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"must be int, got '1\$\{C\}'"):
        probe(folder, 'count: "1${C}"', C="7")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${MISSING}", "p.yaml:3: ${MISSING}: the environment variable MISSING is not set"),
        ("${DOOR_PASWORD}", "did you mean 'DOOR_PASSWORD'?"),
        ("${}", "${} is no substitution: write ${NAME}, ${NAME:-default}"),
        ("${a-b}", "${a-b} is no substitution"),
        ("${NAME:?x}", "is no substitution"),
        ("${open", "the '${' in '${open' has no '}'"),
        ("${X:-${Y}}", "a default cannot hold a substitution"),
        ("${secret:../x}", "a secret is a file's name without '/'"),
        ("${secret:none}", "No such file or directory (EDGEVISION_SECRETS names the folder"),
        ("${file:.}", "Is a directory"),
        ("${file:binary}", "is not UTF-8 text"),
        ("${file:zero}", "holds a zero byte"),
        ("${file:large}", "is larger than 64 KB"),
        ("${file:}", "has no path"),
    ],
)
def test_mistakes_name_variable_file_and_line(folder: Path, text: str, says: str) -> None:
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    (folder / "zero").write_bytes(b"a\0b")
    (folder / "large").write_bytes(b"a" * 70_000)
    with pytest.raises(ConfigurationError) as caught:
        probe(folder, f"text: '{text}'", DOOR_PASSWORD="s3cret")
    assert str(caught.value).startswith("p.yaml:3: ")
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_only_the_undefined_variable_is_reported(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        probe(folder, 'number: "${MISSING}"')
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "params",
    [
        'number: "${S}"',
        'count: "${S}"',
        'line: [["${S}", 1]]',
        'line: "${S}"',
        'unknown: "${S}"',
        'key: 3, number: "x${S}"',
    ],
)
def test_values_are_not_shown_by_errors(folder: Path, params: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        probe(folder, params, S=SECRET)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    if "unknown" not in params:
        assert "${S}" in str(caught.value) or "a list" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'cameras: {a: "webcm:${S}"}',
        'cameras: {a: "http://host/${S}?ev.unknown=1"}',
        'cameras: {a: {source: "webcam:0", policy: "${S}"}}',
        'cameras: {a: {source: {uri: "webcam:0", width: "${S}"}}}',
        'cameras: {a: "webcam:0"}\nstages: ["${S}"]',
        'cameras: {a: "webcam:0"}\nupstream: ["${S}"]',
        'cameras: {a: "webcam:0"}\nupstream: [{console: {format: "${S}"}}]',
        'cameras: {a: "webcam:0"}\nweb: {port: "${S}"}',
        'cameras: {a: "webcam:0"}\npublish: {when: "${S}", deadband: {x: "${S}"}}',
        'cameras: {a: "webcam:0"}\nmodule: ["${S}"]',
    ],
)
def test_no_error_anywhere_shows_a_value(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, environment={"S": SECRET})
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown


def test_repr_shows_the_text_of_the_file(folder: Path) -> None:
    config = probe(folder, 'text: "${S}", key: "${S}"', S=SECRET)
    shown = [config, config.stages[0], config.stages[0].spec(), *config.camera_specs()]
    for thing in shown:
        assert SECRET not in f"{thing!r} {thing} {[thing]}"
    assert "${S}" in repr(config)
    assert values(config)["key"] == SECRET


def test_a_source_is_shown_without_credentials() -> None:
    text = 'cameras: {a: "rtsp://user:${S}@10.0.0.8/x", b: "rtsp://user:plain@10.0.0.9/x"}'
    config = parse(text, environment={"S": "hunter2"})
    assert "hunter2" not in repr(config)
    assert "plain" not in repr(config)
    assert "10.0.0.9" in repr(config.cameras["b"])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("rtsp://u:${S}@h/x", "rtsp://u:p%40s%23%2F%25%3A@h/x"),
        ("rtsp://${S}:x@h/x", "rtsp://p%40s%23%2F%25%3A:x@h/x"),
        ("rtsp://u:a${S}b@h/x", "rtsp://u:ap%40s%23%2F%25%3Ab@h/x"),
        ("rtsp://u:${S}@${H}/x", "rtsp://u:p%40s%23%2F%25%3A@host/x"),
        ("http://h/${S}", "http://h/p@s#/%:"),
        ("http://h/a@b?x=${S}", "http://h/a@b?x=p@s#/%:"),
        ("http://${H}/a@b", "http://host/a@b"),
        ("${U}", "rtsp://u:p@h/"),
    ],
)
def test_a_password_in_a_url_is_percent_encoded(written: str, value: str) -> None:
    environment = {"S": "p@s#/%:", "H": "host", "U": "rtsp://u:p@h/"}
    config = parse(f'cameras: {{a: "{written}"}}', environment=environment)
    assert config.cameras["a"].source.uri == value


@pytest.mark.parametrize("written", ["${DOOR_TOKEN}", "${secret:token}", "${file:token}"])
def test_what_runs_later_shows_no_secret_either(tmp_path: Path, written: str) -> None:
    (tmp_path / "token").write_text("0123abcd89\n")
    environment = {"DOOR_TOKEN": "0123abcd89", "EDGEVISION_SECRETS": str(tmp_path)}
    text = f'cameras: {{a: "http://host/{written}/video", b: "http://u:{written}@host/"}}'
    config = parse(text, folder=tmp_path, environment=environment)
    uri = config.cameras["a"].open_source().uri
    assert (
        redaction.redact(f"{uri} does not answer") == f"http://host/{written}/video does not answer"
    )


def test_ordinary_values_are_shown_later() -> None:
    environment = {"DOOR_HOST": "camera-door", "SHORT_TOKEN": "camera"}
    text = 'cameras: {a: "http://${DOOR_HOST}/${SHORT_TOKEN}"}'
    uri = parse(text, environment=environment).cameras["a"].source.uri
    assert redaction.redact(uri) == "http://camera-door/camera"


def test_aliases_are_substituted_once(folder: Path) -> None:
    text = """
x-text: &text "$${A}"
cameras: {cam: "webcam:0"}
stages:
- ./stages.py:Probe: {text: *text}
- ./stages.py:Probe: {text: *text}
"""
    config = parse(text, folder=folder, environment={"A": "never"})
    assert [stage.values["text"] for stage in config.stages] == ["${A}", "${A}"]


def test_keys_are_left_alone(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\$\{A\}"):
        parse('cameras: {"${A}": "webcam:0"}', environment={"A": "cam"})


def test_variables_of_this_process_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EV_TEST_HOST", "10.1.1.1")
    config = parse('cameras: {a: "rtsp://${EV_TEST_HOST}/x"}')
    assert config.cameras["a"].source.uri == "rtsp://10.1.1.1/x"


def test_a_variable_that_is_no_utf_8(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="the environment variable A is not UTF-8"):
        probe(folder, 'text: "${A}"', A="x\udcff")
