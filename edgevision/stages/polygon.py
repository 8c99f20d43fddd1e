"""Polygons over the picture, as parameters give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["contains", "fill", "to_pixels"]


def to_pixels(
    polygon: Sequence[tuple[float, float]], size_wh: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the corners in pixels, (N, 2) float32.

    Args:
        polygon: corners (x, y). If none is greater than 1 they are shares of the picture's width
            and height, else pixels.
        size_wh: of the picture.
    """
    corners = np.array(polygon, np.float32).reshape(-1, 2)
    if corners.size and corners.max() <= 1:
        corners *= np.array(size_wh, np.float32)
    return corners


def fill(corners: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a mask, (H, W) uint8: 255 inside the polygon, 0 outside."""
    width, height = size_wh
    mask = np.zeros((height, width), np.uint8)
    # Corners count from the outer edge of the first pixel, fillPoly from the pixels' middles; it
    # takes them in sixteenths. What lies far outside is cut, so that its integers suffice.
    fixed = np.round((np.clip(corners, -16384, 32767) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, shift=4)
    return mask


def contains(corners: NDArray[np.float32], points_xy: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each of (M, 2) points whether it is inside the polygon, by the even-odd rule.

    Algorithm: the number of edges that a ray to the right crosses (M. Shimrat, Algorithm 112,
    Communications of the ACM 5(8), 1962).
    """
    x, y = points_xy[:, :1], points_xy[:, 1:]
    x0, y0 = corners[:, 0], corners[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    inside: NDArray[np.bool_] = (spans & (x < crossing)).sum(axis=1) % 2 == 1
    return inside
