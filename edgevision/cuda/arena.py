"""The frame's arena for images in device memory.

The contract is that of `edgevision.arena.Arena`: an operation's buffer comes back when the frame is
released and is handed out again at the same call of the next frame. cudaMalloc and cudaFree wait
for all that the device is doing, for every camera, so a buffer that is made for each frame costs
far more than its own time.
"""

from __future__ import annotations

from typing import Any

import cv2

from edgevision.arena import POISON, Arena
from edgevision.cuda import cuda_stream

__all__ = ["DeviceArena", "nbytes", "poison"]


def nbytes(mat: cv2.cuda.GpuMat) -> int:
    """Return the device memory that an image takes, the padding of its rows included."""
    width, height = mat.size()
    if width * height == 0:
        return 0
    return int(height * mat.step)


class DeviceArena(Arena):
    """An arena that knows device memory: it counts it, and poisons it.

    One frame's operations and its release belong to one stream, the current one
    (`edgevision.cuda.cuda_stream`), so a buffer is written again only after what read it.

    Args:
        poison: overwrite released buffers and report those that somebody kept. Python counts the
            references to the GpuMat alone: a region of it, or a copy of its header, is not seen as
            kept, but its pixels are poisoned all the same.
    """

    __slots__ = ()

    @property
    def device_nbytes(self) -> int:
        """Bytes of device memory held, in use or free."""
        held: list[Any] = [buffer for _, buffer, _ in self._used]
        for free in self._free.values():
            held += free
        return sum(nbytes(buffer) for buffer in held if isinstance(buffer, cv2.cuda.GpuMat))

    def release(self) -> tuple[str, ...]:
        """Take all buffers back. Return the owners (stages) of those that somebody kept."""
        if self.poison:
            for position in range(len(self._used)):
                poison(self._used[position][1])
        return super().release()


def poison(buffer: Any) -> None:
    """Overwrite an image in device memory with `POISON`, on the current stream."""
    if not hasattr(buffer, "cudaPtr") or buffer.empty():
        return
    value = (float(POISON),) * 4
    stream = cuda_stream.current()
    if stream is None:
        buffer.setTo(value)
    else:
        buffer.setTo(value, stream)
