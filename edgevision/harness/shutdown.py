"""An end in time: a module that was told to stop is gone before it is killed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable

__all__ = ["LIMIT_S", "ShutdownGuard"]

_log = logging.getLogger("edgevision.module")

LIMIT_S = 7.5
"""Docker kills a container ten seconds after SIGTERM; edgeAgent gives no other time."""


class ShutdownGuard:
    """Ends the process when an orderly end takes too long, also one that hangs in an exit handler.

    What was published is in the outbox by then, so nothing is lost by it.

    Args:
        limit_s: how long the end may take.
        end: ends the process with an exit status.
    """

    def __init__(self, limit_s: float = LIMIT_S, end: Callable[[int], object] = os._exit) -> None:
        self._limit_s = limit_s
        self._end = end
        self._disarmed = threading.Event()
        self._thread: threading.Thread | None = None
        self.code = 0
        """The exit status of a forced end."""

    def arm(self) -> None:
        """Begin to count; harmless when it does so already."""
        if self._thread is None:
            # A daemon: it is there to the end, and does not keep the process.
            self._thread = threading.Thread(target=self._wait, name="shutdown", daemon=True)
            self._thread.start()

    def disarm(self) -> None:
        """Stop counting; for a process that goes on."""
        self._disarmed.set()
        if self._thread is not None:
            self._thread.join()

    def _wait(self) -> None:
        if not self._disarmed.wait(self._limit_s):
            try:
                _log.warning("not everything has ended within %g s; ending now", self._limit_s)
                for handler in logging.getLogger().handlers:
                    # A closed standard error must not keep the process.
                    with contextlib.suppress(OSError, ValueError):
                        handler.flush()
            finally:
                self._end(self.code)
