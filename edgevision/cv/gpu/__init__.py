"""The CUDA side of the operation table: one adapter for each row that has one.

Loaded with the first GpuMat. A row without an entry here is refused with the name of the cv2.cuda
function to call.
"""

from __future__ import annotations

from typing import Any

from edgevision.cv.gpu import arithmetic, filtering, geometry, reduction
from edgevision.cv.gpu.call import Adapter, wrap
from edgevision.cv.gpu.objects import METHODS
from edgevision.cv.operation import Operation

__all__ = ["find", "supported"]

_ADAPTERS = {
    name: make
    for part in (arithmetic, filtering, geometry, reduction)
    for name, make in part.ADAPTERS.items()
}


def supported() -> set[str]:
    """Return the names of the functions and methods that take GpuMats."""
    return {*_ADAPTERS, *METHODS}


def find(row: Operation, key: str, host: Any = None) -> Adapter | None:
    """Return the function that runs ``row`` on GpuMats, or None where there is none.

    Args:
        row: the operation.
        key: its name, for a method with the class before it.
        host: for a method, the object of the CPU side.
    """
    if host is not None:
        method = METHODS.get(key)
        return None if method is None else wrap(row, method(host), key)
    adapter = _ADAPTERS.get(row.name)
    return None if adapter is None else wrap(row, adapter(), key)
