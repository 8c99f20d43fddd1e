"""CUDA adapters: edges, lines, corners, templates, blobs.

Points and lines come back as cv2's arrays on the host, since what follows is no work for a device.
"""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision.cv.gpu import native
from edgevision.cv.gpu.call import Adapter, GpuMat, cached, null_stream, read, scratch, whole
from edgevision.cv.gpu.reduction import min_max
from edgevision.errors import CudaUnsupportedError

__all__ = [
    "ADAPTERS",
    "canny",
    "circles",
    "corner_harris",
    "corner_min_eigen",
    "corners",
    "lines",
    "match_template",
    "segments",
]

cuda: Any = cv2.cuda

_MAX_FOUND = 4096
_DEFAULT = cv2.BORDER_DEFAULT


def _gray(name: str, image: Any) -> None:
    if image.type() != cv2.CV_8UC1:
        raise CudaUnsupportedError(f"cv.{name} on CUDA takes 8U with one channel")


def canny(
    stream: Any,
    image: Any,
    threshold1: float,
    threshold2: float,
    edges: Any = None,
    apertureSize: int = 3,
    L2gradient: bool = False,
) -> Any:
    """Find edges. cv2.cuda finds none on the border, so it is given one of no gradient."""
    if isinstance(threshold1, GpuMat) or apertureSize not in (3, 5, 7):
        raise CudaUnsupportedError(
            "cv.Canny on CUDA takes an image, no gradients, and an aperture of 3, 5 or 7"
        )
    _gray("Canny", image)
    low, high = sorted((float(threshold1), float(threshold2)))
    width, height = image.size()
    detector = cached(
        stream, cuda.createCannyEdgeDetector, low, high, apertureSize, bool(L2gradient)
    )
    both = _framed(stream, (width + 2, 2 * (height + 2)))
    halves = [GpuMat(both, (0, top, width + 2, height + 2)) for top in (0, height + 2)]
    if native.usable():
        native.gradients(stream, image, apertureSize, both)
    else:
        for half, (dx, dy) in zip(halves, ((1, 0), (0, 1)), strict=True):
            gradient = cached(
                stream,
                cuda.createSobelFilter,
                cv2.CV_8UC1,
                cv2.CV_32SC1,
                dx,
                dy,
                apertureSize,
                1.0,
                cv2.BORDER_REPLICATE,
            )
            gradient.apply(image, GpuMat(half, (1, 1, width, height)), stream)
    framed = scratch("cuda Canny edges", lambda buffer: detector.detect(*halves, buffer, stream))
    return GpuMat(framed, (1, 1, width, height)).copyTo(stream, edges)


def _framed(stream: Any, size_wh: tuple[int, int]) -> Any:
    """Return an image of 32S whose borders are zero; nothing else writes to them."""
    arena = arenas.current()
    poisoned = arena is not None and arena.poison
    # Poison reaches the borders, so those buffers stay apart.
    lane = f"cuda Canny gradients {poisoned}"
    framed = None if arena is None else arena.take(lane)
    if framed is None or framed.size() != size_wh or poisoned:
        framed = GpuMat(size_wh, cv2.CV_32SC1)
        framed.setTo((0.0,) * 4, stream)
    if arena is not None:
        arena.put(lane, framed)
    return framed


def _found(stream: Any, mat: Any, width: int, dtype: Any) -> NDArray[Any] | None:
    """Return what a detector found as cv2 does, (N, 1, width), None where there is nothing."""
    if mat.empty():
        return None
    return np.asarray(read(stream, mat)[0], dtype).reshape(-1, 1, width)


def lines(
    stream: Any,
    image: Any,
    rho: float,
    theta: float,
    threshold: int,
    lines: Any = None,
    srn: float = 0.0,
    stn: float = 0.0,
    min_theta: float = 0.0,
    max_theta: float = np.pi,
    limit: int = _MAX_FOUND,
) -> Any:
    """Find lines, those with the most votes first."""
    if srn or stn or min_theta or max_theta != np.pi:
        raise CudaUnsupportedError("cv.HoughLines on CUDA takes neither srn, stn nor angles")
    made = cached(
        stream, cuda.createHoughLinesDetector, rho, theta, int(threshold), True, int(limit)
    )
    found = made.detect(whole(stream, image, "HoughLines"), None, stream)
    return _found(stream, found, 2, np.float32)


def segments(
    stream: Any,
    image: Any,
    rho: float,
    theta: float,
    threshold: int,
    lines: Any = None,
    minLineLength: float = 0.0,
    maxLineGap: float = 0.0,
    limit: int = _MAX_FOUND,
) -> Any:
    """Find line segments."""
    made = cached(
        stream,
        cuda.createHoughSegmentDetector,
        rho,
        theta,
        int(minLineLength),
        int(maxLineGap),
        int(limit),
        int(threshold),
    )
    found = made.detect(whole(stream, image, "HoughLinesP"), None, stream)
    return _found(stream, found, 4, np.int32)


def circles(
    stream: Any,
    image: Any,
    method: int,
    dp: float,
    minDist: float,
    circles: Any = None,
    param1: float = 100.0,
    param2: float = 100.0,
    minRadius: int = 0,
    maxRadius: int = 0,
    limit: int = _MAX_FOUND,
) -> Any:
    """Find circles, (1, N, 3) as cv2 has them."""
    if method != cv2.HOUGH_GRADIENT:
        raise CudaUnsupportedError("cv.HoughCircles on CUDA takes HOUGH_GRADIENT only")
    made = cached(
        stream,
        cuda.createHoughCirclesDetector,
        dp,
        minDist,
        int(param1),
        int(param2),
        int(minRadius),
        int(maxRadius) if maxRadius > 0 else max(image.size()),
        int(limit),
    )
    found = made.detect(whole(stream, image, "HoughCircles"), None, stream)
    return None if found.empty() else np.asarray(read(stream, found), np.float32)


