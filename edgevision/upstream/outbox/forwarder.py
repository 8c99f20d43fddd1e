"""Sends what the outbox holds, and deletes what the hub has acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from edgevision.errors import UpstreamError
from edgevision.harness.transport import Packet, TransportError, TransportFault
from edgevision.redaction import redact
from edgevision.runner.backoff import Backoff
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.packet import DropReason
from edgevision.upstream.outbox.stream import Flight, Stream

__all__ = ["Forwarder", "ForwarderStatistics"]

_log = logging.getLogger("edgevision.upstream.outbox")

_RETRY_TAKE_S = 1.0
_BACKLOG_WINDOWS = 10
_OUTAGE_S = 5.0


@dataclass(slots=True, frozen=True)
class ForwarderStatistics:
    """What the forwarder has done since it was made.

    Attributes:
        packets: packets acknowledged.
        messages: messages in them.
        attempts: packets handed to the transport.
        retries: those of them that had been handed to it before.
        failures: failed attempts, by `TransportFault`.
        in_flight: packets on their way.
        detail: what keeps it from sending; "" while it sends.
    """

    packets: int = 0
    messages: int = 0
    attempts: int = 0
    retries: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    detail: str = ""


class Forwarder:
    """Sends the packets of an outbox, several at once, in order within each camera.

    Packets are submitted in order. One is deleted once the hub has acknowledged it and all before
    it of the same camera. When one fails, nothing more of its camera is sent until those under way
    have come back; then everything from the failed one on is sent again, with the same ids. So a
    later message reaches the hub before an earlier one only where the connection failed in between,
    and is then repeated after it.

    A packet on which the connection failed three times is sent alone. One that then fails each time
    while others pass is given up: a batch is taken apart first, a single message is dropped and
    counted. If nothing else is there to send, the packet after it is sent ahead as the proof. While
    nothing passes, nothing is given up: it is the hub that is ill.

    Args:
        outbox: started; nobody else takes packets from it.
        send: hands a packet to the hub and returns once that has acknowledged it; raises
            `TransportError`.
        ready: returns once the connection is up; asked before the first packet and after a failure.
        window: most packets on their way.
        live_first: after an outage send new messages beside the backlog instead of after it. Each
            of the two is in order; a camera's messages as a whole are then not.
        send_timeout_s: an attempt that takes longer counts as uncertain.
        first_retry_s: upper bound of the first wait after a failure; it doubles.
        longest_retry_s: upper bound of every wait.
    """

    def __init__(
        self,
        outbox: Outbox,
        send: Callable[[Packet], Awaitable[None]],
        *,
        ready: Callable[[], Awaitable[None]] | None = None,
        window: int = 10,
        live_first: bool = False,
        send_timeout_s: float = 60.0,
        first_retry_s: float = 0.1,
        longest_retry_s: float = 30.0,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self._outbox = outbox
        self._send = send
        self._ready = ready
        self._window = window
        self._live_first = live_first
        self._send_timeout_s = send_timeout_s
        self._retry_s = (first_retry_s, longest_retry_s)
        self._backoff = Backoff(first_retry_s, longest_retry_s)
        self._backoff = Backoff(first_retry_s, longest_retry_s)
        self._streams: dict[tuple[str, bool], Stream] = {}
        self._turns: deque[tuple[str, bool]] = deque()
        self._marked: dict[tuple[str, int], Flight] = {}
        self._flying: dict[Flight, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alone = False
        self._open = self._opening = False
        self._failing_since_s = 0.0
        self._closed_until_s = 0.0
        self._part_due = False
        self._taking = False
        self._more = True
        self._take_at_s = 0.0
        self._flush = False
        self._stopping = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._acknowledged = self._packets = self._messages = self._attempts = self._retries = 0
        self._failures: Counter[str] = Counter()
        self._detail = ""
        self._logged: set[str] = set()

    async def start(self) -> None:
        """Begin to send; harmless when started.

        Raises:
            UpstreamError: the outbox is not started.
        """
        if self._task is not None:
            return
        await self._begin(part=self._backlog())
        self._stopping = self._open = self._flush = self._part_due = False
        self._outbox.listen(self._stored)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="forwarder")
        self._task.add_done_callback(self._ended)

    async def drain(self, timeout_s: float) -> bool:
        """Send what waits, unfinished batches too, for at most ``timeout_s``.

        Returns:
            Whether everything was acknowledged.
        """
        self._flush = self._more = True
        self._idle.clear()
        self._wake.set()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
            await self._outbox.take(0)  # what is done with is noted by then
        except (asyncio.TimeoutError, TimeoutError, UpstreamError):
            return False
        finally:
            self._flush = False
        return True

    async def stop(self, timeout_s: float = 2.0) -> None:
        """Send nothing more, wait for what is on its way for at most ``timeout_s``, and end."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._outbox.listen(None)
        self._wake.set()
        await asyncio.wait({task}, timeout=timeout_s)
        for left in (task, *self._tasks):
            left.cancel()
        await asyncio.wait({task, *self._tasks})
        if not task.cancelled() and (error := task.exception()):
            raise error

    def statistics(self) -> ForwarderStatistics:
        """Return the counters at this moment."""
        return ForwarderStatistics(
            self._packets,
            self._messages,
            self._attempts,
            self._retries,
            dict(self._failures),
            len(self._flying),
            self._detail,
        )

    def _stored(self) -> None:
        self._more = True
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now_s = loop.time()
            if self._stopping:
                if not self._flying:
                    return
            elif self._open:
                if not self._part_due or await self._part():
                    self._refill(now_s)
                    self._submit(now_s)
            elif not self._opening and now_s >= self._closed_until_s:
                self._opening = True
                self._spawn(self._pass_gate())
            self._end_late(now_s)
            if not self._more and not self._taking and not self._take_at_s and not self._streams:
                self._idle.set()
            at_s = self._next_s(now_s)
            timer = None if at_s is None else loop.call_at(at_s, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _next_s(self, now_s: float) -> float | None:
        """Return when there is something to do though nothing happens, by the loop's clock."""
        times = [stream.not_before_s for stream in self._streams.values() if stream.queue]
        times += [flight.deadline_s for flight in self._flying]
        times += [self._closed_until_s, self._take_at_s]
        return min((time_s for time_s in times if time_s > now_s), default=None)

    def _end_late(self, now_s: float) -> None:
        for flight in self._flying:
            if flight.deadline_s <= now_s and flight.task is not None and not flight.late:
                flight.late = True
                flight.task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            _log.error("the forwarder failed: %s", redact(str(error)), exc_info=error)

    async def _pass_gate(self) -> None:
        try:
            if self._ready is not None:
                await self._ready()
        except UpstreamError as error:
            self._closed_until_s = asyncio.get_running_loop().time() + self._backoff.next_s()
            self._complain("offline", str(error))
        else:
            self._open = True
        finally:
            self._opening = False

    def _backlog(self) -> bool:
        """Tell whether so much waits that new messages should not wait behind it."""
        waiting = self._outbox.statistics().waiting
        return self._live_first and waiting > _BACKLOG_WINDOWS * self._window

    async def _part(self) -> bool:
        """Have backlog and new messages handed out apart, once nothing is under way."""
        if self._flying or self._taking or any(s.held for s in self._streams.values()):
            return False
        try:
            await self._begin(part=True)
        except UpstreamError as error:
            self._complain("outbox", str(error))
        self._part_due = False
        return True

    async def _begin(self, *, part: bool) -> None:
        """Forget what was handed out but for what is suspected, and have it handed out again."""
        self._marked = {
            flight.stored.key: flight
            for stream in self._streams.values()
            for flight in (*stream.flights, *stream.queue)
            if flight.strikes
        }
        self._streams.clear()
        self._turns.clear()
        await self._outbox.rewind(part=part)
        self._more = True

    def _refill(self, now_s: float) -> None:
        """Have more packets handed out, up to a window beyond those on their way."""
        if self._take_at_s and (now_s >= self._take_at_s or self._flush):
            self._take_at_s = 0.0
            self._more = True
        queued = sum(len(stream.queue) for stream in self._streams.values())
        if self._more and not self._taking and queued < self._window:
            self._taking, self._more = True, False
            self._spawn(self._take(2 * self._window - queued))

    async def _take(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        full = {
            key
            for key, stream in self._streams.items()
            if stream.held or len(stream.queue) >= self._window
        }
        try:
            taken = await self._outbox.take(limit, full, flush=self._flush)
        except UpstreamError as error:
            self._complain("outbox", str(error))
            self._take_at_s = loop.time() + _RETRY_TAKE_S
            return
        finally:
            self._taking = False
        for stored in taken.packets:
            stream = self._streams.get(stored.stream)
            if stream is None:
                stream = self._streams[stored.stream] = Stream(stored.stream)
                self._turns.append(stored.stream)
            if not stream.held:  # else it is handed out once more, after what is taken apart
                flight = self._marked.pop(stored.key, None) or Flight(stored, stored.packet())
                flight.state = "waiting"
                stream.queue.append(flight)
        self._more = self._more or taken.more
        self._take_at_s = 0.0 if taken.due_in_s is None else loop.time() + taken.due_in_s

    def _submit(self, now_s: float) -> None:
        """Hand packets to the transport, from one stream after the other, while there is room."""
        suspects = [
            stream
            for stream in self._streams.values()
            if stream.head and stream.head.suspect and stream.not_before_s <= now_s
        ]
        if suspects:
            if not self._flying:
                stream = min(suspects, key=lambda stream: stream.not_before_s)
                self._launch(stream, 1 if stream.probe and len(stream.queue) > 1 else 0)
                self._alone = True
            return
        passed = 0
        while len(self._flying) < self._window and passed < len(self._turns) and not self._alone:
            stream = self._streams[self._turns[0]]
            self._turns.rotate(-1)
            head = stream.head
            if head is None or head.suspect:
                passed += 1
            elif self._outbox.expired(head.stored):
                stream.queue.popleft()
                self._outbox.discard(head.stored, "too old")
                self._forget(stream)
            else:
                passed = 0
                self._launch(stream, 0)

    def _launch(self, stream: Stream, position: int) -> None:
        """Send a stream's next packet, or the one after a suspect as the proof that it passes."""
        flight = stream.queue[position]
        del stream.queue[position]
        if position == 0:
            stream.flights.append(flight)
        self._attempts += 1
        self._retries += flight.tried
        flight.tried, flight.state, flight.late = True, "sending", False
        flight.deadline_s = asyncio.get_running_loop().time() + self._send_timeout_s
        self._flying[flight] = stream
        flight.task = self._spawn(self._fly(stream, flight))

    async def _fly(self, stream: Stream, flight: Flight) -> None:
        fault: TransportFault | None = None
        text = ""
        try:
            await self._send(flight.packet)
        except asyncio.CancelledError:
            if not flight.late:
                raise
            fault, text = "uncertain", f"no answer within {self._send_timeout_s:g} s"
        except TransportError as error:
            fault, text = error.fault, str(error)
        except UpstreamError as error:
            fault, text = "uncertain" if error.retryable else "refused", str(error)
        except Exception as error:  # a mistake in a transport; the message must not be lost for it
            fault, text = "uncertain", f"{type(error).__name__}: {error}"
        finally:
            alone, self._alone = self._alone, False
            del self._flying[flight]
        if fault is None:
            self._pass(stream, flight)
        elif fault == "refused":
            self._refuse(stream, flight, text)
        else:
            self._fail(stream, flight, fault, text, alone=alone)
        self._settle(stream)

    def _pass(self, stream: Stream, flight: Flight) -> None:
        if self._failing_since_s:
            away_s = asyncio.get_running_loop().time() - self._failing_since_s
            self._failing_since_s = 0.0
            self._part_due = away_s > _OUTAGE_S and self._backlog()
        self._acknowledged += 1
        self._backoff.reset()
        self._detail = ""
        self._logged.discard("fault")
        flight.strikes = flight.alone = flight.convictions = 0
        stream.probe = False
        flight.state = "settled"
        if flight not in stream.flights:  # a proof, which went ahead of a suspect
            self._finish(flight)

    def _refuse(self, stream: Stream, flight: Flight, text: str) -> None:
        self._failures["refused"] += 1
        if flight.stored.count > 1:
            flight.split = stream.broken = True
            self._put_back(stream, flight)
        else:
            self._give_up(flight, "refused", text)

    def _fail(
        self, stream: Stream, flight: Flight, fault: TransportFault, text: str, *, alone: bool
    ) -> None:
        self._failures[fault] += 1
        proof = flight not in stream.flights
        deadly = fault in ("uncertain", "broken")
        flight.strikes += deadly
        self._put_back(stream, flight)
        if alone and deadly:
            now_s = asyncio.get_running_loop().time()
            stream.delay(now_s, *self._retry_s)
            if proof:
                stream.probe = False
            elif stream.guilty(flight, self._acknowledged):
                stream.not_before_s, stream.attempts = 0.0, 0
                if flight.stored.count > 1:
                    flight.split = True
                else:
                    self._give_up(flight, "poison", text)
        stream.broken = stream.broken or not proof
        self._shut(fault, text)

    def _put_back(self, stream: Stream, flight: Flight) -> None:
        flight.state = "waiting"
        if flight not in stream.flights:
            stream.queue.insert(1, flight)

    def _give_up(self, flight: Flight, reason: DropReason, text: str) -> None:
        stored = flight.stored
        flight.state = "settled"
        flight.given_up = True
        self._outbox.discard(stored, reason)
        _log.error(
            "camera %r: the %s %s for output %r (%d bytes) is dropped (%s): %s",
            stored.camera,
            stored.kind,
            stored.id,
            stored.output,
            len(flight.packet.payload),
            reason,
            redact(text),
        )

    def _settle(self, stream: Stream) -> None:
        """Delete what is settled, and turn back what failed once nothing of it is under way."""
        for flight in stream.settled():
            self._finish(flight)
        apart = stream.turn_back()
        if apart is not None:
            self._spawn(self._split(stream, apart))
        self._forget(stream)

    def _finish(self, flight: Flight) -> None:
        if not flight.given_up:
            self._packets += 1
            self._messages += flight.stored.count
            self._outbox.done(flight.stored)

    def _forget(self, stream: Stream) -> None:
        if stream.empty and self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
            self._turns.remove(stream.key)

    async def _split(self, stream: Stream, flight: Flight) -> None:
        while not self._stopping:
            try:
                await self._outbox.split(flight.stored)
            except UpstreamError as error:
                self._complain("outbox", str(error))
                await asyncio.sleep(_RETRY_TAKE_S)
            else:
                break
        stream.held = False
        self._more = True
        self._forget(stream)

    def _shut(self, fault: TransportFault, text: str) -> None:
        """Send nothing more until the back-off is over and the connection is ready."""
        self._complain("fault", f"{fault}: {text}")
        now_s = asyncio.get_running_loop().time()
        self._failing_since_s = self._failing_since_s or now_s
        if self._open:
            self._open = False
            self._closed_until_s = now_s + self._backoff.next_s()

    def _complain(self, kind: str, text: str) -> None:
        """Remember what is wrong; log the first of a kind until a packet passes again."""
        self._detail = redact(text)
        if kind not in self._logged:
            self._logged.add(kind)
            _log.warning("messages wait in the outbox: %s", self._detail)
