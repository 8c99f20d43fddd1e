"""The few parts of cv2.cuda that a camera's lane is made of.

They stand behind one small class so that the order of copies, waits and reuse can be tested without
a device: the tests put a device of lists and arrays in its place, which does each copy as late as
the waits allow.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cuda.cuda_stream import Fence, open_stream
from edgevision.cuda.memory import PinnedPool

__all__ = ["Runtime", "mat_type", "shape_and_dtype"]

_NAMES = ("u1", "i1", "u2", "i2", "i4", "f4", "f8", "f2")
_DTYPES = tuple(map(np.dtype, _NAMES))
# Between two numbers of channels of the same depth: 8 up to OpenCV 4, 32 from 5 on.
_CHANNEL_STEP = cv2.CV_8UC2


class Runtime:
    """cv2.cuda itself."""

    def use(self, index: int) -> None:
        """Let the calling thread work on a device."""
        cv2.cuda.setDevice(index)

    def mat(self, height: int, width: int, kind: int) -> Any:
        """Make an image in device memory.

        Raises:
            cv2.error: there is no room for it.
        """
        try:
            return cv2.cuda.GpuMat(height, width, kind)
        except SystemError as error:
            # Where a constructor fails, cv2 leaves its own error behind this one.
            raise error.__cause__ if isinstance(error.__cause__, cv2.error) else error from None

    def stream(self) -> Any:
        """Make a non-blocking stream."""
        return open_stream()

    def fence(self) -> Any:
        """Make a `Fence`."""
        return Fence()

    def pool(self, max_bytes: int) -> Any:
        """Make a pool of page-locked memory."""
        return PinnedPool(max_bytes)

    def mapped_pool(self, max_bytes: int) -> Any:
        """Make a pool of memory that host and device both address."""
        from edgevision.cuda.mapped import MappedPool

        return MappedPool(max_bytes)


def mat_type(array: NDArray[Any]) -> int:
    """Return cv2's type number of an array's pixels.

    Args:
        array: (H, W) or (H, W, C).
    """
    depth = _NAMES.index(array.dtype.str[1:])
    channels = 1 if array.ndim == 2 else array.shape[2]
    return int(depth + (channels - 1) * _CHANNEL_STEP)


def shape_and_dtype(mat: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape, (H, W) or (H, W, C), and element type that an image has as an array."""
    width, height = mat.size()
    channels = mat.channels()
    shape = (height, width) if channels == 1 else (height, width, channels)
    return shape, _DTYPES[mat.depth()]
