"""CUDA adapters: numbers, histograms and integral images.

What gives numbers waits for the stream, since its caller needs them. All of it is queued there:
nothing touches the default stream, for which every camera would wait.
"""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cv.gpu.call import Adapter, GpuMat, aligned, pair, read, scratch
from edgevision.cv.gpu.geometry import split
from edgevision.cv.reference import evenLevels
from edgevision.errors import ConfigurationError, CudaUnsupportedError

__all__ = ["ADAPTERS", "min_max"]

cuda: Any = cv2.cuda

Sums = tuple[float, float, float, float]


def _four(values: NDArray[Any]) -> Sums:
    first, second, third, fourth = (*values.ravel().tolist(), 0.0, 0.0, 0.0, 0.0)[:4]
    return float(first), float(second), float(third), float(fourth)


def _total(name: str, stream: Any, src: Any, mask: Any) -> NDArray[np.float64]:
    """Return a sum of each channel."""
    function = getattr(cuda, name)
    found = scratch(f"cuda {name}", lambda buffer: function(src, buffer, mask, stream))
    return np.asarray(read(stream, found), np.float64).ravel()


def _sums(name: str) -> Adapter:
    def run(stream: Any, src: Any, mask: Any = None) -> Sums:
        return _four(_total(name, stream, src, mask))

    return run


def _count(stream: Any, src: Any) -> int:
    found = scratch(
        "cuda countNonZero",
        lambda buffer: cuda.countNonZero(src, GpuMat() if buffer is None else buffer, stream),
    )
    return int(read(stream, found)[0, 0])


def _has_non_zero(stream: Any, src: Any) -> bool:
    return _count(stream, src) > 0


def _pixels(stream: Any, src: Any, mask: Any) -> int:
    width, height = src.size()
    return width * height if mask is None else _count(stream, mask)


def _mean(stream: Any, src: Any, mask: Any = None) -> Sums:
    count = _pixels(stream, src, mask)
    total = _total("calcSum", stream, src, mask)
    return _four(total / count if count else total * 0.0)


