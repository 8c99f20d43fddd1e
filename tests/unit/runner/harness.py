"""What the runner's tests share: a runner to look at while it runs, and stages that obey."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision import Frame, Stage
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.runner.ledger import Accounts
from edgevision.testing.scripted import ScriptedSource

SIZE_HW = (48, 64)


def picture(value: int = 0, size_hw: tuple[int, int] = SIZE_HW) -> NDArray[np.uint8]:
    """One colour, (H, W, 3) uint8."""
    return np.full((*size_hw, 3), value, np.uint8)


def camera(source: ScriptedSource, stages: Sequence[Any] = (), **options: Any) -> CameraSpec:
    """A camera that plays ``source`` with short waits."""
    options = {"first_retry_s": 0.02, "longest_retry_s": 0.1, **options}
    return CameraSpec(options.pop("name", "door"), lambda: source, stages, **options)


@asynccontextmanager
async def running(
    *specs: CameraSpec, results: list[Result] | None = None, **options: Any
) -> AsyncIterator[Runner]:
    """A started runner that is stopped at the end."""
    on_result = None if results is None else results.append
    runner = Runner(specs, on_result=on_result, **options)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def until(predicate: Callable[[], bool], what: str = "it", timeout_s: float = 10.0) -> None:
    """Wait until ``predicate()`` holds, or fail saying ``what`` did not happen."""
    deadline_s = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what} did not happen within {timeout_s} s")
        await asyncio.sleep(0.002)


def accounts(runner: Runner, name: str = "door") -> Accounts:
    """The camera's books, checked for balance."""
    books = runner.cameras[name].ledger.snapshot()
    assert books.captured == books.processed + sum(books.dropped.values()) + books.in_flight
    assert min(books.queued, books.working, books.delivering) >= 0
    return books


class Gate(Stage):
    """Holds each frame until it is let through; remembers the sequence numbers it saw."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.seen: list[int] = []
        self.opened = threading.Event()

    def process(self, frame: Frame) -> None:
        self.entered.release()
        while not self.opened.is_set() and not self.permits.acquire(timeout=0.01):
            continue
        self.seen.append(frame.sequence)

    def open(self) -> None:
        """Let everything through from now on."""
        self.opened.set()
