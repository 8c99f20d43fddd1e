"""Each operation on CUDA: edgevision.cv beside the bare cv2.cuda call, and the CPU.

Back to back on one stream at 960x540 (1080p where the name says so). The bare side has its filters
made and its results allocated beforehand. Needs a CUDA device.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2
import numpy as np

from edgevision import arena as arenas
from edgevision import cv
from edgevision.cuda import DeviceArena, cuda_stream, open_stream, require

__all__: list[str] = []

ROUNDS = 7
CALLS = 300
WIDTH, HEIGHT = 960, 540

cuda: Any = cv2.cuda
Job = Callable[[], Any]


def mat(image: np.ndarray) -> Any:
    made = cv2.cuda.GpuMat()
    made.upload(image)
    return made


def jobs(stream: Any) -> dict[str, tuple[Job, Job, Job]]:
    """By name: the bare call, that of edgevision.cv, the CPU's."""
    random = np.random.default_rng(1)
    big = random.integers(0, 255, (1080, 1920, 3), np.uint8)
    gray1080 = np.ascontiguousarray(big[..., 0])
    gray = random.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    other = random.integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    binary = (gray > 128).astype(np.uint8) * 255
    dbig, d1080, dgray, dother, dbinary = map(mat, (big, gray1080, gray, other, binary))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    box = np.ones((5, 5), np.uint8)
    kind = cv2.CV_8UC1

    def out(source: Any = dgray, type: int = kind) -> Any:
        return cv2.cuda.GpuMat(source.size(), type)

    morph = cuda.createMorphologyFilter
    made = {
        "gaussian": cuda.createGaussianFilter(kind, kind, (5, 5), 0),
        "box": cuda.createBoxFilter(kind, kind, (5, 5)),
        "sobel": cuda.createSobelFilter(kind, cv2.CV_16S, 1, 0),
        "dilate": morph(cv2.MORPH_DILATE, kind, box),
        "ellipse": morph(cv2.MORPH_DILATE, kind, ellipse),
        "open": morph(cv2.MORPH_OPEN, kind, box),
        "open ellipse": morph(cv2.MORPH_OPEN, kind, ellipse),
        "close 9x9": morph(cv2.MORPH_CLOSE, kind, np.ones((9, 9), np.uint8)),
        "median 3x3": cuda.createMedianFilter(kind, 3),
        "median 5x5": cuda.createMedianFilter(kind, 5),
        "median 9x9": cuda.createMedianFilter(kind, 9),
        "canny": cuda.createCannyEdgeDetector(60, 150),
    }
    bare_model, model, host = (
        cuda.createBackgroundSubtractorMOG2(),
        cv.createBackgroundSubtractorMOG2(),
        cv2.createBackgroundSubtractorMOG2(),
    )
    results = [out() for _ in range(18)]
    warp = np.array([[0.9, 0.1, 3.0], [-0.1, 1.1, -2.0]])
    size_wh = (WIDTH, HEIGHT)
    linear = cv2.INTER_LINEAR
    block = np.ones((9, 9), np.uint8)
    smooth = cv2.GaussianBlur(gray, (0, 0), 5)
    dsmooth = mat(smooth)
    half, signed = out(), out(type=cv2.CV_16SC1)
    full = out(d1080)
    return {
        "cvtColor 1080p": (
            lambda: cuda.cvtColor(dbig, cv2.COLOR_BGR2GRAY, full, 0, stream),
            lambda: cv.cvtColor(dbig, cv2.COLOR_BGR2GRAY),
            lambda: cv2.cvtColor(big, cv2.COLOR_BGR2GRAY),
        ),
        "resize 1080p to half": (
            lambda: cuda.resize(d1080, (WIDTH, HEIGHT), half, 0, 0, cv2.INTER_LINEAR, stream),
            lambda: cv.resize(d1080, (WIDTH, HEIGHT)),
            lambda: cv2.resize(gray1080, (WIDTH, HEIGHT)),
        ),
        "GaussianBlur 5x5": (
            lambda: made["gaussian"].apply(dgray, results[0], stream),
            lambda: cv.GaussianBlur(dgray, (5, 5), 0),
            lambda: cv2.GaussianBlur(gray, (5, 5), 0),
        ),
        "blur 5x5": (
            lambda: made["box"].apply(dgray, results[1], stream),
            lambda: cv.blur(dgray, (5, 5)),
            lambda: cv2.blur(gray, (5, 5)),
        ),
        "Sobel": (
            lambda: made["sobel"].apply(dgray, signed, stream),
            lambda: cv.Sobel(dgray, cv2.CV_16S, 1, 0),
            lambda: cv2.Sobel(gray, cv2.CV_16S, 1, 0),
        ),
        "MOG2": (
            lambda: bare_model.apply(dgray, -1, stream, results[2]),
            lambda: model.apply(dgray),
            lambda: host.apply(gray),
        ),
        "threshold": (
            lambda: cuda.threshold(dgray, 99, 255, cv2.THRESH_BINARY, results[3], stream),
            lambda: cv.threshold(dgray, 99, 255, cv2.THRESH_BINARY),
            lambda: cv2.threshold(gray, 99, 255, cv2.THRESH_BINARY),
        ),
        "dilate 5x5": (
            lambda: made["dilate"].apply(dbinary, results[4], stream),
            lambda: cv.dilate(dbinary, box),
            lambda: cv2.dilate(binary, box),
        ),
        "dilate ellipse": (
            lambda: made["ellipse"].apply(dbinary, results[5], stream),
            lambda: cv.dilate(dbinary, ellipse),
            lambda: cv2.dilate(binary, ellipse),
        ),
        "open 5x5": (
            lambda: made["open"].apply(dbinary, results[6], stream),
            lambda: cv.morphologyEx(dbinary, cv2.MORPH_OPEN, box),
            lambda: cv2.morphologyEx(binary, cv2.MORPH_OPEN, box),
        ),
        "open ellipse": (
            lambda: made["open ellipse"].apply(dbinary, results[7], stream),
            lambda: cv.morphologyEx(dbinary, cv2.MORPH_OPEN, ellipse),
            lambda: cv2.morphologyEx(binary, cv2.MORPH_OPEN, ellipse),
        ),
        "close 9x9": (
            lambda: made["close 9x9"].apply(dbinary, results[12], stream),
            lambda: cv.morphologyEx(dbinary, cv2.MORPH_CLOSE, block),
            lambda: cv2.morphologyEx(binary, cv2.MORPH_CLOSE, block),
        ),
        "median 3x3": (
            lambda: made["median 3x3"].apply(dgray, results[13], stream),
            lambda: cv.medianBlur(dgray, 3),
            lambda: cv2.medianBlur(gray, 3),
        ),
        "median 5x5": (
            lambda: made["median 5x5"].apply(dgray, results[14], stream),
            lambda: cv.medianBlur(dgray, 5),
            lambda: cv2.medianBlur(gray, 5),
        ),
        "median 9x9": (
            lambda: made["median 9x9"].apply(dgray, results[15], stream),
            lambda: cv.medianBlur(dgray, 9),
            lambda: cv2.medianBlur(gray, 9),
        ),
        "Canny": (
            lambda: made["canny"].detect(dsmooth, results[16], stream),
            lambda: cv.Canny(dsmooth, 60, 150),
            lambda: cv2.Canny(smooth, 60, 150),
        ),
        "warpAffine": (
            lambda: cuda.warpAffine(dgray, warp, size_wh, results[17], linear, 0, (0,) * 4, stream),
            lambda: cv.warpAffine(dgray, warp, size_wh),
            lambda: cv2.warpAffine(gray, warp, size_wh),
        ),
        "sum": (
            lambda: cuda.sum(dgray),
            lambda: cv.sumElems(dgray),
            lambda: cv2.sumElems(gray),
        ),
        "absdiff": (
            lambda: cuda.absdiff(dgray, dother, results[8], stream),
            lambda: cv.absdiff(dgray, dother),
            lambda: cv2.absdiff(gray, other),
        ),
        "bitwise_and": (
            lambda: cuda.bitwise_and(dgray, dother, results[9], None, stream),
            lambda: cv.bitwise_and(dgray, dother),
            lambda: cv2.bitwise_and(gray, other),
        ),
        "flip": (
            lambda: cuda.flip(dgray, 1, results[10], stream),
            lambda: cv.flip(dgray, 1),
            lambda: cv2.flip(gray, 1),
        ),
        "equalizeHist": (
            lambda: cuda.equalizeHist(dgray, results[11], stream),
            lambda: cv.equalizeHist(dgray),
            lambda: cv2.equalizeHist(gray),
        ),
        "countNonZero": (
            lambda: cuda.countNonZero(dbinary),
            lambda: cv.countNonZero(dbinary),
            lambda: cv2.countNonZero(binary),
        ),
    }


