"""What a hub has taken, and the properties that stand in MQTT topics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["HubEvent", "HubMessage", "MethodResult", "decode_properties", "encode_properties"]


@dataclass(frozen=True, slots=True)
class HubMessage:
    """A message of a module, as it came.

    Attributes:
        id: message id; "" if the module gave none.
        output: name of the output; "" if the module gave none.
        body: the payload, not decoded.
        properties: application properties.
        content_type: "" if the module gave none.
        content_encoding: "" if the module gave none.
        system: every system property by its short name, such as ``$.cid``.
        device: id of the sender's device.
        module: id of the sender.
        received_at_s: hub's time, UTC seconds since 1970.
        dup: True if the packet was marked as a repetition.
        number: how many messages had gone upstream with this one; the first has 1.
    """

    id: str
    output: str
    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    content_encoding: str = ""
    system: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    module: str = ""
    received_at_s: float = 0.0
    dup: bool = False
    number: int = 0

    def json(self) -> Any:
        """Return the body decoded from JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HubEvent:
    """Something that happened at the hub, besides messages.

    Attributes:
        kind: ``connected`` (``session_present``), ``disconnected`` (``reason``), ``refused``
            (``code``, ``reason``), ``subscribed`` and ``unsubscribed`` (``filter``), ``reported``
            and ``desired`` (``patch``, ``version``), ``method`` (``name``, ``status``), ``ignored``
            (``topic``), ``unrouted`` (``id``, ``output``), ``tls`` (``reason``; a client broke the
            handshake off), ``listening`` and ``down``.
        device: "" where it is not known.
        module: "" where it is not known.
        at_s: hub's time, UTC seconds since 1970.
        detail: what stands in brackets above.
    """

    kind: str
    device: str
    module: str
    at_s: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The answer to a direct method.

    Attributes:
        status: the module's own; 404 when nobody listens, 504 when no answer came in time.
        payload: decoded JSON; None if there is none.
    """

    status: int
    payload: Any


def encode_properties(properties: Mapping[str, str]) -> str:
    """Return properties as they stand in a topic: quoted, joined with ``&``."""
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in properties.items())


def decode_properties(text: str) -> dict[str, str]:
    """Return the properties of a topic; a name without ``=`` has the value ""."""
    found = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            found[unquote(name)] = unquote(value)
    return found
