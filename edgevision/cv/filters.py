"""The CPU side of the filters that cv2.cuda makes once and cv2 has as functions.

Each ``create...`` function takes the arguments of its namesake in cv2.cuda. As there, a filter
takes only images of the type that it was made for. What cv2 cannot do on the CPU is refused when
the filter is made.
"""

# The names are those of OpenCV.
# ruff: noqa: N802, N803

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edgevision.cv.reference import Image, Scalar
from edgevision.errors import ConfigurationError

__all__ = ["Filter", "Size", "check_type", "depth_of", "type_name"]

Size = Sequence[int]
Apply = Callable[[Image, Image | None], Image]

_DEPTHS = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "i4": 4, "f4": 5, "f8": 6}
_NAMES = {
    depth: f"{8 * int(code[1])}{'FSU'['fiu'.index(code[0])]}" for code, depth in _DEPTHS.items()
}
# Between two numbers of channels of the same depth: 8 up to OpenCV 4, 32 from 5 on.
_CHANNEL_STEP = cv2.CV_8UC2


def type_name(cv_type: int) -> str:
    """Return the name of a cv2 type, such as 8UC3."""
    """Return the name of a cv2 type: 8UC3."""
    return f"{_NAMES.get(cv_type % _CHANNEL_STEP, '?')}C{cv_type // _CHANNEL_STEP + 1}"


def _type_of(image: Image) -> int:
    channels = image.shape[2] if image.ndim == 3 else 1
    return _DEPTHS[image.dtype.str[1:]] + (channels - 1) * _CHANNEL_STEP


class Filter:
    """A filter with its parameters, for images of one type."""

    def __init__(self, source_type: int, function: Apply) -> None:
        self._source_type = source_type
        self._function = function

    def apply(self, src: Image, dst: Image | None = None) -> Image:
        """Return the filtered image."""
        check_type(src, self._source_type)
        return self._function(src, dst)


def check_type(src: Image, source_type: int) -> None:
    """Refuse an image of another type than the filter was made for."""
    if _type_of(src) != source_type:
        raise ConfigurationError(
            f"made for images of type {type_name(source_type)}, got {type_name(_type_of(src))}"
        )


def depth_of(destination_type: int) -> int:
    """Return the depth of a cv2 type; -1, the source's own, stays."""
    return destination_type if destination_type < 0 else destination_type % _CHANNEL_STEP


def _border(row_mode: int, column_mode: int = -1) -> int:
    if column_mode not in (-1, row_mode):
        raise ConfigurationError(
            f"the CPU has one border mode for both directions, got {row_mode} and {column_mode}"
        )
    return row_mode


def _zero_border(mode: int, value: Scalar) -> int:
    if mode == cv2.BORDER_CONSTANT and np.any(np.asarray(value)):
        raise ConfigurationError(f"the CPU has a constant border of 0 only, got {value}")
    return mode


