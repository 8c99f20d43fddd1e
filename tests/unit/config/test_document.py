"""YAML text: what is read, what is refused, and at which line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from edgevision.config.document import MAX_BYTES, decode, parse_yaml, read_bytes
from edgevision.config.node import locate, plain
from edgevision.config.problems import Problems
from edgevision.errors import ConfigurationError


def read(text: str) -> Any:
    problems = Problems("p.yaml")
    root = parse_yaml(text, problems)
    problems.raise_if_any()
    return plain(root)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("~", None),
        ("null", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!float 1", 1.0),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("webcam:0", "webcam:0"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_that_yaml_1_1_takes_for_truth_values_are_text() -> None:
    assert read("{on: 1, no: 2, y: 3}") == {"on": 1, "no": 2, "y": 3}


def test_every_value_knows_its_line() -> None:
    problems = Problems()
    root = parse_yaml("a:\n  b: 1\n  list:\n    - x\n    - {c: 2}\n", problems)
    assert locate(root, ("a", "b")).line == 2
    assert locate(root, ("a", "list", 0)).line == 4
    place = locate(root, ("a", "list", 1, "c"))
    assert (place.line, place.path) == (5, "a.list[1].c")


def test_anchors_and_merge_keys() -> None:
    text = """
base: &base {a: 1, b: 2}
more: &more {c: 3}
one: *base
two: {<<: *base, b: 9}
three: {<<: [*base, *more], d: 4}
"""
    found = read(text)
    assert found["one"] == {"a": 1, "b": 2}
    assert found["two"] == {"a": 1, "b": 9}
    assert found["three"] == {"a": 1, "b": 2, "c": 3, "d": 4}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "empty; the smallest one is: cameras:"),
        ("# a comment\n", 1, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first in line 1"),
        ("a:\n\tb: 1\n", 2, "a tab; YAML indents with spaces; column 1"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: b: c\n", 1, "a second ': ' in one line"),
        ("a:\n  b: 1\n c: 2\n", 3, "indentation"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: *nothing\n", 1, "the alias *nothing has no anchor &nothing"),
        ("area: &area 1\nb: *aera\n", 2, "did you mean 'area'?"),
        ("a: &a [*a]\n", 1, "inside its own anchor"),
        ("a: &x 1\nb: &x 2\n", 2, "the anchor &x is given twice"),
        ("1: a\n", 1, 'the key 1 is no text: write it in quotes, "1"'),
        ("true: a\n", 1, "the key true is no text"),
        ("? [a, b]\n: 1\n", 1, "a key must be text"),
        (": 1\n", 1, "a key is missing before ':'"),
        ("a: 0123\n", 1, '0123 begins with 0, which some read as octal: write 123 or 0o123, or "0'),
        ("a: 089\n", 1, "write 89, or"),
        ("a: !!int abc\n", 1, "'abc' is no int, as its tag !!int says"),
        ("a: !secret door\n", 1, "the tag !secret is not known"),
        ("a: !!python/object:os.system {}\n", 1, "the tag !!python/object:os.system is not known"),
        ("a: !!set {x}\n", 1, "the tag !!set is not known"),
        ('a: "\\ud800"\n', 1, "surrogate"),
        ("a: \x07\n", 1, "U+0007 is not allowed"),
        ("a: @b\n", 1, "not YAML"),
        ("a: {<<: 3}\n", 1, "'<<' takes an alias of a mapping"),
        ("[" * 3000, 1, "nested deeper than 40 levels"),
        ("a: 1\nb: 'open\nc: 2\n", 2, "a quote that is never closed; column 4"),
        ("a: {: 1}\n", 1, "a key is missing before ':'"),
    ],
)
def test_mistakes_have_a_line_and_words(text: str, line: int, says: str) -> None:
    message = refusal(text)
    assert message.startswith(f"p.yaml:{line}: "), message
    assert says in message


def test_several_mistakes_are_reported_at_once() -> None:
    assert refusal("a: 1\na: 2\n3: x\nb: 010\n").count("p.yaml:") == 3


def test_a_syntax_error_shows_the_line_and_the_column() -> None:
    message = refusal("cameras:\n  door: a: b\n")
    assert message.splitlines()[1:] == ["      door: a: b", "             ^"]


def test_a_password_in_a_broken_line_is_not_shown() -> None:
    message = refusal('cameras:\n  door: "rtsp://user:hunter2@host/" "x\n')
    assert "column" in message
    assert "hunter2" not in message


def test_aliases_do_not_grow_without_bound() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    started_s = time.monotonic()
    assert "more than 100000 values" in refusal("\n".join(levels))
    assert time.monotonic() - started_s < 5


def test_a_byte_order_mark_is_accepted() -> None:
    assert read(decode(b"\xef\xbb\xbfa: 1\n", None)) == {"a": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\nb: T\xfcr\n", "p.yaml:2: byte 0xfc at offset 9 is not UTF-8; the file is"),
        (b"\xef\xbb\xbfa: \xfc", "p.yaml:1: byte 0xfc at offset 6 is not UTF-8"),
        ("a: 1".encode("utf-16"), "p.yaml:1: the file is UTF-16: save it as UTF-8"),
        (b"\x89PNG\0\0", "p.yaml: byte 0 at offset 4: this is no text file"),
        (b"x" * (MAX_BYTES + 1), "the limit is 1 MB"),
    ],
)
def test_what_is_no_utf_8(content: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode(content, "p.yaml")
    assert says in str(caught.value)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(10_000_000)
    with pytest.raises(ConfigurationError, match=r"big\.yaml: the file has 10\.0 MB"):
        read_bytes(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("a: 1")
    with pytest.raises(ConfigurationError, match=r"no such file, did you mean 'pipeline\.yaml'\?"):
        read_bytes(tmp_path / "pipelin.yaml")
    with pytest.raises(ConfigurationError, match=r"no such file; the folder has pipeline\.yaml"):
        read_bytes(tmp_path / "x.yaml")
    with pytest.raises(ConfigurationError, match=r"folder, .*did you mean '.*pipeline\.yaml'"):
        read_bytes(tmp_path)
    with pytest.raises(ConfigurationError, match=r"the folder '.*nowhere' does not exist"):
        read_bytes(tmp_path / "nowhere" / "pipeline.yaml")
