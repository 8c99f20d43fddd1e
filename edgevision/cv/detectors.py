"""The CPU side of the detectors that cv2.cuda makes once and cv2 has as functions.

Each ``create...`` function takes the arguments of its namesake in cv2.cuda. What they find has the
shape that cv2.cuda gives it, (1, N, ...), with N = 0 when there is nothing.
"""

# The names are those of OpenCV.
# ruff: noqa: N802, N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edgevision.cv.filters import Size, check_type
from edgevision.cv.reference import Image

__all__ = [
    "CannyEdgeDetector",
    "CornernessCriteria",
    "CornersDetector",
    "DensePyrLKOpticalFlow",
    "DensePyrLKOpticalFlow_create",
    "HoughCirclesDetector",
    "HoughLinesDetector",
    "HoughSegmentDetector",
    "LookUpTable",
    "TemplateMatching",
]


class CannyEdgeDetector:
    """Canny with its parameters."""

    def __init__(self, low: float, high: float, aperture: int, l2_gradient: bool) -> None:
        self._parameters = (low, high, aperture, l2_gradient)

    def detect(self, image: Image, edges: Image | None = None) -> Image:
        """Return 255 on edges, else 0."""
        low, high, aperture, l2_gradient = self._parameters
        return cv2.Canny(image, low, high, edges, aperture, l2_gradient)


def createCannyEdgeDetector(
    low_thresh: float, high_thresh: float, apperture_size: int = 3, L2gradient: bool = False
) -> CannyEdgeDetector:
    """Make a detector that does what Canny does."""
    return CannyEdgeDetector(low_thresh, high_thresh, apperture_size, L2gradient)


def _row_of(found: Image | None, length: int, dtype: Any, limit: int | None = None) -> Image:
    """Return what a detector found as (1, N, length), N = 0 where cv2 gives None."""
    if found is None:
        return np.empty((1, 0, length), dtype)
    return found.reshape(1, -1, length)[:, :limit]


class HoughLinesDetector:
    """HoughLines with its parameters."""

    def __init__(self, rho: float, theta: float, threshold: int, limit: int) -> None:
        self._parameters = (rho, theta, threshold)
        self._limit = limit

    def detect(self, src: Image, lines: Image | None = None) -> Image:
        """Return lines as (rho, theta), strongest first: (1, N, 2) float32."""
        found = cv2.HoughLines(src, *self._parameters)
        return _row_of(found, 2, np.float32, self._limit)


def createHoughLinesDetector(
    rho: float, theta: float, threshold: int, doSort: bool = False, maxLines: int = 4096
) -> HoughLinesDetector:
    """Make a detector that does what HoughLines does; the CPU sorts always."""
    return HoughLinesDetector(rho, theta, threshold, maxLines)


class HoughSegmentDetector:
    """HoughLinesP with its parameters."""

    def __init__(
        self, rho: float, theta: float, threshold: int, length: int, gap: int, limit: int
    ) -> None:
        self._parameters = (rho, theta, threshold, None, length, gap)
        self._limit = limit

    def detect(self, src: Image, lines: Image | None = None) -> Image:
        """Return segments as (x1, y1, x2, y2): (1, N, 4) int32."""
        found = cv2.HoughLinesP(src, *self._parameters)
        return _row_of(found, 4, np.int32, self._limit)


def createHoughSegmentDetector(
    rho: float,
    theta: float,
    minLineLength: int,
    maxLineGap: int,
    maxLines: int = 4096,
    threshold: int = -1,
) -> HoughSegmentDetector:
    """Make a detector that does what HoughLinesP does.

    A threshold of -1 asks for ``minLineLength`` votes.
    """
    votes = minLineLength if threshold < 0 else threshold
    return HoughSegmentDetector(rho, theta, votes, minLineLength, maxLineGap, maxLines)


class HoughCirclesDetector:
    """HoughCircles with its parameters."""

    def __init__(self, parameters: tuple[Any, ...], limit: int) -> None:
        self._parameters = parameters
        self._limit = limit

    def detect(self, src: Image, circles: Image | None = None) -> Image:
        """Return circles as (x, y, radius): (1, N, 3) float32."""
        found = cv2.HoughCircles(src, cv2.HOUGH_GRADIENT, *self._parameters)
        return _row_of(found, 3, np.float32, self._limit)


def createHoughCirclesDetector(
    dp: float,
    minDist: float,
    cannyThreshold: int,
    votesThreshold: int,
    minRadius: int,
    maxRadius: int,
    maxCircles: int = 4096,
) -> HoughCirclesDetector:
    """Make a detector that does what HoughCircles does with HOUGH_GRADIENT."""
    parameters = (dp, minDist, None, cannyThreshold, votesThreshold, minRadius, maxRadius)
    return HoughCirclesDetector(parameters, maxCircles)


class CornersDetector:
    """goodFeaturesToTrack with its parameters."""

    def __init__(
        self,
        source_type: int,
        limit: int,
        quality: float,
        distance: float,
        tail: tuple[int, bool, float],
    ) -> None:
        self._source_type = source_type
        self._parameters = (limit, quality, distance)
        self._tail = tail

    def detect(
        self, image: Image, corners: Image | None = None, mask: Image | None = None
    ) -> Image:
        """Return corners as (x, y), strongest first: (1, N, 2) float32."""
        check_type(image, self._source_type)
        limit, quality, distance = self._parameters
        size, harris, k = self._tail
        found = cv2.goodFeaturesToTrack(
            image, limit, quality, distance, None, mask, size, harris, k
        )
        return _row_of(found, 2, np.float32)


