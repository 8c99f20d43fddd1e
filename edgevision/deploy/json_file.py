"""JSON files of other tools, read under limits: nothing in them may be a traceback later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from edgevision.errors import ConfigurationError

__all__ = ["MAX_DEPTH", "MAX_MANIFEST_BYTES", "read_json", "strict_json"]

MAX_MANIFEST_BYTES = 4_000_000
"""The largest manifest: IoT Hub takes much less."""

MAX_DEPTH = 100
"""The deepest nesting; what walks through a document may recurse."""


def read_json(path: Path, max_bytes: int = MAX_MANIFEST_BYTES) -> Any:
    """Return what a file of JSON in UTF-8 holds.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is no JSON; with its line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=str(path)) from error
    if len(content) > max_bytes:
        raise ConfigurationError(f"larger than {max_bytes / 1e6:g} MB", file=str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8",
            file=str(path),
            line=line,
        ) from error
    try:
        return strict_json(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"no JSON: {error.msg}", file=str(path), line=error.lineno
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"no JSON: {error}", file=str(path)) from error


def strict_json(text: str) -> Any:
    """Return what ``text`` holds; Python's own reader also takes what other readers do not.

    Raises:
        ValueError: it is no JSON, has numbers that are none (NaN, Infinity, thousands of digits),
            half a surrogate pair, or is nested deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, parse_int=_integer)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from error
    _check_depth(value)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half of a surrogate pair, which is no character") from error
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        inner: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        level, depth = inner, depth + 1


def _integer(digits: str) -> int:
    if len(digits) > 100:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")
