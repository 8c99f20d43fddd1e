"""The CPU side of what cv2.cuda has and cv2 has not, made of cv2 and NumPy.

Each function takes the arguments of its row in the table, ``dst`` included, and allocates as cv2
does when ``dst`` is None or does not fit.
"""

# The names are those of OpenCV.
# ruff: noqa: N802, N803

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.errors import ConfigurationError

__all__ = [
    "abs",
    "absSum",
    "alphaComp",
    "buildWarpAffineMaps",
    "buildWarpPerspectiveMaps",
    "convertTo",
    "evenLevels",
    "histEven",
    "histRange",
    "lshift",
    "magnitudeSqr",
    "meanShiftFiltering",
    "minMax",
    "mulAndScaleSpectrums",
    "rshift",
    "setTo",
    "sqr",
    "sqrIntegral",
    "sqrSum",
    "sum",
]

Image: TypeAlias = NDArray[Any]
Scalar: TypeAlias = float | Sequence[float]
Sums: TypeAlias = tuple[float, float, float, float]

# A cv2 type holds its depth in the lowest bits: three of them up to OpenCV 4, five from 5 on.
_DEPTH_MASK = cv2.CV_8UC2 - 1


def _like(dst: Image | None, shape: tuple[int, ...], dtype: Any) -> Image:
    """Return ``dst`` if it fits, else a new array, as Mat.create does."""
    if dst is not None and dst.shape == shape and dst.dtype == dtype:
        return dst
    return np.empty(shape, dtype)


def _scalar(value: float) -> Image:
    """Return ``value`` for each channel, in the shape that cv2 takes for a scalar."""
    return np.full((4, 1), value)


def _channels(src: Image) -> Sequence[Image]:
    return (src,) if src.ndim == 2 else cv2.split(src)


def _four(values: Sequence[float]) -> Sums:
    a, b, c, d = (*values, 0.0, 0.0, 0.0, 0.0)[:4]
    return float(a), float(b), float(c), float(d)


def abs(src: Image, dst: Image | None = None) -> Image:
    """Return |src|, saturated."""
    return cv2.absdiff(src, _scalar(0.0), dst)


def sqr(src: Image, dst: Image | None = None) -> Image:
    """Return src * src, saturated."""
    if src.dtype == np.uint16:
        # OpenCV 5.0 multiplies in 32 bits, where 65535 * 65535 wraps. 256 saturates already.
        src = cv2.min(src, _scalar(256.0))
    return cv2.multiply(src, src, dst)


def _shifted(operation: np.ufunc, src: Image, val: Scalar, dst: Image | None) -> Image:
    if src.dtype.kind not in "iu":
        raise ConfigurationError(f"a shift needs integers, got {src.dtype}")
    counts = np.asarray(val, np.int64)
    if counts.ndim:
        counts = counts[: src.shape[2] if src.ndim == 3 else 1]
    bits = 8 * src.dtype.itemsize
    if counts.min() < 0 or counts.max() >= bits:
        raise ConfigurationError(f"a shift of {src.dtype} is 0 to {bits - 1} bits, got {val}")
    dst = _like(dst, src.shape, src.dtype)
    operation(src, counts.astype(src.dtype), out=dst)
    return dst


def lshift(src: Image, val: Scalar, dst: Image | None = None) -> Image:
    """Return src << val."""
    return _shifted(np.left_shift, src, val, dst)


def rshift(src: Image, val: Scalar, dst: Image | None = None) -> Image:
    """Return src >> val."""
    return _shifted(np.right_shift, src, val, dst)


def magnitudeSqr(x: Image, y: Image, magnitude: Image | None = None) -> Image:
    """Return x * x + y * y."""
    squares = cv2.multiply(x, x, magnitude)
    return cv2.add(squares, cv2.multiply(y, y), squares)


def convertTo(
    src: Image, rtype: int, dst: Image | None = None, alpha: float = 1.0, beta: float = 0.0
) -> Image:
    """Return src * alpha + beta, rounded and saturated.

    ``rtype`` is a depth such as cv2.CV_32F, or -1 for that of the source.
    """
    depth = rtype if rtype < 0 else rtype & _DEPTH_MASK
    if beta == 0.0:
        if alpha == 1.0:
            return cv2.add(src, _scalar(0.0), dst, None, depth)
        return cv2.multiply(src, _scalar(alpha), dst, 1.0, depth)
    if src.dtype.kind in "iu":
        return cv2.addWeighted(src, alpha, src, 0.0, beta, dst, depth)
    # In one step an infinity would meet a factor of 0.
    scaled = cv2.multiply(src, _scalar(alpha))
    return cv2.add(scaled, _scalar(beta), dst, None, depth)


