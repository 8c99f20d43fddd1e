"""CUDA adapters: arithmetic and logic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import cv2

from edgevision.cv.gpu.call import Adapter, GpuMat, aligned, cached, scratch
from edgevision.errors import CudaUnsupportedError

__all__ = ["ADAPTERS", "look_up"]

cuda: Any = cv2.cuda

_LIMITS = {0: (0, 255), 1: (-128, 127), 2: (0, 65535), 3: (-32768, 32767), 4: (-(2**31), 2**31 - 1)}


Four: TypeAlias = tuple[float, ...]


def _scalar(value: Any) -> Four:
    """Return a scalar as cv2 reads it: a number alone is that of the first channel."""
    values = [float(value)] if isinstance(value, int | float) else [float(v) for v in value]
    return (*values, 0.0, 0.0, 0.0, 0.0)[:4]


def _ordered(name: str, src1: Any, src2: Any, *, commutes: bool) -> tuple[Any, Any]:
    """Put the image first, where the order does not matter."""
    if isinstance(src1, GpuMat):
        return src1, src2
    if not commutes:
        raise CudaUnsupportedError(
            f"cv.{name} on CUDA takes a scalar as its second operand only, got it as the first"
        )
    return src2, src1


def _sum(name: str) -> Adapter:
    images, scalars = getattr(cuda, name), getattr(cuda, f"{name}WithScalar")

    def run(
        stream: Any, src1: Any, src2: Any, dst: Any = None, mask: Any = None, dtype: Any = None
    ) -> Any:
        src1, src2 = _ordered(name, src1, src2, commutes=name == "add")
        kind = -1 if dtype is None else dtype
        if mask is not None:
            dst = _zeroed(stream, src1, dst)
        if isinstance(src2, GpuMat):
            return images(src1, src2, dst, mask, kind, stream)
        return scalars(src1, _scalar(src2), dst, mask, kind, stream)

    return run


def _zeroed(stream: Any, like: Any, dst: Any) -> Any:
    """Return ``dst``, or a new image, of zeros: cv2.cuda leaves what is not under the mask."""
    if dst is None or dst.size() != like.size() or dst.type() != like.type():
        dst = GpuMat(like.size(), like.type())
    dst.setTo((0.0,) * 4, stream)
    return dst


def _product(name: str) -> Adapter:
    images, scalars = getattr(cuda, name), getattr(cuda, f"{name}WithScalar")

    def run(
        stream: Any, src1: Any, src2: Any, dst: Any = None, scale: Any = None, dtype: Any = None
    ) -> Any:
        src1, src2 = _ordered(name, src1, src2, commutes=name == "multiply")
        factor, kind = 1.0 if scale is None else scale, -1 if dtype is None else dtype
        if isinstance(src2, GpuMat):
            return images(src1, src2, dst, factor, kind, stream)
        return scalars(src1, _scalar(src2), dst, factor, kind, stream)

    return run


def _binary(name: str, *, one_scalar: bool = False) -> Adapter:
    images, scalars = getattr(cuda, name), getattr(cuda, f"{name}WithScalar")

    def run(stream: Any, src1: Any, src2: Any, dst: Any = None) -> Any:
        src1, src2 = _ordered(name, src1, src2, commutes=True)
        if isinstance(src2, GpuMat):
            return images(src1, src2, dst, stream)
        values = _scalar(src2)
        if one_scalar and len(set(values[: src1.channels()])) > 1:
            raise CudaUnsupportedError(
                f"cv.{name} on CUDA takes one scalar for all channels, got {values}"
            )
        return scalars(src1, values, dst, stream)

    return run


def _bits(name: str) -> Adapter:
    images, scalars = getattr(cuda, name), getattr(cuda, f"{name}_with_scalar")

    def run(stream: Any, src1: Any, src2: Any, dst: Any = None, mask: Any = None) -> Any:
        src1, src2 = _ordered(name, src1, src2, commutes=True)
        src1 = aligned(stream, src1, f"{name} src1")
        if mask is not None:
            dst = _zeroed(stream, src1, dst)
        if isinstance(src2, GpuMat):
            return images(src1, aligned(stream, src2, f"{name} src2"), dst, mask, stream)
        return scalars(src1, _scalar(src2), dst, mask, stream)

    return run


def _bitwise_not(stream: Any, src: Any, dst: Any = None, mask: Any = None) -> Any:
    src = aligned(stream, src, "bitwise_not")
    if mask is not None:
        dst = _zeroed(stream, src, dst)
    return cuda.bitwise_not(src, dst, mask, stream)


def _unary(name: str) -> Adapter:
    function = getattr(cuda, name)

    def run(stream: Any, src: Any, dst: Any = None) -> Any:
        return function(src, dst, stream)

    return run


def _shift(name: str) -> Adapter:
    function = getattr(cuda, name)

    def run(stream: Any, src: Any, val: Any, dst: Any = None) -> Any:
        counts = (float(val),) * 4 if isinstance(val, int) else _scalar(val)
        return function(src, counts, dst, stream)

    return run


def _add_weighted(
    stream: Any,
    src1: Any,
    alpha: float,
    src2: Any,
    beta: float,
    gamma: float,
    dst: Any = None,
    dtype: int = -1,
) -> Any:
    return cuda.addWeighted(src1, alpha, src2, beta, gamma, dst, dtype, stream)


def _pow(stream: Any, src: Any, power: float, dst: Any = None) -> Any:
    return cuda.pow(src, power, dst, stream)


def _compare(stream: Any, src1: Any, src2: Any, cmpop: int, dst: Any = None) -> Any:
    src1, src2 = _ordered("compare", src1, src2, commutes=False)
    if isinstance(src2, GpuMat):
        return cuda.compare(src1, src2, cmpop, dst, stream)
    return cuda.compareWithScalar(src1, _scalar(src2), cmpop, dst, stream)


def _in_range(stream: Any, src: Any, lowerb: Any, upperb: Any, dst: Any = None) -> Any:
    if isinstance(lowerb, GpuMat) or isinstance(upperb, GpuMat):
        raise CudaUnsupportedError("cv.inRange on CUDA takes scalars as bounds, not images")
    low, high = _scalar(lowerb), _scalar(upperb)
    limits = _LIMITS.get(src.depth())
    if limits:
        # cv2.cuda lets bounds beyond the element's type wrap around.
        least, most = limits
        used = slice(src.channels())
        if any(value > most for value in low[used]) or any(value < least for value in high[used]):
            low, high = (1.0,) * 4, (0.0,) * 4
        low = tuple(max(value, least) for value in low)
        high = tuple(min(value, most) for value in high)
    return cuda.inRange(src, low, high, dst, stream)


def _threshold(
    stream: Any, src: Any, thresh: float, maxval: float, type: int, dst: Any = None
) -> Any:
    if type > cv2.THRESH_TOZERO_INV:
        raise CudaUnsupportedError(
            "cv.threshold on CUDA takes a given threshold only, not THRESH_OTSU or THRESH_TRIANGLE"
        )
    return cuda.threshold(src, thresh, maxval, type, dst, stream)


def _convert_to(
    stream: Any, src: Any, rtype: int, dst: Any = None, alpha: float = 1.0, beta: float = 0.0
) -> Any:
    return src.convertTo(rtype, alpha, beta, stream, dst)


def _convert_scale_abs(
    stream: Any, src: Any, dst: Any = None, alpha: float = 1.0, beta: float = 0.0
) -> Any:
    wide = scratch(
        "cuda convertScaleAbs wide",
        lambda buffer: src.convertTo(cv2.CV_32F, alpha, beta, stream, buffer),
    )
    wide = cuda.abs(wide, wide, stream)
    return wide.convertTo(cv2.CV_8U, 1.0, 0.0, stream, dst)


def look_up(stream: Any, src: Any, lut: Any, dst: Any = None) -> Any:
    """Replace each byte by the table's entry."""
    return cached(stream, cuda.createLookUpTable, lut.reshape(1, -1)).transform(src, dst, stream)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    **{name: partial(_sum, name) for name in ("add", "subtract")},
    **{name: partial(_product, name) for name in ("multiply", "divide")},
    "absdiff": partial(_binary, "absdiff"),
    **{name: partial(_binary, name, one_scalar=True) for name in ("min", "max")},
    **{name: partial(_bits, name) for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{name: partial(_unary, name) for name in ("abs", "sqr", "sqrt", "exp", "log")},
    **{name: partial(_shift, name) for name in ("lshift", "rshift")},
    "bitwise_not": lambda: _bitwise_not,
    "addWeighted": lambda: _add_weighted,
    "pow": lambda: _pow,
    "compare": lambda: _compare,
    "inRange": lambda: _in_range,
    "threshold": lambda: _threshold,
    "convertTo": lambda: _convert_to,
    "convertScaleAbs": lambda: _convert_scale_abs,
    "LUT": lambda: look_up,
}
"""By operation: makes its adapter, which only a build with CUDA can."""
