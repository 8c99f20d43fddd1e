"""One message: a JSON document with an id, and its schema.

The document is described by ``message.schema.json`` beside this file, which ships with the package.
``schema`` in each document names the version: the number before the point changes when a field
goes or means something else, the one after it when a field is added. A reader checks for
``edgevision.message/1.`` and ignores fields that it does not know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any, ClassVar, Literal
from urllib.parse import quote

__all__ = ["SCHEMA", "Kind", "Message", "json_schema", "property_text"]

SCHEMA = "edgevision.message/1.0"
"""What ``schema`` holds in every document."""

_MAJOR = SCHEMA[: SCHEMA.rindex(".") + 1]

Kind = Literal["frame", "heartbeat", "aggregate", "event"]

_dump = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


@dataclass(slots=True, eq=False)
class Message:
    """One JSON document on its way to the upstreams; the same object for all of them.

    The body is free JSON: its keys are not limited. What IoT Hub limits are the ``properties``,
    which routes see without opening the body; those have fixed names, and values whose characters
    outside the allowed set are percent-encoded (``T%C3%BCr`` for a camera called ``Tür``; the body
    holds the plain name).

    Attributes:
        id: unique and stable: a message that is sent again has the same id, so that readers drop
            duplicates by it. Up to 128 characters out of those that IoT Hub allows in a message id.
        kind: ``frame``, ``heartbeat``, ``aggregate`` or ``event``.
        output: name of the output that routes refer to.
        camera: name of the camera.
        body: the document; not changed any more once the message exists.
        content_type: of the encoded body; with ``content_encoding`` it lets routes query the body.
        content_encoding: see ``content_type``.
    """

    content_type: ClassVar[str] = "application/json"
    content_encoding: ClassVar[str] = "utf-8"

    id: str
    kind: Kind
    output: str
    camera: str
    body: dict[str, Any]
    _encoded: bytes | None = field(default=None, repr=False)

    @property
    def sequence(self) -> int | None:
        """Number of the frame that the message is about (an aggregate: its last), if any."""
        value: int | None = self.body.get("sequence")
        return value

    @property
    def captured_at_s(self) -> float | None:
        """UTC seconds since 1970 of that frame's capture, to the millisecond."""
        return _seconds(self.body.get("captured_at"))

    @property
    def created_at_s(self) -> float:
        """UTC seconds since 1970 at which the message was made, to the millisecond."""
        return _seconds(self.body["created_at"]) or 0.0

    @property
    def properties(self) -> dict[str, str]:
        """What routes may ask without opening the body: ``kind`` and ``camera``."""
        return {"kind": self.kind, "camera": property_text(self.camera)}

    def encode(self) -> bytes:
        """Return the body as compact UTF-8 JSON without line breaks; made once."""
        encoded = self._encoded
        if encoded is None:
            encoded = self._encoded = _dump(self.body).encode()
        return encoded

    @classmethod
    def decode(cls, encoded: bytes) -> Message:
        """Return the message that `encode` made, from a file, an outbox or another module.

        Raises:
            ValueError: it is no such document, or of another major version.
        """
        body = json.loads(encoded)
        if not isinstance(body, dict) or not str(body.get("schema", "")).startswith(_MAJOR):
            found = body.get("schema") if isinstance(body, dict) else type(body).__name__
            raise ValueError(f"wanted a document of schema {_MAJOR}*, got {found!r}")
        try:
            return cls(
                body["id"], body["kind"], body["output"], body["camera"], body, bytes(encoded)
            )
        except KeyError as error:
            raise ValueError(f"a document of schema {SCHEMA} has no {error}") from error


def property_text(text: str) -> str:
    """Return ``text`` with what IoT Hub refuses in a property's value percent-encoded.

    Allowed are ASCII letters, digits and ``! # $ & ' * + - . ^ _ ` | ~``; the percent sign itself
    is encoded, so that the text can be had back.
    """
    return quote(text, safe="!#$&'*+^`|~")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of every message."""
    text = files("edgevision.upstream").joinpath("message.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
