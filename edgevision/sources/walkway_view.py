"""Where the synthetic walkway's camera stands, and where points of the scene appear in its picture.

The ground is a plane with x to the right and z away from the camera, in metres. The camera looks
along z from `CAMERA_HEIGHT_M` above the ground, shifted so that the horizon lies near the picture's
top.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CAMERA_HEIGHT_M", "FAR_M", "NEAR_M", "View"]

CAMERA_HEIGHT_M = 2.7
NEAR_M = 3.7
"""People come no nearer than this."""
FAR_M = 11.5
"""People go no farther away than this."""
WALL_M = 14.5
"""Distance of the wall behind the walkway."""


@dataclass(frozen=True, slots=True)
class View:
    """The picture's geometry.

    Attributes:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        offset_xy: how far the picture's content is shifted, in pixels (a camera that was turned).
    """

    width: int
    height: int
    offset_xy: tuple[float, float] = (0.0, 0.0)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels: the same share of the scene's height at every resolution."""
        return 1.15 * self.height

    @property
    def horizon_y(self) -> float:
        """Row of the horizon in pixels."""
        return 0.15 * self.height + self.offset_xy[1]

    def px_per_m(self, z: float) -> float:
        """Pixels of one metre that faces the camera at distance ``z``."""
        return self.focal_px / z

    def ground_xy(self, x: float, z: float) -> tuple[float, float]:
        """Return the pixel of a point on the ground."""
        scale = self.px_per_m(z)
        return (
            self.width / 2 + x * scale + self.offset_xy[0],
            self.horizon_y + CAMERA_HEIGHT_M * scale,
        )

    def half_width_m(self, z: float) -> float:
        """Metres from the middle of the picture to its edge at distance ``z``."""
        return self.width / 2 / self.px_per_m(z)
