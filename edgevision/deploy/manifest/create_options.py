"""createOptions: Docker's options of a module as JSON text, cut into pieces of 512 characters.

The pieces are the settings ``createOptions``, ``createOptions01``, ``createOptions02`` and so on.
Source of the rules: Azure/iotedge, edge-agent's DockerConfig and JsonEx (ChunkedProperty).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from edgevision.deploy.json_file import strict_json
from edgevision.errors import ConfigurationError

__all__ = ["CHUNK", "MAX_CHUNKS", "TOOL_CHUNKS", "chunked", "is_piece", "joined"]

CHUNK = 512
"""The most characters of a piece: a longer one is refused by IoT Hub."""

MAX_CHUNKS = 100
"""The most pieces that edgeAgent reads."""

TOOL_CHUNKS = 8
"""The most pieces that iotedgedev reads."""

_KEY = "createOptions"
# edgeAgent reads the name without regard to case.
_PIECE = re.compile(rf"{_KEY}(?P<number>.*)", re.DOTALL | re.IGNORECASE)


def chunked(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that hold ``options``; none for no options.

    Raises:
        ConfigurationError: they are too long for all pieces.
    """
    if not options:
        return {}
    text = json.dumps(options, separators=(",", ":"), ensure_ascii=True)
    pieces = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    if len(pieces) > MAX_CHUNKS:
        raise ConfigurationError(
            f"the container's options take {len(text)} characters, more than the "
            f"{CHUNK * MAX_CHUNKS} that createOptions can hold; leave out devices that the host "
            "lacks, or bind a folder in place of single files"
        )
    return {f"{_KEY}{number:02d}" if number else _KEY: p for number, p in enumerate(pieces)}


def is_piece(key: str) -> bool:
    """Tell whether a setting is, or is meant to be, a piece of createOptions."""
    return _PIECE.fullmatch(key) is not None


def joined(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a module's settings hold, read as edgeAgent reads them.

    Raises:
        ConfigurationError: a piece is missing, misnumbered, no text or too long, or the whole is
            no JSON object.
    """
    numbered: dict[int, str] = {}
    for key, value in settings.items():
        piece = _PIECE.fullmatch(key)
        if piece is None:
            continue
        if not re.fullmatch(r"|\d\d", piece["number"]):
            raise ConfigurationError(
                f"{key}: pieces are called {_KEY}, {_KEY}01, {_KEY}02 and so on"
            )
        if not isinstance(value, str):
            raise ConfigurationError(f"{key} must be text that holds JSON, got {value!r:.80}")
        if len(value) > CHUNK:
            raise ConfigurationError(
                f"{key} has {len(value)} characters, more than {CHUNK}; cut it into {_KEY}, "
                f"{_KEY}01 and so on"
            )
        number = int(piece["number"] or 0)
        if number == 0 and piece["number"]:
            raise ConfigurationError(f"{key}: the first piece is called {_KEY}")
        if number in numbered:
            raise ConfigurationError(f"{key} is there twice, in capitals and without")
        numbered[number] = value
    if not numbered:
        return {}
    for number in range(max(numbered) + 1):
        if number not in numbered:
            name = f"{_KEY}{number:02d}" if number else _KEY
            raise ConfigurationError(f"{name} is missing, though a later piece is there")
    text = "".join(numbered[number] for number in sorted(numbered))
    if not text.strip() or text.lower() == "null":
        return {}
    try:
        options = strict_json(text)
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20) : error.pos + 20]
        raise ConfigurationError(
            f"createOptions are no JSON: {error.msg} at character {error.pos}, near {around!r}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"createOptions are no JSON: {error}") from error
    if not isinstance(options, dict):
        raise ConfigurationError(f"createOptions must be a JSON object, got {text!r:.80}")
    return options
