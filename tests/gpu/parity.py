"""How close CUDA and CPU must be, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tests.unit.cv.pictures import Image

__all__ = ["CLOSE", "Close", "device", "distance", "host", "must_work"]


@dataclass(frozen=True)
class Close:
    """How far the results may be apart, and what must work.

    Attributes:
        steps: of an integer result.
        relative: to the largest value of a floating-point one.
        types: that must not be refused.
        inexact: types on which cv2.cuda computes in less than the CPU's precision; not compared.
        margin_px: width of the border that is not compared.
    """

    steps: int = 0
    relative: float = 4e-7
    types: str = "8UC1 8UC3 32FC1"
    inexact: str = ""
    margin_px: int = 0


_WIDE = "32SC1 32SC3 32SC4"  # scalars pass through 32-bit floating point on the device

CLOSE: dict[str, Close] = {
    "add": Close(inexact=_WIDE),
    "subtract": Close(inexact=_WIDE),
    "multiply": Close(inexact=_WIDE + " 16UC1 16UC3 16UC4"),
    "divide": Close(
        steps=1,
        inexact=_WIDE + " 8UC1 8UC3 8UC4 8SC1 8SC3 8SC4 16UC1 16UC3 16UC4 16SC1 16SC3 16SC4",
    ),
    "absdiff": Close(inexact=_WIDE),
    "addWeighted": Close(inexact=_WIDE),
    "pow": Close(steps=1, relative=5e-7),
    "sqr": Close(inexact="16UC1 16UC3 16UC4", types="8UC1 16SC3 32FC1"),
    "exp": Close(types="32FC1 32FC3 64FC1"),
    "log": Close(types="32FC1 32FC3 64FC1"),
    "sqrt": Close(types="32FC1 32FC3 64FC1"),
    "lshift": Close(types="8UC1 8UC3 32SC1"),
    "rshift": Close(types="8UC1 8UC3 32SC1"),
    "bitwise_and": Close(types="8UC1 8UC3 32SC1"),
    "bitwise_or": Close(types="8UC1 8UC3 32SC1"),
    "bitwise_xor": Close(types="8UC1 8UC3 32SC1"),
    "bitwise_not": Close(types="8UC1 8UC3 32SC1"),
    "LUT": Close(types="8UC1 8UC3"),
    "convertTo": Close(inexact=_WIDE),
    "cvtColor": Close(),
    "equalizeHist": Close(types="8UC1"),
    "blur": Close(steps=1, types="8UC1 8UC4 32FC1"),
    "GaussianBlur": Close(steps=2),
    "Sobel": Close(steps=2, relative=2e-6, types="8UC1 8UC3 32FC1"),
    "Scharr": Close(),
    "Laplacian": Close(types="32FC1"),
    "filter2D": Close(types="8UC1 8UC4 32FC1"),
    "sepFilter2D": Close(steps=1),
    "bilateralFilter": Close(),
    "erode": Close(types="8UC1 8UC4 32FC1"),
    "dilate": Close(types="8UC1 8UC4 32FC1"),
    "morphologyEx": Close(types="8UC1 8UC4 32FC1"),
    "transpose": Close(types="8UC1 32FC1"),
    "flip": Close(types="8UC1 8UC3 32FC1"),
    "rotate": Close(types="8UC1 32FC1"),
    "split": Close(types="8UC1 8UC3 32FC4"),
    "merge": Close(types="8UC1 32FC1"),
    "extractChannel": Close(types="8UC3 32FC4"),
    "resize": Close(steps=1, relative=1e-5),
    "pyrDown": Close(steps=1),
    "blendLinear": Close(steps=1),
    "alphaComp": Close(steps=3, types="8UC4 32FC4"),
    "sumElems": Close(relative=1e-6, inexact="32SC1"),
    "sum": Close(relative=1e-6),
    "absSum": Close(relative=1e-6),
    "sqrSum": Close(relative=1e-6),
    "minMax": Close(types="8UC1 32FC1"),
    "minMaxLoc": Close(types="16UC1 32FC1", inexact="8UC1 8SC1"),
    "countNonZero": Close(types="8UC1 32FC1"),
    "hasNonZero": Close(types="8UC1 32FC1"),
}
"""By operation; one that is not here must agree exactly on integers."""


def must_work(name: str, kind: str, dtypes: str, channels: tuple[int, ...]) -> bool:
    """Tell whether the operation may not refuse this type."""
    depth, _, count = kind.partition("C")
    return (
        kind in CLOSE.get(name, Close()).types.split()
        and depth in dtypes.split()
        and int(count) in channels
    )


def device(value: Any, *, region: bool) -> Any:
    """Upload an array; as a region of a larger image if asked."""
    if isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray):
        return [device(item, region=region) for item in value]
    if not isinstance(value, np.ndarray):
        return value
    mat = cv2.cuda.GpuMat()
    if not region:
        mat.upload(np.ascontiguousarray(value))
        return mat
    height, width = value.shape[:2]
    larger = np.full((height + 6, width + 9, *value.shape[2:]), 99, value.dtype)
    larger[2 : 2 + height, 5 : 5 + width] = value
    mat.upload(larger)
    return cv2.cuda.GpuMat(mat, (5, 2, width, height))


def host(value: Any) -> Any:
    """Download what a call returned; the work on the default stream has ended."""
    if isinstance(value, cv2.cuda.GpuMat):
        return value.download()
    if isinstance(value, list | tuple):
        return tuple(host(item) for item in value)
    return value


def distance(expected: Any, got: Any, close: Close) -> str:
    """Return what is wrong, or nothing."""
    if isinstance(expected, list | tuple):
        if len(expected) != len(got):
            return f"{len(expected)} results against {len(got)}"
        return "".join(distance(e, g, close) for e, g in zip(expected, got, strict=True))
    left: Image = np.asarray(expected)
    right: Image = np.asarray(got)
    if left.ndim == 3 and left.shape[2] == 1:
        left = left[..., 0]
    if left.shape != right.shape or (
        isinstance(expected, np.ndarray) and left.dtype != right.dtype
    ):
        return f"{left.dtype} {left.shape} against {right.dtype} {right.shape}"
    if close.margin_px:
        inner = slice(close.margin_px, -close.margin_px)
        left, right = left[inner, inner], right[inner, inner]
    if left.dtype.kind in "iub":
        apart = np.abs(left.astype(np.int64) - right.astype(np.int64)).max(initial=0)
        return f"{apart} steps apart" if apart > close.steps else ""
    scale = np.abs(left).max(initial=0.0) or 1.0
    apart = np.abs(left.astype(np.float64) - right.astype(np.float64)).max(initial=0.0) / scale
    return f"{apart:.3g} apart, relative" if not apart <= close.relative else ""
