"""The flow stage."""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np

from edgevision import Frame, Param, Stage, cv
from edgevision.stages.picture import reduced_wh, region, resized, size_wh_of, to_gray, to_host

__all__ = ["Flow"]

# A longer gap between two frames is no movement to be measured.
_LONGEST_GAP_S = 2.0
# The mask of moving pixels is smoothed over this many, and so is the change of the picture.
_SMOOTH_PX = 5
_CHANGE_PX = 9


class Flow(Stage):
    """Measure how fast and in which direction the picture moves.

    Sets ``values["flow_speed"]``, mean speed of what moves in px/s; ``values["flow_direction"]``,
    its direction in degrees, 0 to the right and 90 up, None when nothing moves; and
    ``values["flow_share"]``, the share of the picture that moves. With ``detect``, adds a detection
    for each moving area, with ``speed`` (px/s) and ``direction`` (degrees) in its data. With
    ``draw`` the picture is replaced by one in which the colour of what moves is its direction and
    its brightness its speed.

    Speeds come from the capture times of two neighbouring frames; a recording without times of its
    own has its rate set with ``fps``. A moving camera moves everything.

    Algorithm: dense optical flow, by polynomial expansion (G. Farneback, SCIA 2003) or by inverse
    search (T. Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016), which is
    faster on a CPU and has no CUDA side.
    """

    method: Literal["dis", "farneback"] = Param(
        "dis", live=False, help="dis: fast on a CPU; farneback: also on CUDA"
    )
    scale: float = Param(0.5, gt=0, le=1, help="size at which it works; smaller is faster")
    min_speed: float = Param(30, ge=0, unit="px/s", help="what is slower does not move")
    min_change: float = Param(
        4, ge=0, le=255, help="grey levels of change without which nothing moves; above the noise"
    )
    fps: float = Param(0, ge=0, unit="1/s", help="frame rate; 0: as the frames were captured")
    detect: bool = Param(True, help="add a detection for each moving area")
    min_area: int = Param(400, ge=0, unit="px", help="smaller areas are noise")
    draw: bool = Param(False, help="replace the picture by its movement in colours")
    full_speed: float = Param(200, gt=0, unit="px/s", help="speed that is drawn brightest")
    label: str = Param("moving", min_length=1, help="label of the detections")

    def start(self) -> None:
        """Begin without an earlier frame."""
        if self.method == "dis":
            self._flow: Any = cv.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        else:
            self._flow = cv.FarnebackOpticalFlow_create(numLevels=4, winSize=15, numIters=2)
        self._before: Any = None
        self._spare: Any = None
        self._captured_at_s = 0.0

    def process(self, frame: Frame) -> None:
        """Compare with the frame before."""
        size_wh = reduced_wh(frame.size_wh, self.scale)
        gray = resized(to_gray(frame.image), size_wh)
        if self.method == "dis":
            gray = to_host(gray)
        before, gap_s = self._remember(gray, frame.captured_at_s)
        # Two levels of the pyramid need this much.
        if before is None or gap_s is None or min(size_wh) < 16:
            frame.values.update(flow_speed=0.0, flow_direction=None, flow_share=0.0)
            return
        flow = self._flow.calc(before, gray, None)
        across, up = cv.split(flow)
        speed, direction = cv.cartToPolar(across, up, angleInDegrees=True)
        # From pixels of the reduced picture in one frame to pixels of the frame in one second.
        factor = frame.size_wh[0] / size_wh[0] / gap_s
        mask = cv.compare(speed, self.min_speed / factor, cv2.CMP_GT)
        # Flow spreads from what moves over what has no texture; there the picture did not change.
        change = cv.blur(cv.absdiff(before, gray), (_CHANGE_PX, _CHANGE_PX))
        mask = cv.bitwise_and(mask, cv.compare(change, self.min_change, cv2.CMP_GT))
        mask = cv.medianBlur(mask, _SMOOTH_PX)
        self._summarise(frame, across, up, mask, factor)
        if self.detect:
            self._box(frame, across, up, mask, factor)
        if self.draw:
            self._draw(frame, speed, direction, mask, factor)

    def _remember(self, gray: Any, captured_at_s: float) -> tuple[Any, float | None]:
        """Keep this frame; return the one before and the seconds since, or None."""
        before, at_s = self._before, self._captured_at_s
        size_wh = size_wh_of(gray)
        if self._spare is not None and size_wh_of(self._spare) == size_wh:
            current = cv.copyTo(gray, None, self._spare)
        else:
            current = cv.clone(gray)
        fits = before is not None and size_wh_of(before) == size_wh
        self._before, self._spare = current, before if fits else None
        self._captured_at_s = captured_at_s
        gap_s = 1 / self.fps if self.fps else captured_at_s - at_s
        return (before if fits else None), (gap_s if 0 < gap_s <= _LONGEST_GAP_S else None)

    def _summarise(self, frame: Frame, across: Any, up: Any, mask: Any, factor: float) -> None:
        width, height = size_wh_of(mask)
        share = cv.countNonZero(mask) / (width * height)
        x, y = cv.mean(across, mask=mask)[0], cv.mean(up, mask=mask)[0]
        frame.values["flow_speed"] = round(math.hypot(x, y) * factor, 1)
        frame.values["flow_direction"] = _degrees(x, y) if share else None
        frame.values["flow_share"] = round(share, 4)

    def _box(self, frame: Frame, across: Any, up: Any, mask: Any, factor: float) -> None:
        """Add a detection for each moving area, with its own speed and direction."""
        others = frame.detections
        frame.detections = others[:0]
        found = frame.detect_blobs(mask, min_area=self.min_area, label=self.label)
        width, height = size_wh_of(mask)
        fx, fy = width / frame.size_wh[0], height / frame.size_wh[1]
        speeds, directions = [], []
        for x0, y0, x1, y1 in (found.box_xyxy * np.array([fx, fy, fx, fy])).round().astype(int):
            part = (int(x0), int(y0), int(max(x1, x0 + 1)), int(max(y1, y0 + 1)))
            inside = region(mask, *part)
            x, y = (cv.mean(region(one, *part), mask=inside)[0] for one in (across, up))
            speeds.append(round(math.hypot(x, y) * factor, 1))
            directions.append(_degrees(x, y))
        data = {**found.data, "speed": np.array(speeds), "direction": np.array(directions)}
        frame.detections = others
        frame.add(found.replaced(data=data))

    def _draw(self, frame: Frame, speed: Any, direction: Any, mask: Any, factor: float) -> None:
        # Hue counts 180 for a full turn, and clockwise as the angle on a picture does.
        hue = cv.convertScaleAbs(direction, alpha=0.5)
        bright = cv.convertScaleAbs(speed, alpha=255 * factor / self.full_speed)
        bright = cv.bitwise_and(bright, mask)
        # 255 everywhere: what is itself.
        full = cv.compare(hue, hue, cv2.CMP_EQ)
        picture = cv.cvtColor(cv.merge([hue, full, bright]), cv2.COLOR_HSV2BGR)
        frame.image = resized(picture, frame.size_wh)


def _degrees(x: float, y: float) -> float:
    """Return the direction of a movement on the picture: 0 is to the right, 90 up."""
    return round(math.degrees(math.atan2(-y, x)) % 360, 1)
