"""Call the hooks of a stage, those that are ``async def`` on an event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from edgevision.errors import ConfigurationError

__all__ = ["Caller"]

# The loop cancels a hook that takes too long; this is for a loop that does nothing any more.
_GRACE_S = 1.0


class Caller:
    """Calls hooks from one thread, and waits for those that are ``async def``.

    Args:
        loop: a loop that runs on another thread; None makes a private one, which runs only while a
            hook is waited for.
        timeout_s: an ``async def`` hook that takes longer is cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._own_loop: asyncio.AbstractEventLoop | None = None

    def plain(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``hook`` as something that is called without ``await``."""
        if not inspect.iscoroutinefunction(hook):
            return hook
        return functools.partial(self._wait_for, hook)

    def call(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``hook`` and return what it returns.

        Raises:
            TimeoutError: an ``async def`` hook took too long, and was cancelled.
            ConfigurationError: waiting here would keep the hook's own loop from running.
            Exception: whatever the hook raises.
        """
        return self.plain(hook)(*arguments)

    def close(self) -> None:
        """End what the hooks left running on the private loop, and close it."""
        loop, self._own_loop = self._own_loop, None
        if loop is None:
            return
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks, timeout=_GRACE_S))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    def _wait_for(self, hook: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> Any:
        here = _running_loop()
        if here is not None and (self._loop is None or self._loop is here):
            raise ConfigurationError(
                "an async hook cannot be waited for on the thread of a running event loop: call "
                "the pipeline's methods with asyncio.to_thread"
            )
        if self._loop is None:
            if self._own_loop is None:
                self._own_loop = asyncio.new_event_loop()
            return self._own_loop.run_until_complete(self._limited(hook, arguments))
        future = asyncio.run_coroutine_threadsafe(self._limited(hook, arguments), self._loop)
        try:
            return future.result(self._timeout_s + _GRACE_S)
        # Before Python 3.11 this is no builtin TimeoutError.
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise self._too_long() from None
        except concurrent.futures.CancelledError:
            raise RuntimeError("it was cancelled") from None

    async def _limited(
        self, hook: Callable[..., Coroutine[Any, Any, Any]], arguments: tuple[Any, ...]
    ) -> Any:
        task = asyncio.ensure_future(hook(*arguments))
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task}, timeout=_GRACE_S / 2)
            raise self._too_long()
        if task.cancelled():
            # CancelledError is no Exception: it would end the worker thread.
            raise RuntimeError("it was cancelled")
        return task.result()

    def _too_long(self) -> TimeoutError:
        return TimeoutError(f"it did not return within {self._timeout_s:g} s, and was cancelled")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