def createBoxFilter(
    srcType: int,
    dstType: int,
    ksize: Size,
    anchor: Size = (-1, -1),
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that does what boxFilter does."""
    mode = _zero_border(borderMode, borderVal)
    depth = depth_of(dstType)
    return Filter(
        srcType, lambda src, dst: cv2.boxFilter(src, depth, ksize, dst, anchor, True, mode)
    )


def createRowSumFilter(
    srcType: int,
    dstType: int,
    ksize: int,
    anchor: int = -1,
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that sums ``ksize`` pixels of a row."""
    mode = _zero_border(borderMode, borderVal)
    depth = depth_of(dstType)
    place = (anchor, -1)
    return Filter(
        srcType, lambda src, dst: cv2.boxFilter(src, depth, (ksize, 1), dst, place, False, mode)
    )


def createColumnSumFilter(
    srcType: int,
    dstType: int,
    ksize: int,
    anchor: int = -1,
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that sums ``ksize`` pixels of a column."""
    mode = _zero_border(borderMode, borderVal)
    depth = depth_of(dstType)
    place = (-1, anchor)
    return Filter(
        srcType, lambda src, dst: cv2.boxFilter(src, depth, (1, ksize), dst, place, False, mode)
    )


def createGaussianFilter(
    srcType: int,
    dstType: int,
    ksize: Size,
    sigma1: float,
    sigma2: float = 0.0,
    rowBorderMode: int = cv2.BORDER_DEFAULT,
    columnBorderMode: int = -1,
) -> Filter:
    """Make a filter that does what GaussianBlur does; the result has the source's type."""
    mode = _border(rowBorderMode, columnBorderMode)
    if dstType not in (-1, srcType):
        raise ConfigurationError(
            f"the CPU keeps the type {type_name(srcType)}, asked for {type_name(dstType)}"
        )
    return Filter(srcType, lambda src, dst: cv2.GaussianBlur(src, ksize, sigma1, dst, sigma2, mode))


def createSobelFilter(
    srcType: int,
    dstType: int,
    dx: int,
    dy: int,
    ksize: int = 3,
    scale: float = 1.0,
    rowBorderMode: int = cv2.BORDER_DEFAULT,
    columnBorderMode: int = -1,
) -> Filter:
    """Make a filter that does what Sobel does."""
    mode = _border(rowBorderMode, columnBorderMode)
    depth = depth_of(dstType)
    return Filter(
        srcType, lambda src, dst: cv2.Sobel(src, depth, dx, dy, dst, ksize, scale, 0.0, mode)
    )


def createScharrFilter(
    srcType: int,
    dstType: int,
    dx: int,
    dy: int,
    scale: float = 1.0,
    rowBorderMode: int = cv2.BORDER_DEFAULT,
    columnBorderMode: int = -1,
) -> Filter:
    """Make a filter that does what Scharr does."""
    mode = _border(rowBorderMode, columnBorderMode)
    depth = depth_of(dstType)
    return Filter(srcType, lambda src, dst: cv2.Scharr(src, depth, dx, dy, dst, scale, 0.0, mode))


def createDerivFilter(
    srcType: int,
    dstType: int,
    dx: int,
    dy: int,
    ksize: int,
    normalize: bool = False,
    scale: float = 1.0,
    rowBorderMode: int = cv2.BORDER_DEFAULT,
    columnBorderMode: int = -1,
) -> Filter:
    """Make a filter that does what sepFilter2D does with the kernels of getDerivKernels."""
    row_kernel, column_kernel = cv2.getDerivKernels(
        dx, dy, ksize, normalize=normalize, ktype=cv2.CV_32F
    )
    # The smoothing kernel takes the scale, as in cv2.Sobel.
    if dx == 0:
        row_kernel = row_kernel * np.float32(scale)
    else:
        column_kernel = column_kernel * np.float32(scale)
    return createSeparableLinearFilter(
        srcType,
        dstType,
        row_kernel,
        column_kernel,
        rowBorderMode=rowBorderMode,
        columnBorderMode=columnBorderMode,
    )


def createLaplacianFilter(
    srcType: int,
    dstType: int,
    ksize: int = 1,
    scale: float = 1.0,
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that does what Laplacian does."""
    mode = _zero_border(borderMode, borderVal)
    depth = depth_of(dstType)
    return Filter(srcType, lambda src, dst: cv2.Laplacian(src, depth, dst, ksize, scale, 0.0, mode))


def createLinearFilter(
    srcType: int,
    dstType: int,
    kernel: Image,
    anchor: Size = (-1, -1),
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that does what filter2D does."""
    mode = _zero_border(borderMode, borderVal)
    depth = depth_of(dstType)
    return Filter(
        srcType, lambda src, dst: cv2.filter2D(src, depth, kernel, dst, anchor, 0.0, mode)
    )


def createSeparableLinearFilter(
    srcType: int,
    dstType: int,
    rowKernel: Image,
    columnKernel: Image,
    anchor: Size = (-1, -1),
    rowBorderMode: int = cv2.BORDER_DEFAULT,
    columnBorderMode: int = -1,
) -> Filter:
    """Make a filter that does what sepFilter2D does."""
    mode = _border(rowBorderMode, columnBorderMode)
    depth = depth_of(dstType)
    return Filter(
        srcType,
        lambda src, dst: cv2.sepFilter2D(
            src, depth, rowKernel, columnKernel, dst, anchor, 0.0, mode
        ),
    )


def createMorphologyFilter(
    op: int, srcType: int, kernel: Image, anchor: Size = (-1, -1), iterations: int = 1
) -> Filter:
    """Make a filter that does what morphologyEx does."""
    return Filter(
        srcType, lambda src, dst: cv2.morphologyEx(src, op, kernel, dst, anchor, iterations)
    )


def createBoxMaxFilter(
    srcType: int,
    ksize: Size,
    anchor: Size = (-1, -1),
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that does what dilate does with a rectangle."""
    kernel = np.ones((ksize[1], ksize[0]), np.uint8)
    return Filter(
        srcType,
        lambda src, dst: cv2.dilate(src, kernel, dst, anchor, 1, borderMode, borderVal),
    )


def createBoxMinFilter(
    srcType: int,
    ksize: Size,
    anchor: Size = (-1, -1),
    borderMode: int = cv2.BORDER_DEFAULT,
    borderVal: Scalar = 0.0,
) -> Filter:
    """Make a filter that does what erode does with a rectangle."""
    kernel = np.ones((ksize[1], ksize[0]), np.uint8)
    return Filter(
        srcType,
        lambda src, dst: cv2.erode(src, kernel, dst, anchor, 1, borderMode, borderVal),
    )


def createMedianFilter(srcType: int, windowSize: int, partition: int = 128) -> Filter:
    """Make a filter that does what medianBlur does.

    ``partition`` divides the work on CUDA and changes no result.
    """
    return Filter(srcType, lambda src, dst: cv2.medianBlur(src, windowSize, dst))
