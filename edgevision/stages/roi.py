"""The roi stage."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevision import Frame, Param, Stage, cv
from edgevision.stages.picture import beside, is_gray, is_on_device
from edgevision.stages.polygon import contains, fill, to_pixels

__all__ = ["Roi"]


class Roi(Stage):
    """Limit the pipeline to a part of the picture, given as a polygon (region of interest).

    Pixels outside become black, and detections whose foot (or centre) is outside are dropped.
    Before a detector it is the pixels that count: nothing is found where all is black. After a
    detector it is the boxes: set ``mask: false`` to keep the whole picture to look at. A person
    who stands inside reaches beyond a narrow area, and a detector needs to see all of a person: for
    areas on the ground, put this stage after the detector.

    With ``keep: outside`` the polygon cuts something out, such as a waving tree. Several areas are
    several stages.

    Algorithm: the even-odd rule, for pixels and for boxes; edges may cross.
    """

    polygon: list[tuple[float, float]] = Param(
        [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
        min_length=3,
        max_length=1000,
        help="corners (x, y) as shares of width and height; if one is above 1, all are pixels",
    )
    keep: Literal["inside", "outside"] = Param("inside", help="which side of the polygon counts")
    mask: bool = Param(True, help="make the other side black")
    drop: Literal["foot", "center", "none"] = Param(
        "foot", help="the point of a box that must be on the side that counts; none keeps all boxes"
    )

    def start(self) -> None:
        """Begin without a mask."""
        self._size_wh = (0, 0)
        self._device_outside: Any = None

    def changed(self, names: frozenset[str]) -> None:
        """Draw the mask anew."""
        self._size_wh = (0, 0)

    def process(self, frame: Frame) -> None:
        """Blacken the other side and drop the boxes there."""
        if frame.size_wh != self._size_wh:
            self._prepare(frame.size_wh)
        if self.mask and self._any_outside:
            black = 0 if is_gray(frame.image) else (0, 0, 0)
            cv.setTo(frame.image, black, mask=self._outside_beside(frame.image))
        found = frame.detections
        if self.drop == "none" or not len(found):
            return
        points_xy = found.center_xy
        if self.drop == "foot":
            points_xy = np.column_stack([points_xy[:, 0], found.box_xyxy[:, 3]])
        # A box may reach beyond the picture, and its foot lie on the edge of the whole picture.
        points_xy = np.clip(points_xy, 0.5, np.array(frame.size_wh) - 0.5)
        keeps = contains(self._corners, points_xy) == (self.keep == "inside")
        if not keeps.all():
            frame.detections = found[keeps]

    def _outside_beside(self, image: Any) -> Any:
        """Return the mask where the picture is; it is uploaded once."""
        if not is_on_device(image):
            return self._outside
        if self._device_outside is None:
            self._device_outside = beside(self._outside, image)
        return self._device_outside

    def _prepare(self, size_wh: tuple[int, int]) -> None:
        """Draw the mask for pictures of this size."""
        self._size_wh = size_wh
        self._corners: NDArray[np.float32] = to_pixels(self.polygon, size_wh)
        inside = fill(self._corners, size_wh)
        self._outside = 255 - inside if self.keep == "inside" else inside
        self._device_outside = None
        self._any_outside = bool(self._outside.any())
