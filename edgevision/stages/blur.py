"""The blur stage."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import Detections, Frame, Param, Stage, cv
from edgevision.stages.picture import is_on_device, region

__all__ = ["Blur"]

_CUDA_SIGMA = 5.0
# A held box that overlaps a new one by this much has been found again.
_SAME = 0.3


class _Held(NamedTuple):
    """A box and for how many more frames it is blurred."""

    box_xyxy: NDArray[np.float32]
    frames: int


class Blur(Stage):
    """Make detections unrecognisable, for privacy.

    Put it after the detector, and before everything that must not see who it is: the preview and
    the recording show what the last stage left. The detections themselves stay.

    A detector that misses a face for a frame would show it. So a box is covered for ``hold`` frames
    more, at the place where it was last seen. Faces that are never found stay visible: no detector
    finds all.

    Algorithm: ``pixelate`` averages blocks, ``gaussian`` is `cv2.GaussianBlur`. Blocks keep less:
    a blur can be undone in part.
    """

    labels: list[str] = Param(["face"], max_length=100, help="what to cover; empty covers all")
    method: Literal["pixelate", "gaussian"] = Param("pixelate", help="how")
    blocks: int = Param(
        8, ge=1, le=64, help="blocks along the longer side of a box; fewer hide more"
    )
    margin: float = Param(0.15, ge=0, le=2, help="how much larger than the box, as a share of it")
    hold: int = Param(10, ge=0, le=1000, unit="frames", help="cover a box that is lost for so long")

    def start(self) -> None:
        """Begin with nothing held."""
        self._held: list[_Held] = []
        self._size_wh = (0, 0)

    def process(self, frame: Frame) -> None:
        """Cover the boxes of this frame and those held from earlier ones."""
        if frame.size_wh != self._size_wh:
            self._size_wh = frame.size_wh
            self._held = []
        found = frame.detections
        if self.labels and len(found):
            found = found[np.isin(found.label, self.labels)]
        boxes = found.box_xyxy
        kept = [held for held in self._held if held.frames > 0 and not _again(held, found)]
        for box in boxes:
            self._cover(frame.image, box)
        for held in kept:
            self._cover(frame.image, held.box_xyxy)
        self._held = [_Held(box.copy(), self.hold) for box in boxes] if self.hold else []
        self._held += [held._replace(frames=held.frames - 1) for held in kept]

    def _cover(self, image: Any, box_xyxy: NDArray[np.float32]) -> None:
        """Make one box of the picture unrecognisable, in place."""
        width, height = self._size_wh
        left, top, right, bottom = box_xyxy.tolist()
        dx, dy = self.margin / 2 * (right - left), self.margin / 2 * (bottom - top)
        x0, y0 = max(int(left - dx), 0), max(int(top - dy), 0)
        x1, y1 = min(int(right + dx) + 1, width), min(int(bottom + dy) + 1, height)
        if x1 <= x0 or y1 <= y0:
            return
        part = region(image, x0, y0, x1, y1)
        block = max(x1 - x0, y1 - y0) / self.blocks
        if self.method == "gaussian":
            # As wide as a block: half of it to either side.
            _smooth(part, max(block / 2, 0.5))
            return
        small_wh = (max(round((x1 - x0) / block), 1), max(round((y1 - y0) / block), 1))
        small = cv.resize(part, small_wh, interpolation=cv2.INTER_AREA)
        cv.resize(small, (x1 - x0, y1 - y0), dst=part, interpolation=cv2.INTER_NEAREST)


def _smooth(part: Any, sigma: float) -> None:
    """Blur a part of a picture in place."""
    # A kernel on CUDA has 32 pixels at most. Two blurs are one of the root of their squares' sum.
    passes = math.ceil((sigma / _CUDA_SIGMA) ** 2) if is_on_device(part) else 1
    for _ in range(passes):
        cv.GaussianBlur(part, (0, 0), sigma / math.sqrt(passes), dst=part)


def _again(held: _Held, found: Detections) -> bool:
    """Say whether a held box has been found again."""
    if not len(found):
        return False
    return bool((Detections(held.box_xyxy[None]).iou(found) > _SAME).any())