def host_and_total_us(job: Job, stream: Any, release: Job, calls: int) -> tuple[float, float]:
    """Time of the host alone, and until the device has finished, for one call."""
    stream.waitForCompletion()
    start = time.perf_counter()
    for _ in range(calls):
        job()
        release()
    queued = time.perf_counter()
    stream.waitForCompletion()
    return (queued - start) / calls * 1e6, (time.perf_counter() - start) / calls * 1e6


def main() -> None:
    """Run both sides in turn and print the medians."""
    card = require().name
    stream = open_stream()
    arena = DeviceArena()
    print(f"{card}, OpenCV {cv2.__version__}, Python {platform.python_version()}; us a call")
    print(f"{'':22}{'bare':>8}{'ours':>8}{'ratio':>7}{'host bare':>11}{'host ours':>11}{'cpu':>9}")
    rows = {}
    for name, (bare, ours, cpu) in jobs(stream).items():
        sides: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
        token = arenas.enter(arena)
        with cuda_stream.use(stream):
            for number in range(ROUNDS + 1):
                # cv2.cuda's medians take milliseconds.
                few = CALLS // 30 if name.startswith("median") else CALLS
                pair = (
                    host_and_total_us(bare, stream, lambda: None, few),
                    host_and_total_us(ours, stream, arena.release, CALLS),
                )
                if number:
                    for side, found in zip(sides.values(), pair, strict=True):
                        side.append(found)
        arenas.leave(token)
        start = time.perf_counter()
        for _ in range(20):
            cpu()
        row = {
            "bare_us": statistics.median(total for _, total in sides["bare"]),
            "ours_us": statistics.median(total for _, total in sides["ours"]),
            "host_bare_us": statistics.median(host for host, _ in sides["bare"]),
            "host_ours_us": statistics.median(host for host, _ in sides["ours"]),
            "cpu_us": (time.perf_counter() - start) / 20 * 1e6,
        }
        rows[name] = row
        print(
            f"{name:22}{row['bare_us']:8.1f}{row['ours_us']:8.1f}"
            f"{row['bare_us'] / row['ours_us']:7.2f}{row['host_bare_us']:11.1f}"
            f"{row['host_ours_us']:11.1f}{row['cpu_us']:9.1f}",
            flush=True,
        )
    print(json.dumps({"benchmark": "cuda_operations", "card": card, "us": rows}))


if __name__ == "__main__":
    main()
