"""What the CUDA benchmarks share: cameras whose pictures cost nothing, and how they are counted."""

from __future__ import annotations

import asyncio
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cuda import require
from edgevision.cuda.lane import Lane
from edgevision.frame import Frame
from edgevision.pipeline import Pipeline
from edgevision.runner import CameraSpec, Runner
from edgevision.slot import Slot
from edgevision.sources.source import Source

__all__ = [
    "Ring",
    "counted",
    "frames",
    "lane_rate",
    "medians",
    "report",
    "runner_rate",
    "svg",
    "upload_limit",
]

_WARM_FRAMES = 100
_LONGEST_START_S = 30.0


def frames(size_wh: tuple[int, int], count: int = 8) -> list[NDArray[np.uint8]]:
    """A ring of noisy pictures in which a square moves."""
    random = np.random.default_rng(1)
    width, height = size_wh
    ground = random.integers(0, 200, (height, width, 3), np.uint8)
    ring = []
    for number in range(count):
        image = ground.copy()
        left = width // 20 + number * width // 24
        image[height // 4 : height // 3, left : left + width // 16] = 255
        ring.append(image)
    return ring


class Ring(Source):
    """Fills each slot once, and from then on delivers what is in it already.

    That is what a decoder that writes into the slot delivers, without its work.
    """

    live = False
    uri = "ring:"

    def __init__(self, ring: list[NDArray[np.uint8]]) -> None:
        self._ring = ring
        self._filled = 0

    def open(self) -> None: ...

    def read(self, slot: Slot) -> bool:
        if slot.image is None:
            slot.image = self._ring[self._filled % len(self._ring)]
            self._filled += 1
        return True

    def close(self) -> None: ...


def runner_rate(
    stages: Sequence[Any], ring: list[NDArray[np.uint8]], cameras: int, seconds: float
) -> float:
    """Frames per second of all cameras together, capture threads, workers and event loop."""

    async def run() -> float:
        specs = [
            CameraSpec(f"cam{n}", partial(Ring, ring), stages, policy="wait", device="cuda")
            for n in range(cameras)
        ]
        runner = Runner(specs)
        await runner.start()
        try:
            return await counted(runner, seconds)
        finally:
            await runner.stop()

    return asyncio.run(run())


async def counted(runner: Runner, seconds: float) -> float:
    """Frames per second that all cameras of a running runner deliver."""

    def processed() -> int:
        return sum(c.ledger.snapshot().processed for c in runner.cameras.values())

    # Page-locking the slots takes milliseconds each, and holds up the whole device meanwhile.
    deadline_s = time.monotonic() + _LONGEST_START_S
    while min(c.ledger.snapshot().processed for c in runner.cameras.values()) < _WARM_FRAMES:
        if time.monotonic() > deadline_s or runner.failures:
            raise RuntimeError(f"the cameras do not run: {runner.failures}")
        await asyncio.sleep(0.02)
    begun_s, before = time.perf_counter(), processed()
    await asyncio.sleep(seconds)
    return (processed() - before) / (time.perf_counter() - begun_s)


def lane_rate(stages: Sequence[Any], ring: list[NDArray[np.uint8]], seconds: float) -> float:
    """Frames per second of one thread that does what capture and worker do for one camera."""
    lane = Lane(0, frames=len(ring))
    slots = [Slot() for _ in ring]
    flying: Frame | None = None
    number = 0

    def step() -> None:
        nonlocal flying, number
        slot = slots[number % len(slots)]
        number += 1
        lane.prepare(slot)
        if slot.image is None:
            slot.image = ring[number % len(ring)]
        lane.send(slot)
        frame = Frame(slot.image, gpu=lane.receive(slot))
        pipeline.launch(frame)
        pipeline.release(frame)
        lane.finish(slot)
        if flying is not None:
            pipeline.settle(flying)
        flying = frame

    with Pipeline(stages, lane=lane) as pipeline:
        for _ in range(48):
            step()
        before, begun_s = number, time.perf_counter()
        while time.perf_counter() - begun_s < seconds:
            for _ in range(16):
                step()
        rate = (number - before) / (time.perf_counter() - begun_s)
        if flying is not None:
            pipeline.settle(flying)
    lane.close()
    return rate


def upload_limit(size_wh: tuple[int, int], seconds: float) -> float:
    """Uploads of page-locked frames per second, and nothing else: the bus."""
    cuda: Any = cv2.cuda
    arrays = [np.zeros((size_wh[1], size_wh[0], 3), np.uint8) for _ in range(4)]
    for array in arrays:
        cuda.registerPageLocked(array)
    mats = [cv2.cuda.GpuMat(size_wh[1], size_wh[0], cv2.CV_8UC3) for _ in arrays]
    stream = cuda.Stream(1)
    count, begun_s = 0, time.perf_counter()
    while time.perf_counter() - begun_s < seconds:
        for mat, array in zip(mats, arrays, strict=True):
            mat.upload(array, stream)
        count += len(mats)
        stream.waitForCompletion()
    rate = count / (time.perf_counter() - begun_s)
    for array in arrays:
        cuda.unregisterPageLocked(array)
    return rate


def medians(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run all sides in turn, several times, and return the rates of each."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
        print(f"round {number + 1} of {rounds}", flush=True)
    return found


def report(benchmark: str, rates: dict[str, list[float]], **more: Any) -> dict[str, float]:
    """Print the medians for people and as JSON, and return them."""
    median = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{require().name}, OpenCV {cv2.__version__}, Python {platform.python_version()}")
    for name, value in median.items():
        low, high = min(rates[name]), max(rates[name])
        print(f"{name:>36}: {value:8.0f} frames/s ({low:.0f} to {high:.0f})")
    card = require().name
    print(json.dumps({"benchmark": benchmark, "card": card, "frames_per_s": median, **more}))
    return median


def svg(title: str, x_label: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a chart of frames per second as SVG."""
    width, height, left, bottom, top = 640, 320, 64, 44, 36
    points = [point for line in lines.values() for point in line]
    most_x, most_y = max(x for x, _ in points), 1.1 * max(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (width - left - 24) * x / most_x
        return across, height - bottom - (height - bottom - top) * y / most_y

    colors = ("#0b6e99", "#b5521b", "#4d7a2a", "#7a3d8f")
    style = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="20" font-size="14">{title}</text>',
        f'<text x="{width / 2:.0f}" y="{height - 8}" text-anchor="middle">{x_label}</text>',
    ]
    step = 10 ** (len(str(int(most_y))) - 1)
    step = step if most_y / step >= 3 else step // 2
    for value in range(0, int(most_y) + 1, step):
        y = place(0, value)[1]
        parts.append(
            f'<path d="M{left} {y:.1f}H{width - 24}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,}</text>'
        )
    for x in sorted({x for x, _ in points}):
        parts.append(
            f'<text x="{place(x, 0)[0]:.1f}" y="{height - bottom + 16}" '
            f'text-anchor="middle">{x:g}</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        color = colors[number % len(colors)]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in (place(x, y) for x, y in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(
            f'<text x="{width - 28}" y="{20 + 15 * number}" text-anchor="end" '
            f'fill="{color}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
