"""Images shared with other libraries without a copy: CuPy, torch, CV-CUDA, Numba.

What they have in common is the CUDA array interface (version 3, as Numba's documentation defines
it). `share` shows a GpuMat through it, `borrow` makes a GpuMat of what shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2

from edgevision.cuda import cuda_stream
from edgevision.errors import ConfigurationError, CudaUnsupportedError

__all__ = ["SharedImage", "borrow", "share"]

# Element types, by cv2's depth.
_TYPES = {0: "|u1", 1: "|i1", 2: "<u2", 3: "<i2", 4: "<i4", 5: "<f4", 6: "<f8"}
_DEPTHS = {code[1:]: depth for depth, code in _TYPES.items()}
# Between two numbers of channels of the same depth: 8 up to OpenCV 4, 32 from 5 on.
_CHANNEL_STEP = cv2.CV_8UC2
_MAX_CHANNELS = 4
_DEFAULT_STREAM = 1  # the interface's word for it; 0 is not allowed


class SharedImage:
    """A GpuMat as other libraries see it: (H, W) or (H, W, C) in device memory.

    It keeps the GpuMat, and what is made of it keeps it in turn. In a pipeline the pixels are the
    arena's, so they are used again when the frame is released.

    Args:
        mat: the image; a region of a larger one is fine.
        stream: cudaStream_t on which its content is computed.
    """

    def __init__(self, mat: cv2.cuda.GpuMat, stream: int) -> None:
        self._mat = mat
        self._stream = stream

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        mat = self._mat
        depth = mat.depth()
        if depth not in _TYPES:
            raise CudaUnsupportedError(f"cv2 depth {depth} has no name outside OpenCV")
        width, height = mat.size()
        channels = mat.channels()
        element = mat.elemSize1()
        shape: tuple[int, ...] = (height, width)
        strides: tuple[int, ...] = (mat.step, mat.elemSize())
        if channels > 1:
            shape += (channels,)
            strides += (element,)
        return {
            "shape": shape,
            "strides": strides,
            "typestr": _TYPES[depth],
            "data": (int(mat.cudaPtr()) if width * height else 0, False),
            "version": 3,
            "stream": self._stream or _DEFAULT_STREAM,
        }


class _Layout(NamedTuple):
    """Where an image lies, in OpenCV's words."""

    height: int
    width: int
    type: int
    pointer: int
    step: int


def share(mat: cv2.cuda.GpuMat) -> SharedImage:
    """Show a GpuMat to another library, without a copy.

    ``cupy.asarray(share(mat))`` waits for the pipeline's stream by itself. torch does not read the
    stream: put ``with torch.cuda.stream(torch.cuda.ExternalStream(cuda_stream.pointer())):`` around
    ``torch.as_tensor(share(mat), device="cuda")`` and what follows.
    """
    return SharedImage(mat, cuda_stream.pointer())


@contextmanager
def borrow(array: Any) -> Iterator[cv2.cuda.GpuMat]:
    """Make a GpuMat of another library's array, without a copy, for the length of the block.

    The array is kept until the block ends; a result of the block that must outlive it is cloned.
    The current stream waits for the array's own, where the array names one.

    Args:
        array: (H, W) or (H, W, C) in device memory with up to four channels, pixels adjacent within
            a row; whatever has a ``__cuda_array_interface__``, such as a CuPy array or a torch
            tensor.

    Raises:
        ConfigurationError: it is no such array; the message says what is wrong with it.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None:
        raise ConfigurationError(
            f"borrow wants an array in device memory (__cuda_array_interface__), got "
            f"{type(array).__name__}"
        )
    layout = _layout(interface)
    _wait_for(interface.get("stream"))
    mat = cv2.cuda.createGpuMatFromCudaMemory(*layout)
    try:
        yield mat
    finally:
        # The array lives to here, and so does what is still queued on it.
        stream = cuda_stream.current()
        if stream is not None:
            stream.waitForCompletion()
        del array


def _layout(interface: dict[str, Any]) -> _Layout:
    shape = tuple(interface["shape"])
    code = str(interface["typestr"])
    if len(shape) not in (2, 3) or 0 in shape:
        raise ConfigurationError(f"an image is (H, W) or (H, W, C) and not empty, got {shape}")
    channels = shape[2] if len(shape) == 3 else 1
    if channels > _MAX_CHANNELS:
        raise ConfigurationError(
            f"an image has 1 to {_MAX_CHANNELS} channels, the last of its dimensions; got {shape}"
        )
    if code[0] == ">" or code[1:] not in _DEPTHS:
        raise ConfigurationError(f"cv2 has no element type {code}")
    size = int(code[2:])
    pixel = size * channels
    strides = interface.get("strides") or (shape[1] * pixel, pixel, size)
    if strides[1] != pixel or (len(shape) == 3 and strides[2] != size) or strides[0] < 0:
        raise ConfigurationError(
            f"the pixels of a row must lie side by side: strides of {tuple(strides)} bytes for "
            f"shape {shape} of {code}; make it contiguous first"
        )
    if strides[0] < shape[1] * pixel and shape[0] > 1:
        raise ConfigurationError(f"rows overlap: a row has {shape[1] * pixel} bytes, {strides=}")
    kind = _DEPTHS[code[1:]] + (channels - 1) * _CHANNEL_STEP
    step = max(int(strides[0]), shape[1] * pixel)
    return _Layout(shape[0], shape[1], kind, int(interface["data"][0]), step)


def _wait_for(stream: int | None) -> None:
    """Let the current stream wait for another library's."""
    own = cuda_stream.pointer()
    if stream is None or stream == own or (stream == _DEFAULT_STREAM and not own):
        return
    theirs = (
        cv2.cuda.Stream.Null() if stream == _DEFAULT_STREAM else cv2.cuda.wrapStream(int(stream))
    )
    current = cuda_stream.current()
    if current is None:
        theirs.waitForCompletion()
        return
    fence = cuda_stream.Fence()
    fence.set(theirs)
    fence.wait(current)
