"""NV12, which hardware decoders give, to BGR, on the device.

cv2.cuda has no conversion of NV12, so this is a kernel of our own, which travels as PTX and is
loaded once for each context (`kernels/nv12.cu`). The arithmetic is that of ITU-R BT.601-7 and
BT.709-6 (sections on quantisation and the derivation of Y, Cb and Cr), in single precision.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2

from edgevision.cuda.driver import Driver, DriverError
from edgevision.errors import CudaUnavailableError

__all__ = ["ColorMatrix", "Nv12Converter", "Surface", "coefficients"]

ColorMatrix = Literal["bt601", "bt709"]
"""Which weights of red and blue make the brightness: 601 for old and small video, 709 for HD."""

_PTX = Path(__file__).parent / "kernels" / "nv12.ptx"
_BLOCK_WH = (32, 8)
# Weights of red and blue.
_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


class Surface(NamedTuple):
    """A decoder's picture in device memory, NV12: a plane of Y, and one of U and V by turns.

    Attributes:
        luma: address of the first plane.
        chroma: address of the second.
        luma_step: bytes from row to row.
        chroma_step: the same of the second plane.
        width: in pixels.
        height: in pixels.
    """

    luma: int
    chroma: int
    luma_step: int
    chroma_step: int
    width: int
    height: int


class _Args(ctypes.Structure):
    """struct Nv12 of nv12.cu."""

    _fields_ = [
        ("luma", ctypes.c_void_p),
        ("chroma", ctypes.c_void_p),
        ("bgr", ctypes.c_void_p),
        ("luma_step", ctypes.c_longlong),
        ("chroma_step", ctypes.c_longlong),
        ("bgr_step", ctypes.c_longlong),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("scale", ctypes.c_float),
        ("offset", ctypes.c_float),
        ("red_v", ctypes.c_float),
        ("green_u", ctypes.c_float),
        ("green_v", ctypes.c_float),
        ("blue_u", ctypes.c_float),
    ]


def coefficients(
    matrix: ColorMatrix, *, full_range: bool
) -> tuple[float, float, float, float, float, float]:
    """Return what the conversion multiplies with.

    Returns:
        Scale and offset of the luma, V's share of red, U's and V's of green, U's of blue; for U and
        V about 128.
    """
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    scale, offset, wide = (1.0, 0.0, 1.0) if full_range else (255 / 219, 16.0, 255 / 224)
    red_v, blue_u = 2 * (1 - red) * wide, 2 * (1 - blue) * wide
    return scale, offset, red_v, -blue_u * blue / green, -red_v * red / green, blue_u


class Nv12Converter:
    """Converts surfaces on one device; for one thread, whose device is set.

    Args:
        matrix: see `ColorMatrix`.
        full_range: brightness goes from 0 to 255 rather than from 16 to 235.
        driver: who runs the kernel; default the system's.

    Raises:
        CudaUnavailableError: no driver, or it refuses the kernel.
    """

    def __init__(
        self,
        matrix: ColorMatrix = "bt601",
        *,
        full_range: bool = False,
        driver: Driver | None = None,
    ) -> None:
        try:
            self._driver = Driver() if driver is None else driver
            # The runtime's context becomes this thread's own with its first call.
            cv2.cuda.GpuMat(1, 1, cv2.CV_8UC1)
            self._kernel = self._driver.load_kernel(_PTX.read_bytes(), "nv12_to_bgr")
        except (DriverError, cv2.error) as error:
            raise CudaUnavailableError(
                f"NV12 cannot be converted on the device: {error}"
            ) from error
        self._args = _Args()
        (
            self._args.scale,
            self._args.offset,
            self._args.red_v,
            self._args.green_u,
            self._args.green_v,
            self._args.blue_u,
        ) = coefficients(matrix, full_range=full_range)

    def convert(self, surface: Surface, mat: Any, stream: int) -> None:
        """Queue the conversion of a surface into a GpuMat of its size, 8UC3.

        Args:
            surface: what to read; it stays the decoder's until the work has been done.
            mat: where to.
            stream: cudaStream_t.

        Raises:
            cv2.error: the driver refuses, or something queued earlier has failed.
        """
        args = self._args
        args.luma, args.chroma = surface.luma, surface.chroma
        args.luma_step, args.chroma_step = surface.luma_step, surface.chroma_step
        args.bgr, args.bgr_step = int(mat.cudaPtr()), mat.step
        args.width, args.height = surface.width, surface.height
        columns, rows = (surface.width + 1) // 2, (surface.height + 1) // 2
        grid = -(-columns // _BLOCK_WH[0]), -(-rows // _BLOCK_WH[1])
        try:
            self._driver.launch(self._kernel, grid, _BLOCK_WH, stream, args)
        except DriverError as error:
            # In the words of cv2.cuda, so that a fault of the device is found to be one.
            raise cv2.error(f"(-217:Gpu API call) {error}") from error
