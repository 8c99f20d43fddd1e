"""The way of messages to one upstream: a bounded queue, a task, retries and time limits."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.redaction import redact
from edgevision.upstream.message import Message
from edgevision.upstream.upstream import Upstream

if TYPE_CHECKING:
    from edgevision.upstream.settings import DeliverySettings

__all__ = ["Lane", "LaneStatistics"]

_log = logging.getLogger("edgevision.upstream")

_LEAST_STOP_S = 0.5


@dataclass(slots=True, frozen=True)
class LaneStatistics:
    """What became of the messages for one upstream since the start.

    At any moment ``accepted == sent + sum(lost.values()) + waiting``.

    Attributes:
        name: name of the upstream.
        accepted: messages handed to this lane.
        sent: messages that the upstream has taken.
        lost: messages that it has not and will not, by reason: ``refused`` by the upstream, ``gave
            up`` retrying, ``queue full``, ``gone`` with its reader, ``stopped``, ``abandoned`` by a
            sender that was cancelled while it waited for room.
        waiting: messages in the queue, the one being sent included.
        retries: attempts beyond the first.
        detail: what keeps it from sending, without credentials; "" while it sends.
    """

    name: str
    accepted: int = 0
    sent: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    retries: int = 0
    detail: str = ""


class Lane:
    """Sends messages to one upstream, one at a time, in order. Lives on one event loop.

    An attempt that fails in a way worth retrying, or takes longer than ``attempt_timeout_s``, is
    made again after a wait that doubles, until ``give_up_after_s`` have passed; then the message is
    lost and counted. While the queue is full `put` waits. It waits no longer than until the
    upstream has taken nothing for ``give_up_after_s``: from then on new messages are lost at once,
    until it takes one again. So an upstream that hangs holds the others up once, and not for ever.

    Args:
        upstream: where to send.
        settings: queue, time limits, retries.
        name: what it is called in logs and statistics, unique among the lanes.
        on_gone: called once when the upstream is gone.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        upstream: Upstream,
        settings: DeliverySettings,
        *,
        name: str = "",
        on_gone: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upstream = upstream
        self.name = name or upstream.name
        self._settings = settings
        self._on_gone = on_gone
        self._clock = clock
        self._queue: deque[Message] = deque()
        self._lost: Counter[str] = Counter()
        self._accepted = self._sent = self._retries = 0
        self._detail = ""
        self._outages: set[str] = set()
        self._refusals: set[str] = set()
        self._progress_s = clock()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._room: list[asyncio.Future[None]] = []
        self._open = False  # the upstream is started
        self._closed = False  # nothing is taken any more
        self._draining = False
        self._singly = 0  # messages to send by themselves, after their group failed

    async def start(self) -> None:
        """Start the upstream and the task. An upstream that does not work now is started later.

        Raises:
            ConfigurationError: the upstream can never work.
            UpstreamError: the same, said by the upstream.
        """
        try:
            await self._within(self._settings.attempt_timeout_s, self._start_upstream)
        except UpstreamError as error:
            if not error.retryable:
                raise
            self._complain(error)
        self._progress_s = self._clock()
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"upstream-{self.name}"
        )

    @property
    def full(self) -> bool:
        """True if `put` has to wait."""
        return len(self._queue) >= self._settings.queue

    async def put(self, message: Message) -> None:
        """Queue ``message``, waiting for room as the class says."""
        self._accepted += 1
        while self.full and not self._closed:
            left_s = self._progress_s + self._settings.give_up_after_s - self._clock()
            if left_s <= 0:
                self._lose("queue full")
                return
            try:
                await self._wait_for_room(left_s)
            except asyncio.CancelledError:
                self._lose("abandoned")
                raise
        if self._closed:
            self._lose("gone" if self.upstream.gone else "stopped")
            return
        if not self._queue:
            self._progress_s = self._clock()
        self._queue.append(message)
        self._wake.set()

    async def stop(self, timeout_s: float) -> None:
        """Send what is waiting for at most ``timeout_s``, then stop the upstream."""
        deadline_s = self._clock() + timeout_s
        task, self._task = self._task, None
        if task is None:
            return
        self._draining = True
        self._wake.set()
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LEAST_STOP_S)
        self._close("stopped")
        left_s = max(_LEAST_STOP_S, deadline_s - self._clock())
        try:
            await self._within(left_s, self.upstream.stop)
        except UpstreamError as error:
            _log.warning("upstream %s did not stop: %s", self.name, error)

    def statistics(self) -> LaneStatistics:
        """Return the counters at this moment."""
        lost = dict(self._lost)
        waiting = self._accepted - self._sent - sum(lost.values())
        return LaneStatistics(
            self.name, self._accepted, self._sent, lost, waiting, self._retries, self._detail
        )

    async def _run(self) -> None:
        while not self.upstream.gone:
            if not self._queue:
                if self._draining:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            if await self._deliver_group():
                continue
            reason = await self._deliver(self._queue[0])
            if self._closed:
                return
            self._queue.popleft()
            self._singly = max(0, self._singly - 1)
            if reason:
                self._lose(reason)
            else:
                self._sent += 1
            self._announce_room()
        self._close("gone")
        self._on_gone()

    async def _deliver_group(self) -> bool:
        """Send what waits together, where the upstream wants it; return whether it was taken.

        After a failure each message of the group is sent by itself, with the retries it may have.
        """
        count = min(len(self._queue), self.upstream.group)
        if count < 2 or self._singly:
            return False
        group = list(islice(self._queue, count))
        try:
            await self._within(self._settings.attempt_timeout_s, self._attempt_all, group)
        except UpstreamError:
            self._singly = count
            return False
        if not self._closed:
            for _ in group:
                self._queue.popleft()
            self._sent += count
            self._progress_s = self._clock()
            self._recover()
            self._announce_room()
        return True

    async def _deliver(self, message: Message) -> str:
        """Send ``message``, again where that helps; return why it is lost, or nothing."""
        begun_s = self._clock()
        wait_s = self._settings.first_retry_s
        while True:
            try:
                await self._within(self._settings.attempt_timeout_s, self._attempt, message)
            except UpstreamError as error:
                if self.upstream.gone:
                    return "gone"
                self._complain(error)
                if not error.retryable:
                    self._progress_s = self._clock()
                    return "refused"
                if self._clock() + wait_s - begun_s > self._settings.give_up_after_s:
                    return "gave up"
            else:
                self._progress_s = self._clock()
                self._recover()
                return ""
            self._retries += 1
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._settings.longest_retry_s)

    async def _attempt(self, message: Message) -> None:
        if not self._open:
            await self._start_upstream()
        await self.upstream.send(message)

    async def _attempt_all(self, messages: list[Message]) -> None:
        if not self._open:
            await self._start_upstream()
        await self.upstream.send_all(messages)

    async def _start_upstream(self) -> None:
        try:
            await self.upstream.start()
        except ConfigurationError as error:
            if self._task is None:
                raise
            raise UpstreamError(str(error), retryable=True) from error
        self._open = True

    async def _within(
        self, limit_s: float, call: Callable[..., Coroutine[Any, Any, None]], *args: object
    ) -> None:
        """Await ``call``, as an `UpstreamError` when it takes longer or raises something else."""
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in a task
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            task.cancel()

        timer = asyncio.get_running_loop().call_later(limit_s, expire)
        try:
            await call(*args)
        except asyncio.CancelledError:
            if not expired:
                raise
            if sys.version_info >= (3, 11) and task.uncancel() > 0:
                raise  # someone else cancelled it too
            raise UpstreamError(
                f"no answer within {limit_s:g} s; it may have arrived", retryable=True
            ) from None
        except (UpstreamError, ConfigurationError):
            raise
        except Exception as error:
            raise UpstreamError(
                f"{type(error).__name__}: {redact(str(error))}", retryable=False
            ) from error
        finally:
            timer.cancel()

    async def _wait_for_room(self, limit_s: float) -> None:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.append(room)
        await asyncio.wait({room}, timeout=limit_s)

    def _announce_room(self) -> None:
        waiting, self._room = self._room, []
        for room in waiting:
            if not room.done():
                room.set_result(None)

    def _close(self, reason: str) -> None:
        self._closed = True
        for _ in self._queue:
            self._lose(reason)
        self._queue.clear()
        self._announce_room()

    def _lose(self, reason: str) -> None:
        self._lost[reason] += 1

    def _complain(self, error: UpstreamError) -> None:
        """Log the first error of a kind; of a retryable kind, the first of each outage."""
        self._detail = redact(str(error))
        cause = error.__cause__
        kind = f"{type(cause).__name__} {getattr(cause, 'errno', '')}"
        known = self._outages if error.retryable else self._refusals
        if kind not in known:
            known.add(kind)
            what = "trying again" if error.retryable else "message refused"
            _log.warning("upstream %s: %s (%s)", self.name, self._detail, what)

    def _recover(self) -> None:
        self._detail = ""
        if self._outages:
            _log.info("upstream %s takes messages again", self.name)
            self._outages.clear()
