"""Savant's background job on CUDA: blur, MOG2, copy and two compositions of 720p, against a loop.

The job of Savant's sample opencv_cuda_bg_remover_mog2: of 1280x720 RGBA a Gaussian 9x9 with sigma
2, MOG2, a copy of what moves, and two alpha compositions. Frames come as BGR in page-locked memory,
so both sides upload and convert them first. Savant publishes 1,033 to 1,053 frames/s for an RTX
A4000, decoding included. Needs a CUDA device.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2

from edgevision import Frame, Stage, cv
from tests.benchmarks import _cuda as common

__all__: list[str] = []

ROUNDS = 5
SECONDS = 0.8
SIZE_WH = (1280, 720)
OVER = 0  # cv2.cuda.ALPHA_OVER, which a build without CUDA lacks

cuda: Any = cv2.cuda


class Removes(Stage):
    """The job."""

    def start(self) -> None:
        self.background = cv.createBackgroundSubtractorMOG2()

    def process(self, frame: Frame) -> None:
        image = cv.cvtColor(frame.image, cv2.COLOR_BGR2RGBA)
        soft = cv.GaussianBlur(image, (9, 9), 2)
        moving = cv.copyTo(image, self.background.apply(soft))
        cv.alphaComp(cv.alphaComp(moving, soft, OVER), image, OVER)


def bare(ring: list[Any], seconds: float) -> float:
    """The same in one loop of cv2.cuda, with everything made once."""
    for array in ring:
        cuda.registerPageLocked(array)
    upload, work = cuda.Stream(1), cuda.Stream(1)
    flag = cuda.Event_DISABLE_TIMING
    uploaded, done = [cuda.Event(flag) for _ in ring], [cuda.Event(flag) for _ in ring]
    width, height = SIZE_WH
    mats = [cv2.cuda.GpuMat(height, width, cv2.CV_8UC3) for _ in ring]
    image, soft, moving, first, second = (
        cv2.cuda.GpuMat(height, width, cv2.CV_8UC4) for _ in range(5)
    )
    mask = cv2.cuda.GpuMat(height, width, cv2.CV_8UC1)
    model = cuda.createBackgroundSubtractorMOG2()
    gaussian = cuda.createGaussianFilter(cv2.CV_8UC4, cv2.CV_8UC4, (9, 9), 2)

    def step(number: int) -> None:
        slot = number % len(ring)
        if number >= len(ring):
            uploaded[slot].waitForCompletion()
            upload.waitEvent(done[slot])
        mats[slot].upload(ring[slot], upload)
        uploaded[slot].record(upload)
        work.waitEvent(uploaded[slot])
        cuda.cvtColor(mats[slot], cv2.COLOR_BGR2RGBA, image, 0, work)
        gaussian.apply(image, soft, work)
        model.apply(soft, -1, work, mask)
        moving.setTo((0, 0, 0, 0), work)
        image.copyTo(mask, work, moving)
        cuda.alphaComp(moving, soft, OVER, first, work)
        cuda.alphaComp(first, image, OVER, second, work)
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
    """Measure the sides in turn and print their ratio."""
    ring = common.frames(SIZE_WH)
    sides = {
        "cv2.cuda in a loop": partial(bare, ring, SECONDS),
        "edgevision, one thread": partial(common.lane_rate, [Removes], ring, SECONDS),
        "edgevision, runner": partial(common.runner_rate, [Removes], ring, 1, SECONDS),
    }
    median = common.report("cuda_savant", common.medians(sides, ROUNDS))
    loop = median["cv2.cuda in a loop"]
    print(f"one thread is {median['edgevision, one thread'] / loop:.3f} of the loop")
    print(f"the runner is {median['edgevision, runner'] / loop:.3f} of the loop")


if __name__ == "__main__":
    main()
