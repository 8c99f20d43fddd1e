"""A 1080p motion job on the CPU: edgevision.cv in an arena beside bare cv2, and the cost of a call.

The job: BGR to gray, resize to 960x540, Gaussian 5x5, MOG2, threshold, opening and closing with a
5x5 ellipse, count. The bare loop is written as people write it, without dst; the third side is
written by someone who gives every call its own dst.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import Arena

Image = NDArray[Any]
Job = Callable[[Image], int]

ROUNDS = 15
FRAMES = 20
CALLS_A_FRAME = 10
TIMED_FRAMES = 1000
KERNEL = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def frames() -> list[Image]:
    """A noisy 1080p picture with a bright square that moves."""
    random = np.random.default_rng(1)
    ground = random.integers(40, 90, (1080, 1920, 3), np.uint8)
    made = []
    for index in range(FRAMES):
        image = cv2.add(ground, random.integers(0, 8, ground.shape, np.uint8))
        image[400:640, 100 + 60 * index : 260 + 60 * index] = 220
        made.append(image)
    return made


def bare() -> Job:
    model = cv2.createBackgroundSubtractorMOG2()

    def job(image: Image) -> int:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        small = cv2.resize(gray, (960, 540))
        soft = cv2.GaussianBlur(small, (5, 5), 0)
        mask = model.apply(soft)
        _, mask = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, KERNEL)
        return cv2.countNonZero(mask)

    return job


def with_dst() -> Job:
    model = cv2.createBackgroundSubtractorMOG2()
    gray, small, soft, mask, sharp, opened, closed = (None,) * 7

    def job(image: Image) -> int:
        nonlocal gray, small, soft, mask, sharp, opened, closed
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, gray)
        small = cv2.resize(gray, (960, 540), small)
        soft = cv2.GaussianBlur(small, (5, 5), 0, soft)
        mask = model.apply(soft, mask)
        _, sharp = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY, sharp)
        opened = cv2.morphologyEx(sharp, cv2.MORPH_OPEN, KERNEL, opened)
        closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, KERNEL, closed)
        return cv2.countNonZero(closed)

    return job


def edgevision() -> Job:
    model = cv.createBackgroundSubtractorMOG2()
    arena = Arena()

    def stage(image: Image) -> int:
        gray = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
        small = cv.resize(gray, (960, 540))
        soft = cv.GaussianBlur(small, (5, 5), 0)
        mask = model.apply(soft)
        _, mask = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)
        mask = cv.morphologyEx(mask, cv2.MORPH_OPEN, KERNEL)
        mask = cv.morphologyEx(mask, cv2.MORPH_CLOSE, KERNEL)
        return cv.countNonZero(mask)

    def job(image: Image) -> int:
        token = arenas.enter(arena)
        try:
            return stage(image)
        finally:
            arenas.leave(token)
            arena.release()

    return job


def frames_per_second(job: Job, images: Sequence[Image]) -> tuple[float, list[int]]:
    begun_s = time.perf_counter()
    counts = [job(image) for image in images]
    return len(images) / (time.perf_counter() - begun_s), counts


def nanoseconds(call: Callable[[], object]) -> float:
    begun_ns = time.perf_counter_ns()
    for _ in range(TIMED_FRAMES):
        call()
    return (time.perf_counter_ns() - begun_ns) / TIMED_FRAMES / CALLS_A_FRAME


def overheads() -> dict[str, float]:
    """Nanoseconds of a call with a picture so small that its pixels cost nothing."""
    tiny = np.zeros((4, 6), np.uint8)
    own = np.zeros((4, 6), np.uint8)
    arena = Arena()

    def frame(function: Callable[..., object], *dst: Image) -> Callable[[], None]:
        def run() -> None:
            for _ in range(CALLS_A_FRAME):
                function(tiny, *dst)
            arena.release()

        return run

    sides = {
        "cv2": frame(cv2.bitwise_not),
        "cv2_dst": frame(cv2.bitwise_not, own),
        "cv": frame(cv.bitwise_not),
        "cv_arena": frame(cv.bitwise_not),
    }
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, call in sides.items():
            token = arenas.enter(arena if name == "cv_arena" else None)
            measured[name].append(nanoseconds(call))
            arenas.leave(token)
    return {name: statistics.median(values) for name, values in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    options = parser.parse_args()
    images = frames()
    sides = {"bare": bare(), "edgevision": edgevision(), "with_dst": with_dst()}
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
        counts = set()
        for name in sorted(sides, reverse=bool(number % 2)):
            rate, found = frames_per_second(sides[name], images)
            counts.add(tuple(found))
            if number:  # the first round fills the caches and the models
                measured[name].append(rate)
        if len(counts) != 1:
            raise SystemExit("the sides do not agree on what moved")
    median = {name: statistics.median(values) for name, values in measured.items()}
    ratio = median["edgevision"] / median["bare"]
    cost = overheads()
    print(f"bare cv2                {median['bare']:7.1f} frames/s")
    print(f"cv2 with dst by hand    {median['with_dst']:7.1f} frames/s")
    print(f"edgevision.cv, arena    {median['edgevision']:7.1f} frames/s")
    print(f"edgevision to bare      {ratio:7.3f}")
    outside, inside = cost["cv"] - cost["cv2"], cost["cv_arena"] - cost["cv2"]
    print(f"a call above cv2's own: {outside:.0f} ns outside a pipeline, {inside:.0f} ns within")
    print(f"cv2's own call: {cost['cv2']:.0f} ns, {cost['cv2_dst']:.0f} ns with dst")
    result = {
        "bare_fps": median["bare"],
        "with_dst_fps": median["with_dst"],
        "edgevision_fps": median["edgevision"],
        "ratio": ratio,
        "call_outside_ns": outside,
        "call_within_ns": inside,
        "cv2_call_ns": cost["cv2"],
        "cv2_call_dst_ns": cost["cv2_dst"],
        "rounds": ROUNDS,
    }
    line = json.dumps({name: round(value, 4) for name, value in result.items()})
    print(line)
    if options.json:
        options.json.write_text(line + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
