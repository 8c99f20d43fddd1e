"""Memory that host and device both address, so that a frame need not be copied at all.

On an integrated device (Jetson) both are the same chips, and a copy from one to the other is work
for nothing. On a card it works too, each access going over the bus, which is how it is tested.

The driver allocates it (CUDA Driver API, cuMemHostAlloc with CU_MEMHOSTALLOC_DEVICEMAP): memory
that was registered later cannot be mapped on every Jetson module.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cuda.driver import Driver, DriverError
from edgevision.cuda.runtime import mat_type
from edgevision.errors import ConfigurationError, CudaUnavailableError

__all__ = ["MappedPool"]


class MappedPool:
    """Arrays that a device reads where they are. The device is the calling thread's own.

    An array stays valid for as long as somebody has it; its GpuMat is valid as long as the array
    is.

    Args:
        max_bytes: upper bound of all memory.
        driver: whom to ask for it; default the system's.
    """

    def __init__(self, max_bytes: int = 1 << 30, *, driver: Driver | None = None) -> None:
        try:
            self._driver = Driver() if driver is None else driver
        except DriverError as error:
            raise CudaUnavailableError(f"no memory can be mapped: {error}") from error
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held = 0

    @property
    def nbytes(self) -> int:
        """Bytes that are in use."""
        return self._held

    def take(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return an array of undefined content.

        Args:
            shape: (H, W) or (H, W, C), as NumPy has it.

        Raises:
            CudaUnavailableError: the memory is not there, or ``max_bytes`` is reached.
            ConfigurationError: the array would have no elements.
        """
        size = int(np.prod(shape, dtype=np.int64))
        if size <= 0:
            raise ConfigurationError(f"an array of shape {shape} has no elements to map")
        with self._lock:
            if self._held + size > self.max_bytes:
                raise CudaUnavailableError(
                    f"{size} bytes more of mapped memory were asked for, {self._held} are in use "
                    f"and the pool's bound is {self.max_bytes}"
                )
            try:
                address = self._driver.allocate_mapped(size)
            except DriverError as error:
                raise CudaUnavailableError(f"{size} bytes cannot be mapped: {error}") from error
            self._held += size
        memory = (ctypes.c_ubyte * size).from_address(address)
        weakref.finalize(memory, self._free, address, size)
        return np.ctypeslib.as_array(memory).reshape(shape)

    def mat(self, array: NDArray[np.uint8]) -> Any:
        """Return a GpuMat on an array of this pool; nothing is copied.

        Raises:
            CudaUnavailableError: the device cannot address it.
        """
        try:
            pointer = self._driver.device_pointer(int(array.ctypes.data))
        except DriverError as error:
            raise CudaUnavailableError(f"the device does not address the array: {error}") from error
        height, width = array.shape[:2]
        kind = mat_type(array)
        return cv2.cuda.createGpuMatFromCudaMemory(height, width, kind, pointer, array.strides[0])

    def close(self) -> None:
        """Do nothing: the memory goes with its arrays."""

    def _free(self, address: int, size: int) -> None:
        self._driver.free_mapped(address)
        self._held -= size
