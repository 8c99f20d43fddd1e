"""A hub in memory and its transport: tests of what sends messages, without a network.

It keeps the contract of `edgevision.harness.transport.Transport`, as the real one does; for the
real client, TLS and MQTT there is `edgevision.testing.hub`.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from edgevision.harness.transport import (
    Handlers,
    InputMessage,
    MethodAnswer,
    MethodCall,
    Packet,
    Transport,
    TransportError,
    Twin,
)
from edgevision.harness.wire import Wire

__all__ = ["MemoryHub", "MemoryTransport"]


class MemoryHub:
    """Takes packets and holds a twin; everything runs on one event loop.

    Attributes:
        packets: what has arrived, duplicates included, in order.
        online: whether it can be reached; see `cut` and `restore`.
        acknowledging: False: packets arrive and nobody is told, until the connection is cut.
        kills: tells whether the connection dies of a packet (which does not arrive).
        refuses: tells whether a packet is refused.
        delay_s: how long each packet takes; they are handled one after another.
        max_wire_bytes: the largest packet.
        max_in_flight: the most packets that were on their way at once.
    """

    def __init__(self, *, delay_s: float = 0.0, max_wire_bytes: int = 262_144) -> None:
        self.packets: list[Packet] = []
        self.online = True
        self.acknowledging = True
        self.kills: Callable[[Packet], bool] = lambda packet: False
        self.refuses: Callable[[Packet], bool] = lambda packet: False
        self.delay_s = delay_s
        self.max_wire_bytes = max_wire_bytes
        self.max_in_flight = 0
        self._desired: dict[str, Any] = {"$version": 1}
        self._reported: dict[str, Any] = {"$version": 1}
        self._transports: list[MemoryTransport] = []
        self._changed = asyncio.Event()

    def documents(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived, duplicates included, batches taken apart."""
        found: list[dict[str, Any]] = []
        for packet in self.packets:
            content = json.loads(packet.payload)
            found += content if isinstance(content, list) else [content]
        return found

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Wait until ``condition()`` holds; it is looked at after each packet and cut.

        Raises:
            asyncio.TimeoutError: it does not within ``timeout_s``.
        """

        async def look() -> None:
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(look(), timeout_s)

    def cut(self) -> None:
        """Drop all connections and take no more; what is on its way becomes uncertain."""
        self.online = False
        self._drop()

    def restore(self) -> None:
        """Be reachable again; transports that are open are connected again."""
        self.online = True
        for transport in self._transports:
            transport.connect()

    def break_client(self, reason: str = "the network thread is dead") -> None:
        """Make every open transport deaf for good; see `Transport.lost`."""
        for transport in list(self._transports):
            transport.break_down(reason)

    def desire(self, patch: Mapping[str, Any]) -> None:
        """Merge a patch into the desired properties and tell whoever is connected."""
        self._desired = _merged(self._desired, patch)
        self._desired["$version"] += 1
        for transport in self._transports:
            if transport.connected and transport.handlers is not None:
                transport.handlers.on_desired({**patch, "$version": self._desired["$version"]})

    async def call(self, name: str, payload: Any = None) -> MethodAnswer:
        """Call a direct method.

        Raises:
            LookupError: nobody is connected.
        """
        for transport in self._transports:
            if transport.connected and transport.handlers is not None:
                return await transport.handlers.on_method(MethodCall(name, payload))
        raise LookupError("no module is connected")

    def input(self, message: InputMessage) -> None:
        """Send a message to an input."""
        for transport in self._transports:
            if transport.connected and transport.handlers is not None:
                transport.handlers.on_input(message)

    def twin(self) -> Twin:
        """Return the twin."""
        return Twin(copy.deepcopy(self._desired), copy.deepcopy(self._reported))

    def transport(self) -> MemoryTransport:
        """Return a new transport to this hub; also usable as a `TransportFactory`."""
        return MemoryTransport(self)

    def attach(self, transport: MemoryTransport) -> None:
        """Know an open transport."""
        self._transports.append(transport)

    def detach(self, transport: MemoryTransport) -> None:
        """Forget a transport."""
        if transport in self._transports:
            self._transports.remove(transport)

    def receive(self, packet: Packet) -> None:
        """Take a packet.

        Raises:
            TransportError: it is refused, or the connection dies of it.
        """
        if self.refuses(packet):
            raise TransportError(f"the hub refuses {packet.id}", "refused")
        if self.kills(packet):
            self._drop()
            for transport in self._transports:
                transport.connect()
            raise TransportError(f"the connection died of {packet.id}", "uncertain")
        self.packets.append(packet)
        self._changed.set()

    def report(self, patch: Mapping[str, Any]) -> None:
        """Merge a patch into the reported properties.

        Raises:
            TransportError: a key has a character that IoT Hub does not allow.
        """
        for key in patch:
            if any(character in key for character in ".$# "):
                raise TransportError(f"the hub refuses the key {key!r}", "refused")
        self._reported = _merged(self._reported, patch)
        self._reported["$version"] += 1

    def _drop(self) -> None:
        for transport in self._transports:
            transport.disconnect()
        self._changed.set()


class MemoryTransport(Transport):
    """One client of a `MemoryHub`."""

    def __init__(self, hub: MemoryHub) -> None:
        self.handlers: Handlers | None = None
        self._hub = hub
        self._wire = Wire("device", "module")
        self._connected = False
        self._closed = False
        self._line = asyncio.Lock()
        self._cut = asyncio.Event()
        self._broken: asyncio.Future[str] | None = None
        self._in_flight = 0

    async def open(self, handlers: Handlers) -> Twin:
        """Connect, and have ``handlers`` told what comes."""
        if self._closed or self.handlers is not None:
            raise TransportError("a transport is opened once", "broken")
        if not self._hub.online:
            raise TransportError("the hub cannot be reached", "offline")
        self.handlers = handlers
        self._broken = asyncio.get_running_loop().create_future()
        self._hub.attach(self)
        self.connect()
        return self._hub.twin()

    async def send(self, packet: Packet) -> None:
        """Deliver ``packet``; return when the hub acknowledges it."""
        self._check()
        if self.wire_size(packet) > self.max_wire_size:
            raise TransportError(f"{packet.id} is larger than the hub takes", "refused")
        self._in_flight += 1
        self._hub.max_in_flight = max(self._hub.max_in_flight, self._in_flight)
        cut = self._cut
        try:
            await self._within(cut, packet)
        finally:
            self._in_flight -= 1

    async def twin(self) -> Twin:
        """Return the twin."""
        self._check()
        return self._hub.twin()

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Merge ``patch`` into the reported properties."""
        self._check()
        self._hub.report(patch)

    async def lost(self) -> str:
        """Return once the hub has broken this client."""
        if self._broken is None:
            raise TransportError("the transport is not open", "offline")
        return await asyncio.shield(self._broken)

    @property
    def connected(self) -> bool:
        """True until the hub cuts the connection."""
        return self._connected

    def wire_size(self, packet: Packet) -> int:
        """Return the bytes as of MQTT, as the real transport counts them."""
        return self._wire.size(packet)

    @property
    def max_wire_size(self) -> int:
        """The hub's ``max_wire_bytes``."""
        return self._hub.max_wire_bytes

    async def close(self, timeout_s: float = 2.0) -> None:
        """Disconnect for good."""
        self._closed = True
        self._hub.detach(self)
        self.disconnect()

    def connect(self) -> None:
        """Connect again, if the hub can be reached and this end is sound."""
        sound = self._hub.online and not self._closed and not self._is_broken
        if sound and not self._connected and self.handlers is not None:
            self._connected = True
            self._cut = asyncio.Event()
            self._line = asyncio.Lock()
            self.handlers.on_connection(True)

    def disconnect(self) -> None:
        """Lose the connection; it comes back with `connect`."""
        if self._connected:
            self._connected = False
            self._cut.set()
            if self.handlers is not None:
                self.handlers.on_connection(False)

    def break_down(self, reason: str) -> None:
        """Become deaf for good."""
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(reason)
        self.disconnect()

    @property
    def _is_broken(self) -> bool:
        return self._broken is not None and self._broken.done()

    def _check(self) -> None:
        if self._is_broken:
            raise TransportError("the client is dead", "broken")
        if not self._connected:
            raise TransportError("there is no connection", "offline")

    async def _within(self, cut: asyncio.Event, packet: Packet) -> None:
        """Deliver ``packet`` and wait for its acknowledgement until the connection is cut."""
        async with self._line:  # first come, first served
            if cut.is_set():
                raise TransportError(f"the connection went with {packet.id}", "uncertain")
            if self._hub.delay_s:
                await asyncio.sleep(self._hub.delay_s)
                if cut.is_set():
                    raise TransportError(f"the connection went with {packet.id}", "uncertain")
            self._hub.receive(packet)
        if not self._hub.acknowledging:
            await cut.wait()
            raise TransportError(f"no acknowledgement of {packet.id}", "uncertain")
        await asyncio.sleep(0)


def _merged(into: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged
