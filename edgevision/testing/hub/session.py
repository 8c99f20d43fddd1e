"""What a hub keeps for a client across connections: subscriptions and undelivered inputs."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Protocol

from edgevision.testing.hub.identity import Identity
from edgevision.testing.hub.packet import Publish, matches

__all__ = ["MAX_QUEUED", "Session", "Wire"]

MAX_QUEUED = 10_000
"""Most input messages that wait for a module; the oldest gives way."""

_WINDOW = 16
_LAST_PACKET_ID = 65_535


class Wire(Protocol):
    """Where packets to a client go."""

    def send(self, data: bytes) -> None:
        """Send a packet."""


class Session:
    """One client's state; only the hub's thread touches it.

    Args:
        identity: whose it is.
        lasting: True to be found again by a later connection.

    Attributes:
        identity: whose it is.
        lasting: see above; False once it was forgotten.
        subscriptions: granted QoS by topic filter.
        wire: the present connection; None while the client is away.
        lost: input messages that gave way because too many waited.
    """

    def __init__(self, identity: Identity, *, lasting: bool = True) -> None:
        self.identity = identity
        self.lasting = lasting
        self.subscriptions: dict[str, int] = {}
        self.wire: Wire | None = None
        self.lost = 0
        self._packet_id = 0
        self._queued: deque[tuple[str, bytes]] = deque()
        self._unacknowledged: dict[int, Publish] = {}

    def qos(self, topic: str) -> int | None:
        """Return the highest QoS among the subscriptions to ``topic``; None without any."""
        granted = [q for f, q in self.subscriptions.items() if matches(f, topic)]
        return max(granted, default=None)

    def send(self, topic: str, payload: bytes) -> bool:
        """Send a message now; return False if the client is away or does not want it."""
        qos = self.qos(topic)
        if self.wire is None or qos is None:
            return False
        packet_id = self._next_packet_id() if qos else 0
        self.wire.send(Publish(topic, payload, qos, packet_id).encode())
        return True

    def deliver(self, topic: str, payload: bytes) -> None:
        """Send a message, or keep it until the client is there, wants it and has taken others."""
        self._queued.append((topic, payload))
        if len(self._queued) > MAX_QUEUED:
            self._queued.popleft()
            self.lost += 1
        self.pump()

    def acknowledge(self, packet_id: int) -> None:
        """Take note that the client has a message."""
        if self._unacknowledged.pop(packet_id, None) is not None:
            self.pump()

    def resume(self, wire: Wire) -> None:
        """Go on over a new connection: first again what was never acknowledged."""
        self.wire = wire
        for packet in self._unacknowledged.values():
            wire.send(replace(packet, dup=True).encode())
        self.pump()

    def forget(self) -> None:
        """Lose everything but the connection; no later one finds this session."""
        self.lasting = False
        self.subscriptions.clear()
        self._queued.clear()
        self._unacknowledged.clear()

    def pump(self) -> None:
        """Send what waits, as far as the client takes it."""
        while self._queued and self.wire is not None and len(self._unacknowledged) < _WINDOW:
            topic, payload = self._queued[0]
            qos = self.qos(topic)
            if qos is None:
                return
            self._queued.popleft()
            packet = Publish(topic, payload, qos, self._next_packet_id() if qos else 0)
            if qos:
                self._unacknowledged[packet.packet_id] = packet
            self.wire.send(packet.encode())

    @property
    def waiting(self) -> int:
        """How many input messages the client has not acknowledged."""
        return len(self._queued) + len(self._unacknowledged)

    def _next_packet_id(self) -> int:
        self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
        while self._packet_id in self._unacknowledged:
            self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
        return self._packet_id
