"""What a DLPack capsule says of an array (dlpack.h of the DLPack project, version 0.8).

Libraries without the CUDA array interface hand their arrays on this way. The capsule is only read:
it stays its owner's, and the array lives as long as the capsule does.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edgevision.errors import ConfigurationError

__all__ = ["CUDA", "interface_of"]

CUDA = 2
"""kDLCUDA: device memory."""

_NAME = b"dltensor"
_CODES = {0: "i", 1: "u", 2: "f"}


class _Tensor(ctypes.Structure):
    """struct DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


def interface_of(capsule: Any, *, device_type: int = CUDA) -> dict[str, Any]:
    """Return what the CUDA array interface would say of the array in a capsule.

    Args:
        capsule: what ``__dlpack__`` returned.
        device_type: where the array must be.

    Raises:
        ConfigurationError: the array is elsewhere, or its elements have no counterpart.
    """
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype = ctypes.c_void_p
    pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    tensor = _Tensor.from_address(pointer(capsule, _NAME))
    if tensor.device_type != device_type:
        raise ConfigurationError(
            f"the array is not in the memory of a CUDA device (DLPack device {tensor.device_type})"
        )
    if tensor.code not in _CODES or tensor.lanes != 1 or tensor.bits % 8:
        raise ConfigurationError(
            f"cv2 has no element type for DLPack's code {tensor.code} of {tensor.bits} bits, "
            f"{tensor.lanes} lane(s)"
        )
    size = tensor.bits // 8
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    strides = None
    if tensor.strides:
        strides = tuple(tensor.strides[axis] * size for axis in range(tensor.ndim))
    return {
        "shape": shape,
        "strides": strides,
        "typestr": f"{'|' if size == 1 else '<'}{_CODES[tensor.code]}{size}",
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "version": 3,
        "stream": None,
    }
