"""What a BatchStage costs a frame: one camera beside a plain stage, and cameras that share it.

A stage that does nothing, as a Stage and as a BatchStage, in a pipeline on one thread, in processor
time; then two, four and eight cameras on a thread each that send frames as fast as they can, by the
clock.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from edgevision import BatchStage, Frame, Pipeline, Stage

__all__: list[str] = []

ROUNDS = 5
FRAMES = 20_000
SHARED_FRAMES = 3_000
PICTURE = np.zeros((48, 64, 3), np.uint8)


class Plain(Stage):
    """Does nothing."""

    def process(self, frame: Frame) -> None: ...


class Batched(BatchStage):
    """Does nothing to several frames."""

    def process_batch(self, frames: Sequence[Frame]) -> None: ...


def alone_us(kind: type[Stage]) -> float:
    """Return microseconds of processor time a frame of one camera."""
    with Pipeline([kind]) as pipeline:
        begun_s = time.process_time()
        for _ in range(FRAMES):
            pipeline.process(Frame(PICTURE))
        return (time.process_time() - begun_s) / FRAMES * 1e6


def shared_us(cameras: int) -> tuple[float, float]:
    """Return microseconds a frame of each of several cameras, and the mean size of a batch."""
    together = threading.Barrier(cameras + 1)

    def run(pipeline: Pipeline) -> None:
        together.wait()
        for _ in range(SHARED_FRAMES):
            pipeline.process(Frame(PICTURE))

    with ExitStack() as stack:
        pipelines = [
            stack.enter_context(Pipeline([Batched], camera=str(number)))
            for number in range(cameras)
        ]
        threads = [threading.Thread(target=run, args=(pipeline,)) for pipeline in pipelines]
        for thread in threads:
            thread.start()
        together.wait()
        begun_s = time.perf_counter()
        for thread in threads:
            thread.join()
        taken_s = time.perf_counter() - begun_s
        shared: Any = pipelines[0].stages[0]
        return taken_s / (SHARED_FRAMES * cameras) * 1e6, shared.batches.mean_size


def main() -> None:
    """Measure all in turn, and print medians."""
    alone: dict[str, list[float]] = {"Stage": [], "BatchStage": []}
    shared: dict[int, list[tuple[float, float]]] = {2: [], 4: [], 8: []}
    for number in range(1, ROUNDS + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {ROUNDS} ", end="", file=sys.stderr)
        alone["Stage"].append(alone_us(Plain))
        alone["BatchStage"].append(alone_us(Batched))
        for cameras, values in shared.items():
            values.append(shared_us(cameras))
    middle = {name: round(statistics.median(values), 2) for name, values in alone.items()}
    for name, us in middle.items():
        print(f"one camera, {name:11} {us:8.2f} us a frame")
    print(f"a BatchStage adds {middle['BatchStage'] - middle['Stage']:.2f} us")
    rows = {}
    for cameras, values in shared.items():
        us = statistics.median(value for value, _ in values)
        size = statistics.median(size for _, size in values)
        rows[str(cameras)] = {"us": round(us, 1), "batch": round(size, 2)}
        print(f"{cameras} cameras share it: {us:8.1f} us a frame, {size:.2f} frames a batch")
    print(json.dumps({"benchmark": "batch_stage", **middle, "cameras": rows}))


if __name__ == "__main__":
    main()
