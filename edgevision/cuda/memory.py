"""Page-locked host memory: the only kind that a device copies at full speed and in the background.

A copy from ordinary memory goes through a buffer of the driver, waits for it and holds up all the
other threads that copy. OpenCV's HostMem gives Python a plain copy of its memory, so arrays of our
own are registered instead.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgevision.errors import ConfigurationError, CudaUnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PinnedPool"]

Register = Callable[[NDArray[np.uint8]], object]

_PAGE = mmap.PAGESIZE


class PinnedPool:
    """Page-locked NumPy arrays, handed out and taken back. Any thread may use it.

    A block has whole pages of its own, since no page can be registered twice, is registered once,
    stays alive while it is, and is unregistered before its memory goes. An array that somebody
    still holds after `close` stays valid, as ordinary memory.

    Args:
        max_bytes: upper bound of all memory registered. Page-locked memory is memory that the
            system cannot move or swap.
        register: page-locks an array; default `cv2.cuda.registerPageLocked`.
        unregister: undoes that.
    """

    def __init__(
        self,
        max_bytes: int = 1 << 30,
        *,
        register: Register | None = None,
        unregister: Register | None = None,
    ) -> None:
        if max_bytes < _PAGE:
            raise ConfigurationError(f"a page has {_PAGE} bytes, max_bytes is {max_bytes}")
        self.max_bytes = max_bytes
        self._register = register or cv2.cuda.registerPageLocked
        self._blocks: dict[int, NDArray[np.uint8]] = {}
        self._free: dict[int, list[int]] = {}
        self._used: dict[int, int] = {}
        self._lock = threading.Lock()
        self._closed = False
        # Runs at the latest when the interpreter ends, while the driver is still there.
        self._finalizer = weakref.finalize(
            self, _unregister_all, self._blocks, unregister or cv2.cuda.unregisterPageLocked
        )
        self._unregister = unregister or cv2.cuda.unregisterPageLocked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def nbytes(self) -> int:
        """Bytes registered, handed out or free."""
        with self._lock:
            return sum(block.nbytes for block in self._blocks.values())

    def take(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return a page-locked array of undefined content, which is yours until `give`.

        Args:
            shape: (H, W) or (H, W, C), as NumPy has it.
            dtype: element type.

        Raises:
            CudaUnavailableError: the memory cannot be page-locked, or ``max_bytes`` is reached.
            ConfigurationError: the pool is closed, or the array would have no elements.
        """
        kind = np.dtype(dtype)
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        wanted = math.prod(sizes) * kind.itemsize
        if wanted <= 0:
            raise ConfigurationError(f"an array of shape {sizes} has no elements to page-lock")
        length = -(-wanted // _PAGE) * _PAGE
        with self._lock:
            if self._closed:
                raise ConfigurationError("this pool of page-locked memory is closed")
            free = self._free.get(length)
            address = free.pop() if free else self._allocate(length)
            self._used[address] = length
            block = self._blocks[address]
        return block[:wanted].view(kind).reshape(sizes)

    def give(self, array: NDArray[Any]) -> None:
        """Take an array back; nobody may use it or a view of it any more, a copy included.

        Raises:
            ConfigurationError: the array is not one that `take` handed out and has not got back.
        """
        address = int(array.ctypes.data)
        with self._lock:
            if self._closed:
                return
            length = self._used.pop(address, None)
            if length is None:
                raise ConfigurationError(
                    "this array was not taken from this pool, or was given back already"
                )
            self._free.setdefault(length, []).append(address)

    def close(self) -> None:
        """Unregister all memory; idempotent. Copies under way must have ended."""
        with self._lock:
            self._closed = True
            self._free.clear()
            self._used.clear()
            self._finalizer()

    def _allocate(self, length: int) -> int:
        held = sum(block.nbytes for block in self._blocks.values())
        while held + length > self.max_bytes and (spare := self._drop_free()):
            held -= spare
        if held + length > self.max_bytes:
            raise CudaUnavailableError(
                f"{length} bytes more of page-locked memory were asked for, {held} are in use and "
                f"the pool's bound is {self.max_bytes}"
            )
        block = np.frombuffer(mmap.mmap(-1, length), np.uint8)
        try:
            self._register(block)
        except cv2.error as error:
            raise CudaUnavailableError(
                f"{length} bytes of memory cannot be page-locked: {error}"
            ) from error
        address = int(block.ctypes.data)
        self._blocks[address] = block
        return address

    def _drop_free(self) -> int:
        """Unregister one block that is free; return its size, 0 if there is none."""
        for length, addresses in self._free.items():
            if addresses:
                self._unregister(self._blocks[addresses[-1]])
                del self._blocks[addresses.pop()]
                return length
        return 0


def _unregister_all(blocks: dict[int, NDArray[np.uint8]], unregister: Register) -> None:
    while blocks:
        _, block = blocks.popitem()
        # After a fault of the device every call fails, and the driver lets go with the process.
        with contextlib.suppress(cv2.error):
            unregister(block)
