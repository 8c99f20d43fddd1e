"""The CUDA side of the operations: which function takes a call whose first image is a GpuMat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2

from edgevision.cv.operation import Operation
from edgevision.errors import CudaUnavailableError, CudaUnsupportedError

__all__ = ["GpuMat", "Made", "adapter", "holds_gpu_mat", "mixed_sides"]

GpuMat = cv2.cuda.GpuMat
"""An image in device memory. The class exists in every build of OpenCV."""


@dataclass(slots=True, eq=False)
class Made:
    """How an object was made: what a CUDA side needs to make its own.

    Attributes:
        constructor: the row whose function made it.
        args: what that was given by position.
        kwargs: what that was given by name.
        host: the object of cv2 (or of `edgevision.cv.filters`, `detectors`) that takes arrays.
        settings: what its setters and loaders were called with last, by their names.
        version: counts those calls, so that a CUDA side knows when to look again.
    """

    constructor: Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    host: Any
    settings: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    version: int = 0

    def noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of ``host`` that changes it, and makes a note of that."""

        def call(*args: Any, **kwargs: Any) -> Any:
            returned = method(*args, **kwargs)
            self.settings[name] = (*args, *kwargs.values())
            self.version += 1
            return returned

        return call


def adapter(row: Operation, made: Made | None = None) -> Callable[..., Any]:
    """Return the function that runs an operation on GpuMats.

    Args:
        row: the operation.
        made: for a method, the object it belongs to.

    Raises:
        CudaUnavailableError: this OpenCV has no CUDA, or there is no device.
        CudaUnsupportedError: the operation has no CUDA side; the message names what to call.
    """
    name = row.name if made is None else f"{made.constructor.parsed.returns[0]}.{row.name}"
    if not hasattr(cv2.cuda, "cvtColor"):
        raise CudaUnavailableError(
            f"cv.{name} was given a GpuMat, but OpenCV {cv2.__version__} is built without CUDA"
        )
    if cv2.cuda.getCudaEnabledDeviceCount() < 1:
        raise CudaUnavailableError(
            f"cv.{name} was given a GpuMat, but no CUDA device with a driver is found"
        )
    if not row.cuda:
        raise CudaUnsupportedError(f"cv.{name} takes no GpuMat: {row.no_cuda}")
    # Loaded now, since a CPU build has nothing for it to name.
    from edgevision.cv import gpu

    found = gpu.find(row, name, made)
    if found is not None:
        return found
    call = f": {row.cuda_call}" if row.cuda_call else ""
    raise CudaUnsupportedError(f"cv.{name} takes no GpuMat; use {row.counterpart}{call}")


def holds_gpu_mat(args: Iterable[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an argument is a GpuMat or a sequence that starts with one."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, GpuMat):
            return True
        if isinstance(value, list | tuple) and value and isinstance(value[0], GpuMat):
            return True
    return False


def mixed_sides(row: Operation) -> CudaUnsupportedError:
    """Return the error for a call with arrays and GpuMats."""
    return CudaUnsupportedError(
        f"cv.{row.name} was given both arrays and GpuMats; upload the arrays (GpuMat.upload) or "
        "download the others (GpuMat.download)"
    )
