"""The people stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgevision import Detections, Frame, Param, Stage, cv
from edgevision.stages.picture import reduced_wh, resized, to_bgr
from edgevision.stages.pyramid import Pyramid
from edgevision.stages.suppression import suppress

__all__ = ["People"]

# The detector's window is 64 by 128; a person fills this much of it.
_PERSON_PX = 97
_MARGIN_X, _MARGIN_Y = 0.18, 0.12
# Larger than this the picture is not made, however small the people.
_MAX_SCALE = 2.0
_PADDING = (16, 16)


class People(Stage):
    """Find people who stand or walk upright, seen whole.

    Adds a detection for each, labelled ``person``. Its confidence grows with the distance d from
    the detector's border, as 1 / (1 + exp(-2 d)).

    The detector knows people from head to foot, from ``min_height`` on; it misses those who are
    half hidden, who sit, or who are seen from above. The picture is scaled so that a person of
    ``min_height`` just fits the detector's window: twice the height is four times as fast.

    It needs OpenCV 4, or opencv-contrib-python 5: OpenCV 5's own package has no HOGDescriptor.

    Algorithm: histograms of oriented gradients and a linear classifier (N. Dalal, B. Triggs,
    CVPR 2005) with the weights that come with OpenCV, then non-maximum suppression.
    """

    min_height: int = Param(96, ge=48, le=4000, unit="px", help="height of the smallest person")
    hit_threshold: float = Param(
        0.4, ge=-2, le=5, help="distance from the detector's border; higher finds fewer, surer"
    )
    scale_step: float = Param(
        1.05, ge=1.01, le=1.5, help="ratio of one size looked for to the next; larger is faster"
    )
    stride: int = Param(
        8, ge=4, le=64, unit="px", help="step of the window, a multiple of 4; larger is faster"
    )
    overlap: float = Param(
        0.4, ge=0, le=1, help="boxes that share more (intersection over union) are one person"
    )
    inside: float = Param(
        0.6, ge=0, le=1, help="a box with more than this share in another is a part of that person"
    )
    label: str = Param("person", min_length=1, help="label of the detections")

    _pyramid: Pyramid | None = None

    def start(self) -> None:
        """Load the detector."""
        detector: Any = cv.HOGDescriptor()
        weights = np.array(cv.HOGDescriptor_getDefaultPeopleDetector(), np.float32)
        detector.setSVMDetector(weights)
        self._pyramid = Pyramid(detector)

    def process(self, frame: Frame) -> None:
        """Find people at all sizes."""
        scale = min(_PERSON_PX / self.min_height, _MAX_SCALE)
        size_wh = reduced_wh(frame.size_wh, scale)
        # A picture smaller than the window holds nobody.
        if size_wh[0] + 2 * _PADDING[0] < 64 or size_wh[1] + 2 * _PADDING[1] < 128:
            return
        picture = resized(to_bgr(frame.image), size_wh)
        stride = self.stride // 4 * 4
        assert self._pyramid is not None  # start has made it
        window, distance = self._pyramid.search(
            picture,
            hit_threshold=self.hit_threshold,
            stride_px=stride,
            padding_wh=_PADDING,
            scale_step=self.scale_step,
        )
        if not len(window):
            return
        margin = window[:, 2:] * np.array([_MARGIN_X, _MARGIN_Y], np.float32)
        box = np.concatenate(
            [window[:, :2] + margin, window[:, :2] + window[:, 2:] - margin], axis=1
        )
        kept = suppress(box, distance, overlap=self.overlap, inside=self.inside)
        found = Detections(box[kept], 1 / (1 + np.exp(-2 * distance[kept])), self.label)
        width, height = frame.size_wh
        in_frame = found.scaled((width / size_wh[0], height / size_wh[1])).clipped((width, height))
        frame.add(in_frame)

    def stop(self) -> None:
        """End the threads."""
        if self._pyramid is not None:
            self._pyramid.close()
