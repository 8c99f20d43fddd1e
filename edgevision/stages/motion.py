"""The motion stage."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from edgevision import Detections, Frame, Param, Stage, cv
from edgevision.stages.picture import reduced_wh, resized, to_bgr, to_host

__all__ = ["Motion"]

# KNN measures the squared distance in grey levels, MOG2 in standard deviations.
_KNN_FACTOR = 25.0
# Brightness is compared at this size, on pixels that are neither black nor white, and the usual
# brightness follows with this share of each frame.
_THUMB_WH = (40, 30)
_DARKEST, _BRIGHTEST = 12, 243
_FOLLOW = 0.02
_MAX_GAIN = 4.0
# The models take at once for scenery what has more than a tenth of the weight.
_YOUNG_RATE = 0.05
# Masks mark shadows with 127 and what moves with 255.
_NO_SHADOW = 200


class Motion(Stage):
    """Box what moves, by comparing each picture with a model of the empty scene.

    Adds a detection for each moving area, with its number of pixels in ``data["area_px"]``. The
    first ``warm_up`` frames only teach the model. A change of brightness of the whole picture (a
    cloud, the camera's exposure) is evened out first. When most of the picture changes all the same
    (the light is switched, the camera is moved) nothing is reported, and the model starts anew from
    what it sees; ``values["motion_relearns"]`` counts how often.

    Whatever stands still long enough becomes part of the scene (see ``history``). A camera that
    shakes moves everything. Put `roi` before it to leave a waving tree out. ``knn`` finds more of
    people in dark clothes, has no CUDA side, and draws random numbers: two runs differ a little.

    Algorithm: a mixture of Gaussians for each pixel (Z. Zivkovic, F. van der Heijden, Efficient
    adaptive density estimation per image pixel, Pattern Recognition Letters 27(7), 2006), or its
    nearest remembered samples, from the same paper; shadows by colour (A. Prati et al., Detecting
    Moving Shadows, IEEE PAMI 25(7), 2003); morphological closing; connected areas.
    """

    method: Literal["mog2", "knn"] = Param(
        "mog2",
        live=False,
        help="mog2: mixture of Gaussians; knn: nearest samples",
    )
    min_area: int = Param(400, ge=0, unit="px", help="smaller areas are noise")
    threshold: float = Param(
        16, gt=0, le=1000, live=False, help="squared distance, in deviations, that is not scenery"
    )
    history: int = Param(
        500, ge=2, le=100000, unit="frames", live=False, help="how far back the model remembers"
    )
    learning_rate: float = Param(
        -1, ge=-1, le=1, help="share of each frame in the model; -1: one over history, 0: none"
    )
    shadows: bool = Param(False, live=False, help="report shadows too, which is faster")
    scale: float = Param(0.5, gt=0, le=1, help="size at which it works; smaller is faster")
    close: int = Param(
        16, ge=0, le=500, unit="px", help="gaps within a thing are closed up to this"
    )
    warm_up: int = Param(
        15, ge=1, le=10000, unit="frames", help="frames that only teach the model, also when anew"
    )
    max_share: float = Param(
        0.5, gt=0, le=1, help="when more than this share of the picture changes, learn it anew"
    )
    even: bool = Param(True, help="even out changes of brightness of the whole picture")
    label: str = Param("motion", min_length=1, help="label of the detections")

    def start(self) -> None:
        """Make an empty model."""
        self._relearns = 0
        self._size_wh = (0, 0)
        self._model: Any = None
        self._learned = 0

    def process(self, frame: Frame) -> None:
        """Compare with the model, teach it, and box what differs."""
        size_wh = reduced_wh(frame.size_wh, self.scale)
        if size_wh != self._size_wh:
            self._renew(size_wh)
        picture = resized(to_bgr(frame.image), size_wh)
        if self.even:
            picture = self._evened(picture)
        if self.method == "knn":
            picture = to_host(picture)
        picture = cv.GaussianBlur(picture, (5, 5), 0)
        mask = self._model.apply(picture, learningRate=self._rate())
        self._learned += 1
        frame.values["motion_relearns"] = self._relearns
        if self._learned <= self.warm_up:
            return
        if not self.shadows:
            mask = cv.threshold(mask, _NO_SHADOW, 255, cv2.THRESH_BINARY)[1]
        if cv.countNonZero(mask) > self.max_share * size_wh[0] * size_wh[1]:
            self._relearns += 1
            self._renew(size_wh)
            return
        self._box(frame, mask)

    def _renew(self, size_wh: tuple[int, int]) -> None:
        """Forget the scene."""
        self._size_wh = size_wh
        self._learned = 0
        self._usual: Any = None
        shadows = not self.shadows
        if self.method == "mog2":
            self._model = cv.createBackgroundSubtractorMOG2(self.history, self.threshold, shadows)
        else:
            self._model = cv.createBackgroundSubtractorKNN(
                self.history, _KNN_FACTOR * self.threshold, shadows
            )

    def _evened(self, picture: Any) -> Any:
        """Return the picture as bright as usual."""
        thumb = np.array(to_host(resized(picture, _THUMB_WH)), np.float32).mean(axis=2)
        if self._usual is None:
            self._usual = thumb
            return picture
        fit = (thumb > _DARKEST) & (thumb < _BRIGHTEST) & (self._usual > _DARKEST)
        if np.count_nonzero(fit) < fit.size // 10:
            return picture
        # The median: people and cars are less than half of the picture.
        gain = float(np.median(self._usual[fit] / thumb[fit]))
        gain = min(max(gain, 1 / _MAX_GAIN), _MAX_GAIN)
        self._usual += _FOLLOW * (thumb * gain - self._usual)
        return cv.convertScaleAbs(picture, alpha=gain)

    def _rate(self) -> float:
        """Return this frame's share in the model: the mean of all frames at first."""
        young = 1 / (self._learned + 1)
        if self._learned < self.warm_up:
            return young
        if self.learning_rate >= 0:
            return self.learning_rate
        return max(min(young, _YOUNG_RATE), 1 / self.history)

    def _box(self, frame: Frame, mask: Any) -> Detections:
        mask = cv.medianBlur(mask, 3)
        width = round(self.close * self.scale)
        if width > 1:
            mask = cv.morphologyEx(mask, cv2.MORPH_CLOSE, _square(width | 1))
        return frame.detect_blobs(mask, min_area=self.min_area, label=self.label)


@lru_cache(maxsize=8)
def _square(width: int) -> Any:
    """Return a kernel of ``width`` by ``width``."""
    return cv2.getStructuringElement(cv2.MORPH_RECT, (width, width))
