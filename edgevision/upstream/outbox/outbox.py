"""Messages on disk until the hub has them: what coroutines see of the outbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.bounds import Bounds
from edgevision.upstream.outbox.keeper import Keeper
from edgevision.upstream.outbox.packet import (
    DropReason,
    OutboxStatistics,
    StoredPacket,
    Taken,
    WhenFull,
)
from edgevision.upstream.outbox.store import MIN_BYTES
from edgevision.upstream.outbox.wire import WireLimit
from edgevision.upstream.outbox.worker import Call, Put, Worker

__all__ = ["Outbox"]


class Outbox:
    """Stores messages in a SQLite file and hands them out until they are done with.

    Everything that touches the file happens on one thread of the outbox's own; the methods run on
    the event loop and never block it. What many coroutines put at the same time is committed
    together.

    A message that `put` has taken survives the death of the process and, with ``fsync``, a power
    cut. It is handed out at least once, in the order of the calls within a camera. A file that is
    corrupt is set aside, what can be read of it is kept, and the outbox goes on.

    Args:
        path: of the file; its folder is made.
        limit: how large a packet may be.
        max_bytes: most bytes on the disk, log and indexes included; at least 4 MiB.
        max_age_s: messages older than this are dropped.
        when_full: what happens to a message for which there is no room.
        fsync: wait until the disk has each group of messages.
        batching: when several messages share a packet; default never.
        keep_corrupt: how many corrupt files are kept.
        monotonic: monotonic seconds.
        wall: UTC seconds since 1970.

    Raises:
        ConfigurationError: ``max_bytes`` is too small, or another bound makes no sense.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        limit: WireLimit,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        max_age_s: float = 7 * 86_400.0,
        when_full: WhenFull = "drop oldest",
        fsync: bool = True,
        batching: Batching | None = None,
        keep_corrupt: int = 1,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if max_bytes < MIN_BYTES:
            raise ConfigurationError(
                f"an outbox needs max_bytes of at least {MIN_BYTES:,}, got {max_bytes:,}"
            )
        if when_full not in ("drop oldest", "drop newest", "block"):
            raise ConfigurationError(
                f"when_full must be 'drop oldest', 'drop newest' or 'block', got {when_full!r}"
            )
        if not max_age_s > 0:
            raise ConfigurationError(f"max_age_s must be above 0, got {max_age_s}")
        bounds = Bounds(
            Path(path),
            max_bytes,
            max_age_s,
            when_full,
            fsync,
            batching or Batching(),
            limit.max_bytes,
            keep_corrupt,
        )
        self._limit = limit
        self._keeper = Keeper(bounds, monotonic=monotonic, wall=wall)
        self._worker = Worker(self._keeper, bounds.path, when_full, monotonic=monotonic)
        self._oversize = 0

    async def start(self) -> None:
        """Open the file and start the thread; harmless when started.

        A caller that stops waiting may call again; opening goes on meanwhile.

        Raises:
            ConfigurationError: the file can never be written, or another process uses it.
            UpstreamError: it cannot be opened now, such as on a full disk.
        """
        await self._worker.begin()

    async def stop(self) -> None:
        """Store what is being put, close the file and end the thread; harmless when stopped.

        Whoever still waits for room gets an error.
        """
        await self._worker.end()

    async def put(self, message: Message) -> bool:
        """Store ``message``; return once the file has it. One id is stored once.

        A caller that is cancelled may have its message stored still.

        Returns:
            False if it was dropped, under ``drop newest``.

        Raises:
            UpstreamError: not retryable: it is larger than the hub takes (names camera and stage),
                or the outbox is not started. Retryable: the disk is full or fails.
        """
        return (await self.put_all([message]))[0]

    async def put_all(self, messages: Sequence[Message]) -> list[bool]:
        """Store several messages, in order, with as few waits for the disk as possible.

        Returns:
            As of `put`, for each.

        Raises:
            UpstreamError: as of `put`, for the first that failed; the others may be stored.
        """
        loop = asyncio.get_running_loop()
        puts: list[Put] = []
        refusal: UpstreamError | None = None
        for message in messages:
            try:
                self._limit.check(message)
            except UpstreamError as error:
                self._oversize += 1
                refusal = refusal or error
            else:
                puts.append(Put(message, self._limit.overhead(message), loop.create_future()))
        self._worker.put(puts)
        try:
            if len(puts) > 1:
                await asyncio.wait([put.done for put in puts])
            stored = [await put.done for put in puts]
        finally:
            for put in puts:
                # One that still waits for room is given up; one that failed beside another is not
                # reported twice.
                if not put.done.cancel() and not put.done.cancelled():
                    put.done.exception()
        if refusal is not None:
            raise refusal
        return stored

    def listen(self, callback: Callable[[], None] | None) -> None:
        """Have ``callback`` called on this event loop whenever messages were stored; None: stop."""
        loop = asyncio.get_running_loop()
        self._worker.listener = None if callback is None else (loop, callback)

    async def take(
        self, limit: int, skip: Collection[tuple[str, bool]] = (), *, flush: bool = False
    ) -> Taken:
        """Hand out up to ``limit`` packets, each once, fairly from camera to camera.

        Args:
            limit: most packets.
            skip: streams (`StoredPacket.stream`) of which none is wanted.
            flush: hand out batches that have not waited for long enough, too.

        Raises:
            UpstreamError: the file cannot be read now.
        """
        taken: Taken = await self._call(lambda: self._keeper.take(limit, skip, flush=flush))
        return taken

    async def rewind(self, *, part: bool = False) -> None:
        """Hand out everything again that is not done with, each packet as it was.

        Args:
            part: what is there now is backlog, what comes is live; from each camera the two are
                handed out side by side, each in its order.

        Raises:
            UpstreamError: the file cannot be read now.
        """
        await self._call(lambda: self._keeper.rewind(part=part))

    async def split(self, packet: StoredPacket) -> None:
        """Make a packet of its own of each message of ``packet``.

        They are handed out next, and after them the later packets of the camera once more.

        Raises:
            UpstreamError: the file cannot be written now.
        """
        await self._call(lambda: self._keeper.split(packet))

    def done(self, packet: StoredPacket) -> None:
        """Delete a packet that the hub has acknowledged, a moment later."""
        self._worker.call(Call(lambda: self._keeper.done(packet)))

    def discard(self, packet: StoredPacket, reason: DropReason) -> None:
        """Delete a packet that will not be delivered, and count why."""
        self._worker.call(Call(lambda: self._keeper.discard(packet, reason)))

    def expired(self, packet: StoredPacket) -> bool:
        """Tell whether a packet has waited for longer than ``max_age_s``."""
        return self._keeper.expired(packet)

    def statistics(self) -> OutboxStatistics:
        """Return the counters as of the last time the file was touched."""
        return replace(self._worker.statistics, oversize=self._oversize)

    async def _call(self, work: Callable[[], Any]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._worker.call(Call(work, done))
        return await done