def mulAndScaleSpectrums(
    a: Image, b: Image, flags: int, scale: float, c: Image | None = None, conjB: bool = False
) -> Image:
    """The product of two spectra times ``scale``; both have two channels, real and imaginary."""
    product = cv2.mulSpectrums(a, b, flags, c, conjB)
    return cv2.multiply(product, _scalar(scale), product)


def sum(src: Image, mask: Image | None = None) -> Sums:
    """Sum of each channel under the mask."""
    if src.dtype == np.int32:
        # cv2.sumElems adds 32-bit integers of one channel in 32 bits and wraps.
        where = True if mask is None else (mask != 0)
        channels = _channels(src)
        return _four([channel.sum(dtype=np.int64, where=where) for channel in channels])
    if mask is None:
        return _four(cv2.sumElems(src))
    return _four(cv2.sumElems(cv2.copyTo(src, mask)))


def absSum(src: Image, mask: Image | None = None) -> Sums:
    """Sum of the absolute values of each channel under the mask."""
    return _four([cv2.norm(channel, cv2.NORM_L1, mask) for channel in _channels(src)])


def sqrSum(src: Image, mask: Image | None = None) -> Sums:
    """Sum of the squares of each channel under the mask."""
    return _four([cv2.norm(channel, cv2.NORM_L2SQR, mask) for channel in _channels(src)])


def minMax(src: Image, mask: Image | None = None) -> tuple[float, float]:
    """Lowest and highest value under the mask."""
    low, high, _, _ = cv2.minMaxLoc(src, mask)
    return low, high


def evenLevels(
    nLevels: int, lowerLevel: int, upperLevel: int, levels: Image | None = None
) -> Image:
    """``nLevels`` integers from the lower to the upper level, as (1, nLevels) int32.

    As in NPP, what the division leaves over widens the first bins by one each.
    """
    step, left = divmod(upperLevel - lowerLevel, nLevels - 1)
    index = np.arange(nLevels)
    out = _like(levels, (1, nLevels), np.int32)
    out[0] = lowerLevel + index * step + np.minimum(index, left)
    return out


def histRange(src: Image, levels: Image, hist: Image | None = None) -> Image:
    """How many elements lie in [levels[i], levels[i + 1]), as (1, len(levels) - 1) int32."""
    borders = np.asarray(levels).reshape(-1)
    out = _like(hist, (1, borders.size - 1), np.int32)
    if src.dtype in (np.uint8, np.uint16):
        count = 256 if src.dtype == np.uint8 else 65536
        every = cv2.calcHist([src], [0], None, [count], [0, count])
        below = np.concatenate(([0], np.cumsum(every.reshape(-1), dtype=np.int64)))
        at = np.clip(np.ceil(borders), 0, count).astype(np.int64)
        out[0] = np.diff(below[at])
    else:
        # The last bin of np.histogram holds its upper border too: let that be another bin.
        out[0] = np.histogram(src, np.append(borders.astype(np.float64), np.inf))[0][:-1]
    return out


def histEven(
    src: Image, histSize: int, lowerLevel: int, upperLevel: int, hist: Image | None = None
) -> Image:
    """Histogram of ``histSize`` even bins, as (1, histSize) int32."""
    return histRange(src, evenLevels(histSize + 1, lowerLevel, upperLevel), hist)


def sqrIntegral(src: Image, sqsum: Image | None = None) -> Image:
    """Integral image of the squares, (H + 1, W + 1) float64."""
    return cv2.integral2(src, None, sqsum)[1]


def setTo(image: Image, value: Scalar, mask: Image | None = None) -> Image:
    """Set the pixels under the mask to ``value``; a number alone sets the first channel to it."""
    color = np.zeros(4)
    given = np.atleast_1d(np.asarray(value, np.float64))
    color[: given.size] = given
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        color = np.rint(color).clip(limits.min, limits.max)
    pixel = color[: image.shape[2]] if image.ndim == 3 else color[0]
    if mask is None:
        image[...] = pixel
    else:
        image[mask != 0] = pixel
    return image


