"""YAML text as a tree with line numbers, under limits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgevision.config.node import Entry, Node
from edgevision.config.problems import Problems
from edgevision.config.scalar import AmbiguousNumberError, resolve
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

__all__ = ["MAX_BYTES", "decode", "parse_yaml", "read_bytes"]

MAX_BYTES = 1_000_000
_MAX_DEPTH = 40
_MAX_VALUES = 100_000
_SMALLEST = 'cameras: {cam: "webcam:0"}'
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {_TAG + name: name for name in ("str", "int", "float", "bool", "null")}
# What PyYAML says, and what it means for whoever wrote the file.
_PLAINER = [
    (r"found character '\\t' that cannot.*", "a tab; YAML indents with spaces"),
    (r"found character (.*) that cannot.*", r"text that begins with \1 needs quotes"),
    (
        r"mapping values are not allowed here",
        "a second ': ' in one line, or a wrong indentation; text that holds ': ' needs quotes",
    ),
    (r"could not find expected ':'", "a key without ':' and value"),
    (r"expected <block end>, but found '(<block mapping start>|-|\?)'", "a wrong indentation"),
    (
        r"expected <block end>, but found '<scalar>'",
        "text after the end of a value; if it belongs to it, put all of it in quotes",
    ),
    (
        r"expected (<block end>|the node content), but found ':'",
        "a key is missing before ':'",
    ),
    (r"expected ',' or '(.)', but got .*", r"a '\1' or a ',' is missing"),
    (r"found unexpected end of stream", "a quote that is never closed"),
    (r"did not find expected <document start>", "text after the end of the document"),
]


def read_bytes(path: Path) -> bytes:
    """Return the file's content.

    Raises:
        ConfigurationError: it is missing, a folder, unreadable or larger than `MAX_BYTES`.
    """
    problems = Problems(str(path))
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > MAX_BYTES else file.read(MAX_BYTES + 1)
            size = max(size, len(content))
        if size > MAX_BYTES:
            problems.add(
                f"the file has {size / 1e6:.1f} MB, a pipeline has at most {MAX_BYTES // 10**6} MB"
            )
    except FileNotFoundError:
        problems.add(f"there is no such file{_nearby(path)}")
        content = b""
    except IsADirectoryError:
        inside = [p for pattern in ("*.yaml", "*.yml") for p in sorted(path.glob(pattern))]
        meant = f"; did you mean {str(inside[0])!r}?" if inside else ""
        problems.add(f"this is a folder, a pipeline is a file{meant}")
        content = b""
    except OSError as error:
        problems.add(f"the file cannot be read: {error.strerror}")
        content = b""
    problems.raise_if_any()
    return content


def decode(content: bytes, file: str | None) -> str:
    """Return the content as text; a UTF-8 byte order mark is accepted.

    Raises:
        ConfigurationError: it is not UTF-8; the message has line, byte and the likely encoding.
    """
    problems = Problems(file)
    if len(content) > MAX_BYTES:
        problems.add(f"the document has {len(content) / 1e6:.1f} MB, the limit is 1 MB")
    elif content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.add("the file is UTF-16: save it as UTF-8", line=1)
    elif b"\0" in content:
        offset = content.index(b"\0")
        problems.add(f"byte 0 at offset {offset}: this is no text file")
    problems.raise_if_any()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from after the byte order mark.
        offset = error.start + (len(content) - len(error.object))
        problems.add(
            f"byte 0x{content[offset]:02x} at offset {offset} is not UTF-8; the file is probably "
            "Windows-1252 or Latin-1: save it as UTF-8",
            line=content.count(b"\n", 0, offset) + 1,
        )
        raise problems.error() from error


def parse_yaml(text: str, problems: Problems) -> Node:
    """Return the document's tree; mistakes that leave a tree are added to ``problems``.

    Raises:
        ConfigurationError: there is no tree: a syntax error, an empty or too deep document.
    """
    try:
        return _Composer(text, problems).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        problems.add(f"the character U+{code:04X} is not allowed in YAML", line=line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or str(error.context)
        if what == "found unexpected end of stream":
            mark = error.context_mark or mark  # where the quote begins
        for pattern, plainer in _PLAINER:
            what = re.sub(f"^{pattern}$", plainer, what)
        if error.context and error.context_mark and mark is not error.context_mark:
            what += f" ({error.context}, line {error.context_mark.line + 1})"
        line_number = mark.line + 1 if mark else None
        where = f"{_excerpt(text, mark.line, mark.column)}" if mark else ""
        problems.add(f"not YAML: {what}{where}", line=line_number)
    raise problems.error()


def _excerpt(text: str, line: int, column: int) -> str:
    """Return the line with a mark below the column, to be put after a message."""
    lines = text.splitlines()
    if line >= len(lines):
        return ""
    source = lines[line].replace("\t", "→")
    shown = redact(source)
    if len(source) > 120 or shown != source:
        return f"; column {column + 1}"
    return f"; column {column + 1}:\n    {shown}\n    {' ' * column}^"


def _nearby(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return f": the folder {str(path.parent)!r} does not exist"
    near = did_you_mean(path.name, names)
    if near or not names:
        return near
    return f"; the folder has {', '.join(sorted(names)[:5])}"


class _Composer:
    """Makes the tree from PyYAML's events, without its constructors and resolvers."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._problems = problems
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._count = 0

    def document(self) -> Node:
        next(self._events)
        first: Any = next(self._events)
        if isinstance(first, yaml.StreamEndEvent):
            self._problems.fail(f"the document is empty; the smallest one is: {_SMALLEST}", line=1)
        root, _ = self._node(next(self._events), 0)
        next(self._events)
        after: Any = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            mark: Any = after.start_mark
            self._problems.fail(
                "a second document begins here (---); a pipeline is one document",
                line=mark.line + 1,
            )
        return root

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """Return the value that begins with ``event``, and how many values it comes to."""
        line = event.start_mark.line + 1
        if depth > _MAX_DEPTH:
            self._problems.fail(f"nested deeper than {_MAX_DEPTH} levels", line=line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line)
        if event.anchor:
            if event.anchor in self._anchors:
                self._problems.add(f"the anchor &{event.anchor} is given twice", line=line)
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node, size = Node(self._scalar(event, line), line), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, "seq", line)
            node, size = self._sequence(line, depth)
        else:
            self._check_tag(event, "map", line)
            node, size = self._mapping(line, depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, size)
        return node, size

    def _alias(self, anchor: Any, line: int) -> tuple[Node, int]:
        if anchor not in self._anchors:
            near = did_you_mean(anchor, self._anchors)
            self._problems.fail(
                f"the alias *{anchor} has no anchor &{anchor} before it{near}", line=line
            )
        known = self._anchors[anchor]
        if known is None:
            self._problems.fail(f"the alias *{anchor} stands inside its own anchor", line=line)
        self._grow(known[1], line)
        return known

    def _grow(self, size: int, line: int) -> None:
        self._count += size
        if self._count > _MAX_VALUES:
            self._problems.fail(f"more than {_MAX_VALUES} values, aliases written out", line=line)

    def _sequence(self, line: int, depth: int) -> tuple[Node, int]:
        children, total = [], 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            child, size = self._node(event, depth + 1)
            children.append(child)
            total += size
        self._grow(1, line)
        return Node(children, line), total

    def _mapping(self, line: int, depth: int) -> tuple[Node, int]:
        entries: dict[str, Entry] = {}
        merged: list[dict[str, Entry]] = []
        total = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_line = event.start_mark.line + 1
            is_merge = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            is_merge = is_merge and event.value == "<<"
            key, key_size = self._node(event, depth + 1)
            child, size = self._node(next(self._events), depth + 1)
            total += key_size + size
            if is_merge:
                merged += self._merged(child, key_line)
                continue
            name = self._key(key, event, key_line)
            if name is None:
                continue
            if name in entries:
                first = entries[name].line
                self._problems.add(
                    f"the key {name!r} is given twice, first in line {first}", line=key_line
                )
                continue
            entries[name] = Entry(key_line, child)
        for other in merged:
            for name, entry in other.items():
                entries.setdefault(name, entry)
        self._grow(1, line)
        return Node(entries, line), total

    def _merged(self, node: Node, line: int) -> list[dict[str, Entry]]:
        parts = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(part.value, dict) for part in parts):
            self._problems.add("'<<' takes an alias of a mapping, or a list of them", line=line)
            return []
        return [part.value for part in parts]

    def _key(self, key: Node, event: Any, line: int) -> str | None:
        if isinstance(key.value, str):
            return key.value
        if isinstance(key.value, (list, dict)):
            self._problems.add("a key must be text, it is a list or a mapping", line=line)
        elif isinstance(event, yaml.ScalarEvent) and event.value:
            self._problems.add(
                f'the key {event.value} is no text: write it in quotes, "{event.value}"', line=line
            )
        else:
            self._problems.add("a key is missing before ':'", line=line)
        return None

    def _check_tag(self, event: Any, name: str, line: int) -> None:
        if event.tag not in (None, "!", _TAG + name):
            self._problems.add(_unknown_tag(event.tag), line=line)

    def _scalar(self, event: Any, line: int) -> Any:
        self._grow(1, line)
        text = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._problems.add("half of a surrogate pair is no character", line=line)
            return ""
        try:
            if event.tag in (None, "!"):
                return resolve(text) if event.implicit[0] else text
            wanted = _SCALAR_TAGS.get(event.tag)
            if wanted is None:
                self._problems.add(_unknown_tag(event.tag), line=line)
                return text
            if wanted == "str":
                return text
            value = resolve(text)
        except AmbiguousNumberError as error:
            self._problems.add(str(error), line=line)
            return text
        kinds: dict[str, Any] = {
            "int": int,
            "float": (int, float),
            "bool": bool,
            "null": type(None),
        }
        if not isinstance(value, kinds[wanted]) or (wanted != "bool" and isinstance(value, bool)):
            self._problems.add(f"{text!r} is no {wanted}, as its tag !!{wanted} says", line=line)
        return float(value) if wanted == "float" and isinstance(value, int) else value


def _unknown_tag(tag: str) -> str:
    shown = tag.replace(_TAG, "!!")
    return (
        f"the tag {shown} is not known: a pipeline holds plain values (secrets: ${{secret:NAME}})"
    )
