"""Turn what a stage puts into values and events into plain JSON, or say why it cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_ARRAY_ITEMS", "MAX_DEPTH", "NotJsonError", "json_value", "utc_text"]

MAX_DEPTH = 32
"""Deepest nesting of lists and mappings; a value that holds itself ends here."""

MAX_ARRAY_ITEMS = 10_000
"""Most elements of one array: a picture put into a value by mistake is refused, not sent."""

# What other readers of JSON keep exactly: 64 bits.
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1


class NotJsonError(ValueError):
    """A value has no JSON form.

    Attributes:
        reason: what was wanted and what came.
        path: keys and indices from the outermost value to the one that cannot be sent.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str | int] = []
        super().__init__(reason)

    def __str__(self) -> str:
        place = "".join(f"[{part!r}]" for part in self.path)
        return f"{place}: {self.reason}" if place else self.reason


def json_value(value: Any, depth: int = 0) -> Any:
    """Return a deep copy of ``value`` made of dict, list, str, int, float, bool and None.

    Kept as they are: text, integers of up to 64 bits, finite floats, truth values, None, and
    mappings and sequences of those. Converted: NaN and infinities to None (JSON has neither), NumPy
    scalars and arrays of up to 10,000 elements, float32 to 7 significant digits,
    tuples and sets to lists (sets in sorted order), keys that are integers to text, enumerations
    to their value, paths to text, dates to ISO 8601 (with a time zone: UTC, milliseconds), spans of
    time to seconds, and lone surrogates, which UTF-8 cannot hold, to U+FFFD.

    Raises:
        NotJsonError: everything else, with the path to it: bytes, complex numbers, times without a
            zone, larger integers and arrays, deeper nesting, other keys and other types.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is int:
        return _integer(value)
    if value is None or kind is bool:
        return value
    if depth >= MAX_DEPTH:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels, or it holds itself")
    if kind is dict:
        return _mapping(value, depth)
    if kind is list or kind is tuple:
        return _sequence(value, depth)
    return _rare(value, depth)


def utc_text(seconds: float) -> str:
    """Return UTC seconds since 1970 as ISO 8601 with milliseconds, such as
    ``2026-11-24T07:03:00.123Z``.

    Raises:
        NotJsonError: the seconds are not finite or outside the years 1 to 9999.
    """
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise NotJsonError(f"{seconds!r} is no time in seconds since 1970") from error
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    return str(value)


def _integer(value: int) -> int:
    if _SMALLEST_INT <= value <= _LARGEST_INT:
        return value
    raise NotJsonError("an integer of more than 64 bits; send it as text: str(...)")


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in list(value.items()):
        name = key if type(key) is str and key.isascii() else _key(key)
        if name in result:
            raise NotJsonError(f"two keys are {name!r} as text")
        try:
            result[name] = json_value(item, depth + 1)
        except NotJsonError as error:
            error.path.insert(0, name)
            raise
    return result


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key)
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return str(_integer(int(key)))
    raise NotJsonError(f"a key must be text or an integer, got {key!r} ({type(key).__name__})")


def _sequence(value: Any, depth: int) -> list[Any]:
    result: list[Any] = []
    for index, item in enumerate(value):
        try:
            result.append(json_value(item, depth + 1))
        except NotJsonError as error:
            error.path.insert(0, index)
            raise
    return result


def _rare(value: Any, depth: int) -> Any:
    if isinstance(value, np.ndarray):
        return _array(value, depth)
    if isinstance(value, (np.float16, np.float32)):
        return float(f"{value:.7g}") if np.isfinite(value) else None
    if isinstance(value, Enum):
        return json_value(value.value, depth + 1)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return _integer(int(value))
    if isinstance(value, (float, np.floating)):
        return json_value(float(value))
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, (list, tuple)):
        return _sequence(value, depth)
    if isinstance(value, (set, frozenset)):
        return sorted(_sequence(value, depth), key=lambda item: (str(type(item)), str(item)))
    if isinstance(value, PurePath):
        return _text(str(value))
    return _moment(value)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise NotJsonError("a time without a time zone; use datetime.now(timezone.utc)")
        return utc_text(value.timestamp())
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise NotJsonError("bytes; send text, for example base64.b64encode(...).decode()")
    raise NotJsonError(f"a {type(value).__name__} has no JSON form")


def _array(value: NDArray[Any], depth: int) -> Any:
    if value.size > MAX_ARRAY_ITEMS:
        raise NotJsonError(
            f"an array of shape {value.shape} has {value.size} elements, a message takes at most "
            f"{MAX_ARRAY_ITEMS}; pictures do not belong in messages"
        )
    if value.dtype.kind in "bi":
        return value.tolist()
    if value.dtype.kind == "f":
        return _floats(value)
    if value.dtype.kind in "uUO":
        return json_value(value.tolist(), depth)
    raise NotJsonError(f"an array of {value.dtype} has no JSON form")


def _floats(value: NDArray[np.floating[Any]]) -> Any:
    exact = value.astype(np.float64)
    if value.dtype.itemsize < exact.dtype.itemsize:
        exact = _shortest(exact)
    finite = np.isfinite(exact)
    if finite.all():
        return exact.tolist()
    boxed = exact.astype(object)
    boxed[~finite] = None
    return boxed.tolist()


def _shortest(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to 7 significant digits: 0.1 as float32 is sent as 0.1, not 0.10000000149011612."""
    size = np.abs(value)
    usual = (size >= 1e-15) & (size < 1e7)
    scale = 10.0 ** (6 - np.floor(np.log10(size, where=usual, out=np.zeros_like(size))))
    return np.where(usual, np.round(np.where(usual, value, 0.0) * scale) / scale, value)
