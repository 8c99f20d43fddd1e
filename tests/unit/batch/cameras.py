"""Batch stages to test with, and cameras that send frames from threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from edgevision import BatchStage, Frame, Param, Pipeline

TIMEOUT_S = 20.0


class Mean(BatchStage):
    """Mean brightness times a factor; remembers what was called on whom."""

    factor: float = Param(1.0, help="may differ from camera to camera")
    offset: float = Param(0.0, live=False)

    calls: list[tuple[str, int]] = []  # cleared by `calls_of`

    def start(self) -> None:
        self.calls.append(("start", id(self)))
        self.sizes: list[list[str]] = []

    def process_batch(self, frames: Sequence[Frame]) -> None:
        self.sizes.append([frame.camera for frame in frames])
        for frame in frames:
            own = self.of(frame)
            frame.values["mean"] = float(frame.image.mean()) * own.factor + self.offset

    def stop(self) -> None:
        self.calls.append(("stop", id(self)))


def frame(value: int = 10, camera: str = "camera", size_wh: tuple[int, int] = (8, 6)) -> Frame:
    width, height = size_wh
    return Frame(np.full((height, width, 3), value, np.uint8), camera=camera)


class Cameras:
    """Started pipelines, each with a worker thread of its own."""

    def __init__(self, pipelines: dict[str, Pipeline], workers: ThreadPoolExecutor) -> None:
        self.pipelines = pipelines
        self._workers = workers

    def send(self, camera: str, value: int = 10) -> Future[Any]:
        """Send a frame; the future has the frame, or what was raised."""

        def run() -> Frame:
            sent = frame(value, camera)
            dropped = self.pipelines[camera].process(sent)
            if dropped is not None:
                sent.values["dropped"] = dropped
            return sent

        return self._workers.submit(run)

    def call(self, function: Any, *arguments: Any) -> Future[Any]:
        return self._workers.submit(function, *arguments)

    def stage(self, camera: str) -> Any:
        return self.pipelines[camera].stages[0]

    def waiting(self, camera: str) -> int:
        """How many frames wait in the group of this camera."""
        return len(self.stage(camera)._member.group._waiting)

    def until_waiting(self, camera: str, count: int) -> None:
        """Return when so many frames wait."""
        pause = threading.Event()
        for _ in range(int(TIMEOUT_S / 0.001)):
            if self.waiting(camera) == count:
                return
            pause.wait(0.001)
        raise AssertionError(f"{count} frames never waited")


@contextmanager
def cameras(stages: dict[str, Any], **options: Any) -> Iterator[Cameras]:
    """Start a pipeline of one stage for each camera; stop them at the end."""
    pipelines = {name: Pipeline([s], camera=name, **options) for name, s in stages.items()}
    with ExitStack() as stack:
        workers = stack.enter_context(ThreadPoolExecutor(len(stages) + 1))
        for pipeline in pipelines.values():
            stack.enter_context(pipeline)
        yield Cameras(pipelines, workers)
