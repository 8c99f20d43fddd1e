"""Files of JSON that are none, or mean harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgevision.cli.application import run
from edgevision.deploy.json_file import MAX_DEPTH, read_json, strict_json
from edgevision.deploy.manifest.create_options import CHUNK, joined
from edgevision.errors import ConfigurationError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "hostile.json:1"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        (b'{\n"a": "\xe9"}', "hostile.json:2: byte 0xe9 is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "byte 0xff is not UTF-8"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, "nested deeper than 100 levels"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested deeper than 100 levels"),
        (b'"' + b"x" * 4_000_000 + b'"', "larger than 4 MB"),
    ],
)
def test_a_hostile_file_is_refused_in_a_line(
    content: bytes, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hostile.json"
    file.write_bytes(content)
    assert run(["manifest", "--check", str(file), "--text"]) == 2
    err = capfd.readouterr()[1]
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
    assert len(err) < 400


def test_what_is_deep_and_no_deeper_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert strict_json(text) == json.loads(text)


def test_a_mark_of_byte_order_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, "\\ud83d\\ude00"]}')
    assert read_json(file) == {"a": [1, 2.5, "\U0001f600"]}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_json(tmp_path)


@pytest.mark.parametrize("inside", ["[" * 50_000, '{"a": NaN}', '{"a": "\\ud800"}'])
def test_options_that_mean_harm(inside: str) -> None:
    pieces = [inside[at : at + CHUNK] for at in range(0, len(inside), CHUNK)]
    settings = {f"createOptions{n:02d}" if n else "createOptions": p for n, p in enumerate(pieces)}
    with pytest.raises(ConfigurationError, match="createOptions are no JSON"):
        joined(settings)
