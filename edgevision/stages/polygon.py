"""Polygons over the picture, as parameters give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    """Return a mask, (H, W) uint8: 255 where `contains` says yes of the pixel's middle, else 0.

    `cv2.fillPoly` also paints the pixels that the outline touches, so that two areas side by side
    would overlap.
    """
    width, height = size_wh
    mask = np.zeros((height, width), np.uint8)
    x0, y0 = corners.astype(np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    for row in range(height):
        y = row + 0.5
        spans = (y0 > y) != (y1 > y)
        crossings = np.sort((x0 + (y - y0) / _slope(y1 - y0) * (x1 - x0))[spans])
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(int).tolist()
        for start, end in zip(columns[::2], columns[1::2], strict=True):
            mask[row, start:end] = 255
    return mask


def contains(corners: NDArray[np.float32], points_xy: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each of (M, 2) points whether it is inside the polygon, by the even-odd rule.

    Algorithm: the number of edges that a ray to the right crosses (M. Shimrat, Algorithm 112,
    Communications of the ACM 5(8), 1962).
    """
    x, y = points_xy[:, :1], points_xy[:, 1:]
    x0, y0 = corners.astype(np.float64).T
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    crossing = x0 + (y - y0) / _slope(y1 - y0) * (x1 - x0)
    inside: NDArray[np.bool_] = (spans & (x < crossing)).sum(axis=1) % 2 == 1
    return inside


def _slope(rise: NDArray[Any]) -> NDArray[Any]:
    """Return the rise of edges, 1 for level ones, which no ray along a row crosses."""
    return np.where(rise == 0, 1.0, rise)
