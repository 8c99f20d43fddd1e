"""Keep one of several boxes that a network has put around the same thing."""

from __future__ import annotations

import numpy as np

from edgevision.inference.head import Candidates

__all__ = ["MOST_CANDIDATES", "suppress_by_class"]

MOST_CANDIDATES = 1000
"""Of more candidates only the surest so many are looked at, which bounds the time of a picture."""


def suppress_by_class(found: Candidates, *, iou: float, most: int) -> Candidates:
    """Keep one of several boxes of the same class, surest first.

    The surest box is kept and those of its class go that share more than ``iou`` of their union
    with it; then the surest of the rest, and so on. Of equally sure ones the first in the network's
    order counts as the surer. Boxes of different classes leave each other alone.

    Algorithm: greedy non-maximum suppression.

    Args:
        found: of one picture.
        iou: the largest intersection over union that is left alone.
        most: keep no more than so many.
    """
    order = np.argsort(-found.confidence, kind="stable")[:MOST_CANDIDATES]
    box = found.box_xyxy[order].astype(np.float64)
    kind = found.class_index[order]
    area = np.clip(box[:, 2:] - box[:, :2], 0, None).prod(axis=1)
    left = np.arange(len(order))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        size = np.minimum(box[best, 2:], box[rest, 2:]) - np.maximum(box[best, :2], box[rest, :2])
        shared = np.clip(size, 0, None).prod(axis=1)
        apart = shared <= iou * (area[best] + area[rest] - shared)
        left = rest[apart | (kind[rest] != kind[best])]
    return found.chosen(order[kept])
