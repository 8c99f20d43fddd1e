"""CUDA adapters: colours and filters."""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2

from edgevision.cv.gpu import native
from edgevision.cv.gpu.call import (
    Adapter,
    GpuMat,
    aligned,
    cached,
    depth_of,
    null_stream,
    scratch,
    whole,
)
from edgevision.errors import ConfigurationError, CudaUnsupportedError

__all__ = ["ADAPTERS", "filter_2d", "laplacian", "median"]

cuda: Any = cv2.cuda

_DEFAULT = cv2.BORDER_DEFAULT
# What 32F holds without loss.
_WIDENED = (cv2.CV_8U, cv2.CV_16U, cv2.CV_16S, cv2.CV_32F)


def _without_delta(name: str, delta: float) -> None:
    if delta:
        raise CudaUnsupportedError(f"cv.{name} on CUDA adds no delta, got {delta}")


def _cvt_color(stream: Any, src: Any, code: int, dst: Any = None, dstCn: int = 0) -> Any:
    return cuda.cvtColor(src, code, dst, dstCn, stream)


def _equalize_hist(stream: Any, src: Any, dst: Any = None) -> Any:
    return cuda.equalizeHist(aligned(stream, src, "equalizeHist"), dst, stream)


def _blur(
    stream: Any,
    src: Any,
    ksize: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    borderType: int = _DEFAULT,
) -> Any:
    kind = src.type()
    box = cached(stream, cuda.createBoxFilter, kind, kind, tuple(ksize), tuple(anchor), borderType)
    return box.apply(src, dst, stream)


