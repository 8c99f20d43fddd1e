"""A module twin with IoT Hub's limits.

Source of the limits: Microsoft's developer guide, "Understand and use module twins in IoT Hub".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgevision.errors import ConfigurationError

__all__ = ["MAX_DEPTH", "MAX_TWIN_BYTES", "StoredTwin", "TwinError", "merged"]

MAX_TWIN_BYTES = 32_768
"""Most bytes of the desired, and of the reported, properties."""

MAX_DEPTH = 10
"""Deepest nesting of objects."""

_MAX_KEY_BYTES = 1024
_MAX_TEXT_BYTES = 4096
_LARGEST_INT = 2**52
_NUMBER_BYTES, _TRUTH_BYTES = 8, 4
_FORBIDDEN = frozenset(".$# ") | {chr(code) for code in (*range(32), *range(127, 160))}


class TwinError(ConfigurationError):
    """Properties that IoT Hub refuses, with the reason; a ValueError."""


class StoredTwin:
    """Desired and reported properties, each with its version.

    Each change puts a new mapping in the place of the old one, so that any thread may read.

    Attributes:
        desired: without ``$version``.
        desired_version: begins at 1.
        reported: without ``$version``.
        reported_version: begins at 1.
    """

    def __init__(self) -> None:
        self.desired: dict[str, Any] = {}
        self.desired_version = 1
        self.reported: dict[str, Any] = {}
        self.reported_version = 1

    def patch_desired(self, patch: Mapping[str, Any]) -> int:
        """Merge a patch into the desired properties and return their new version.

        Raises:
            TwinError: IoT Hub would refuse it.
        """
        self.desired = _changed(self.desired, patch)
        self.desired_version += 1
        return self.desired_version

    def patch_reported(self, patch: Any) -> int:
        """Merge a patch into the reported properties and return their new version.

        Raises:
            TwinError: IoT Hub would refuse it.
        """
        self.reported = _changed(self.reported, patch)
        self.reported_version += 1
        return self.reported_version

    def document(self) -> bytes:
        """Return what a module gets that asks for its twin."""
        parts = {
            "desired": {**self.desired, "$version": self.desired_version},
            "reported": {**self.reported, "$version": self.reported_version},
        }
        return json.dumps(parts).encode()


def merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``old`` with ``patch`` merged into it; None deletes, objects are merged."""
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def _changed(old: Mapping[str, Any], patch: Any) -> dict[str, Any]:
    if not isinstance(patch, Mapping):
        raise TwinError(f"properties must be a JSON object, not {type(patch).__name__}")
    _size(patch, "", 0)
    # A copy through JSON: what the caller changes afterwards changes nothing here.
    result = merged(old, json.loads(json.dumps(patch)))
    size = _size(result, "", 0)
    if size > MAX_TWIN_BYTES:
        raise TwinError(f"{size} bytes of properties; IoT Hub keeps at most {MAX_TWIN_BYTES}")
    return result


def _size(value: Any, path: str, depth: int) -> int:
    """Return how many bytes IoT Hub counts, and check everything else on the way."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return _TRUTH_BYTES
    if isinstance(value, (int, float)):
        if isinstance(value, int) and abs(value) > _LARGEST_INT:
            raise TwinError(f"{path}: {value} is beyond 2**52")
        return _NUMBER_BYTES
    if isinstance(value, str):
        size = len(value.encode())
        if size > _MAX_TEXT_BYTES:
            raise TwinError(f"{path}: a text of {size} bytes; at most {_MAX_TEXT_BYTES}")
        return size
    if isinstance(value, (list, tuple)):
        return sum(_size(item, f"{path}[{i}]", depth) for i, item in enumerate(value))
    if not isinstance(value, Mapping):
        raise TwinError(f"{path}: a {type(value).__name__} is no JSON")
    if depth >= MAX_DEPTH and value:
        raise TwinError(f"{path}: nested deeper than {MAX_DEPTH}")
    total = 0
    for key, item in value.items():
        place = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str) or not key or set(key) & _FORBIDDEN:
            raise TwinError(f"{place}: a key without '.', '$', '#', space or control is wanted")
        if len(key.encode()) > _MAX_KEY_BYTES:
            raise TwinError(f"{path}: a key of {len(key.encode())} bytes")
        total += len(key.encode()) + _size(item, place, depth + 1)
    return total
