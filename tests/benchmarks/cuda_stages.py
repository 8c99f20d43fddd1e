"""Stages on CUDA: frames per second of one camera against the number of its stages, 1 to 12.

Each stage blurs the picture, 960x540 gray, which the first has made; 1080p frames that are in
page-locked memory already. The other side is cv2.cuda in one loop, with everything made once. Needs
a CUDA device. With a folder in EDGEVISION_CHARTS the chart is written there.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2

from edgevision import Frame, Stage, cv
from tests.benchmarks import _cuda as common
from tests.benchmarks.cuda_motion import HALF_WH, SIZE_WH

__all__: list[str] = []

SECONDS = 0.6
STAGES = (1, 2, 4, 6, 8, 10, 12)

cuda: Any = cv2.cuda


class Halves(Stage):
    """Gray, at half the size."""

    def process(self, frame: Frame) -> None:
        frame.image = cv.resize(cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), HALF_WH)


class Blurs(Stage):
    """A little softer."""

    def process(self, frame: Frame) -> None:
        frame.image = cv.GaussianBlur(frame.image, (5, 5), 0)


def bare(count: int, ring: list[Any], seconds: float) -> float:
    """The same operations in one loop of cv2.cuda, uploads on a stream of their own."""
    for array in ring:
        cuda.registerPageLocked(array)
    upload, work = cuda.Stream(1), cuda.Stream(1)
    flag = cuda.Event_DISABLE_TIMING
    uploaded, done = [cuda.Event(flag) for _ in ring], [cuda.Event(flag) for _ in ring]
    mats = [cv2.cuda.GpuMat(SIZE_WH[1], SIZE_WH[0], cv2.CV_8UC3) for _ in ring]
    gray = cv2.cuda.GpuMat(SIZE_WH[1], SIZE_WH[0], cv2.CV_8UC1)
    images = [cv2.cuda.GpuMat(HALF_WH[1], HALF_WH[0], cv2.CV_8UC1) for _ in range(count)]
    gaussian = cuda.createGaussianFilter(cv2.CV_8UC1, cv2.CV_8UC1, (5, 5), 0)

    def step(number: int) -> None:
        slot = number % len(ring)
        if number >= len(ring):
            uploaded[slot].waitForCompletion()
            upload.waitEvent(done[slot])
        mats[slot].upload(ring[slot], upload)
        uploaded[slot].record(upload)
        work.waitEvent(uploaded[slot])
        cuda.cvtColor(mats[slot], cv2.COLOR_BGR2GRAY, gray, 0, work)
        cuda.resize(gray, HALF_WH, images[0], 0, 0, cv2.INTER_LINEAR, work)
        for before, after in pairwise(images):
            gaussian.apply(before, after, work)
        done[slot].record(work)

    for number in range(64):
        step(number)
    number, begun_s = 64, time.perf_counter()
    while time.perf_counter() - begun_s < seconds:
        for _ in range(16):
            step(number)
            number += 1
    rate = (number - 64) / (time.perf_counter() - begun_s)
    work.waitForCompletion()
    for array in ring:
        cuda.unregisterPageLocked(array)
    return rate


def main() -> None:
    """Measure both sides in turn for each number of stages."""
    ring = common.frames(SIZE_WH)
    found: dict[str, list[tuple[float, float]]] = {"cv2.cuda in a loop": [], "edgevision": []}
    for count in STAGES:
        stages = [Halves, *[Blurs] * (count - 1)]
        ours = common.runner_rate(stages, ring, 1, SECONDS)
        theirs = bare(count, ring, SECONDS)
        found["edgevision"].append((count, ours))
        found["cv2.cuda in a loop"].append((count, theirs))
        rates = {f"edgevision, {count} stages": [ours], f"cv2.cuda, {count} stages": [theirs]}
        common.report("cuda_stages", rates, ratio=ours / theirs)
    if folder := os.environ.get("EDGEVISION_CHARTS"):
        text = common.svg("One camera, 1080p, frames/s", "stages", found)
        Path(folder, "cuda-stages.svg").write_text(text)


if __name__ == "__main__":
    main()
