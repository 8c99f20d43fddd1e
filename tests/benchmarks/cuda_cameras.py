"""Cameras on CUDA: the motion job as a stage against a hand-tuned loop, and 1 to 32 cameras.

1080p frames that are in page-locked memory already. The stage runs in the whole runner, with its
threads, queues, books and event loop; the hand-tuned loop is that of cuda_motion.py. Needs a CUDA
device. With a folder in EDGEVISION_CHARTS the chart is written there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2

from edgevision import Frame, Stage, cv
from tests.benchmarks import _cuda as common
from tests.benchmarks.cuda_motion import ELLIPSE, HALF_WH, SIZE_WH, hand_tuned, rate

__all__: list[str] = []

ROUNDS = 3
SECONDS = 0.8
CAMERAS = (1, 2, 4, 8, 16, 32)


class Motion(Stage):
    """The motion job."""

    def start(self) -> None:
        self.background = cv.createBackgroundSubtractorMOG2()

    def process(self, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        small = cv.resize(gray, HALF_WH)
        mask = self.background.apply(cv.GaussianBlur(small, (5, 5), 0))
        mask = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        mask = cv.morphologyEx(mask, cv2.MORPH_OPEN, ELLIPSE)
        mask = cv.morphologyEx(mask, cv2.MORPH_CLOSE, ELLIPSE)
        frame.fetch(mask, lambda array: frame.values.update(moving=cv2.countNonZero(array)))


class Plain(Stage):
    """The same without the morphology, which is most of the device's work."""

    def start(self) -> None:
        self.background = cv.createBackgroundSubtractorMOG2()

    def process(self, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        small = cv.resize(gray, HALF_WH)
        mask = self.background.apply(cv.GaussianBlur(small, (5, 5), 0))
        mask = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        frame.fetch(mask, lambda array: frame.values.update(moving=cv2.countNonZero(array)))


def main() -> None:
    """Measure all sides in turn, then the number of cameras."""
    ring = common.frames(SIZE_WH)

    def by_hand() -> float:
        with hand_tuned(ring) as step:
            for number in range(64):
                step(number)
            return rate(step, 64)[0]

    sides: dict[str, Callable[[], float]] = {
        "hand-tuned loop": by_hand,
        "one camera, one thread": partial(common.lane_rate, [Motion], ring, SECONDS),
        "one camera, runner": partial(common.runner_rate, [Motion], ring, 1, SECONDS),
        "four cameras, no morphology": partial(common.runner_rate, [Plain], ring, 4, SECONDS),
        "uploads alone": partial(common.upload_limit, SIZE_WH, SECONDS),
    }
    median = common.report("cuda_cameras", common.medians(sides, ROUNDS))
    hand, bus = median["hand-tuned loop"], median["uploads alone"]
    print(f"one thread is {median['one camera, one thread'] / hand:.3f} of hand-tuned")
    print(f"the runner is {median['one camera, runner'] / hand:.3f} of hand-tuned")
    print(f"four cameras are {median['four cameras, no morphology'] / bus:.3f} of the bus")
    found = {
        "motion": [(n, common.runner_rate([Motion], ring, n, SECONDS)) for n in CAMERAS],
        "no morphology": [(n, common.runner_rate([Plain], ring, n, SECONDS)) for n in CAMERAS],
    }
    for name, points in found.items():
        common.report("cuda_cameras", {f"{name}, {n} cameras": [value] for n, value in points})
    if folder := os.environ.get("EDGEVISION_CHARTS"):
        text = common.svg("All cameras together, 1080p, frames/s", "cameras", found)
        Path(folder, "cuda-cameras.svg").write_text(text)


if __name__ == "__main__":
    main()
