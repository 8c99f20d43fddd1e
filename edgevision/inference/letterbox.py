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

    Pictures on the CPU are fitted by cv2, those on CUDA there: scaled, padded, split into planes
    and normalised, and only then copied to the host, since engines take their input there. A
    picture costs one copy, of the size of the input and not of the picture.

    Args:
        input_wh: size of the input.
        most: pictures that it has room for at the start; more make more room.
    """

    def __init__(self, input_wh: tuple[int, int], most: int) -> None:
        self.input_wh = input_wh
        self._canvases: list[NDArray[np.uint8]] = []
        self._fits: list[Fit | None] = []
        self._most = most
        self._pool: Any = None
        self._host: NDArray[np.float32] | None = None
        self._device: Any = None

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
            return self._on_device(images, fits), fits
        for number, (image, fit) in enumerate(zip(images, fits, strict=True)):
            self._paint(number, image, fit)
        canvases = self._canvases[: len(images)]
        blob = cv2.dnn.blobFromImages(canvases, 1 / 255, swapRB=True, ddepth=cv2.CV_32F)
        return np.asarray(blob, np.float32), fits

    def close(self) -> None:
        """Give back the memory."""
        self._canvases, self._fits = [], []
        self._host = self._device = None
        if self._pool is not None:
            self._pool.close()
            self._pool = None

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

    def _on_device(self, images: Sequence[Any], fits: Sequence[Fit]) -> NDArray[np.float32]:
        """Fit pictures on the current CUDA stream, and wait for their copy on the host."""
        from edgevision.cuda import PinnedPool, cuda_stream

        width, height = self.input_wh
        stream = cuda_stream.current() or cv2.cuda.Stream.Null()
        if self._host is None or len(self._host) < len(images):
            if self._pool is None:
                self._pool = PinnedPool()
            if self._host is not None:
                self._pool.give(self._host)
            self._most = max(self._most, len(images))
            self._host = self._pool.take((self._most, 3, height, width), np.float32)
            self._device = cv2.cuda.GpuMat(self._most * 3 * height, width, cv2.CV_32FC1)
        for number, (image, fit) in enumerate(zip(images, fits, strict=True)):
            planes = self._planes(image, fit)
            for channel, plane in enumerate(reversed(planes)):  # BGR to RGB
                row = (number * 3 + channel) * height
                place = cv2.cuda.GpuMat(self._device, (0, row, width, height))
                plane.convertTo(cv2.CV_32F, 1 / 255, 0.0, stream, place)
        rows = len(images) * 3 * height
        filled = cv2.cuda.GpuMat(self._device, (0, 0, width, rows))
        blob = self._host[: len(images)]
        filled.download(stream, blob.reshape(rows, width))
        stream.waitForCompletion()
        return blob

    def _planes(self, image: Any, fit: Fit) -> Sequence[Any]:
        """Return the planes of a picture in the network's input, blue first, uint8."""
        if image.channels() == 1:
            image = cv.cvtColor(image, cv2.COLOR_GRAY2BGR)
        if fit.image_wh != fit.scaled_wh:
            image = cv.resize(image, fit.scaled_wh, interpolation=cv2.INTER_LINEAR)
        (left, top), (w, h) = fit.corner_xy, fit.scaled_wh
        right, bottom = self.input_wh[0] - left - w, self.input_wh[1] - top - h
        if left or top or right or bottom:
            color = (PADDING,) * 4
            image = cv.copyMakeBorder(
                image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color
            )
        planes: Sequence[Any] = cv.split(image)
        return planes


def _size_wh(image: Any) -> tuple[int, int]:
    if isinstance(image, GpuMat):
        width, height = image.size()
        return width, height
    return image.shape[1], image.shape[0]
