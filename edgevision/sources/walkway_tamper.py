"""What somebody does to the camera of the synthetic walkway: cover it, defocus it, turn it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.sources.walkway_ground import noise

__all__ = ["Tamper"]

# A hand needs this long to slide over the lens.
_COVER_S = 0.3
# A defocused picture is blurred by this share of its height.
_BLUR = 0.022
_REDUCTION = 4
# Where the picture's content goes when the camera is turned, as a share of the picture.
_TURN_XY = (0.24, 0.06)


class Tamper:
    """Times of interference, each lasting ``duration_s``.

    Args:
        size_wh: of the picture in pixels.
        seed: chooses what covers the lens.
        cover_at_s: when it is covered; None for never.
        defocus_at_s: when it is defocused.
        move_at_s: when the camera is turned.
        duration_s: until all is well again.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        seed: int,
        cover_at_s: float | None,
        defocus_at_s: float | None,
        move_at_s: float | None,
        duration_s: float,
    ) -> None:
        self._size_wh = size_wh
        self._cover_at_s = cover_at_s
        self._defocus_at_s = defocus_at_s
        self._move_at_s = move_at_s
        self._duration_s = duration_s
        self._hand = _hand(size_wh, seed) if cover_at_s is not None else None
        self.offset_xy = (float(round(_TURN_XY[0] * size_wh[0])), round(_TURN_XY[1] * size_wh[1]))
        """How far a turned camera shifts its picture, in pixels."""

    @property
    def moves(self) -> bool:
        """True if the camera is turned at some time."""
        return self._move_at_s is not None

    def moved(self, time_s: float) -> bool:
        """Say whether the camera is turned."""
        return self._during(self._move_at_s, time_s)

    def defocused(self, time_s: float) -> bool:
        """Say whether the lens is out of focus."""
        return self._during(self._defocus_at_s, time_s)

    def covered(self, time_s: float) -> float:
        """Return the share of the lens that is covered."""
        if self._cover_at_s is None:
            return 0.0
        since = time_s - self._cover_at_s
        left = self._duration_s - since
        return min(max(min(since, left) / _COVER_S, 0.0), 1.0)

    def apply(self, image: NDArray[Any], time_s: float) -> None:
        """Change a finished picture, (H, W, 3) uint8, in place."""
        width, height = self._size_wh
        if self.defocused(time_s):
            small_wh = (max(width // _REDUCTION, 1), max(height // _REDUCTION, 1))
            small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), max(_BLUR * height / _REDUCTION, 0.8))
            cv2.resize(small, (width, height), dst=image)
        rows = round(self.covered(time_s) * height)
        if rows and self._hand is not None:
            image[:rows] = self._hand[height - rows :]

    def _during(self, start_s: float | None, time_s: float) -> bool:
        return start_s is not None and start_s <= time_s < start_s + self._duration_s


def _hand(size_wh: tuple[int, int], seed: int) -> NDArray[Any]:
    """Return a palm on the lens: dark, reddish and without any detail."""
    width, height = size_wh
    random = np.random.default_rng([seed, 7])
    value = 1 + 0.25 * noise(height, width, (height / 2, height / 4), random)
    image = value[..., None] * np.array([16, 20, 40], np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)
