"""The few questions that are put to NVIDIA's driver itself, through its C interfaces.

libcuda answers without making a context, so asking costs no device memory and does not disturb a
process that forks later. libnvidia-ml knows the free memory of a card; Jetson devices have none,
and share the memory of the system.
"""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["Driver", "DriverError"]

_LIBRARIES = ("libcuda.so.1", "libcuda.so")
_NVML = "libnvidia-ml.so.1"

# cuda.h, CUdevice_attribute.
_INTEGRATED = 18
_COMPUTE_MODE = 20
_MAJOR = 75
_MINOR = 76
# cuda.h, CUDA_ERROR_INVALID_VALUE: what a driver says to an attribute that is newer than itself.
_INVALID_VALUE = 1
# cuda.h, CU_MEMHOSTALLOC_PORTABLE and CU_MEMHOSTALLOC_DEVICEMAP.
_PORTABLE = 1
_DEVICE_MAP = 2


class DriverError(Exception):
    """A call of the driver failed.

    Attributes:
        code: the driver's CUresult; 0 where the library itself is missing.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        self.code = code
        super().__init__(message)


class _NvmlMemory(ctypes.Structure):
    """nvml.h, nvmlMemory_t."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class Driver:
    """NVIDIA's driver, asked without a context. Any thread may use it.

    Args:
        library: libcuda; default the system's.
        nvml: libnvidia-ml; default the system's, if it has one.

    Raises:
        DriverError: there is no libcuda, or it does not start; `DriverError.code` says why.
    """

    def __init__(self, library: Any = None, nvml: Any = None) -> None:
        self._library = _load(_LIBRARIES) if library is None else library
        if self._library is None:
            raise DriverError("libcuda.so.1 is not installed")
        self._nvml = nvml
        self._nvml_ready = nvml is not None or library is not None
        self._check("cuInit", 0)

    def _check(self, name: str, *args: Any) -> None:
        code = int(getattr(self._library, name)(*args))
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(text))
            word = (text.value or b"unknown error").decode("ascii", "replace")
            raise DriverError(f"{name}: {word} ({code})", code)

    def _integer(self, name: str, *args: Any) -> int:
        value = ctypes.c_int()
        self._check(name, ctypes.byref(value), *args)
        return value.value

    @property
    def version(self) -> tuple[int, int]:
        """Newest CUDA version that the driver serves."""
        number = self._integer("cuDriverGetVersion")
        return number // 1000, number % 1000 // 10

    def count(self) -> int:
        """Return how many devices this process may see."""
        return self._integer("cuDeviceGetCount")

    def name(self, index: int) -> str:
        """Return a device's name."""
        text = ctypes.create_string_buffer(256)
        self._check("cuDeviceGetName", text, 256, index)
        return text.value.decode("utf-8", "replace")

    def capability(self, index: int) -> tuple[int, int]:
        """Return a device's compute capability."""
        return (
            self._integer("cuDeviceGetAttribute", _MAJOR, index),
            self._integer("cuDeviceGetAttribute", _MINOR, index),
        )

    def integrated(self, index: int) -> bool:
        """Tell whether a device shares the memory of the system, as on Jetson."""
        return self._integer("cuDeviceGetAttribute", _INTEGRATED, index) != 0

    def compute_mode(self, index: int) -> int:
        """Return 0 (shared), 2 (prohibited) or 3 (one process only)."""
        return self._integer("cuDeviceGetAttribute", _COMPUTE_MODE, index)

    def attribute(self, index: int, number: int) -> int | None:
        """Return one of a device's attributes; None for one that this driver does not know.

        Args:
            index: the device's number.
            number: a CUdevice_attribute of cuda.h; the runtime's cudaDeviceAttr are the same.
        """
        try:
            return self._integer("cuDeviceGetAttribute", number, index)
        except DriverError as error:
            if error.code == _INVALID_VALUE:
                return None
            raise

    def reaches(self, index: int, other: int) -> bool:
        """Tell whether a device can address the memory of another."""
        return self._integer("cuDeviceCanAccessPeer", index, other) != 0

    def total_bytes(self, index: int) -> int:
        """Return the size of a device's memory."""
        value = ctypes.c_size_t()
        self._check("cuDeviceTotalMem_v2", ctypes.byref(value), index)
        return value.value

    def free_bytes(self, index: int) -> int | None:
        """Return how much of a card's memory is free; None where only a context could tell."""
        nvml = self._start_nvml()
        if nvml is None:
            return None
        bus = ctypes.create_string_buffer(32)
        self._check("cuDeviceGetPCIBusId", bus, 32, index)
        handle, memory = ctypes.c_void_p(), _NvmlMemory()
        if nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(handle)):
            return None
        if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
            return None
        return int(memory.free)

    def allocate_mapped(self, nbytes: int) -> int:
        """Return the address of host memory that the calling thread's device addresses, too."""
        address = ctypes.c_void_p()
        flags = _PORTABLE | _DEVICE_MAP
        self._check("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(nbytes), flags)
        return int(address.value or 0)

    def device_pointer(self, address: int) -> int:
        """Return where the calling thread's device finds memory of `allocate_mapped`."""
        pointer = ctypes.c_ulonglong()
        self._check(
            "cuMemHostGetDevicePointer_v2", ctypes.byref(pointer), ctypes.c_void_p(address), 0
        )
        return int(pointer.value)

    def free_mapped(self, address: int) -> None:
        """Free memory of `allocate_mapped`; harmless when the driver has gone."""
        self._library.cuMemFreeHost(ctypes.c_void_p(address))

    def load_kernel(self, ptx: bytes, name: str) -> int:
        """Load a kernel into the calling thread's context, and return its CUfunction.

        Raises:
            DriverError: there is no context, or the driver does not take the code.
        """
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self._check("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(ptx + b"\0"))
        self._check("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return int(function.value or 0)

    def launch(
        self,
        kernel: int,
        grid_wh: tuple[int, int],
        block_wh: tuple[int, int],
        stream: int,
        args: ctypes.Structure,
    ) -> None:
        """Queue a kernel, which takes one structure by value, on a stream.

        Raises:
            DriverError: the driver refuses, or something queued earlier has failed.
        """
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(args))
        numbers = [ctypes.c_uint(n) for n in (*grid_wh, 1, *block_wh, 1, 0)]
        self._check(
            "cuLaunchKernel",
            ctypes.c_void_p(kernel),
            *numbers,
            ctypes.c_void_p(stream),
            parameters,
            None,
        )

    def _start_nvml(self) -> Any:
        if not self._nvml_ready:
            self._nvml_ready = True
            nvml = _load((_NVML,))
            if nvml is not None and nvml.nvmlInit_v2() == 0:
                self._nvml = nvml
        return self._nvml


def _load(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
