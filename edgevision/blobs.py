"""The connected areas of a mask, as detections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections

__all__ = ["Later", "blobs"]


def blobs(
    mask: NDArray[Any],
    size_wh: tuple[int, int],
    *,
    min_area: float = 0,
    label: str = "blob",
    max_blobs: int = 1000,
) -> Detections:
    """Box every connected area of ``mask`` that is not zero; see `Frame.detect_blobs`.

    Args:
        mask: (h, w) uint8 or bool.
        size_wh: of the picture that the boxes and areas refer to.
        min_area: smaller ones are left out, in pixels of that picture.
        label: of each box.
        max_blobs: the largest are kept when there are more.
    """
    mask = mask.view(np.uint8)
    # Row 0 is the background.
    statistics = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)[2][1:]
    fx, fy = size_wh[0] / mask.shape[1], size_wh[1] / mask.shape[0]
    area = statistics[:, cv2.CC_STAT_AREA] * (fx * fy)
    rows = np.flatnonzero(area >= min_area)
    if len(rows) > max_blobs:
        rows = rows[np.sort(np.argsort(-area[rows], kind="stable")[:max_blobs])]
    box = statistics[rows, :4].astype(np.float32)
    box[:, 2:] += box[:, :2]
    box *= np.array([fx, fy, fx, fy], np.float32)
    return Detections(box, 1.0, label, data={"area_px": area[rows].astype(np.float32)})


class Later(Detections):
    """Detections that are there when somebody looks.

    Args:
        settle: makes them be there, by way of `fill`.
    """

    __slots__ = ("_settle",)

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle

    def fill(self, found: Detections) -> None:
        """Be what was found."""
        for name in Detections.__slots__:
            setattr(self, name, getattr(found, name))

    def __getattr__(self, name: str) -> Any:
        # Reached only for what `fill` has not set yet.
        if name not in Detections.__slots__:
            raise AttributeError(name)
        self._settle()
        return object.__getattribute__(self, name)
