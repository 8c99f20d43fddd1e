"""A thread with an event loop of its own, for one client of azure-iot-device.

The SDK's calls block: a handler's setter until the hub has confirmed a subscription, a shutdown
until threads have ended. Each of its "async" calls also goes through the default executor of the
loop that it is awaited on, where it waits behind whatever else is there and may be overtaken. Here
such a call runs at once on the loop's own thread, so calls keep their order and nobody else waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["ClientThread"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Loop(asyncio.SelectorEventLoop):
    """Runs what is meant for the default executor at once; that blocks this loop alone."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _Calls:
    """Calls on their way to a loop, which is woken once for all that wait; a wake is not cheap."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._woken = False

    def put(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        # First in, then the look at the flag; `_run` does it the other way round. So nothing that
        # is put in is left there.
        self._waiting.append((function, args))
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._run)
            except RuntimeError:
                self._woken = False
                self._waiting.clear()
                raise

    def _run(self) -> None:
        self._woken = False
        while self._waiting:
            function, args = self._waiting.popleft()
            try:
                function(*args)
            except Exception:
                _log.exception("in a call between the threads of a client")


class ClientThread:
    """Runs coroutines one beside the other on a daemon thread; made and used on an event loop.

    A thread that hangs in the SDK is left behind; a daemon does not keep the process.
    """

    def __init__(self, name: str) -> None:
        self._owner = asyncio.get_running_loop()
        self._ended = self._owner.create_future()
        self._stopping = False
        self._loop = _Loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._loop.set_exception_handler(_note)
        self._in = _Calls(self._loop)
        self._out = _Calls(self._owner)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            # One round, so that the cancelled tasks end.
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()
            self._loop.close()
            self.tell(self._ended.set_result, None)

    def tell(self, function: Callable[..., object], *args: object) -> None:
        """Call ``function`` on the loop that made this, from any thread, if it still runs."""
        try:
            self._out.put(function, args)
        except RuntimeError:  # it is closed: nobody waits any more
            _log.debug("the event loop that used %s is closed", self._thread.name)

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Call ``function`` on the thread; returns at once.

        Raises:
            RuntimeError: the thread has ended.
        """
        self._in.put(function, args)

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Run ``work`` as a task; to be called on the thread."""
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself does not keep it
        task.add_done_callback(self._tasks.discard)

    async def call(self, work: Callable[[], Coroutine[Any, Any, _T]], timeout_s: float) -> _T:
        """Run ``work()`` on the thread and return its result.

        Raises:
            asyncio.TimeoutError: it took longer than ``timeout_s``; what it began may still
                come about.
            ConnectionAbortedError: the thread has ended, before or meanwhile.
        """
        begun = _begin(work)
        try:
            future = asyncio.run_coroutine_threadsafe(begun, self._loop)
        except RuntimeError as error:
            begun.close()
            raise ConnectionAbortedError("the client has ended") from error
        result = asyncio.wrap_future(future)
        try:
            await asyncio.wait([result], timeout=timeout_s)
        finally:
            # Of a caller that was cancelled, or lost patience; no more than a look otherwise.
            finished = result.done()
            future.cancel()
        if not finished:
            raise asyncio.TimeoutError
        if result.cancelled():
            # By the end of the thread. As a cancellation it would end the caller's task.
            raise ConnectionAbortedError("the client was closed meanwhile")
        return result.result()

    def stop(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run ``work()``, however long it takes, and end the thread then; returns at once."""
        if not self._stopping:
            self._stopping = True
            self.post(self.start, self._finish(work))

    async def _finish(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            await work()
        finally:
            self._loop.stop()

    async def ended(self, timeout_s: float) -> bool:
        """Wait for the end of the thread; return False if it has not come in time."""
        await asyncio.wait([self._ended], timeout=timeout_s)
        if not self._ended.done():
            return False
        self._thread.join()
        return True


async def _begin(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    # ``work`` is called here, so that what it does before its first await is on the thread too.
    return await work()


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # The SDK sets results of futures whose waiters have gone, which asyncio reports as errors.
    _log.debug("in a client of azure-iot-device: %s", context.get("message"))
