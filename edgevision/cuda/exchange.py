"""Images shared with other libraries without a copy: CuPy, torch, CV-CUDA, Numba.

What they have in common is the CUDA array interface (version 3, as Numba's documentation defines
it) or DLPack. `share` shows a GpuMat through both, `borrow` makes a GpuMat of what shows one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2

from edgevision.cuda import cuda_stream
from edgevision.cuda.dlpack import CUDA, interface_of
from edgevision.errors import ConfigurationError, CudaUnsupportedError

__all__ = ["SharedImage", "borrow", "share"]

# Element types, by cv2's depth.
_TYPES = {0: "|u1", 1: "|i1", 2: "<u2", 3: "<i2", 4: "<i4", 5: "<f4", 6: "<f8"}
_DEPTHS = {code[1:]: depth for depth, code in _TYPES.items()}
# Between two numbers of channels of the same depth: 8 up to OpenCV 4, 32 from 5 on.
_CHANNEL_STEP = cv2.CV_8UC2
_MAX_CHANNELS = 4
_DEFAULT_STREAM = 1  # the interfaces' word for it; 0 is not allowed
_NO_ORDER = -1


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

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's number for CUDA, and the device's."""
        device: tuple[int, int] = self._mat.__dlpack_device__()  # type: ignore[attr-defined]
        return device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a DLPack capsule of the same memory.

        Args:
            stream: the taker's stream, which waits for the one that the image is computed on; None
                is the default stream, -1 asks for no order.
            max_version: ignored: the capsule is of the first version, which every taker knows.
            dl_device: must be the image's own.
            copy: must not be True.

        Raises:
            BufferError: a copy or another device is asked for.
        """
        del max_version
        if copy:
            raise BufferError("an image is shared without a copy: clone it first (cv.clone)")
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the image is on {self.__dlpack_device__()}, not on {dl_device}")
        theirs = _DEFAULT_STREAM if stream is None else stream
        if theirs != _NO_ORDER and (theirs, self._stream) != (_DEFAULT_STREAM, 0):
            own = cv2.cuda.wrapStream(self._stream) if self._stream else cv2.cuda.Stream.Null()
            fence = cuda_stream.Fence()
            fence.set(own)
            fence.wait(_of_pointer(theirs))
        return self._mat.__dlpack__()  # type: ignore[attr-defined]


class _Layout(NamedTuple):
    """Where an image lies, in OpenCV's words."""

    height: int
    width: int
    type: int
    pointer: int
    step: int


def share(mat: cv2.cuda.GpuMat) -> SharedImage:
    """Show a GpuMat to another library, without a copy.

    ``cupy.asarray(share(mat))`` and ``torch.from_dlpack(share(mat))`` wait for the pipeline's
    stream by themselves. ``torch.as_tensor`` does not: put ``with
    torch.cuda.stream(torch.cuda.ExternalStream(cuda_stream.pointer())):`` around it. Work on the
    array that the pipeline is to see is done on its stream, too.
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
            tensor, or a ``__dlpack__``, such as a JAX array.

    Raises:
        ConfigurationError: it is no such array; the message says what is wrong with it.
    """
    interface = getattr(array, "__cuda_array_interface__", None)
    capsule = None
    shares = interface is None and hasattr(array, "__dlpack__")
    if shares and array.__dlpack_device__()[0] == CUDA:
        capsule = array.__dlpack__(stream=cuda_stream.pointer() or _DEFAULT_STREAM)
        interface = interface_of(capsule)
    if interface is None:
        raise ConfigurationError(
            "borrow wants an array in device memory (with __cuda_array_interface__ or __dlpack__), "
            f"got {type(array).__name__}"
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
        del array, capsule


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
    theirs = _of_pointer(int(stream))
    current = cuda_stream.current()
    if current is None:
        theirs.waitForCompletion()
        return
    fence = cuda_stream.Fence()
    fence.set(theirs)
    fence.wait(current)


def _of_pointer(stream: int) -> cv2.cuda.Stream:
    if stream == _DEFAULT_STREAM:
        return cv2.cuda.Stream.Null()
    return cv2.cuda.wrapStream(stream)
