"""Memory for images of one's own making."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgevision import arena as arenas
from edgevision.cv.device import GpuMat

__all__ = ["clone", "zeros"]

AnyImage = TypeVar("AnyImage", NDArray[Any], GpuMat)


def clone(image: AnyImage) -> AnyImage:
    """Return a copy that outlives the frame: the same pixels, contiguous, on the same side."""
    if isinstance(image, GpuMat):
        # GpuMat.clone copies on the default stream, which does not wait for the pipeline's.
        from edgevision.cuda import cuda_stream

        stream = cuda_stream.current()
        return image.clone() if stream is None else image.copyTo(stream)
    return np.array(image, order="C")


def zeros(shape: int | tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Return a zeroed array to draw or compute on; within a pipeline it comes from the arena.

    Args:
        shape: (H, W) or (H, W, C), as NumPy has it.
        dtype: element type.
    """
    arena = arenas.current()
    if arena is None:
        return np.zeros(shape, dtype)
    buffer = arena.take("zeros")
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if isinstance(buffer, np.ndarray) and buffer.shape == wanted and buffer.dtype == dtype:
        buffer.fill(0)
    else:
        buffer = np.zeros(wanted, dtype)
    arena.put("zeros", buffer)
    return buffer
