"""Keep one of several boxes around the same thing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["suppress"]


def suppress(
    box_xyxy: NDArray[Any], score: NDArray[Any], *, overlap: float, inside: float
) -> NDArray[np.int64]:
    """Return the indices of the boxes to keep, best score first.

    A box goes when it overlaps one with a better score: when they share more than ``overlap`` of
    their union, or when more than ``inside`` of the smaller one is in the larger one (a detector of
    people also fires on parts of people).

    Algorithm: greedy non-maximum suppression.

    Args:
        box_xyxy: (N, 4), left, top, right, bottom.
        score: (N,), greater is better.
        overlap: largest intersection over union that is left alone.
        inside: largest share of the smaller box that is left alone.
    """
    boxes = np.asarray(box_xyxy, np.float64).reshape(-1, 4)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        size = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(
            boxes[best, :2], boxes[rest, :2]
        )
        shared = np.clip(size, 0, None).prod(axis=1)
        union = np.maximum(area[best] + area[rest] - shared, 1e-9)
        smaller = np.maximum(np.minimum(area[best], area[rest]), 1e-9)
        order = rest[(shared <= overlap * union) & (shared <= inside * smaller)]
    return np.array(kept, np.int64)
