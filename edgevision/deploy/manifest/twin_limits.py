"""What IoT Hub allows in a module twin.

Source: Microsoft's "Understand and use module twins in IoT Hub" (sizes, depth, key characters).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_TEXT_BYTES", "twin_faults"]

MAX_BYTES = 32 * 1024
"""The most bytes of all desired, or of all reported properties."""

MAX_DEPTH = 10
"""The deepest nesting of objects."""

MAX_TEXT_BYTES = 4 * 1024
"""The most bytes of one text."""

_MAX_KEY_BYTES = 1024
_LARGEST_INTEGER = 2**52


def twin_faults(properties: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the words of everything that IoT Hub would refuse.

    Args:
        properties: desired or reported properties as JSON has them.
        path: place of the properties in their document.
    """
    if not isinstance(properties, Mapping):
        yield path, f"properties must be an object, got {type(properties).__name__}"
        return
    size = len(
        json.dumps(properties, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    )
    if size > MAX_BYTES:
        yield path, f"the properties take {size} bytes, more than {MAX_BYTES}"
    yield from _faults(properties, path, 0)


def _faults(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if depth == MAX_DEPTH + 1:
            yield path, f"nested more than {MAX_DEPTH} deep"
            return
        for key, part in value.items():
            place = f"{path}.{key}".lstrip(".")
            if fault := _key_fault(str(key)):
                yield place, fault
            yield from _faults(part, place, depth + 1)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _faults(part, f"{path}[{number}]", depth)
    elif isinstance(value, str):
        size = len(value.encode("utf-8", "replace"))
        if size > MAX_TEXT_BYTES:
            yield path, f"a text of {size} bytes, more than {MAX_TEXT_BYTES}"
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INTEGER:
        yield path, "a whole number beyond 2^52"


def _key_fault(key: str) -> str:
    if not key:
        return "a key is empty"
    if len(key.encode("utf-8", "replace")) > _MAX_KEY_BYTES:
        return f"a key of more than {_MAX_KEY_BYTES} bytes"
    if found := sorted({letter for letter in key if letter in ".$# " or not letter.isprintable()}):
        shown = ", ".join(repr(letter) for letter in found)
        return f"the key has {shown}; a key has no '.', '$', '#', space or control character"
    return ""