def createGoodFeaturesToTrackDetector(
    srcType: int,
    maxCorners: int = 1000,
    qualityLevel: float = 0.01,
    minDistance: float = 0.0,
    blockSize: int = 3,
    useHarrisDetector: bool = False,
    harrisK: float = 0.04,
) -> CornersDetector:
    """Make a detector that does what goodFeaturesToTrack does."""
    return CornersDetector(
        srcType, maxCorners, qualityLevel, minDistance, (blockSize, useHarrisDetector, harrisK)
    )


class CornernessCriteria:
    """cornerHarris or cornerMinEigenVal with its parameters."""

    def __init__(self, source_type: int, function: Callable[[Image, Image | None], Image]) -> None:
        self._source_type = source_type
        self._function = function

    def compute(self, src: Image, dst: Image | None = None) -> Image:
        """Return the measure of a corner at each pixel, (H, W) float32."""
        check_type(src, self._source_type)
        return self._function(src, dst)


def createHarrisCorner(
    srcType: int, blockSize: int, ksize: int, k: float, borderType: int = cv2.BORDER_REFLECT101
) -> CornernessCriteria:
    """Make a measure that does what cornerHarris does."""
    return CornernessCriteria(
        srcType, lambda src, dst: cv2.cornerHarris(src, blockSize, ksize, k, dst, borderType)
    )


def createMinEigenValCorner(
    srcType: int, blockSize: int, ksize: int, borderType: int = cv2.BORDER_REFLECT101
) -> CornernessCriteria:
    """Make a measure that does what cornerMinEigenVal does."""
    return CornernessCriteria(
        srcType, lambda src, dst: cv2.cornerMinEigenVal(src, blockSize, dst, ksize, borderType)
    )


class TemplateMatching:
    """matchTemplate with its method."""

    def __init__(self, source_type: int, method: int) -> None:
        self._source_type = source_type
        self._method = method

    def match(self, image: Image, templ: Image, result: Image | None = None) -> Image:
        """Return how well the template fits at each place, float32."""
        check_type(image, self._source_type)
        return cv2.matchTemplate(image, templ, self._method, result)


def createTemplateMatching(
    srcType: int, method: int, user_block_size: Size = (0, 0)
) -> TemplateMatching:
    """Make a matcher that does what matchTemplate does.

    ``user_block_size`` divides the work on CUDA and changes no result.
    """
    return TemplateMatching(srcType, method)


class LookUpTable:
    """LUT with its table."""

    def __init__(self, lut: Image) -> None:
        # A copy: the caller may change the table later, and the one on a device would not follow.
        self._lut = np.array(lut)

    def transform(self, src: Image, dst: Image | None = None) -> Image:
        """Return each byte replaced by the table's entry."""
        return cv2.LUT(src, self._lut, dst)


def createLookUpTable(lut: Image) -> LookUpTable:
    """Make a table that does what LUT does."""
    return LookUpTable(lut)


class DensePyrLKOpticalFlow:
    """Lucas and Kanade's flow at each pixel, after Bouguet's pyramid, as cv2 has it for points."""

    def __init__(self, size_wh: Size, levels: int, iterations: int, initial: bool) -> None:
        self._size_wh = tuple(size_wh)
        self._levels = levels
        self._criteria = (cv2.TERM_CRITERIA_COUNT, iterations, 0.0)
        self._initial = initial

    def getUseInitialFlow(self) -> bool:
        """Tell whether `calc` starts from the flow it is given."""
        return self._initial

    def calc(self, I0: Image, I1: Image, flow: Image | None = None) -> Image:
        """Return (H, W, 2) float32, the way (dx, dy) from the first image to the second."""
        height, width = I0.shape[:2]
        places = np.empty((height, width, 2), np.float32)
        places[..., 0] = np.arange(width, dtype=np.float32)
        places[..., 1] = np.arange(height, dtype=np.float32)[:, np.newaxis]
        points = places.reshape(-1, 1, 2)
        flags = 0
        start = points.copy()
        if self._initial and flow is not None:
            start += flow.reshape(-1, 1, 2)
            flags = cv2.OPTFLOW_USE_INITIAL_FLOW
        moved, _, _ = cv2.calcOpticalFlowPyrLK(
            I0,
            I1,
            points,
            start,
            None,
            None,
            self._size_wh,
            self._levels,
            self._criteria,
            flags,
        )
        return cv2.subtract(moved.reshape(height, width, 2), places, flow)


def DensePyrLKOpticalFlow_create(
    winSize: Size = (13, 13), maxLevel: int = 3, iters: int = 30, useInitialFlow: bool = False
) -> DensePyrLKOpticalFlow:
    """Make an object that computes Lucas and Kanade's flow at each pixel."""
    return DensePyrLKOpticalFlow(winSize, maxLevel, iters, useInitialFlow)
