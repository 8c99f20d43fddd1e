"""An event loop on a thread of its own, with calls into it that block."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["LoopThread"]

_Value = TypeVar("_Value")


class LoopThread:
    """Runs an event loop; every public method may be called from any other thread.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """True between `start` and `stop`."""
        return self._thread is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop.

        Raises:
            RuntimeError: it is not started.
        """
        if self._loop is None:
            raise RuntimeError(
                f"{self._name} is not running: use it in a with block, or start() it"
            )
        return self._loop

    def start(self) -> None:
        """Start the thread; returns once the loop runs."""
        if self._thread is not None:
            raise RuntimeError(f"{self._name} is running already")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        self.call(lambda: None)

    def stop(self) -> None:
        """Cancel what still runs, end the loop and wait for the thread; harmless when stopped."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._refuse_own_thread()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        self._loop = self._thread = None

    def call(self, function: Callable[[], _Value], timeout_s: float = 10.0) -> _Value:
        """Call ``function`` on the loop's thread and return what it returns.

        Raises:
            TimeoutError: the loop was too busy for ``timeout_s``.
            RuntimeError: it is not running, or this is the loop's own thread.
        """

        async def called() -> _Value:
            return function()

        return self.run(called(), timeout_s)

    def run(self, work: Coroutine[Any, Any, _Value], timeout_s: float | None = 10.0) -> _Value:
        """Run a coroutine on the loop and return its result; it is cancelled at the time limit.

        Raises:
            TimeoutError: it took longer than ``timeout_s``.
            RuntimeError: the loop is not running, or this is the loop's own thread.
        """
        try:
            self._refuse_own_thread()
            loop = self.loop
        except RuntimeError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError as error:
            if future.done():  # the coroutine's own
                raise
            future.cancel()
            raise TimeoutError(f"{self._name} did not answer within {timeout_s} s") from error

    def _refuse_own_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError(f"a call that blocks on {self._name}, from its own thread")

    def _run(self) -> None:
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            # What was closed a moment ago is closed in the next rounds of the loop.
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
