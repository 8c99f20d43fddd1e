"""The filters and detectors that are made once do what cv2's functions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import Arena
from edgevision.cv.table import OPERATIONS, TYPES
from tests.unit.cv.pictures import Image, Pictures, equal

TYPE_8U = cv2.CV_8UC1
TYPE_32F = cv2.CV_32FC1
KERNEL = np.array([[0, 0.1, 0], [0.2, 0.4, 0.1], [0, 0.1, 0.1]], np.float32)
LINE = np.array([0.25, 0.5, 0.25], np.float32)
ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
TABLE = np.arange(255, -1, -1, dtype=np.uint8)


def _row(found: Any, limit: int, length: int, kind: Any = np.float32) -> Image:
    if found is None:
        return np.empty((1, 0, length), kind)
    return np.ascontiguousarray(found.reshape(1, -1, length)[:, :limit])


def _dense(first: Image, second: Image, flow: None) -> Image:
    height, width = first.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    points = np.stack([x, y], -1).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_COUNT, 30, 0.0)
    moved, _, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, points.copy(), winSize=(13, 13), maxLevel=3, criteria=criteria
    )
    moved_by: Image = (moved - points).reshape(height, width, 2)
    return moved_by


# For each constructor of our own: the object, its method, what it is called with, what cv2 gives.
Own = tuple[Callable[[], Any], str, Callable[[Pictures], tuple[Any, ...]], Callable[..., Image]]


def _scene(of: Pictures) -> tuple[Any, ...]:
    return (of.scene(),)


def _noise(of: Pictures) -> tuple[Any, ...]:
    return (of.noise(),)


def _edges(of: Pictures) -> tuple[Any, ...]:
    return (cv2.Canny(of.scene(), 60, 120),)


OWN: dict[str, Own] = {
    "createBoxFilter": (
        lambda: cv.createBoxFilter(TYPE_8U, TYPE_8U, (5, 3)),
        "apply",
        _noise,
        lambda src: cv2.boxFilter(src, -1, (5, 3)),
    ),
    "createGaussianFilter": (
        lambda: cv.createGaussianFilter(TYPE_8U, -1, (5, 3), 1.2),
        "apply",
        _noise,
        lambda src: cv2.GaussianBlur(src, (5, 3), 1.2),
    ),
    "createSobelFilter": (
        lambda: cv.createSobelFilter(TYPE_8U, cv2.CV_16S, 1, 0, 5, 0.5),
        "apply",
        _noise,
        lambda src: cv2.Sobel(src, cv2.CV_16S, 1, 0, ksize=5, scale=0.5),
    ),
    "createScharrFilter": (
        lambda: cv.createScharrFilter(TYPE_8U, TYPE_32F, 0, 1),
        "apply",
        _noise,
        lambda src: cv2.Scharr(src, cv2.CV_32F, 0, 1),
    ),
    "createDerivFilter": (
        lambda: cv.createDerivFilter(TYPE_8U, TYPE_32F, 1, 0, 3, scale=0.5),
        "apply",
        _noise,
        lambda src: cv2.Sobel(src, cv2.CV_32F, 1, 0, ksize=3, scale=0.5),
    ),
    "createLaplacianFilter": (
        lambda: cv.createLaplacianFilter(TYPE_8U, TYPE_32F, 3),
        "apply",
        _noise,
        lambda src: cv2.Laplacian(src, cv2.CV_32F, ksize=3),
    ),
    "createLinearFilter": (
        lambda: cv.createLinearFilter(TYPE_8U, TYPE_8U, KERNEL),
        "apply",
        _noise,
        lambda src: cv2.filter2D(src, -1, KERNEL),
    ),
    "createSeparableLinearFilter": (
        lambda: cv.createSeparableLinearFilter(TYPE_8U, TYPE_8U, LINE, LINE),
        "apply",
        _noise,
        lambda src: cv2.sepFilter2D(src, -1, LINE, LINE),
    ),
    "createMorphologyFilter": (
        lambda: cv.createMorphologyFilter(cv2.MORPH_OPEN, TYPE_8U, ELLIPSE, iterations=2),
        "apply",
        _noise,
        lambda src: cv2.morphologyEx(src, cv2.MORPH_OPEN, ELLIPSE, iterations=2),
    ),
    "createBoxMaxFilter": (
        lambda: cv.createBoxMaxFilter(TYPE_8U, (5, 3)),
        "apply",
        _noise,
        lambda src: cv2.dilate(src, np.ones((3, 5), np.uint8)),
    ),
    "createBoxMinFilter": (
        lambda: cv.createBoxMinFilter(TYPE_8U, (5, 3)),
        "apply",
        _noise,
        lambda src: cv2.erode(src, np.ones((3, 5), np.uint8)),
    ),
    "createRowSumFilter": (
        lambda: cv.createRowSumFilter(TYPE_8U, TYPE_32F, 5),
        "apply",
        _noise,
        lambda src: cv2.boxFilter(src, cv2.CV_32F, (5, 1), normalize=False),
    ),
    "createColumnSumFilter": (
        lambda: cv.createColumnSumFilter(TYPE_8U, TYPE_32F, 5),
        "apply",
        _noise,
        lambda src: cv2.boxFilter(src, cv2.CV_32F, (1, 5), normalize=False),
    ),
    "createMedianFilter": (
        lambda: cv.createMedianFilter(TYPE_8U, 5),
        "apply",
        _noise,
        lambda src: cv2.medianBlur(src, 5),
    ),
    "createCannyEdgeDetector": (
        lambda: cv.createCannyEdgeDetector(60, 120, L2gradient=True),
        "detect",
        _scene,
        lambda src: cv2.Canny(src, 60, 120, L2gradient=True),
    ),
    "createHoughLinesDetector": (
        lambda: cv.createHoughLinesDetector(1, np.pi / 180, 12, maxLines=20),
        "detect",
        _edges,
        lambda src: _row(cv2.HoughLines(src, 1, np.pi / 180, 12), 20, 2),
    ),
    "createHoughSegmentDetector": (
        lambda: cv.createHoughSegmentDetector(1, np.pi / 90, 6, 2, 10, 8),
        "detect",
        _edges,
        lambda src: _row(
            cv2.HoughLinesP(src, 1, np.pi / 90, 8, minLineLength=6, maxLineGap=2), 10, 4, np.int32
        ),
    ),
    "createHoughCirclesDetector": (
        lambda: cv.createHoughCirclesDetector(1, 9, 100, 9, 3, 12, 4),
        "detect",
        _scene,
        lambda src: _row(
            cv2.HoughCircles(
                src, cv2.HOUGH_GRADIENT, 1, 9, param1=100, param2=9, minRadius=3, maxRadius=12
            ),
            4,
            3,
        ),
    ),
    "createGoodFeaturesToTrackDetector": (
        lambda: cv.createGoodFeaturesToTrackDetector(TYPE_8U, 20, 0.05, 3),
        "detect",
        _scene,
        lambda src: _row(cv2.goodFeaturesToTrack(src, 20, 0.05, 3), 20, 2),
    ),
    "createHarrisCorner": (
        lambda: cv.createHarrisCorner(TYPE_8U, 2, 3, 0.04),
        "compute",
        _scene,
        lambda src: cv2.cornerHarris(src, 2, 3, 0.04),
    ),
    "createMinEigenValCorner": (
        lambda: cv.createMinEigenValCorner(TYPE_8U, 3, 5),
        "compute",
        _scene,
        lambda src: cv2.cornerMinEigenVal(src, 3, ksize=5),
    ),
    "createTemplateMatching": (
        lambda: cv.createTemplateMatching(TYPE_8U, cv2.TM_CCOEFF_NORMED),
        "match",
        lambda of: (of.scene(), of.scene()[5:17, 8:19]),
        lambda image, part: cv2.matchTemplate(image, part, cv2.TM_CCOEFF_NORMED),
    ),
    "createLookUpTable": (
        lambda: cv.createLookUpTable(TABLE),
        "transform",
        _noise,
        lambda src: cv2.LUT(src, TABLE),
    ),
    "DensePyrLKOpticalFlow_create": (
        cv.DensePyrLKOpticalFlow_create,
        "calc",
        lambda of: (of.scene(), of.scene(shift_px=1), None),
        _dense,
    ),
}


def within(arena: Arena, function: Callable[..., Any], *args: Any) -> Any:
    token = arenas.enter(arena)
    try:
        return function(*args)
    finally:
        arenas.leave(token)


def test_every_constructor_is_tried() -> None:
    tried = {type(make()).__name__ for make, _, _, _ in OWN.values()}
    assert tried == {kind.name for kind in TYPES.values() if kind.reference}
    makers = {n: r for n, r in OPERATIONS.items() if r.parsed.returns[0] in TYPES}
    assert set(OWN) == {name for name, row in makers.items() if row.reference}


@pytest.mark.parametrize("name", OWN)
def test_our_own_does_what_the_function_does(name: str) -> None:
    make, method, arguments, expected = OWN[name]
    arena = Arena(poison=True)
    made = make()
    for of in (Pictures(), Pictures(seed=2), Pictures(region=True), Pictures(size_wh=(60, 41))):
        args = arguments(of)
        result = expected(*args)
        assert equal(getattr(made, method)(*args), result)
        for _ in range(2):
            assert equal(within(arena, getattr(made, method), *args), result)
            assert arena.release() == ()


@pytest.mark.parametrize("name", OWN)
def test_our_own_writes_into_what_it_is_given(name: str) -> None:
    make, method, arguments, expected = OWN[name]
    made = make()
    row = {r.name: r for r in TYPES[type(made).__name__].methods}[method]
    if not row.pooled:
        return
    args = arguments(Pictures())
    result = expected(*args)
    mine = np.zeros_like(result)
    args = tuple(arg for arg in args if arg is not None)
    assert getattr(made, method)(*args, mine) is mine
    assert equal(mine, result)
    mine.fill(0)
    assert getattr(made, method)(*args, **{row.pooled[0]: mine}) is mine
    assert equal(mine, result)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cv.createBoxFilter(TYPE_8U, -1, (3, 3)).apply(_f()), "8UC1, got 32FC1"),
        (lambda: cv.createBoxFilter(cv2.CV_8UC3, -1, (3, 3)).apply(_u()), "8UC3, got 8UC1"),
        (lambda: cv.createHarrisCorner(TYPE_8U, 2, 3, 0.04).compute(_f()), "8UC1, got 32FC1"),
        (lambda: cv.createTemplateMatching(TYPE_8U, 0).match(_f(), _f()), "8UC1, got 32FC1"),
        (lambda: cv.createGoodFeaturesToTrackDetector(TYPE_8U).detect(_f()), "8UC1, got"),
        (lambda: cv.createGaussianFilter(TYPE_8U, TYPE_32F, (3, 3), 1), "keeps the type 8UC1"),
        (lambda: cv.createSobelFilter(0, 0, 1, 0, 3, 1, 4, 1), "one border mode .* got 4 and 1"),
        (lambda: cv.createBoxFilter(0, 0, (3, 3), (-1, -1), 0, 7.0), "constant border of 0 only"),
    ],
)
def test_what_the_cpu_cannot_do_is_refused(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def _f() -> Image:
    return Pictures("32F").noise()


def _u() -> Image:
    return Pictures("8U").noise()


def test_a_detector_that_finds_nothing_gives_an_empty_row() -> None:
    black = np.zeros((37, 53), np.uint8)
    for detector, shape in (
        (cv.createHoughLinesDetector(1, 0.1, 20), (1, 0, 2)),
        (cv.createHoughSegmentDetector(1, 0.1, 9, 2), (1, 0, 4)),
        (cv.createHoughCirclesDetector(1, 9, 100, 20, 3, 9), (1, 0, 3)),
        (cv.createGoodFeaturesToTrackDetector(TYPE_8U), (1, 0, 2)),
    ):
        found: Any = detector
        assert found.detect(black).shape == shape


def test_a_table_is_copied_when_it_is_made() -> None:
    table = TABLE.copy()
    made = cv.createLookUpTable(table)
    table.fill(0)
    image = _u()
    assert equal(made.transform(image), cv2.LUT(image, TABLE))
