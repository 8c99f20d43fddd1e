"""The connection to a hub, as the harness sees it: what IoT Edge or another broker implements."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from edgevision.errors import UpstreamError

__all__ = [
    "Handlers",
    "InputMessage",
    "MethodAnswer",
    "MethodCall",
    "Packet",
    "Transport",
    "TransportError",
    "TransportFactory",
    "TransportFault",
    "Twin",
]

TransportFault = Literal["offline", "uncertain", "refused", "unauthorized", "broken"]
"""What went wrong.

- ``offline``: nothing was sent; the connection comes back by itself, try again later.
- ``uncertain``: it may have been sent, or still will be; send it again with the same id.
- ``refused``: this one will never be taken (too large, malformed); the connection is sound.
- ``unauthorized``: the hub does not know the identity or its credentials at the moment.
- ``broken``: the transport object is dead or deaf; close it and make a new one.
"""


class TransportError(UpstreamError):
    """A call of a transport failed; ``fault`` says how, the text holds no credentials."""

    def __init__(self, message: str, fault: TransportFault) -> None:
        super().__init__(message, retryable=fault != "refused")
        self.fault: TransportFault = fault


@dataclass(slots=True, frozen=True)
class Packet:
    """One message as it goes over the wire.

    Attributes:
        id: unique and stable; a repetition has the same.
        output: name of the output that routes refer to.
        payload: the encoded body.
        properties: application properties, already in the characters that the hub allows.
        content_type: of the payload; routes query the body only when it and the encoding are given.
        content_encoding: see ``content_type``.
    """

    id: str
    output: str
    payload: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    content_encoding: str = "utf-8"


@dataclass(slots=True, frozen=True)
class Twin:
    """A module twin as the hub holds it.

    Attributes:
        desired: the desired properties, ``$version`` included.
        reported: the reported properties, ``$version`` included.
    """

    desired: Mapping[str, Any]
    reported: Mapping[str, Any]

    @property
    def version(self) -> int:
        """Version of the desired properties; 0 if the hub gave none."""
        return int(self.desired.get("$version", 0))


@dataclass(slots=True, frozen=True)
class MethodCall:
    """A direct method that somebody calls.

    Attributes:
        name: of the method.
        payload: decoded JSON; None when the caller sent nothing.
    """

    name: str
    payload: Any


@dataclass(slots=True, frozen=True)
class MethodAnswer:
    """What the caller of a direct method gets.

    Attributes:
        status: as in HTTP: 200, 400, 404, 409, 500, 504.
        payload: JSON-serialisable.
    """

    status: int
    payload: Any


@dataclass(slots=True, frozen=True)
class InputMessage:
    """A message that a route brought to one of the module's inputs.

    Attributes:
        input: name of the input.
        payload: the body, not decoded.
        properties: application properties.
        id: message id of the sender, "" if it gave none.
        content_type: as the sender said; "" if it did not.
        content_encoding: as the sender said; "" if it did not.
        sender: ``device/module`` as the hub says; "" if it does not.
    """

    input: str
    payload: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    content_type: str = ""
    content_encoding: str = ""
    sender: str = ""

    def json(self) -> Any:
        """Return the body decoded from JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.payload)


class Handlers(Protocol):
    """What a transport calls, always on the event loop that opened it."""

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        """Take a patch of the desired properties; ``$version`` is among its keys."""

    async def on_method(self, call: MethodCall) -> MethodAnswer:
        """Answer a direct method; never raises, and keeps its own deadline."""

    def on_input(self, message: InputMessage) -> None:
        """Take a message that came on an input; must not block."""

    def on_connection(self, connected: bool) -> None:
        """Take note that the connection came or went; a renewed token is such a pair too."""


class Transport(ABC):
    """One client of a hub, from its making to its end; never opened twice.

    Every method runs on the event loop. Each has a time limit of its own, so that none hangs.
    """

    @abstractmethod
    async def open(self, handlers: Handlers) -> Twin:
        """Connect, subscribe to everything and return the whole twin.

        Raises:
            ConfigurationError: it can never work (an environment variable is missing, the
                certificate does not fit).
            TransportError: it does not work now.
        """

    @abstractmethod
    async def send(self, packet: Packet) -> None:
        """Send ``packet``; return once the hub has acknowledged it.

        Several calls may be under way at once; they are sent in the order of the calls.

        Raises:
            TransportError: see `TransportFault`.
        """

    @abstractmethod
    async def twin(self) -> Twin:
        """Return the whole twin; also the way to find out whether the hub still answers.

        Raises:
            TransportError: see `TransportFault`.
        """

    @abstractmethod
    async def report(self, patch: Mapping[str, Any]) -> None:
        """Merge ``patch`` into the reported properties; a None deletes a key.

        Raises:
            TransportError: ``refused`` if the hub does not like the patch.
        """

    @abstractmethod
    async def lost(self) -> str:
        """Return, with the reason, once this object is dead or deaf and must be replaced.

        A connection that comes back by itself is no such case.
        The reason is ``kind: particulars``, with one of a few kinds, by which it is counted. If
        `connected` is still true then, the object works, and what is under way may be waited for.
        """

    @property
    @abstractmethod
    def connected(self) -> bool:
        """True while the hub is reachable, as far as is known."""

    @abstractmethod
    def wire_size(self, packet: Packet) -> int:
        """Return the bytes that ``packet`` takes on the wire, headers and properties included."""

    @property
    @abstractmethod
    def max_wire_size(self) -> int:
        """The most bytes that `wire_size` may say."""

    @abstractmethod
    async def close(self, timeout_s: float = 2.0) -> None:
        """Disconnect within ``timeout_s``, also when the client is dead; harmless when closed."""


TransportFactory = Callable[[], Transport]
"""Makes a transport; the supervisor calls it at the start and after each loss."""
