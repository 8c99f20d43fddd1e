"""One camera's packets on their way to the hub, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from edgevision.harness.transport import Packet
from edgevision.upstream.outbox.packet import StoredPacket

__all__ = ["Flight", "Stream"]

_STRIKES = 3
_ALONE = 3
_CONVICTIONS = 3


@dataclass(slots=True, eq=False)
class Flight:
    """One packet that is sent until it is settled.

    Attributes:
        stored: the packet in the outbox.
        packet: it as it goes over the wire; the same object each time.
        state: ``settled`` once the hub has acknowledged it, or it was given up.
        strikes: how often the connection failed while it was on its way.
        alone: how often it failed although nothing else was on its way.
        convictions: how often it failed alone, after others had passed since it last did.
        passed: how many packets had been acknowledged in all when it last failed alone.
        split: whether it is to be taken apart before it is sent again.
        given_up: whether it was dropped.
        tried: whether it was sent before.
        deadline_s: when the attempt that is under way has taken too long, by the loop's clock.
        task: that attempt.
        late: whether it was ended for that.
    """

    stored: StoredPacket
    packet: Packet
    state: Literal["waiting", "sending", "settled"] = "waiting"
    strikes: int = 0
    alone: int = 0
    convictions: int = 0
    passed: int = 0
    split: bool = False
    given_up: bool = False
    tried: bool = False
    deadline_s: float = 0.0
    task: asyncio.Task[None] | None = None
    late: bool = False

    @property
    def suspect(self) -> bool:
        """Whether it may be what kills the connection; such a packet is sent alone."""
        return self.strikes >= _STRIKES


@dataclass(slots=True, eq=False)
class Stream:
    """Packets that keep their order: those of a camera, or its live ones beside its backlog.

    What is sent and fails is sent again from the first failure on, those after it included even
    if they were acknowledged, so that the last copies of all are in order.

    Attributes:
        key: camera, and whether it is its live part.
        queue: packets to send.
        flights: packets sent and not yet deleted, in order.
        broken: one of the flights failed; nothing more is sent until all of them have come back.
        held: the outbox is taking one of its packets apart.
        not_before_s: when a suspect may be tried again, by the loop's clock.
        attempts: failures of a suspect, for its back-off.
        probe: the packet after a suspect is sent next, to see whether it passes.
    """

    key: tuple[str, bool]
    queue: deque[Flight] = field(default_factory=deque)
    flights: deque[Flight] = field(default_factory=deque)
    broken: bool = False
    held: bool = False
    not_before_s: float = 0.0
    attempts: int = 0
    probe: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing of it is in memory."""
        return not self.queue and not self.flights and not self.held

    @property
    def head(self) -> Flight | None:
        """The packet to send next, if one may be sent."""
        return self.queue[0] if self.queue and not self.broken and not self.held else None

    def settled(self) -> list[Flight]:
        """Remove and return the flights that have nothing before them any more."""
        found: list[Flight] = []
        while self.flights and self.flights[0].state == "settled":
            found.append(self.flights.popleft())
        return found

    def turn_back(self) -> Flight | None:
        """Put what failed, and all after it, back in front of the queue once nothing is under way.

        Returns:
            The packet to take apart, if there is one; it and all after it are forgotten here.
        """
        if not self.broken or any(flight.state == "sending" for flight in self.flights):
            return None
        self.broken = False
        flights = [*self.flights, *self.queue]
        self.flights.clear()
        self.queue.clear()
        for flight in flights:
            if flight.split:
                self.held = True
                return flight
            flight.state = "waiting"
            self.queue.append(flight)
        return None

    def delay(self, now_s: float, first_s: float, longest_s: float) -> None:
        """Let the others have their turn before the suspect at the head is tried again."""
        self.not_before_s = now_s + min(longest_s, first_s * 2.0 ** min(self.attempts, 60))
        self.attempts += 1

    def guilty(self, flight: Flight, acknowledged: int) -> bool:
        """Weigh that a suspect failed although nothing else was on its way.

        It counts against it only if other packets were acknowledged since it last did; where there
        are none to send, the packet after it is to be sent as the proof. A batch is taken apart
        without a proof, since nothing is lost by it.

        Args:
            flight: the suspect.
            acknowledged: how many packets were acknowledged so far.
        """
        flight.alone += 1
        if flight.stored.count > 1:
            return flight.alone >= _ALONE
        if flight.alone > 1 and acknowledged > flight.passed:
            flight.convictions += 1
        elif flight.alone >= _ALONE:
            self.probe = True
        flight.passed = acknowledged
        return flight.convictions >= _CONVICTIONS
