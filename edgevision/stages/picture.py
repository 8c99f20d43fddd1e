"""What the stages need to know about a picture: channels, a gray version, a working size, its side.

A picture is an array or a `cv2.cuda.GpuMat`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import copies, cv

__all__ = [
    "beside",
    "is_gray",
    "is_on_device",
    "reduced_wh",
    "region",
    "resized",
    "size_wh_of",
    "to_bgr",
    "to_gray",
    "to_host",
]


def is_gray(image: Any) -> bool:
    """Say whether a picture has one channel."""
    return bool(image.channels() == 1 if hasattr(image, "channels") else image.ndim == 2)


def to_gray(image: Any) -> Any:
    """Return the picture in gray, (H, W) uint8; a gray one is returned as it is."""
    return image if is_gray(image) else cv.cvtColor(image, cv2.COLOR_BGR2GRAY)


def to_bgr(image: Any) -> Any:
    """Return the picture in colour, (H, W, 3) uint8; a BGR one is returned as it is."""
    return cv.cvtColor(image, cv2.COLOR_GRAY2BGR) if is_gray(image) else image


def reduced_wh(size_wh: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a size times ``scale``, at least 1 by 1."""
    return max(round(size_wh[0] * scale), 1), max(round(size_wh[1] * scale), 1)


def resized(image: Any, size_wh: tuple[int, int]) -> Any:
    """Return the picture at another size, averaged when it gets smaller; as it is if it fits."""
    width, height = size_wh_of(image)
    if (width, height) == size_wh:
        return image
    smaller = size_wh[0] <= width and size_wh[1] <= height
    return cv.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def size_wh_of(image: Any) -> tuple[int, int]:
    """Return width and height in pixels."""
    if is_on_device(image):
        width, height = image.size()
        return width, height
    return image.shape[1], image.shape[0]


def is_on_device(image: Any) -> bool:
    """Say whether a picture is in device memory."""
    return not isinstance(image, np.ndarray)


def region(image: Any, x0: int, y0: int, x1: int, y1: int) -> Any:
    """Return a part of a picture, without a copy: what is written there is written to it."""
    if is_on_device(image):
        return cv2.cuda.GpuMat(image, (x0, y0, x1 - x0, y1 - y0))
    return image[y0:y1, x0:x1]


def to_host(image: Any) -> NDArray[Any]:
    """Return the picture as an array: itself, or a download that is waited for and counted."""
    if not is_on_device(image):
        return np.asarray(image)
    from edgevision.cuda import cuda_stream

    copies.downloaded(image.size()[0] * image.size()[1] * image.elemSize())
    stream = cuda_stream.current() or cv2.cuda.Stream.Null()
    array = image.download(stream)
    stream.waitForCompletion()
    return np.asarray(array)


def beside(array: NDArray[Any], image: Any) -> Any:
    """Return an array on the side where ``image`` is; the upload is counted."""
    if not is_on_device(image):
        return array
    from edgevision.cuda import cuda_stream

    copies.uploaded(array.nbytes)
    mat = cv2.cuda.GpuMat()
    mat.upload(array, cuda_stream.current() or cv2.cuda.Stream.Null())
    return mat
