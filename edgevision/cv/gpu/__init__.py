"""The CUDA side of the operation table: one adapter for each row that has one.

Loaded with the first GpuMat. A row without an entry here is refused with the name of the cv2.cuda
function to call.
"""

from __future__ import annotations

from edgevision.cv.device import Made
from edgevision.cv.gpu import (
    arithmetic,
    features,
    filtering,
    geometry,
    made,
    morphology,
    motion,
    recognition,
    reduction,
    vectors,
)
from edgevision.cv.gpu.call import Adapter, wrap
from edgevision.cv.operation import Operation

__all__ = ["find", "supported"]

_PARTS = (arithmetic, features, filtering, geometry, morphology, motion, reduction, vectors)
_ADAPTERS = {name: make for part in _PARTS for name, make in part.ADAPTERS.items()}
_METHODS = {**made.METHODS, **motion.METHODS, **recognition.METHODS}


def supported() -> set[str]:
    """Return the names of the functions and methods that take GpuMats."""
    return {*_ADAPTERS, *_METHODS}


def find(row: Operation, key: str, how: Made | None = None) -> Adapter | None:
    """Return the function that runs ``row`` on GpuMats, or None where there is none.

    Args:
        row: the operation.
        key: its name, for a method with the class before it.
        how: for a method, how its object was made.
    """
    if how is not None:
        method = _METHODS.get(key)
        return None if method is None else wrap(row, method(how), key)
    adapter = _ADAPTERS.get(row.name)
    return None if adapter is None else wrap(row, adapter(), key)
