"""A device of arrays, which does everything as late as the waits allow.

Each stream is a list of things to do. They are done only when somebody waits: the host for a stream
or a fence, or another stream for a fence. So code that forgets to wait sees old pixels, and a copy
from memory that was written too early brings the wrong ones.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cuda.runtime import Runtime

__all__ = ["FakeFence", "FakeMat", "FakePool", "FakeRuntime", "FakeStream"]

_DTYPES = ("u1", "i1", "u2", "i2", "i4", "f4", "f8", "f2")
_numbers = itertools.count(1)
# Capture thread and worker both wait.
_lock = threading.RLock()


class FakeStream:
    """What is queued, in order; `run` does it."""

    def __init__(self) -> None:
        self.queue: list[Callable[[], None]] = []
        self.waits = 0

    def run(self, until: object = None) -> None:
        with _lock:
            while (self.queue and until is None) or until in self.queue:
                self.queue.pop(0)()

    def waitForCompletion(self) -> None:  # noqa: N802
        self.waits += 1
        self.run()

    def cudaPtr(self) -> int:  # noqa: N802
        return id(self)


class FakeFence:
    """A place in a stream's queue."""

    def __init__(self) -> None:
        self._stream: FakeStream | None = None
        self._place: Callable[[], None] = _nothing
        self.blocks = 0

    def set(self, stream: FakeStream) -> None:
        self._stream = stream
        # A new object for each place, since the queue is searched for it.
        self._place = lambda: None
        stream.queue.append(self._place)

    def wait(self, stream: FakeStream) -> None:
        theirs, place = self._stream, self._place
        if theirs is not None:
            stream.queue.append(lambda: theirs.run(until=place))

    def block(self) -> None:
        self.blocks += 1
        if self._stream is not None:
            self._stream.run(until=self._place)

    def passed(self) -> bool:
        return self._stream is None or self._place not in self._stream.queue


class FakeMat:
    """A GpuMat. What it holds is known only once its stream was waited for."""

    def __init__(self, runtime: FakeRuntime, height: int, width: int, kind: int) -> None:
        depth, channels = kind % cv2.CV_8UC2, kind // cv2.CV_8UC2 + 1
        shape = (height, width) if channels == 1 else (height, width, channels)
        self.pixels = np.full(shape, 99, _DTYPES[depth])
        self._kind = kind
        self._runtime = runtime
        self._pointer = next(_numbers) << 20
        self.step = self.pixels.strides[0]

    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]

    def type(self) -> int:
        return self._kind

    def depth(self) -> int:
        return self._kind % cv2.CV_8UC2

    def channels(self) -> int:
        return self._kind // cv2.CV_8UC2 + 1

    def empty(self) -> bool:
        return not self.pixels.size

    def cudaPtr(self) -> int:  # noqa: N802
        return self._pointer

    def upload(self, array: NDArray[Any], stream: FakeStream) -> None:
        assert self._runtime.is_pinned(array), "a pageable copy"
        assert array.shape == self.pixels.shape
        self._runtime.copies.append("upload")
        stream.queue.append(lambda: np.copyto(self.pixels, array))

    def download(self, stream: FakeStream, array: NDArray[Any]) -> NDArray[Any]:
        assert self._runtime.is_pinned(array), "a pageable copy"
        assert array.shape == self.pixels.shape
        self._runtime.copies.append("download")
        stream.queue.append(lambda: np.copyto(array, self.pixels))
        return array

    def setTo(self, value: Any, stream: FakeStream) -> None:  # noqa: N802
        stream.queue.append(lambda: self.pixels.fill(int(value[0])))

    def clone(self) -> FakeMat:
        height, width = self.pixels.shape[:2]
        made = FakeMat(self._runtime, height, width, self._kind)
        made.pixels = self.pixels.copy()
        return made


class FakePool:
    """Page-locked memory, each array of which is given back once."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime
        self.free: dict[tuple[Any, ...], list[NDArray[Any]]] = {}
        self.out: dict[int, NDArray[Any]] = {}
        self.made = 0
        self.closed = False

    @property
    def nbytes(self) -> int:
        free = [array for arrays in self.free.values() for array in arrays]
        return sum(array.nbytes for array in (*free, *self.out.values()))

    def take(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        key = (tuple(shape), np.dtype(dtype).str)
        arrays = self.free.setdefault(key, [])
        if arrays:
            array = arrays.pop()
        else:
            self.made += 1
            array = np.full(shape, 55, dtype)
            self._runtime.pinned.append((array.ctypes.data, array.ctypes.data + array.nbytes))
        self.out[array.ctypes.data] = array
        return array

    def give(self, array: NDArray[Any]) -> None:
        del self.out[array.ctypes.data]
        self.free[(array.shape, array.dtype.str)].append(array)

    def close(self) -> None:
        self.closed = True


class FakeMapped(FakePool):
    """Memory of host and device at once."""

    def mat(self, array: NDArray[np.uint8]) -> FakeMat:
        channels = 1 if array.ndim == 2 else array.shape[2]
        height, width = array.shape[:2]
        made = FakeMat(self._runtime, height, width, (channels - 1) * cv2.CV_8UC2)
        made.pixels = array
        return made


class FakeRuntime(Runtime):
    """The device.

    Attributes:
        copies: every copy that was queued.
        mats: how many images were made.
        room: images that fit into its memory; None for no end.
    """

    def __init__(self, room: int | None = None) -> None:
        self.copies: list[str] = []
        self.pinned: list[tuple[int, int]] = []
        self.used: list[int] = []
        self.pools: list[FakePool] = []
        self.mats = 0
        self.room = room

    def is_pinned(self, array: NDArray[Any]) -> bool:
        start = array.ctypes.data
        return any(low <= start < high for low, high in self.pinned)

    def use(self, index: int) -> None:
        self.used.append(index)

    def mat(self, height: int, width: int, kind: int) -> FakeMat:
        if self.room is not None and self.mats >= self.room:
            raise cv2.error(
                "OpenCV(4.14.0) gpu_mat.cu:121: error: (-217:Gpu API call) out of memory in "
                "function 'allocate'"
            )
        self.mats += 1
        return FakeMat(self, height, width, kind)

    def stream(self) -> FakeStream:
        return FakeStream()

    def fence(self) -> FakeFence:
        return FakeFence()

    def pool(self, max_bytes: int) -> FakePool:
        self.pools.append(FakePool(self))
        return self.pools[-1]

    def mapped_pool(self, max_bytes: int) -> FakeMapped:
        made = FakeMapped(self)
        self.pools.append(made)
        return made


def _nothing() -> None:
    """Nothing to do."""
