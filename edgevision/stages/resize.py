"""The resize stage."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from edgevision import Detections, Frame, Param, Stage, cv

__all__ = ["Resize"]

_METHODS = {
    "area": cv2.INTER_AREA,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
}


class Resize(Stage):
    """Give the picture another size. Detections found before keep their place in it.

    With ``width`` or ``height`` alone the other side follows, so that the picture keeps its shape;
    with both it is stretched; with neither it is scaled. Data columns whose name ends in ``_xy``
    are taken for coordinates and scaled as the boxes are.

    Put it before a slow detector to make it fast. What comes later works on the new size, and so do
    lengths in pixels in its parameters.

    Algorithm: `cv2.resize`. ``auto`` averages (area) when the picture shrinks and interpolates
    (linear) when it grows.
    """

    width: int | None = Param(None, ge=1, le=16384, unit="px", help="new width")
    height: int | None = Param(None, ge=1, le=16384, unit="px", help="new height")
    scale: float = Param(
        0.5, gt=0, le=16, help="factor on both sides, used without width and height"
    )
    method: Literal["auto", "area", "linear", "cubic", "nearest"] = Param(
        "auto", help="how pixels are computed"
    )

    def process(self, frame: Frame) -> None:
        """Resize the picture and scale the detections."""
        old_wh = frame.size_wh
        new_wh = self._target(old_wh)
        if new_wh == old_wh:
            return
        grows = new_wh[0] > old_wh[0] or new_wh[1] > old_wh[1]
        automatic = cv2.INTER_LINEAR if grows else cv2.INTER_AREA
        frame.image = cv.resize(
            frame.image, new_wh, interpolation=_METHODS.get(self.method, automatic)
        )
        if len(frame.detections):
            factor_xy = (new_wh[0] / old_wh[0], new_wh[1] / old_wh[1])
            frame.detections = _scaled(frame.detections, factor_xy)

    def _target(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Return the new width and height."""
        width, height = size_wh
        if self.width and self.height:
            return self.width, self.height
        factor = self.scale
        if self.width:
            factor = self.width / width
        elif self.height:
            factor = self.height / height
        return (
            self.width or max(round(width * factor), 1),
            self.height or max(round(height * factor), 1),
        )


def _scaled(detections: Detections, factor_xy: tuple[float, float]) -> Detections:
    factors = np.array(factor_xy, np.float32)
    data = {
        name: values * factors if name.endswith("_xy") else values
        for name, values in detections.data.items()
    }
    return detections.scaled(factor_xy).replaced(data=data)
