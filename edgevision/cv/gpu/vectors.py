"""CUDA adapters: vectors, scaling, matrices, spectra."""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2

from edgevision.cv.gpu.call import Adapter, GpuMat, depth_of, fitting, pair, scratch
from edgevision.cv.gpu.geometry import merge
from edgevision.errors import CudaUnsupportedError

__all__ = ["ADAPTERS"]

cuda: Any = cv2.cuda

_PER_ROW_OR_SCALED = cv2.DFT_ROWS | cv2.DFT_SCALE | cv2.DFT_INVERSE


def _single(name: str, image: Any) -> None:
    """Refuse what cv2.cuda takes for its first channel."""
    if image.channels() != 1:
        raise CudaUnsupportedError(
            f"cv.{name} on CUDA takes one channel, got {image.channels()}: cv.split"
        )


def _magnitude(stream: Any, x: Any, y: Any, magnitude: Any = None) -> Any:
    _single("magnitude", x)
    return cuda.magnitude(x, y, magnitude, stream)


def _magnitude_sqr(stream: Any, x: Any, y: Any, magnitude: Any = None) -> Any:
    _single("magnitudeSqr", x)
    return cuda.magnitudeSqr(x, y, magnitude, stream)


def _phase(stream: Any, x: Any, y: Any, angle: Any = None, angleInDegrees: bool = False) -> Any:
    _single("phase", x)
    return cuda.phase(x, y, angle, angleInDegrees, stream)


def _cart_to_polar(
    stream: Any,
    x: Any,
    y: Any,
    magnitude: Any = None,
    angle: Any = None,
    angleInDegrees: bool = False,
) -> Any:
    _single("cartToPolar", x)
    return pair(
        "cuda cartToPolar",
        (magnitude, angle),
        lambda first, second: cuda.cartToPolar(x, y, first, second, angleInDegrees, stream),
    )


def _polar_to_cart(
    stream: Any,
    magnitude: Any,
    angle: Any,
    x: Any = None,
    y: Any = None,
    angleInDegrees: bool = False,
) -> Any:
    _single("polarToCart", magnitude)
    return pair(
        "cuda polarToCart",
        (x, y),
        lambda first, second: cuda.polarToCart(
            magnitude, angle, first, second, angleInDegrees, stream
        ),
    )


def _normalize(
    stream: Any,
    src: Any,
    dst: Any,
    alpha: float = 1.0,
    beta: float = 0.0,
    norm_type: int = cv2.NORM_L2,
    dtype: int = -1,
    mask: Any = None,
) -> Any:
    if mask is not None:
        dst = fitting(dst, src, type=depth_of(src, dtype))
        # cv2.cuda leaves what is not under the mask.
        dst.setTo((0.0,) * 4, stream)
    return cuda.normalize(src, alpha, beta, norm_type, dtype, dst, mask, stream)


def _gemm(
    stream: Any,
    src1: Any,
    src2: Any,
    alpha: float,
    src3: Any,
    beta: float,
    dst: Any = None,
    flags: int = 0,
) -> Any:
    third = GpuMat() if src3 is None else src3
    return cuda.gemm(src1, src2, alpha, third, beta, dst, flags, stream)


def _dft(stream: Any, src: Any, dst: Any = None, flags: int = 0, nonzeroRows: int = 0) -> Any:
    if nonzeroRows:
        raise CudaUnsupportedError("cv.dft on CUDA takes no nonzeroRows")
    if src.channels() == 1:
        if not flags & cv2.DFT_COMPLEX_OUTPUT:
            raise CudaUnsupportedError(
                "cv.dft on CUDA packs the spectrum of a real image otherwise than cv2: give "
                "DFT_COMPLEX_OUTPUT, or an image of two channels"
            )
        zeros = scratch("cuda dft zeros", lambda buffer: fitting(buffer, src))
        zeros.setTo((0.0,) * 4, stream)
        src = scratch("cuda dft complex", lambda buffer: merge(stream, [src, zeros], buffer))
        flags &= ~cv2.DFT_COMPLEX_OUTPUT
    if flags & ~_PER_ROW_OR_SCALED:
        raise CudaUnsupportedError(
            f"cv.dft on CUDA takes DFT_INVERSE, DFT_SCALE, DFT_ROWS and, of a real image, "
            f"DFT_COMPLEX_OUTPUT, got {flags}"
        )
    return cuda.dft(src, src.size(), dst, flags, stream)


def _mul_spectrums(
    stream: Any, a: Any, b: Any, flags: int, c: Any = None, conjB: bool = False
) -> Any:
    return cuda.mulSpectrums(a, b, flags, c, conjB, stream)


def _mul_and_scale_spectrums(
    stream: Any, a: Any, b: Any, flags: int, scale: float, c: Any = None, conjB: bool = False
) -> Any:
    return cuda.mulAndScaleSpectrums(a, b, flags, scale, c, conjB, stream)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "magnitude": lambda: _magnitude,
    "magnitudeSqr": lambda: _magnitude_sqr,
    "phase": lambda: _phase,
    "cartToPolar": lambda: _cart_to_polar,
    "polarToCart": lambda: _polar_to_cart,
    "normalize": lambda: _normalize,
    "gemm": lambda: _gemm,
    "dft": lambda: _dft,
    "mulSpectrums": lambda: _mul_spectrums,
    "mulAndScaleSpectrums": lambda: _mul_and_scale_spectrums,
}
"""By operation: gives its adapter."""
