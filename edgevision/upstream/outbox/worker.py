"""The outbox's thread: commits in groups, heals what fails, tidies up while nobody waits."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.keeper import Keeper
from edgevision.upstream.outbox.lock import FileLock
from edgevision.upstream.outbox.packet import OutboxStatistics, WhenFull
from edgevision.upstream.outbox.store import is_damage

__all__ = ["Call", "Put", "Worker"]

_log = logging.getLogger("edgevision.upstream.outbox")

_T = TypeVar("_T")

_GROUP_MESSAGES = 256
_GROUP_BYTES = 512 * 1024
# Deletions wait this long, or for this many packets, to share a transaction with new messages.
_REMOVALS = 64
_REMOVE_AFTER_S = 0.25
_TICK_S = 1.0
_REOPEN_AFTER_S = 0.5
_REPLACEMENTS = 3

_NEVER = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,  # a file stands where a folder is needed
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EINVAL,
    }
)


@dataclass(slots=True, eq=False)
class Put:
    """A message to store.

    Attributes:
        message: it.
        overhead_bytes: bound of what its packet takes beside the bodies.
        done: gets whether it was stored.
    """

    message: Message
    overhead_bytes: int
    done: asyncio.Future[bool]


@dataclass(slots=True, eq=False)
class Call:
    """Something else to do on the thread; ``done`` gets what it returns, if anybody waits."""

    work: Callable[[], Any]
    done: asyncio.Future[Any] | None = None


class Worker:
    """Runs a `Keeper` on a thread of its own, from `begin` to `end`.

    Args:
        keeper: what is run.
        path: of the file.
        when_full: what happens on a full disk.
        monotonic: monotonic seconds.
    """

    def __init__(
        self,
        keeper: Keeper,
        path: Path,
        when_full: WhenFull,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = OutboxStatistics()
        self.listener: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None
        self._keeper = keeper
        self._path = path
        self._when_full = when_full
        self._monotonic = monotonic
        self._lock = FileLock(Path(f"{path}.lock"))
        self._ready = threading.Condition()
        self._puts: deque[Put] = deque()
        self._calls: deque[Call] = deque()
        self._thread: threading.Thread | None = None
        self._opened: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._stopping = False
        self._over = False
        self._blocked = False  # the first of the puts waits for room
        self._untidy = True  # something may be too old, or may be given back to the disk
        self._detail = ""
        self._complaints: set[str] = set()
        self._reopen_s = self._remove_s = self._tidy_s = 0.0

    async def begin(self) -> None:
        """Start the thread and open the file; see `Outbox.start`."""
        if self._thread is None:
            self._stopping = self._over = False
            self._ended = None
            self._opened = asyncio.get_running_loop().create_future()
            self._opened.add_done_callback(_ignore)  # a caller may have stopped waiting
            self._thread = threading.Thread(
                target=self._run, args=(self._opened,), name="edgevision-outbox", daemon=True
            )
            self._thread.start()
        assert self._opened is not None  # made with the thread
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            raise
        except BaseException:
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            raise

    async def end(self) -> None:
        """Store what is being put, close the file and end the thread; see `Outbox.stop`."""
        thread = self._thread
        if thread is None:
            return
        with self._ready:
            self._stopping = True
            ended = self._ended
            if ended is None and not self._over:
                ended = self._ended = asyncio.get_running_loop().create_future()
            self._ready.notify()
        if ended is not None:
            await asyncio.shield(ended)
        thread.join()
        self._thread = None

    def put(self, puts: Sequence[Put]) -> None:
        """Have messages stored, in order.

        Raises:
            UpstreamError: the thread does not run.
        """
        with self._ready:
            if self._thread is None or self._stopping:
                raise UpstreamError("the outbox is not started", retryable=False)
            self._puts.extend(puts)
            self._ready.notify()

    def call(self, call: Call) -> None:
        """Have something done, after the messages that were put before.

        Raises:
            UpstreamError: the thread does not run, and somebody waits.
        """
        with self._ready:
            gone = self._thread is None or (self._stopping and call.done is not None)
            if not gone:
                self._calls.append(call)
                self._ready.notify()
        if gone and call.done is not None:
            raise UpstreamError("the outbox is not started", retryable=False)

    # From here on, everything runs on the thread.

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            self._open()
        except BaseException as error:
            self._lock.free()
            _settle([(opened, None, error)])
        else:
            self._publish()
            _settle([(opened, None, None)])
            self._serve()
        with self._ready:
            self._over = True
            ended = self._ended
        if ended is not None:
            _settle([(ended, None, None)])

    def _open(self) -> None:
        try:
            if self._path.is_dir():
                raise ConfigurationError(f"the outbox {self._path} is a folder")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.take()
            self._keeper.open()
        except (OSError, sqlite3.Error) as error:
            text = f"the outbox {self._path} cannot be opened: {_reason(error)}"
            if isinstance(error, OSError) and error.errno in _NEVER:
                raise ConfigurationError(text) from error
            raise UpstreamError(text, retryable=True) from error
        except ConfigurationError:
            raise
        except ValueError as error:  # a zero byte in the path
            raise ConfigurationError(f"{str(self._path)!r} is no path: {error}") from error

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            calls, stopping = self._wait()
            try:
                self._step(calls, stopping)
            except Exception as error:  # a mistake of ours; nobody must wait for ever
                _log.exception("the outbox failed")
                self._fail(calls, UpstreamError(f"the outbox failed: {error}", retryable=True))
        with self._ready:
            calls = list(self._calls)
            self._calls.clear()
        for call in calls:
            if call.done is None:
                call.work()
        self._fail(calls, UpstreamError("the outbox has stopped", retryable=False))
        try:
            self._keeper.close()
        except sqlite3.Error as error:
            _log.warning("the outbox %s did not close: %s", self._path, error)
        self._publish()
        self._lock.free()

    def _wait(self) -> tuple[list[Call], bool]:
        """Wait until there is something to do; return the calls, and whether it is the end."""
        with self._ready:
            if not self._calls and not self._stopping and (self._blocked or not self._puts):
                self._ready.wait(self._patience_s())
            calls = list(self._calls)
            self._calls.clear()
            return calls, self._stopping

    def _patience_s(self) -> float | None:
        if self._keeper.removals and self._keeper.opened:
            return max(0.0, min(_TICK_S, self._remove_s - self._monotonic()))
        if self._untidy:
            return max(0.0, self._tidy_s - self._monotonic())
        return _TICK_S if self._keeper.waiting or self._puts or not self._keeper.opened else None

    def _step(self, calls: Sequence[Call], stopping: bool) -> None:
        had = self._keeper.removals
        for call in calls:
            if call.done is None:
                call.work()
        if self._keeper.removals and not had:
            self._untidy = True
            self._remove_s = self._monotonic() + _REMOVE_AFTER_S
        self._attempt(partial(self._tend, stopping))
        self._store()
        answers: list[_Outcome] = []
        for call in calls:
            if call.done is not None:
                answers.append((call.done, *self._attempt(call.work)))
        self._publish()
        _settle(answers)

    def _tend(self, stopping: bool) -> None:
        """Delete what is done with when it is time, and tidy up while nobody waits."""
        keeper, now_s = self._keeper, self._monotonic()
        if self._puts and not self._blocked:
            return  # it is deleted together with what is stored now
        if keeper.removals >= _REMOVALS or stopping or self._blocked or now_s >= self._remove_s:
            keeper.settle()
        if now_s >= self._tidy_s or self._blocked:
            self._untidy = keeper.tidy()
            self._tidy_s = now_s + (0.0 if self._untidy else _TICK_S)

    def _store(self) -> None:
        """Commit the messages that were put, group by group, as far as there is room."""
        self._blocked = False
        while self._puts and not self._blocked:
            group = self._group()
            if not group:
                continue
            messages = [(put.message, put.overhead_bytes) for put in group]
            outcomes, error = self._attempt(partial(self._keeper.add, messages))
            if error is not None or outcomes is None:
                self._refuse(group, error)
            else:
                self._recover()
                self._settle_group(group, outcomes)

    def _group(self) -> list[Put]:
        group: list[Put] = []
        size = 0
        with self._ready:
            while self._puts and len(group) < _GROUP_MESSAGES and size < _GROUP_BYTES:
                put = self._puts.popleft()
                if not put.done.cancelled():
                    group.append(put)
                    size += len(put.message.encode())
        return group

    def _settle_group(self, group: list[Put], outcomes: Sequence[str]) -> None:
        settled: list[_Outcome] = []
        left: list[Put] = []
        for put, outcome in zip(group, outcomes, strict=True):
            if outcome == "wait":
                left.append(put)
            else:
                settled.append((put.done, outcome != "dropped", None))
        if left and not settled and self._when_full == "drop oldest":
            error = UpstreamError(
                f"the outbox {self._path} is full of packets that are on their way", retryable=True
            )
            settled = [(put.done, None, error) for put in left]
            left = []
        with self._ready:
            self._puts.extendleft(reversed(left))
            self._blocked = bool(left) and self._when_full == "block"
        self._publish()
        _settle(settled, self.listener if "stored" in outcomes else None)

    def _refuse(self, group: list[Put], error: UpstreamError | None) -> None:
        """Give a group back that could not be stored; on a full disk as the policy says."""
        if self._when_full == "drop newest" and error is not None and _is_full(error.__cause__):
            self._keeper.drop_new(len(group), "no space")
            error = None
        self._publish()
        _settle([(put.done, False, error) for put in group])

    def _fail(self, calls: Sequence[Call], error: UpstreamError) -> None:
        with self._ready:
            puts = list(self._puts)
            self._puts.clear()
        failed: list[_Outcome] = [(put.done, None, error) for put in puts]
        failed += [(call.done, None, error) for call in calls if call.done is not None]
        _settle(failed)

    def _attempt(self, work: Callable[[], _T]) -> tuple[_T | None, UpstreamError | None]:
        """Do ``work``, once more where that helps; return its result or what kept it."""
        made_room = False
        replaced = 0
        while True:
            try:
                if not self._keeper.opened:
                    self._reopen()
                return work(), None
            except (sqlite3.Error, OSError) as error:
                if is_damage(error) and replaced < _REPLACEMENTS:
                    replaced += 1
                    if self._replace(error):
                        continue
                elif _is_full(error) and not made_room:
                    made_room = True
                    if self._make_room():
                        continue
                elif not _is_full(error) and self._keeper.opened:
                    # Whether the last transaction is in the file is not known; look at it again.
                    self._keeper.abandon()
                    self._reopen_s = self._monotonic() + _REOPEN_AFTER_S
                return None, self._complain(error)

    def _reopen(self) -> None:
        if self._monotonic() < self._reopen_s:
            raise sqlite3.OperationalError("it is closed after an error")
        self._reopen_s = self._monotonic() + _REOPEN_AFTER_S
        self._keeper.open()

    def _replace(self, error: Exception) -> bool:
        try:
            self._keeper.replace(error)
        except (sqlite3.Error, OSError) as reason:
            self._keeper.abandon()
            self._complain(reason)
            return False
        return True

    def _make_room(self) -> bool:
        """Try to go on with the room that a full disk has left."""
        try:
            return self._when_full == "drop oldest" and self._keeper.make_room()
        except sqlite3.Error:
            return False

    def _complain(self, error: Exception) -> UpstreamError:
        """Return ``error`` as ours; log the first of its kind until all is well again."""
        reason = _reason(error)
        self._detail = f"the outbox {self._path} cannot be used: {reason}"
        if reason not in self._complaints:
            self._complaints.add(reason)
            _log.error("%s; trying again", self._detail)
        ours = UpstreamError(self._detail, retryable=True)
        ours.__cause__ = error
        return ours

    def _recover(self) -> None:
        if self._complaints:
            _log.info("the outbox %s takes messages again", self._path)
            self._complaints.clear()
        self._detail = ""

    def _publish(self) -> None:
        with self._ready:
            blocked = len(self._puts) if self._blocked else 0
        now = self._keeper.statistics()
        self.statistics = replace(now, blocked=blocked, detail=self._detail)


_Outcome = tuple["asyncio.Future[Any]", Any, "BaseException | None"]


def _is_full(error: BaseException | None) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def _settle(
    outcomes: Sequence[_Outcome],
    listener: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None,
) -> None:
    """Give futures their results from the outbox's thread, and tell the listener."""

    def settle(of_loop: list[_Outcome], callback: Callable[[], None] | None) -> None:
        for future, value, error in of_loop:
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
        if callback is not None:
            callback()

    loops = {future.get_loop() for future, _, _ in outcomes}
    if listener is not None:
        loops.add(listener[0])
    for loop in loops:
        of_loop = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        callback = listener[1] if listener is not None and listener[0] is loop else None
        try:
            loop.call_soon_threadsafe(settle, of_loop, callback)
        except RuntimeError:
            _log.debug("the event loop that waited for the outbox is closed")


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