def _mean_std_dev(
    stream: Any, src: Any, mean: Any = None, stddev: Any = None, mask: Any = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = max(_pixels(stream, src, mask), 1)
    average = _total("calcSum", stream, src, mask) / count
    square = _total("calcSqrSum", stream, src, mask) / count
    deviation = np.sqrt(np.maximum(square - average * average, 0.0))
    return average.reshape(-1, 1), deviation.reshape(-1, 1)


_NORMS = {cv2.NORM_INF, cv2.NORM_L1, cv2.NORM_L2, cv2.NORM_L2SQR}


def _norm(
    stream: Any, src1: Any, src2: Any = None, normType: Any = None, mask: Any = None
) -> float:
    kind = normType
    if isinstance(src2, int):
        # The other form: norm(src1, normType, mask).
        kind, mask, src2 = src2, normType if mask is None else mask, None
    if kind is None:
        kind = cv2.NORM_L2
    if kind not in _NORMS:
        raise CudaUnsupportedError(f"cv.norm on CUDA takes NORM_INF, L1, L2 and L2SQR, got {kind}")
    if src2 is not None:
        if src1.depth() in (cv2.CV_8S, cv2.CV_16S, cv2.CV_32S):
            raise CudaUnsupportedError(
                "cv.norm on CUDA of the difference of two images takes 8U, 16U, 32F and 64F, since "
                "the difference of signed integers may not fit"
            )
        first, second = src1, src2
        src1 = scratch(
            "cuda norm difference", lambda buffer: cuda.absdiff(first, second, buffer, stream)
        )
    if kind == cv2.NORM_INF:
        if src1.depth() == cv2.CV_8S:
            raise CudaUnsupportedError("cv.norm on CUDA saturates NORM_INF of 8S")
        found = scratch("cuda norm", lambda buffer: cuda.calcNorm(src1, kind, buffer, mask, stream))
        return float(read(stream, found).ravel()[0])
    name = "calcAbsSum" if kind == cv2.NORM_L1 else "calcSqrSum"
    total = float(_total(name, stream, src1, mask).sum())
    return math.sqrt(total) if kind == cv2.NORM_L2 else total


def min_max(stream: Any, src: Any, mask: Any = None) -> tuple[float, float]:
    """Return the lowest and highest value."""
    found = scratch("cuda minMax", lambda buffer: cuda.findMinMax(src, buffer, mask, stream))
    low, high = read(stream, found).ravel().tolist()
    return float(low), float(high)


def _min_max_loc(stream: Any, src: Any, mask: Any = None) -> Any:
    values, places = pair(
        "cuda minMaxLoc",
        (None, None),
        lambda first, second: cuda.findMinMaxLoc(src, first, second, mask, stream),
    )
    low, high = read(stream, values).ravel().tolist()
    width = src.size()[0]
    (y0, x0), (y1, x1) = (divmod(int(place), width) for place in read(stream, places).ravel())
    return float(low), float(high), (x0, y0), (x1, y1)


def _reduce(stream: Any, src: Any, dim: int, rtype: int, dst: Any = None, dtype: int = -1) -> Any:
    row = scratch(
        "cuda reduce row", lambda buffer: cuda.reduce(src, dim, rtype, buffer, dtype, stream)
    )
    # cv2.cuda gives a row either way.
    return (row if dim == 0 else row.reshape(0, src.size()[1])).copyTo(stream, dst)


def _bins(stream: Any, src: Any, mask: Any) -> NDArray[np.int64]:
    """Return the histogram of a channel of bytes, (256,)."""
    whole = aligned(stream, src, "calcHist")

    def run(buffer: Any) -> Any:
        if mask is None:
            return cuda.calcHist(whole, buffer, stream)
        return cuda.calcHist(whole, aligned(stream, mask, "calcHist mask"), buffer, stream)

    return np.asarray(read(stream, scratch("cuda calcHist", run)), np.int64).ravel()


def _calc_hist(
    stream: Any,
    images: Sequence[Any],
    channels: Sequence[int],
    mask: Any,
    histSize: Sequence[int],
    ranges: Sequence[float],
    hist: Any = None,
    accumulate: bool = False,
) -> NDArray[np.float32]:
    image = images[0]
    if len(images) > 1 or len(channels) > 1 or image.depth() != cv2.CV_8U:
        raise CudaUnsupportedError(
            "cv.calcHist on CUDA takes one channel of one 8U image; download the image for others"
        )
    if not 0 <= channels[0] < image.channels():
        raise ConfigurationError(
            f"calcHist: channels is 0 to {image.channels() - 1}, got {channels[0]}"
        )
    if image.channels() > 1:
        image = split(stream, image)[channels[0]]
    every = _bins(stream, image, mask)
    # The bins of cv2 for bytes, from one bin for each value.
    low, high = ranges[0], ranges[-1]
    count = int(histSize[0])
    values = np.arange(256)
    places = np.floor((values - low) * (count / (high - low))).astype(np.int64)
    inside = (values >= low) & (values < high) & (places >= 0) & (places < count)
    found = np.bincount(places[inside], every[inside], count).astype(np.float32).reshape(-1, 1)
    if hist is None:
        return found
    hist[...] = hist + found if accumulate else found
    return np.asarray(hist)


def _hist_even(
    stream: Any, src: Any, histSize: int, lowerLevel: int, upperLevel: int, hist: Any = None
) -> Any:
    # cv2.cuda.histEven puts some values into the bin beside.
    return _hist_range(stream, src, evenLevels(histSize + 1, lowerLevel, upperLevel), hist)


def _into(given: Any, found: NDArray[Any]) -> NDArray[Any]:
    if given is None:
        return found
    given[...] = found
    return np.asarray(given)


def _hist_range(stream: Any, src: Any, levels: Any, hist: Any = None) -> Any:
    borders = GpuMat()
    borders.upload(np.asarray(levels).reshape(1, -1), stream)
    found = scratch("cuda histRange", lambda buffer: cuda.histRange(src, borders, buffer, stream))
    return _into(hist, read(stream, found))


def _integral(stream: Any, src: Any, sum: Any = None, sdepth: int = -1) -> Any:
    if sdepth not in (-1, cv2.CV_32S):
        raise CudaUnsupportedError(f"cv.integral on CUDA gives 32S, not depth {sdepth}")
    return cuda.integral(aligned(stream, src, "integral"), sum, stream)


def _sqr_integral(stream: Any, src: Any, sqsum: Any = None) -> Any:
    return cuda.sqrIntegral(aligned(stream, src, "integral"), sqsum, stream)


def _integral2(
    stream: Any,
    src: Any,
    sum: Any = None,
    sqsum: Any = None,
    sdepth: int = -1,
    sqdepth: int = -1,
) -> Any:
    if sqdepth not in (-1, cv2.CV_64F):
        raise CudaUnsupportedError(f"cv.integral2 on CUDA gives squares in 64F, not {sqdepth}")
    return pair(
        "cuda integral2",
        (sum, sqsum),
        lambda first, second: (
            _integral(stream, src, first, sdepth),
            _sqr_integral(stream, src, second),
        ),
    )


def _moments(stream: Any, array: Any, binaryImage: bool = False) -> Any:
    # It runs on the default stream, which does not wait for this one.
    stream.waitForCompletion()
    return cuda.moments(array, binaryImage)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "sum": partial(_sums, "calcSum"),
    "sumElems": partial(_sums, "calcSum"),
    "absSum": partial(_sums, "calcAbsSum"),
    "sqrSum": partial(_sums, "calcSqrSum"),
    "mean": lambda: _mean,
    "meanStdDev": lambda: _mean_std_dev,
    "norm": lambda: _norm,
    "minMax": lambda: min_max,
    "minMaxLoc": lambda: _min_max_loc,
    "countNonZero": lambda: _count,
    "hasNonZero": lambda: _has_non_zero,
    "reduce": lambda: _reduce,
    "calcHist": lambda: _calc_hist,
    "histEven": lambda: _hist_even,
    "histRange": lambda: _hist_range,
    "integral": lambda: _integral,
    "integral2": lambda: _integral2,
    "sqrIntegral": lambda: _sqr_integral,
    "moments": lambda: _moments,
}
"""By operation: makes its adapter."""