def corner_harris(
    stream: Any,
    src: Any,
    blockSize: int,
    ksize: int,
    k: float,
    dst: Any = None,
    borderType: int = _DEFAULT,
) -> Any:
    """Measure corners after Harris."""
    made = cached(stream, cuda.createHarrisCorner, src.type(), blockSize, ksize, k, borderType)
    return made.compute(whole(stream, src, "corners"), dst, stream)


def corner_min_eigen(
    stream: Any,
    src: Any,
    blockSize: int,
    dst: Any = None,
    ksize: int = 3,
    borderType: int = _DEFAULT,
) -> Any:
    """Measure corners by the lesser eigenvalue."""
    made = cached(stream, cuda.createMinEigenValCorner, src.type(), blockSize, ksize, borderType)
    return made.compute(whole(stream, src, "corners"), dst, stream)


def corners(
    stream: Any,
    image: Any,
    maxCorners: int,
    qualityLevel: float,
    minDistance: float,
    corners: Any = None,
    mask: Any = None,
    blockSize: int = 3,
    useHarrisDetector: bool = False,
    k: float = 0.04,
) -> Any:
    """Find strong corners, the strongest first."""
    image = whole(stream, image, "corners")
    make = cuda.createGoodFeaturesToTrackDetector
    tail = (minDistance, blockSize, useHarrisDetector, k)
    # Parts of it run on the default stream whatever stream it is given.
    default = null_stream()
    if mask is None:
        made = cached(default, make, image.type(), maxCorners, qualityLevel, *tail)
    else:
        # The best corner, of which the others have a share, is that under the mask in cv2 and that
        # of the whole image in cv2.cuda.
        mask = whole(stream, mask, "corners mask")
        measure = _measure(stream, image, blockSize, useHarrisDetector, k)
        best, best_inside = (min_max(stream, measure, of)[1] for of in (None, mask))
        if best_inside <= 0.0:
            return None
        made = make(image.type(), maxCorners, qualityLevel * best_inside / best, *tail)
    stream.waitForCompletion()
    return _found(default, made.detect(image, None, mask, default), 2, np.float32)


def _measure(stream: Any, image: Any, block: int, harris: bool, k: float) -> Any:
    def run(buffer: Any) -> Any:
        if harris:
            return corner_harris(stream, image, block, 3, k, buffer)
        return corner_min_eigen(stream, image, block, buffer)

    return scratch("cuda corners measure", run)


def match_template(
    stream: Any, image: Any, templ: Any, method: int, result: Any = None, mask: Any = None
) -> Any:
    """Tell how well a template fits at each place."""
    if mask is not None:
        raise CudaUnsupportedError("cv.matchTemplate on CUDA takes no mask")
    made = cached(stream, cuda.createTemplateMatching, image.type(), method)
    return made.match(
        whole(stream, image, "matchTemplate"),
        whole(stream, templ, "matchTemplate template"),
        result,
        stream,
    )


def _labels(
    stream: Any, image: Any, labels: Any, connectivity: int, ltype: int, algorithm: int | None
) -> Any:
    _gray("connectedComponents", image)
    if connectivity != 8 or ltype != cv2.CV_32S:
        raise CudaUnsupportedError(
            f"cv.connectedComponents on CUDA takes connectivity 8 and 32S, got {connectivity} and "
            f"depth {ltype}"
        )
    if not native.usable():
        raise CudaUnsupportedError(
            "cv.connectedComponents on CUDA needs compute capability 7.5: cv2.cuda scatters the "
            "labels and does not count them"
        )
    image = whole(stream, image, "connectedComponents")
    # It runs on the default stream, which does not wait for this one, nor this one for it.
    stream.waitForCompletion()
    if algorithm is None:
        labels = cuda.connectedComponents(image, labels, connectivity, ltype)
    else:
        labels = cuda.connectedComponentsWithAlgorithm(
            image, connectivity, ltype, algorithm, labels
        )
    null_stream().waitForCompletion()
    return native.compacted(stream, labels) + 1, labels


def _connected(
    stream: Any,
    image: Any,
    labels: Any = None,
    connectivity: int = 8,
    ltype: int = cv2.CV_32S,
) -> Any:
    return _labels(stream, image, labels, connectivity, ltype, None)


def _connected_by(
    stream: Any, image: Any, connectivity: int, ltype: int, ccltype: int, labels: Any = None
) -> Any:
    # cv2.cuda has an algorithm of its own for all of cv2's.
    return _labels(stream, image, labels, connectivity, ltype, cuda.CCL_DEFAULT)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "Canny": lambda: canny,
    "HoughLines": lambda: lines,
    "HoughLinesP": lambda: segments,
    "HoughCircles": lambda: circles,
    "cornerHarris": lambda: corner_harris,
    "cornerMinEigenVal": lambda: corner_min_eigen,
    "goodFeaturesToTrack": lambda: corners,
    "matchTemplate": lambda: match_template,
    "connectedComponents": lambda: _connected,
    "connectedComponentsWithAlgorithm": lambda: _connected_by,
}
"""By operation: gives its adapter."""
