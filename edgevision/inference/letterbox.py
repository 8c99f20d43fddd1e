"""Fits pictures into the input of a network, and boxes back into the pictures.

A picture is scaled by one factor so that it just fits, centred, and what is left over is gray
(114), as the YOLO networks are trained. The input is RGB from 0 to 1, one plane for each channel.

For a picture of w x h and an input of W x H: r = min(W / w, H / h), the scaled picture is
w' = round(w r) by h' = round(h r) (at least 1), and its corner is at
(round((W - w') / 2 - 0.1), round((H - h') / 2 - 0.1)), so that of an odd rest the smaller half is
on the left and above. A box comes back by x = (X - left) w / w', y = (Y - top) h / h'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import cv
from edgevision.cv.device import GpuMat

__all__ = ["PADDING", "Fit", "Letterbox"]

# OpenCV's type stubs for CUDA know few of its functions.
_cuda: Any = cv2.cuda

PADDING = 114
"""Gray level around a picture."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture lies in a network's input.

    Attributes:
        image_wh: size of the picture.
        scaled_wh: its size in the input.
        corner_xy: where its left upper corner is there.
    """

    image_wh: tuple[int, int]
    scaled_wh: tuple[int, int]
    corner_xy: tuple[int, int]

    @classmethod
    def of(cls, image_wh: tuple[int, int], input_wh: tuple[int, int]) -> Fit:
        """Return how a picture of ``image_wh`` lies in an input of ``input_wh``."""
        factor = min(input_wh[0] / image_wh[0], input_wh[1] / image_wh[1])
        width, height = (max(round(side * factor), 1) for side in image_wh)
        left, top = (
            round((whole - part) / 2 - 0.1)
            for whole, part in zip(input_wh, (width, height), strict=True)
        )
        return cls(image_wh, (width, height), (max(left, 0), max(top, 0)))

    def to_image(self, box_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes of the input in pixels of the picture, cut to it.

        Args:
            box_xyxy: (N, 4), left, top, right, bottom.
        """
        width, height = self.image_wh
        factor = np.array([width / self.scaled_wh[0], height / self.scaled_wh[1]] * 2)
        box = (box_xyxy - np.array(self.corner_xy * 2)) * factor
        cut: NDArray[np.float32] = np.clip(box, 0, [width, height] * 2).astype(np.float32)
        return cut


class Letterbox:
    """Makes the input of a network of pictures; used by one thread at a time.

    Pictures on the CPU are fitted by cv2, those on CUDA there: scaled, normalised, split into
    planes, and only then copied to the host, since engines take their input there. A picture costs
    one copy, of the size of the input and not of the picture. Canvases are kept, so that a rim is
    painted only when a picture of another size comes.

    Args:
        input_wh: size of the input.
        most: pictures that it has room for at the start; more make more room.
    """

    def __init__(self, input_wh: tuple[int, int], most: int) -> None:
        self.input_wh = input_wh
        self._canvases: list[NDArray[np.uint8]] = []
        self._fits: list[Fit | None] = []
        self._most = most
        self._on_cuda: _DeviceCanvases | None = None

    def blob(self, images: Sequence[Any]) -> tuple[NDArray[np.float32], list[Fit]]:
        """Return the pictures as a network's input, and how each lies there.

        Args:
            images: (H, W, 3) BGR or (H, W) gray, uint8; arrays, or all of them GpuMats on the
                current CUDA stream.

        Returns:
            (N, 3, H, W) float32 in RGB order, 0 to 1; it may be written again by the next call.
        """
        sizes = [_size_wh(image) for image in images]
        fits = [Fit.of(size, self.input_wh) for size in sizes]
        if any(isinstance(image, GpuMat) for image in images):
            if self._on_cuda is None or self._on_cuda.most < len(images):
                self.close()
                self._most = max(self._most, len(images))
                self._on_cuda = _DeviceCanvases(self.input_wh, self._most)
            return self._on_cuda.blob(images, fits), fits
        for number, (image, fit) in enumerate(zip(images, fits, strict=True)):
            self._paint(number, image, fit)
        canvases = self._canvases[: len(images)]
        blob = cv2.dnn.blobFromImages(canvases, 1 / 255, swapRB=True, ddepth=cv2.CV_32F)
        return np.asarray(blob, np.float32), fits

    def close(self) -> None:
        """Give back the memory."""
        self._canvases, self._fits = [], []
        if self._on_cuda is not None:
            self._on_cuda.close()
            self._on_cuda = None

    def _paint(self, number: int, image: NDArray[np.uint8], fit: Fit) -> None:
        """Scale a picture into its canvas, whose rim is painted only when it changes."""
        width, height = self.input_wh
        if number == len(self._canvases):
            self._canvases.append(np.empty((height, width, 3), np.uint8))
            self._fits.append(None)
        canvas = self._canvases[number]
        if self._fits[number] != fit:
            canvas.fill(PADDING)
            self._fits[number] = fit
        (x, y), (w, h) = fit.corner_xy, fit.scaled_wh
        place = canvas[y : y + h, x : x + w]
        if image.ndim == 2:
            image = cv.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if fit.image_wh == fit.scaled_wh:
            place[...] = image
        else:
            cv2.resize(image, (w, h), place, interpolation=cv2.INTER_LINEAR)


