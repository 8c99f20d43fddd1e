"""A picture searched at many sizes by OpenCV's HOG detector."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import cv
from edgevision.stages.picture import is_on_device, size_wh_of

__all__ = ["Pyramid"]

_MAX_LEVELS = 64


class Pyramid:
    """Runs a HOG detector's window over a picture at falling sizes, the sizes on threads.

    It finds what ``HOGDescriptor.detectMultiScale`` finds without grouping, and its levels and
    roundings are those (OpenCV 4, modules/objdetect/src/hog.cpp). That function, however, appends
    places and distances under a lock each: where two of its threads do so at the same time, a
    window gets the distance of another, and the same picture gives other results from call to call.

    Args:
        detector: a `edgevision.cv.HOGDescriptor` with its classifier set; not changed any more.
    """

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self._window_wh: tuple[int, int] = tuple(detector.winSize)
        self._pool = ThreadPoolExecutor(max(1, cv2.getNumThreads()), "people")
        self._smaller: list[NDArray[np.uint8] | None] = [None] * _MAX_LEVELS

    def search(
        self,
        image: Any,
        *,
        hit_threshold: float,
        stride_px: int,
        padding_wh: tuple[int, int],
        scale_step: float,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the windows that were hit and their distances, always in the same order.

        Args:
            image: (H, W, 3) uint8 BGR or (H, W) uint8 gray; of a GpuMat the sizes are searched on
                the device, one after the other.
            hit_threshold: least distance from the classifier's border.
            stride_px: step of the window in pixels.
            padding_wh: pixels added on each side.
            scale_step: ratio of one size to the next, above 1.

        Returns:
            (N, 4) left, top, width, height in pixels of ``image``, and (N,) the distances.
        """
        width, height = size_wh_of(image)
        scales: list[float] = []
        scale = 1.0
        while len(scales) < _MAX_LEVELS:
            scales.append(scale)
            if (
                round(width / scale) < self._window_wh[0]
                or round(height / scale) < self._window_wh[1]
            ):
                break
            scale *= scale_step

        on_device = is_on_device(image)
        if on_device and image.channels() == 3:
            image = cv.cvtColor(image, cv2.COLOR_BGR2BGRA)  # as cv2.cuda's detector takes it

        def level(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            scale = scales[number]
            size_wh = (round(width / scale), round(height / scale))
            picture = image
            if on_device:
                places, distances = self._on_device(
                    image, size_wh, hit_threshold, stride_px, padding_wh
                )
                return self._windows(places, scale), distances
            if size_wh != (width, height):
                picture = self._smaller[number] = np.asarray(
                    cv2.resize(
                        image, size_wh, self._smaller[number], interpolation=cv2.INTER_LINEAR_EXACT
                    ),
                    np.uint8,
                )
            places, distances = self._detector.detect(
                picture,
                hitThreshold=hit_threshold,
                winStride=(stride_px, stride_px),
                padding=padding_wh,
            )
            return self._windows(places, scale), np.ravel(np.asarray(distances, np.float32))

        # The largest pictures come first, so that the threads end at about the same time.
        run = map if on_device else self._pool.map
        found = list(run(level, range(len(scales))))
        window = np.concatenate([f[0] for f in found])
        # What the padding adds around the picture is cut off again.
        corner = np.clip(window[:, :2] + window[:, 2:], 0, (width, height))
        window[:, :2] = np.maximum(window[:, :2], 0)
        window[:, 2:] = corner - window[:, :2]
        return window, np.concatenate([f[1] for f in found])

    def _windows(self, places: Any, scale: float) -> NDArray[np.float32]:
        """Return windows in pixels of the largest picture, from the places in one of the others."""
        window = np.empty((len(places), 4), np.float32)
        if len(places):
            window[:, :2] = np.rint(np.reshape(places, (-1, 2)) * scale)
            window[:, 2:] = np.rint(np.multiply(self._window_wh, scale))
        return window

    def _on_device(
        self,
        image: Any,
        size_wh: tuple[int, int],
        hit_threshold: float,
        stride_px: int,
        padding_wh: tuple[int, int],
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Search one size. cv2.cuda's detector has no padding, so the picture gets a border."""
        picture = image if size_wh == size_wh_of(image) else cv.resize(image, size_wh)
        right, down = padding_wh
        picture = cv.copyMakeBorder(picture, down, down, right, right, cv2.BORDER_REFLECT_101)
        places, distances = self._detector.detect(
            picture, hitThreshold=hit_threshold, winStride=(stride_px, stride_px)
        )
        return places - np.array(padding_wh, np.int32), np.asarray(distances, np.float32)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
