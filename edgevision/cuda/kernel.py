"""Kernels of edgevision's own, for what cv2.cuda does slowly, does otherwise than cv2, or lacks.

They travel as PTX, the driver's portable assembly. The driver compiles it for the card at hand and
keeps the result, so no compiler or other package is needed. The source is ``kernels/image.cu``. A
card or a driver that does not take them works without: `Kernels.usable` says so.

The calls are those of the driver's C interface (cuda.h), made through ctypes.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2

__all__ = ["BLOCK_WH", "Element", "Kernels", "Launch", "Plane", "kernels"]

BLOCK_WH = (32, 8)
"""Threads in a block of every kernel."""

_PTX = Path(__file__).parent / "kernels" / "image.ptx"
_LIBRARY = "libcuda.so.1"
# struct Args and struct Element of image.cu.
_ARGS = struct.Struct("QQqqiiiiiiiiff")
_PLACES = struct.Struct("QQqq")
_POINTS = 940
_ELEMENT_HEAD = struct.Struct("hbbbb")
_REACH = 127


class Plane(NamedTuple):
    """Where an image lies.

    Attributes:
        pointer: address of the first pixel.
        step: bytes from one row to the next.
        width: in pixels.
        height: in pixels.
        channels: numbers in a pixel.
    """

    pointer: int
    step: int
    width: int
    height: int
    channels: int


class Element(NamedTuple):
    """A structuring element as the kernels take it.

    Attributes:
        packed: its points about the anchor.
        left: the leftmost point, not above 0; and so on.
        right: see above.
        top: see above.
        bottom: see above.
    """

    packed: bytes
    left: int
    right: int
    top: int
    bottom: int

    @classmethod
    def of(cls, points_xy: list[tuple[int, int]]) -> Element | None:
        """Pack points, (x, y) from the anchor; None where there are too many, or too far away."""
        if not 0 < len(points_xy) <= _POINTS:
            return None
        columns, rows = ([point[axis] for point in points_xy] for axis in (0, 1))
        bounds = (min(*columns, 0), max(*columns, 0), min(*rows, 0), max(*rows, 0))
        if max(map(abs, bounds)) > _REACH:
            return None
        fill = bytes(_POINTS - len(points_xy))
        places = struct.pack(f"{len(columns)}b", *columns) + fill
        places += struct.pack(f"{len(rows)}b", *rows) + fill
        return cls(_ELEMENT_HEAD.pack(len(points_xy), *bounds) + places, *bounds)


class Launch:
    """One kernel with its constant arguments, started again and again by one thread.

    Args:
        library: libcuda.
        function: CUfunction.
        tile_wh: elements of the result that a block computes.
        shared_bytes: shared memory of a block.
        elements: what the kernel takes besides its Args.
    """

    __slots__ = (
        "_args",
        "_call",
        "_elements",
        "_function",
        "_library",
        "_parameters",
        "_rest",
        "_shared_bytes",
        "_start",
        "_tile",
    )

    def __init__(
        self,
        library: Any,
        function: Any,
        tile_wh: tuple[int, int] = BLOCK_WH,
        shared_bytes: int = 0,
        elements: tuple[Element, ...] = (),
    ) -> None:
        self._library = library
        self._start = library.cuLaunchKernel
        self._function = function
        self._tile = tile_wh
        self._shared_bytes = shared_bytes
        self._args = ctypes.create_string_buffer(_ARGS.size)
        self._elements = [ctypes.create_string_buffer(e.packed, len(e.packed)) for e in elements]
        values = [self._args, *self._elements]
        self._parameters = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        self._call: tuple[Any, ...] = ()
        self._rest: tuple[Any, ...] = ()

    def __call__(
        self,
        cuda_stream: int,
        src: Plane,
        dst: Plane,
        *,
        passes: int = 0,
        operations: int = 0,
        finish: int = 0,
        scale_xy: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Queue the kernel on a stream; it covers the destination.

        Raises:
            cv2.error: the driver refuses, or something queued earlier has failed.
        """
        # From frame to frame only the places differ, and the rest stands ready.
        rest = (cuda_stream, src[2:], dst[2:], passes, operations, finish, scale_xy)
        if rest == self._rest:
            _PLACES.pack_into(self._args, 0, src[0], dst[0], src[1], dst[1])
        else:
            self._prepare(src, dst, rest)
        code = self._start(*self._call)
        if code:
            raise _failure(self._library, "cuLaunchKernel", code)

    def _prepare(self, src: Plane, dst: Plane, rest: tuple[Any, ...]) -> None:
        cuda_stream, _, _, passes, operations, finish, scale_xy = rest
        columns, rows = dst.width * dst.channels, dst.height
        _ARGS.pack_into(
            self._args,
            0,
            src.pointer,
            dst.pointer,
            src.step,
            dst.step,
            columns,
            rows,
            dst.channels,
            passes,
            operations,
            finish,
            src.width,
            src.height,
            *scale_xy,
        )
        sizes = (
            -(-columns // self._tile[0]),
            -(-rows // self._tile[1]),
            1,
            *BLOCK_WH,
            1,
            self._shared_bytes,
        )
        self._call = (
            self._function,
            *map(ctypes.c_uint, sizes),
            ctypes.c_void_p(cuda_stream),
            self._parameters,
            None,
        )
        self._rest = rest


class Kernels:
    """The kernels, loaded once for each context (device). Any thread may use it.

    Args:
        library: libcuda; default the system's.
        ptx: the kernels' code; default the package's.
    """

    def __init__(self, library: Any = None, ptx: bytes | None = None) -> None:
        self._library = _libcuda() if library is None else library
        self._ptx = _PTX.read_bytes() if ptx is None else ptx
        self._modules: dict[int, Any] = {}
        self._functions: dict[tuple[int, str], Any] = {}
        self._lock = threading.Lock()

    def usable(self) -> bool:
        """Tell whether the device of this thread takes the kernels."""
        return self._library is not None and self._module(self._context()) is not None

    def launch(
        self,
        name: str,
        tile_wh: tuple[int, int] = BLOCK_WH,
        shared_bytes: int = 0,
        elements: tuple[Element, ...] = (),
    ) -> Launch:
        """Prepare a kernel for the calling thread and its device.

        Raises:
            cv2.error: there is no such kernel.
        """
        context = self._context()
        key = (context, name)
        function = self._functions.get(key)
        if function is None:
            function = ctypes.c_void_p()
            found = self._library.cuModuleGetFunction(
                ctypes.byref(function), self._module(context), name.encode()
            )
            if found:
                raise _failure(self._library, f"cuModuleGetFunction {name}", found)
            self._functions[key] = function
        return Launch(self._library, function, tile_wh, shared_bytes, elements)

    def _context(self) -> int:
        """Return the context of this thread; it has none before its first call of CUDA."""
        context = ctypes.c_void_p()
        self._library.cuCtxGetCurrent(ctypes.byref(context))
        if not context.value:
            device = cv2.cuda.getDevice()
            self._library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
            self._library.cuCtxSetCurrent(context)
        return context.value or 0

    def _module(self, context: int) -> Any:
        """Return the loaded module, None where the driver refuses it."""
        with self._lock:
            if context not in self._modules:
                module = ctypes.c_void_p()
                refused = self._library.cuModuleLoadData(ctypes.byref(module), self._ptx + b"\0")
                self._modules[context] = None if refused else module
            return self._modules[context]


@cache
def kernels() -> Kernels:
    """Return the kernels of this process."""
    return Kernels()


def _libcuda() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def _failure(library: Any, call: str, code: int) -> cv2.error:
    # In the words of cv2.cuda, so that whoever looks for a fault of the device finds these too.
    name = ctypes.c_char_p()
    library.cuGetErrorName(code, ctypes.byref(name))
    word = (name.value or b"unknown error").decode("ascii", "replace")
    return cv2.error(f"(-217:Gpu API call) {word} ({code}) in {call}")
