"""CUDA adapters: erosion, dilation, and what is made of them."""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np

from edgevision import arena as arenas
from edgevision.cv.gpu import native
from edgevision.cv.gpu.call import Adapter, cached
from edgevision.errors import CudaUnsupportedError

__all__ = ["ADAPTERS", "morphology"]

cuda: Any = cv2.cuda

_FIRST, _SECOND, _LAST = (f"cuda morphologyEx {place}" for place in ("first", "second", "last"))
_MAX_PLANS = 64
_INFINITE = (float(np.finfo(np.float64).max),) * 4


class Plans(threading.local):
    """How this thread erodes and dilates, by stream, type and kernel."""

    def __init__(self) -> None:
        self.made: dict[Any, Any] = {}


_plans = Plans()


def _check_border(name: str, border: int, value: Any) -> None:
    constant = border == cv2.BORDER_CONSTANT
    if not constant or (value is not None and tuple(value) != _INFINITE):
        raise CudaUnsupportedError(
            f"cv.{name} on CUDA leaves out what lies outside the image (the default), got border "
            f"{border} with value {value}"
        )


class _Plan(NamedTuple):
    """How to erode and dilate images of one type with one kernel.

    Attributes:
        steps: launches of edgevision's own kernel; None where it does not take this.
        box: cv2.cuda's running extreme, for a rectangle; None for other shapes.
        box_wh: its size.
        made: cv2.cuda's filter for one erosion or dilation; None where ``steps`` are there.
    """

    steps: list[native.Step] | None
    box: Any
    box_wh: tuple[int, int]
    made: Any


def _plan(stream: Any, operation: int, src: Any, kernel: Any, anchor: Any, count: int) -> _Plan:
    shape = np.ones((3, 3), np.uint8) if kernel is None else np.asarray(kernel)
    anchor = (int(anchor[0]), int(anchor[1]))
    if native.usable():
        steps = native.plan_morphology(operation, src.depth(), src.channels(), shape, anchor, count)
        if steps is not None:
            return _Plan(steps, None, (0, 0), None)
    if operation not in (cv2.MORPH_ERODE, cv2.MORPH_DILATE):
        return _Plan(None, None, (0, 0), None)
    kind = src.type()
    height, width = shape.shape[:2]
    box = None
    size = ((width - 1) * count + 1, (height - 1) * count + 1)
    centred = anchor in ((-1, -1), (width // 2, height // 2)) and width % 2 and height % 2
    if centred and kind == cv2.CV_8UC1 and (shape != 0).all():
        # n times a rectangle is one larger rectangle. Reflection brings no pixel into a centred
        # rectangle that is not in it already, so the border makes no difference.
        make = cuda.createBoxMaxFilter if operation == cv2.MORPH_DILATE else cuda.createBoxMinFilter
        box = cached(stream, make, kind, size)
    made = cached(stream, cuda.createMorphologyFilter, operation, kind, shape, anchor, 1)
    return _Plan(None, box, size, made)


def _planned(stream: Any, operation: int, src: Any, kernel: Any, anchor: Any, count: int) -> _Plan:
    known = None if kernel is None else (kernel.shape, kernel.tobytes())
    plans = _plans.made
    name = (id(stream), operation, src.type(), known, tuple(anchor), count)
    plan = plans.get(name)
    if plan is None:
        if len(plans) >= _MAX_PLANS:
            plans.clear()
        # With the stream, so that no other one gets its id.
        plan = plans[name] = (_plan(stream, operation, src, kernel, anchor, count), stream)
    return plan[0]


def _extreme(
    stream: Any,
    operation: int,
    src: Any,
    kernel: Any,
    dst: Any,
    anchor: Any,
    iterations: int,
    key: str,
) -> Any:
    """Erode or dilate, each iteration with the border of the first, as cv2 does."""
    if iterations < 1:
        return src.copyTo(stream, dst)
    plan = _planned(stream, operation, src, kernel, anchor, iterations)
    if plan.steps is not None:
        return native.morphology(stream, plan.steps, src, dst, key)
    if plan.box is not None:
        columns, rows = src.size()
        if plan.box_wh[0] // 2 < columns and plan.box_wh[1] // 2 < rows:
            return plan.box.apply(src, dst, stream)
    arena = arenas.current()
    for left in range(iterations - 1, 0, -1):
        lane = f"cuda {key} {left}"
        src = plan.made.apply(src, None if arena is None else arena.take(lane), stream)
        if arena is not None:
            arena.put(lane, src)
    return plan.made.apply(src, dst, stream)


def _erode(
    stream: Any,
    src: Any,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    iterations: int = 1,
    borderType: int = cv2.BORDER_CONSTANT,
    borderValue: Any = None,
) -> Any:
    _check_border("erode", borderType, borderValue)
    return _extreme(stream, cv2.MORPH_ERODE, src, kernel, dst, anchor, iterations, "erode")


def _dilate(
    stream: Any,
    src: Any,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    iterations: int = 1,
    borderType: int = cv2.BORDER_CONSTANT,
    borderValue: Any = None,
) -> Any:
    _check_border("dilate", borderType, borderValue)
    return _extreme(stream, cv2.MORPH_DILATE, src, kernel, dst, anchor, iterations, "dilate")


def morphology(
    stream: Any,
    src: Any,
    op: int,
    kernel: Any,
    dst: Any = None,
    anchor: Any = (-1, -1),
    iterations: int = 1,
    borderType: int = cv2.BORDER_CONSTANT,
    borderValue: Any = None,
) -> Any:
    """Open, close, and what else is made of erosions and dilations."""
    _check_border("morphologyEx", borderType, borderValue)
    erode, dilate = cv2.MORPH_ERODE, cv2.MORPH_DILATE
    if iterations > 0:
        plan = _planned(stream, op, src, kernel, anchor, iterations)
        if plan.steps is not None:
            return native.morphology(stream, plan.steps, src, dst, "morphologyEx")
    arena = arenas.current()

    def step(operation: int, image: Any, lane: str) -> Any:
        buffer = None if arena is None else arena.take(lane)
        image = _extreme(stream, operation, image, kernel, buffer, anchor, iterations, lane)
        if arena is not None:
            arena.put(lane, image)
        return image

    def last(operation: int, image: Any) -> Any:
        return _extreme(stream, operation, image, kernel, dst, anchor, iterations, _LAST)

    if op in (erode, dilate):
        return last(op, src)
    if op == cv2.MORPH_OPEN:
        return last(dilate, step(erode, src, _FIRST))
    if op == cv2.MORPH_CLOSE:
        return last(erode, step(dilate, src, _FIRST))
    if op == cv2.MORPH_GRADIENT:
        return cuda.subtract(
            step(dilate, src, _FIRST), step(erode, src, _SECOND), dst, None, -1, stream
        )
    if op == cv2.MORPH_TOPHAT:
        opened = step(dilate, step(erode, src, _FIRST), _SECOND)
        return cuda.subtract(src, opened, dst, None, -1, stream)
    if op == cv2.MORPH_BLACKHAT:
        closed = step(erode, step(dilate, src, _FIRST), _SECOND)
        return cuda.subtract(closed, src, dst, None, -1, stream)
    raise CudaUnsupportedError("cv.morphologyEx on CUDA has no MORPH_HITMISS")


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "erode": lambda: _erode,
    "dilate": lambda: _dilate,
    "morphologyEx": lambda: morphology,
}
"""By operation: gives its adapter."""