def buildWarpAffineMaps(
    M: Image,
    inverse: bool,
    dsize: Sequence[int],
    xmap: Image | None = None,
    ymap: Image | None = None,
) -> tuple[Image, Image]:
    """Maps for remap from a 2x3 matrix; ``inverse``: it leads from the result to the source."""
    matrix = np.eye(3)
    matrix[:2] = M
    return _maps(matrix, inverse, dsize, xmap, ymap)


def buildWarpPerspectiveMaps(
    M: Image,
    inverse: bool,
    dsize: Sequence[int],
    xmap: Image | None = None,
    ymap: Image | None = None,
) -> tuple[Image, Image]:
    """Maps for remap from a 3x3 matrix; ``inverse``: it leads from the result to the source."""
    return _maps(np.asarray(M, np.float64), inverse, dsize, xmap, ymap)


def _maps(
    matrix: NDArray[np.float64],
    inverse: bool,
    size_wh: Sequence[int],
    xmap: Image | None,
    ymap: Image | None,
) -> tuple[Image, Image]:
    back: NDArray[Any] = matrix if inverse else np.linalg.inv(matrix)
    width, height = size_wh
    columns = np.arange(width, dtype=np.float64)
    rows = np.arange(height, dtype=np.float64)[:, np.newaxis]
    x, y, w = (row[0] * columns + row[1] * rows + row[2] for row in back)
    xmap = _like(xmap, (height, width), np.float32)
    ymap = _like(ymap, (height, width), np.float32)
    np.divide(x, w, out=xmap, casting="same_kind")
    np.divide(y, w, out=ymap, casting="same_kind")
    return xmap, ymap


def meanShiftFiltering(
    src: Image,
    sp: int,
    sr: int,
    dst: Image | None = None,
    criteria: tuple[int, int, float] = (
        cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS,
        5,
        1.0,
    ),
) -> Image:
    """Mean shift without a pyramid on (H, W, 4) uint8; the fourth channel stays."""
    flat = cv2.pyrMeanShiftFiltering(
        cv2.cvtColor(src, cv2.COLOR_BGRA2BGR), sp, sr, None, 0, criteria
    )
    dst = cv2.cvtColor(flat, cv2.COLOR_BGR2BGRA, dst)
    dst[..., 3] = src[..., 3]
    return dst


def alphaComp(img1: Image, img2: Image, alpha_op: int, dst: Image | None = None) -> Image:
    """Composition after Porter and Duff, "Compositing digital images" (1984).

    The fourth channel is alpha. Operations 0 to 5 multiply the colours by alpha first, 6 to 11 take
    them as multiplied, 12 only multiplies. A sum (5 and 11) ends at the highest value, which for
    floating-point images is 1.
    """
    if not 0 <= alpha_op <= 12:
        raise ConfigurationError(f"alpha_op is 0 to 12, got {alpha_op}")
    whole = 1.0 if img1.dtype.kind == "f" else float(np.iinfo(img1.dtype).max)
    front = img1.astype(np.float32) / np.float32(whole)
    if alpha_op < 6 or alpha_op == 12:
        front[..., :3] *= front[..., 3:]
    if alpha_op == 12:
        out = front
    else:
        back = img2.astype(np.float32) / np.float32(whole)
        if alpha_op < 6:
            back[..., :3] *= back[..., 3:]
        of_front, of_back = front[..., 3:], back[..., 3:]
        keep_front, keep_back = (
            (1.0, 1.0 - of_front),
            (of_back, 0.0),
            (1.0 - of_back, 0.0),
            (of_back, 1.0 - of_front),
            (1.0 - of_back, 1.0 - of_front),
            (1.0, 1.0),
        )[alpha_op % 6]
        out = front * keep_front + back * keep_back
        if alpha_op % 6 == 5:
            np.minimum(out, 1.0, out=out)
    return convertTo(out, _depth(img1), dst, whole)


def _depth(image: Image) -> int:
    return {"u1": cv2.CV_8U, "u2": cv2.CV_16U, "i4": cv2.CV_32S, "f4": cv2.CV_32F}[
        image.dtype.str[1:]
    ]
