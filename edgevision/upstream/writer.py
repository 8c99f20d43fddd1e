"""Write messages off the event loop: one thread, in order, in batches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from edgevision.errors import UpstreamError
from edgevision.upstream.message import Message

__all__ = ["Destination", "Writer"]

_log = logging.getLogger("edgevision.upstream")

_MAX_BATCH = 256


class Destination(Protocol):
    """Where a `Writer` writes to. Every method is called on the writer's thread."""

    def open(self) -> None:
        """Open; what it raises comes out of `Writer.start`."""

    def write(self, messages: Sequence[Message]) -> tuple[int, UpstreamError | None]:
        """Write and flush; return how many were taken and what kept the others from it."""

    def close(self) -> None:
        """Close; called after each `open` that succeeded."""


class Writer:
    """A thread that writes what coroutines hand over, as many at once as are waiting.

    Args:
        name: of the upstream, for messages and for the thread.
        destination: where to write.
    """

    def __init__(self, name: str, destination: Destination) -> None:
        self._name = name
        self._destination = destination
        self._ready = threading.Condition()
        self._waiting: deque[tuple[Message, asyncio.Future[None]]] = deque()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None
        self._over = False

    async def start(self) -> None:
        """Start the thread and open the destination; harmless when started."""
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._stopping = self._over = False
        self._ended = None
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name=f"edgevision-{self._name}", daemon=True
        )
        self._thread.start()
        try:
            await asyncio.shield(opened)
        except asyncio.CancelledError:
            opened.add_done_callback(_ignore)  # nobody waits for its exception any more
            raise
        except BaseException:
            self._thread.join()
            self._thread = None
            raise

    async def send(self, message: Message) -> None:
        """Return once ``message`` is written; a caller that is cancelled may have it written still.

        Raises:
            UpstreamError: it was not, or the writer is not started.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._ready:
            if self._thread is None or self._stopping:
                raise UpstreamError(f"upstream {self._name} is not started", retryable=False)
            self._waiting.append((message, done))
            self._ready.notify()
        await done

    async def stop(self) -> None:
        """Write what is waiting, close the destination and end the thread."""
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

    def _run(self, opened: asyncio.Future[None]) -> None:
        try:
            self._destination.open()
        except BaseException as error:
            _settle([(opened, error)])
        else:
            _settle([(opened, None)])
            self._serve()
        with self._ready:
            self._over = True
            ended = self._ended
        if ended is not None:
            _settle([(ended, None)])

    def _serve(self) -> None:
        while batch := self._take():
            self._write(batch)
        try:
            self._destination.close()
        except OSError as error:
            _log.warning("upstream %s did not close: %s", self._name, error)

    def _take(self) -> list[tuple[Message, asyncio.Future[None]]]:
        """Wait for messages; return nothing when stopped and all are written."""
        with self._ready:
            while True:
                batch: list[tuple[Message, asyncio.Future[None]]] = []
                while self._waiting and len(batch) < _MAX_BATCH:
                    entry = self._waiting.popleft()
                    if not entry[1].cancelled():
                        batch.append(entry)
                if batch or self._stopping:
                    return batch
                self._ready.wait()

    def _write(self, batch: list[tuple[Message, asyncio.Future[None]]]) -> None:
        try:
            taken, error = self._destination.write([message for message, _ in batch])
        except Exception as unexpected:
            _log.exception("upstream %s failed", self._name)
            taken = 0
            error = UpstreamError(f"upstream {self._name} failed: {unexpected}", retryable=False)
            error.__cause__ = unexpected
        _settle(
            [
                (done, None if position < taken else error)
                for position, (_, done) in enumerate(batch)
            ]
        )


def _settle(outcomes: list[tuple[asyncio.Future[None], BaseException | None]]) -> None:
    """Give futures their results from another thread, except those nobody waits for any more."""

    def settle(of_loop: list[tuple[asyncio.Future[None], BaseException | None]]) -> None:
        for future, error in of_loop:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    loops = {future.get_loop() for future, _ in outcomes}
    for loop in loops:
        of_loop = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        try:
            loop.call_soon_threadsafe(settle, of_loop)
        except RuntimeError:
            _log.debug("the event loop that waited for an upstream is closed")


def _ignore(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
