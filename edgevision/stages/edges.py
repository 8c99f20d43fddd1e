"""The edges stage."""

from __future__ import annotations

from typing import Literal

from edgevision import Frame, Param, Stage, cv
from edgevision.stages.picture import is_gray, to_gray

__all__ = ["Edges"]


class Edges(Stage):
    """Draw outlines: replace the picture by its edges, or lay them over it.

    ``replace`` leaves a gray picture, (H, W) uint8, 255 on edges and 0 elsewhere; later stages get
    that. ``overlay`` colours the edges in the picture itself. The lower of the two thresholds
    counts as ``low``.

    Algorithm: `cv2.Canny` after a Gaussian blur (J. Canny, A Computational Approach to Edge
    Detection, IEEE PAMI 8(6), 1986).
    """

    low: float = Param(60, ge=0, le=5000, help="gradient that continues an edge")
    high: float = Param(150, ge=0, le=5000, help="gradient that starts an edge")
    blur: int = Param(
        5, ge=0, le=31, unit="px", help="width of the blur against noise; even counts as one more"
    )
    mode: Literal["replace", "overlay"] = Param("replace", help="what becomes of the picture")
    color: tuple[int, int, int] = Param((0, 255, 0), help="blue, green, red of an overlay")

    def process(self, frame: Frame) -> None:
        """Find the edges and draw them."""
        image = frame.image
        gray = to_gray(image)
        if self.blur > 1:
            width = self.blur | 1
            gray = cv.GaussianBlur(gray, (width, width), 0)
        edges = cv.Canny(gray, self.low, self.high)
        if self.mode == "replace":
            frame.image = edges
            return
        cv.setTo(image, 255 if is_gray(image) else self.color, mask=edges)