class _DeviceCanvas:
    """Where one picture of a batch is fitted in device memory.

    Args:
        blob: (N * 3 * H, W) 32FC1, the planes of all pictures.
        number: which of them this one is.
        input_wh: W and H.
    """

    def __init__(self, blob: Any, number: int, input_wh: tuple[int, int]) -> None:
        width, height = input_wh
        self._canvas = cv2.cuda.GpuMat(height, width, cv2.CV_8UC3)
        self._floats = cv2.cuda.GpuMat(height, width, cv2.CV_32FC3)
        red, green, blue = (
            cv2.cuda.GpuMat(blob, (0, (number * 3 + channel) * height, width, height))
            for channel in range(3)
        )
        self._planes = [blue, green, red]
        self._fit: Fit | None = None
        self._place: Any = None

    def paint(self, image: Any, fit: Fit, stream: Any) -> None:
        """Queue all work on a picture on the current stream, which is given once more."""
        if self._fit != fit:
            self._canvas.setTo((PADDING,) * 4, stream)
            self._place = cv2.cuda.GpuMat(self._canvas, (*fit.corner_xy, *fit.scaled_wh))
            self._fit = fit
        if image.channels() == 1:
            image = cv.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if fit.image_wh == fit.scaled_wh:
            image.copyTo(stream, self._place)
        else:
            cv.resize(image, fit.scaled_wh, self._place, interpolation=cv2.INTER_LINEAR)
        self._canvas.convertTo(cv2.CV_32F, 1 / 255, 0.0, stream, self._floats)
        _cuda.split(self._floats, self._planes, stream)


class _DeviceCanvases:
    """Memory for the pictures of a batch, on the device and page-locked on the host.

    Args:
        input_wh: size of the network's input.
        most: the most pictures in a batch.
    """

    def __init__(self, input_wh: tuple[int, int], most: int) -> None:
        from edgevision.cuda import PinnedPool

        self.most = most
        width, height = self._input_wh = input_wh
        self._pool = PinnedPool()
        self._host: NDArray[np.float32] = self._pool.take((most, 3, height, width), np.float32)
        self._blob = cv2.cuda.GpuMat(most * 3 * height, width, cv2.CV_32FC1)
        self._canvases: list[_DeviceCanvas] = []

    def blob(self, images: Sequence[Any], fits: Sequence[Fit]) -> NDArray[np.float32]:
        """Fit pictures on the current CUDA stream, and wait for their copy on the host."""
        from edgevision.cuda import cuda_stream

        width, height = self._input_wh
        stream = cuda_stream.current() or cv2.cuda.Stream.Null()
        for number, (image, fit) in enumerate(zip(images, fits, strict=True)):
            if number == len(self._canvases):
                self._canvases.append(_DeviceCanvas(self._blob, number, self._input_wh))
            self._canvases[number].paint(image, fit, stream)
        rows = len(images) * 3 * height
        blob = self._host[: len(images)]
        filled = cv2.cuda.GpuMat(self._blob, (0, 0, width, rows))
        filled.download(stream, blob.reshape(rows, width))
        stream.waitForCompletion()
        return blob

    def close(self) -> None:
        """Give the page-locked memory back."""
        self._pool.close()


def _size_wh(image: Any) -> tuple[int, int]:
    if isinstance(image, GpuMat):
        width, height = image.size()
        return width, height
    return image.shape[1], image.shape[0]
