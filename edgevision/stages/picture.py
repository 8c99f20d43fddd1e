"""What the stages need to know about a picture: channels, a gray version, a working size."""

from __future__ import annotations

from typing import Any

import cv2

from edgevision import cv

__all__ = ["is_gray", "reduced_wh", "resized", "to_bgr", "to_gray"]


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
    height, width = _height_width(image)
    if (width, height) == size_wh:
        return image
    smaller = size_wh[0] < width
    return cv.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _height_width(image: Any) -> tuple[int, int]:
    if hasattr(image, "size") and callable(image.size):
        width, height = image.size()
        return height, width
    return image.shape[0], image.shape[1]
