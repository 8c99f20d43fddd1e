"""The motion job at 1080p: as tutorials write it, hand-tuned, and in the words of edgevision.cv.

The job: upload 1080p BGR, gray, half size, Gaussian 5x5, MOG2, threshold, opening and closing with
an ellipse of 5x5, download of the mask, count of its pixels on the CPU. Needs a CUDA device.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2
import numpy as np

from edgevision import arena as arenas
from edgevision import cv
from edgevision.cuda import DeviceArena, Fence, PinnedPool, cuda_stream, open_stream, require

__all__: list[str] = []

ROUNDS = 5
RING = 8
SECONDS = 1.0
SIZE_WH = (1920, 1080)
HALF_WH = (960, 540)

cuda: Any = cv2.cuda
ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
Step = Callable[[int], None]


def frames() -> list[np.ndarray]:
    """A ring of noisy frames in which a square moves."""
    random = np.random.default_rng(1)
    ground = random.integers(0, 200, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    ring = []
    for number in range(RING):
        image = ground.copy()
        image[300:420, 100 + 80 * number : 220 + 80 * number] = 255
        ring.append(image)
    return ring


@contextmanager
def tutorial(ring: list[np.ndarray]) -> Iterator[Step]:
    """New GpuMats and filters for each frame, the default stream, pageable memory."""
    model = cuda.createBackgroundSubtractorMOG2()

    def step(number: int) -> None:
        mat = cv2.cuda.GpuMat()
        mat.upload(ring[number % RING])
        gray = cuda.cvtColor(mat, cv2.COLOR_BGR2GRAY)
        small = cuda.resize(gray, HALF_WH)
        smooth = cuda.createGaussianFilter(cv2.CV_8UC1, cv2.CV_8UC1, (5, 5), 0).apply(small)
        mask = model.apply(smooth, -1, cuda.Stream.Null())
        _, mask = cuda.threshold(mask, 200, 255, cv2.THRESH_BINARY)
        opening = cuda.createMorphologyFilter(cv2.MORPH_OPEN, cv2.CV_8UC1, ELLIPSE)
        closing = cuda.createMorphologyFilter(cv2.MORPH_CLOSE, cv2.CV_8UC1, ELLIPSE)
        cv2.countNonZero(closing.apply(opening.apply(mask)).download())

    yield step


@contextmanager
def hand_tuned(ring: list[np.ndarray]) -> Iterator[Step]:
    """Everything made once; two frames in flight, each with its buffers; page-locked memory."""
    pinned = [np.ascontiguousarray(image) for image in ring]
    masks = [np.zeros((HALF_WH[1], HALF_WH[0]), np.uint8) for _ in range(2)]
    for array in (*pinned, *masks):
        cuda.registerPageLocked(array)
    upload, work = cuda.Stream(1), cuda.Stream(1)
    flag = cuda.Event_DISABLE_TIMING
    uploaded, done = [cuda.Event(flag) for _ in "ab"], [cuda.Event(flag) for _ in "ab"]
    mats = [cv2.cuda.GpuMat(SIZE_WH[1], SIZE_WH[0], cv2.CV_8UC3) for _ in "ab"]
    gray = cv2.cuda.GpuMat(SIZE_WH[1], SIZE_WH[0], cv2.CV_8UC1)
    small, smooth, mask, clean, opened, closed = (
        cv2.cuda.GpuMat(HALF_WH[1], HALF_WH[0], cv2.CV_8UC1) for _ in range(6)
    )
    model = cuda.createBackgroundSubtractorMOG2()
    gaussian = cuda.createGaussianFilter(cv2.CV_8UC1, cv2.CV_8UC1, (5, 5), 0)
    opening = cuda.createMorphologyFilter(cv2.MORPH_OPEN, cv2.CV_8UC1, ELLIPSE)
    closing = cuda.createMorphologyFilter(cv2.MORPH_CLOSE, cv2.CV_8UC1, ELLIPSE)

    def step(number: int) -> None:
        slot = number % 2
        mat = mats[slot]
        if number >= 2:
            done[slot].waitForCompletion()
            cv2.countNonZero(masks[slot])
        mat.upload(pinned[number % RING], upload)
        uploaded[slot].record(upload)
        work.waitEvent(uploaded[slot])
        cuda.cvtColor(mat, cv2.COLOR_BGR2GRAY, gray, 0, work)
        cuda.resize(gray, HALF_WH, small, 0, 0, cv2.INTER_LINEAR, work)
        gaussian.apply(small, smooth, work)
        model.apply(smooth, -1, work, mask)
        cuda.threshold(mask, 200, 255, cv2.THRESH_BINARY, clean, work)
        opening.apply(clean, opened, work)
        closing.apply(opened, closed, work)
        closed.download(work, masks[slot])
        done[slot].record(work)

    try:
        yield step
    finally:
        work.waitForCompletion()
        for array in (*pinned, *masks):
            cuda.unregisterPageLocked(array)


def motion(image: Any, background: Any) -> Any:
    """The job in the words of edgevision.cv; the same for an array."""
    gray = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv.resize(gray, HALF_WH)
    mask = background.apply(cv.GaussianBlur(small, (5, 5), 0))
    _, mask = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)
    mask = cv.morphologyEx(mask, cv2.MORPH_OPEN, ELLIPSE)
    return cv.morphologyEx(mask, cv2.MORPH_CLOSE, ELLIPSE)


@contextmanager
def plain(ring: list[np.ndarray]) -> Iterator[Step]:
    """`motion` in an arena; page-locked frames, two in flight."""
    background = cv.createBackgroundSubtractorMOG2()
    upload, work = open_stream(), open_stream()
    uploaded, done = [Fence(), Fence()], [Fence(), Fence()]
    with PinnedPool() as pool:
        pinned = [pool.take(image.shape) for image in ring]
        for array, image in zip(pinned, ring, strict=True):
            array[:] = image
        masks = [pool.take((HALF_WH[1], HALF_WH[0])) for _ in "ab"]
        mats = [cv2.cuda.GpuMat(SIZE_WH[1], SIZE_WH[0], cv2.CV_8UC3) for _ in "ab"]
        arena = DeviceArena()

        def step(number: int) -> None:
            slot = number % 2
            if number >= 2:
                done[slot].block()
                cv2.countNonZero(masks[slot])
            mats[slot].upload(pinned[number % RING], upload)
            uploaded[slot].set(upload)
            uploaded[slot].wait(work)
            motion(mats[slot], background).download(work, masks[slot])
            done[slot].set(work)
            arena.release()

        token = arenas.enter(arena)
        try:
            with cuda_stream.use(work):
                yield step
        finally:
            work.waitForCompletion()
            arenas.leave(token)


@contextmanager
def on_the_cpu(ring: list[np.ndarray]) -> Iterator[Step]:
    """`motion` on arrays."""
    background = cv.createBackgroundSubtractorMOG2()
    arena = arenas.Arena()
    token = arenas.enter(arena)

    def step(number: int) -> None:
        cv2.countNonZero(motion(ring[number % RING], background))
        arena.release()

    yield step
    arenas.leave(token)


def rate(step: Step, first: int) -> tuple[float, int]:
    """Frames per second over `SECONDS`, and the number of the next frame."""
    number = first
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < SECONDS:
        for _ in range(16):
            step(number)
            number += 1
    return (number - first) / passed, number


def main() -> None:
    """Run all sides in turn and print their medians and ratios."""
    card = require().name
    ring = frames()
    sides = {"tutorial": tutorial, "hand-tuned": hand_tuned, "edgevision": plain, "cpu": on_the_cpu}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS):
        for name, side in sides.items():
            with side(ring) as step:
                at = 0
                for at in range(64):
                    step(at)
                found, _ = rate(step, at + 1)
            rates[name].append(found)
        print(f"round {number + 1} of {ROUNDS}", flush=True)
    median = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{card}, OpenCV {cv2.__version__}, Python {platform.python_version()}, 1080p")
    for name, value in median.items():
        low, high = min(rates[name]), max(rates[name])
        print(f"{name:>12}: {value:8.0f} frames/s ({low:.0f} to {high:.0f})")
    against_hand = median["edgevision"] / median["hand-tuned"]
    against_tutorial = median["edgevision"] / median["tutorial"]
    print(f"edgevision is {against_hand:.3f} of hand-tuned, {against_tutorial:.2f} of tutorial")
    result = {"benchmark": "cuda_motion", "card": card, "frames_per_s": median}
    print(json.dumps({**result, "hand": against_hand, "tutorial": against_tutorial}))


if __name__ == "__main__":
    main()
