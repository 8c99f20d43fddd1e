"""The second queue: results on their way from a worker thread to the event loop.

This is the one place where a camera's threads and asyncio meet.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from queue import SimpleQueue

from edgevision.result import Result
from edgevision.runner.ledger import Ledger
from edgevision.runner.spec import Policy

__all__ = ["Outlet"]

# Results that follow each other within this time are looked for after a pause, or when half the
# queue is full.
_FREQUENT_S = 0.001
_PAUSE_S = 0.001


class Outlet:
    """A bounded queue with a thread at one end and the event loop at the other.

    Args:
        loop: the event loop at the receiving end.
        size: results that may wait.
        policy: ``wait`` makes `put` wait for room, ``latest`` drops the oldest result.
        ledger: told of results that are dropped.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, size: int, policy: Policy, ledger: Ledger
    ) -> None:
        self._loop = loop
        self._policy = policy
        self._size = size
        self._ledger = ledger
        self._results: deque[Result] = deque()
        # One token for each free place: SimpleQueue waits in C, a Semaphore in Python.
        self._room: SimpleQueue[bool] = SimpleQueue()
        for _ in range(size):
            self._room.put(True)
        self._lock = threading.Lock()
        # With so many results the receiver wants to be woken; 0: it is awake.
        self._wake_at = 0
        self._closed = False
        self._ready = asyncio.Event()
        self._frequent = False
        self._taken_s = 0.0

    def __len__(self) -> int:
        return len(self._results)

    def put(self, result: Result) -> None:
        """Hand over a result, on the worker thread; waits for room under ``wait``.

        After `close` the result is dropped as ``stopped``.
        """
        if self._policy == "wait":
            self._room.get()
        with self._lock:
            if self._closed:
                self._ledger.drop_delivering("stopped")
                return
            if self._policy == "latest" and len(self._results) >= self._size:
                self._results.popleft()
                self._ledger.drop_delivering("upstream")
            self._results.append(result)
            wake = 0 < self._wake_at <= len(self._results)
            if wake:
                self._wake_at = 0
        # Only a receiver that waits is woken: the call costs a system call.
        if wake:
            self._loop.call_soon_threadsafe(self._ready.set)

    async def get(self) -> Result | None:
        """Return the next result, on the event loop; None when closed and empty."""
        while True:
            with self._lock:
                if self._results:
                    if self._policy == "wait":
                        self._room.put(True)
                    now_s = self._loop.time()
                    self._frequent = now_s - self._taken_s < _FREQUENT_S
                    self._taken_s = now_s
                    self._wake_at = 0
                    return self._results.popleft()
                if self._closed:
                    return None
                frequent, self._frequent = self._frequent, False
                self._wake_at = max(1, self._size // 2) if frequent else 1
                self._ready.clear()
            if frequent:
                # Woken for each of thousands a second, the loop would keep taking the interpreter
                # from the threads that make them.
                self._loop.call_later(_PAUSE_S, self._ready.set)
            await self._ready.wait()

    def close(self) -> None:
        """Take no more results; those that wait can still be received. On the event loop."""
        with self._lock:
            self._closed = True
        # A worker that waits for room finds the outlet closed.
        self._room.put(True)
        self._ready.set()

    def discard(self) -> None:
        """Drop the results that wait, as ``stopped``."""
        with self._lock:
            while self._results:
                self._results.popleft()
                self._ledger.drop_delivering("stopped")