def _gaussian_blur(
    stream: Any,
    src: Any,
    ksize: Any,
    sigmaX: float,
    dst: Any = None,
    sigmaY: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    gaussian = cached(
        stream, cuda.createGaussianFilter, src.type(), -1, tuple(ksize), sigmaX, sigmaY, borderType
    )
    return gaussian.apply(src, dst, stream)


def _sobel(
    stream: Any,
    src: Any,
    ddepth: int,
    dx: int,
    dy: int,
    dst: Any = None,
    ksize: int = 3,
    scale: float = 1.0,
    delta: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    _without_delta("Sobel", delta)
    made = cached(
        stream,
        cuda.createSobelFilter,
        src.type(),
        depth_of(src, ddepth),
        dx,
        dy,
        ksize,
        scale,
        borderType,
    )
    return made.apply(src, dst, stream)


def _scharr(
    stream: Any,
    src: Any,
    ddepth: int,
    dx: int,
    dy: int,
    dst: Any = None,
    scale: float = 1.0,
    delta: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    _without_delta("Scharr", delta)
    kind = depth_of(src, ddepth)
    made = cached(stream, cuda.createScharrFilter, src.type(), kind, dx, dy, scale, borderType)
    return made.apply(src, dst, stream)


def _linear(
    stream: Any, src: Any, ddepth: int, dst: Any, make: Callable[[int], Any], key: str
) -> Any:
    """Run a filter that keeps the type of an image, by way of 32F where the result has another."""
    kind, wanted, depth = src.type(), depth_of(src, ddepth), src.depth()
    if depth not in _WIDENED or (kind == wanted and depth != cv2.CV_16S):
        return make(kind).apply(src, dst, stream)
    wide = depth_of(src, cv2.CV_32F)
    if kind != wide:
        source = src
        src = scratch(
            f"cuda {key} wide",
            lambda buffer: source.convertTo(cv2.CV_32F, 1.0, 0.0, stream, buffer),
        )
    if wanted == wide:
        return make(wide).apply(src, dst, stream)
    found = scratch(f"cuda {key} found", lambda buffer: make(wide).apply(src, buffer, stream))
    return found.convertTo(wanted, 1.0, 0.0, stream, dst)


def laplacian(
    stream: Any,
    src: Any,
    ddepth: int,
    dst: Any = None,
    ksize: int = 1,
    scale: float = 1.0,
    delta: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    """Sum of the second derivatives."""
    _without_delta("Laplacian", delta)

    def make(kind: int) -> Any:
        return cached(stream, cuda.createLaplacianFilter, kind, kind, ksize, scale, borderType)

    return _linear(stream, src, ddepth, dst, make, "Laplacian")


def filter_2d(
    stream: Any,
    src: Any,
    ddepth: int,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    delta: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    """Correlation with any kernel."""
    _without_delta("filter2D", delta)

    def make(kind: int) -> Any:
        return cached(
            stream, cuda.createLinearFilter, kind, kind, kernel, tuple(anchor), borderType
        )

    return _linear(stream, src, ddepth, dst, make, "filter2D")


def _sep_filter2d(
    stream: Any,
    src: Any,
    ddepth: int,
    kernelX: Any,
    kernelY: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    delta: float = 0.0,
    borderType: int = _DEFAULT,
) -> Any:
    _without_delta("sepFilter2D", delta)
    made = cached(
        stream,
        cuda.createSeparableLinearFilter,
        src.type(),
        depth_of(src, ddepth),
        kernelX,
        kernelY,
        tuple(anchor),
        borderType,
    )
    return made.apply(src, dst, stream)


def _box_filter(
    stream: Any,
    src: Any,
    ddepth: int,
    ksize: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    normalize: bool = True,
    borderType: int = _DEFAULT,
) -> Any:
    if not normalize or ddepth not in (-1, src.depth()):
        raise CudaUnsupportedError(
            "cv.boxFilter on CUDA gives the mean, in the type of the image: normalize=True and "
            f"ddepth=-1, got {normalize} and {ddepth}"
        )
    return _blur(stream, src, ksize, dst, anchor, borderType)


def median(stream: Any, src: Any, ksize: int, dst: Any = None) -> Any:
    """Median over a square."""
    if ksize == 1:
        return src.copyTo(stream, dst)
    if ksize < 1 or ksize % 2 == 0:
        raise ConfigurationError(f"ksize of medianBlur is odd and above 0, got {ksize}")
    found = native.median(stream, src, ksize, dst) if native.usable() else None
    if found is not None:
        return found
    if src.type() != cv2.CV_8UC1:
        raise CudaUnsupportedError(
            f"cv.medianBlur on CUDA of {ksize} by {ksize} takes 8U with one channel"
        )
    # cv2 repeats the border, cv2.cuda does not: what it computes within such a border is the same.
    edge = ksize // 2
    framed = scratch(
        "cuda medianBlur framed",
        lambda buffer: cuda.copyMakeBorder(
            src, edge, edge, edge, edge, cv2.BORDER_REPLICATE, buffer, (0.0,) * 4, stream
        ),
    )
    made = cached(stream, cuda.createMedianFilter, cv2.CV_8UC1, ksize)
    smooth = scratch("cuda medianBlur smooth", lambda buffer: made.apply(framed, buffer, stream))
    width, height = src.size()
    return GpuMat(smooth, (edge, edge, width, height)).copyTo(stream, dst)


def _denoise(
    stream: Any,
    src: Any,
    dst: Any = None,
    h: Any = 3.0,
    templateWindowSize: int = 7,
    searchWindowSize: int = 21,
) -> Any:
    # In cv2's other form h is a list, and stands where dst does here.
    if not isinstance(h, int | float) or isinstance(dst, list | tuple):
        raise CudaUnsupportedError("cv.fastNlMeansDenoising on CUDA takes one number as h")
    return cuda.fastNlMeansDenoising(
        whole(stream, src, "denoise"),
        float(h),
        GpuMat() if dst is None else dst,
        searchWindowSize,
        templateWindowSize,
        stream,
    )


def _denoise_colored(
    stream: Any,
    src: Any,
    dst: Any = None,
    h: float = 3.0,
    hColor: float = 3.0,
    templateWindowSize: int = 7,
    searchWindowSize: int = 21,
) -> Any:
    image = whole(stream, src, "denoise")
    # Parts of it run on the default stream whatever stream it is given.
    default = null_stream()
    stream.waitForCompletion()
    smooth = cuda.fastNlMeansDenoisingColored(
        image,
        float(h),
        float(hColor),
        GpuMat() if dst is None else dst,
        searchWindowSize,
        templateWindowSize,
        default,
    )
    default.waitForCompletion()
    return smooth


def _bilateral(
    stream: Any,
    src: Any,
    d: int,
    sigmaColor: float,
    sigmaSpace: float,
    dst: Any = None,
    borderType: int = _DEFAULT,
) -> Any:
    return cuda.bilateralFilter(src, d, sigmaColor, sigmaSpace, dst, borderType, stream)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "cvtColor": lambda: _cvt_color,
    "equalizeHist": lambda: _equalize_hist,
    "blur": lambda: _blur,
    "GaussianBlur": lambda: _gaussian_blur,
    "Sobel": lambda: _sobel,
    "Scharr": lambda: _scharr,
    "Laplacian": lambda: laplacian,
    "filter2D": lambda: filter_2d,
    "sepFilter2D": lambda: _sep_filter2d,
    "bilateralFilter": lambda: _bilateral,
    "boxFilter": lambda: _box_filter,
    "medianBlur": lambda: median,
    "fastNlMeansDenoising": lambda: _denoise,
    "fastNlMeansDenoisingColored": lambda: _denoise_colored,
}
"""By operation: gives its adapter."""
