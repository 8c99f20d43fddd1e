"""CUDA adapters: numbers out of images.

Each waits for the stream, since its caller needs the number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2

from edgevision import arena as arenas
from edgevision.cv.gpu.call import Adapter, GpuMat

__all__ = ["ADAPTERS"]

cuda: Any = cv2.cuda


def _sums(name: str) -> Adapter:
    function = getattr(cuda, name)

    def run(stream: Any, src: Any, mask: Any = None) -> Any:
        # It runs on the default stream, which does not wait for this one.
        stream.waitForCompletion()
        return function(src, mask)

    return run


def _sum_elems(stream: Any, src: Any) -> Any:
    stream.waitForCompletion()
    return cuda.sum(src)


def _count(stream: Any, src: Any) -> int:
    arena = arenas.current()
    if arena is None:
        stream.waitForCompletion()
        return int(cuda.countNonZero(src))
    number = arena.take("cuda countNonZero")
    number = cuda.countNonZero(src, GpuMat() if number is None else number, stream)
    arena.put("cuda countNonZero", number)
    value = number.download(stream)
    stream.waitForCompletion()
    return int(value[0, 0])


def _has_non_zero(stream: Any, src: Any) -> bool:
    return _count(stream, src) > 0


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    **{name: partial(_sums, name) for name in ("sum", "absSum", "sqrSum", "minMax", "minMaxLoc")},
    "sumElems": lambda: _sum_elems,
    "countNonZero": lambda: _count,
    "hasNonZero": lambda: _has_non_zero,
}
"""By operation: makes its adapter."""
