"""The tamper stage."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from edgevision import Frame, Param, Stage, cv
from edgevision.stages.picture import resized, size_wh_of, to_gray, to_host

__all__ = ["Tamper"]

# Detail is measured at this width, where the noise of a sensor is averaged out and a lens that is
# out of focus still shows; the layout of the picture at this one.
_DETAIL_PX = 320
_PLACE_PX = 160
_LAYOUT_PX = 40
# Edges much stronger than this, in grey levels, all count the same for the camera's place.
_STRONG = 20.0
# A covered lens shows no layout like the usual one, a defocused lens still does.
_SAME_LAYOUT = 0.6
# A picture with less contrast than this, in grey levels, shows nothing at all.
_BLANK = 4.0
# Share of a new frame in what is usual.
_RATE = 0.01


class _Look(NamedTuple):
    """What one frame looks like.

    Attributes:
        detail: mean strength of its edges, in grey levels.
        contrast: standard deviation of ``layout``, in grey levels.
        layout: (h, w) float32, the gray picture reduced to `_LAYOUT_PX`.
        edges: (h, w, 2) float32, gradients to the right and down, at `_PLACE_PX`.
    """

    detail: float
    contrast: float
    layout: Any
    edges: Any


class Tamper(Stage):
    """Tell when somebody covers the camera, puts it out of focus or turns it.

    Sets ``values["tamper"]``: ``{"covered": false, "defocused": false, "moved": false}``, at most
    one of them true, and publishes an event on ``output`` when one begins or ends:
    ``{"kind": "covered", "active": true}``.

    The first ``learn`` frames show what is usual; from then on it follows slow changes such as
    dusk. A state must last ``confirm`` frames to be told, and be over for as long to be taken back,
    so a van that passes is none. After a camera was turned on purpose, restart the stage, or let it
    accept the new view after ``accept`` frames.

    Put it before stages that change the picture.

    Algorithm: three measures against their running means. The strength of edges falls when the
    lens is covered or out of focus (more than the contrast, which less light takes away as well);
    the layout of light and dark (correlation of thumbnails) is lost when it is covered, not when it
    is out of focus; the place of the edges (correlation of gradients) is lost when the camera was
    turned, while their strength is not.
    """

    detail: float = Param(
        0.45, gt=0, lt=1, help="share of the usual edges below which a picture is not in order"
    )
    place: float = Param(
        0.45, gt=0, lt=1, help="correlation with the usual edges below which the camera has moved"
    )
    learn: int = Param(30, ge=1, le=100000, unit="frames", help="frames that show what is usual")
    confirm: int = Param(
        10, ge=1, le=10000, unit="frames", help="how long a state lasts before it is told"
    )
    accept: int = Param(
        0, ge=0, le=10**7, unit="frames", help="after so long a new view is the usual one; 0: never"
    )
    output: str = Param(
        "tamper", min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$", help="where events go"
    )

    def start(self) -> None:
        """Begin without a usual look."""
        self._usual: _Look | None = None
        self._shape: tuple[int, ...] = ()
        self._learned = 0
        self._state = ""
        self._candidate = ""
        self._since = 0
        self._lasts = 0

    def process(self, frame: Frame) -> None:
        """Compare with what is usual, and tell what changed."""
        look = _look(frame.image)
        if self._usual is None or look.edges.shape != self._shape:
            self._usual, self._shape, self._learned = look, look.edges.shape, 1
        seen = self._judge(look, self._usual)
        if self._learned < self.learn:
            seen = ""
        if not seen and not self._state:
            self._follow(look, self._usual)
        self._settle(frame, seen)
        frame.values["tamper"] = {
            kind: self._state == kind for kind in ("covered", "defocused", "moved")
        }
        if self._state and self.accept:
            self._lasts += 1
            if self._lasts >= self.accept:
                self._usual, self._learned = None, 0

    def _judge(self, look: _Look, usual: _Look) -> str:
        """Return what is wrong with a frame, "" for nothing."""
        # Once told, a state ends only when the picture is clearly better.
        ease = 1.25 if self._state else 1.0
        share = self.detail * ease
        same = _correlation(look.layout, usual.layout) >= _SAME_LAYOUT
        if look.contrast < _BLANK or (not same and look.detail < share * usual.detail):
            return "covered"
        # Less light takes away detail and contrast alike.
        if same and look.detail * usual.contrast < share * usual.detail * look.contrast:
            return "defocused"
        if _correlation(look.edges, usual.edges) < self.place * ease:
            return "moved"
        return ""

    def _follow(self, look: _Look, usual: _Look) -> None:
        """Let what is usual follow slow changes."""
        self._learned += 1
        rate = max(_RATE, 1 / self._learned)
        cv2.accumulateWeighted(look.layout, usual.layout, rate)
        cv2.accumulateWeighted(look.edges, usual.edges, rate)
        detail = usual.detail + rate * (look.detail - usual.detail)
        contrast = usual.contrast + rate * (look.contrast - usual.contrast)
        self._usual = usual._replace(detail=detail, contrast=contrast)

    def _settle(self, frame: Frame, seen: str) -> None:
        """Change the state when something has been seen for long enough."""
        if seen == self._state:
            self._candidate, self._since = seen, 0
            return
        if seen != self._candidate:
            self._candidate, self._since = seen, 0
        self._since += 1
        if self._since < self.confirm:
            return
        if self._state:
            frame.publish(self.output, {"kind": self._state, "active": False})
        if seen:
            frame.publish(self.output, {"kind": seen, "active": True})
        self._state, self._since, self._lasts = seen, 0, 0


def _look(image: Any) -> _Look:
    gray = to_gray(image)
    width, height = size_wh_of(gray)

    def at(width_px: int) -> Any:
        # What follows is as quick on the host, on pictures this small.
        return to_host(resized(gray, (width_px, max(round(width_px * height / width), 8))))

    across, down = _gradients(at(_DETAIL_PX))
    detail = float(cv.mean(cv.magnitude(across, down))[0])
    across, down = _gradients(at(_PLACE_PX))
    edges = np.stack([across, down], axis=2)
    edges /= cv.magnitude(across, down)[..., None] + np.float32(_STRONG)
    layout = np.array(at(_LAYOUT_PX), np.float32)
    return _Look(detail, float(layout.std()), layout, edges)


def _gradients(gray: Any) -> tuple[Any, Any]:
    """Return the gradients to the right and down, float32."""
    smooth = cv.GaussianBlur(gray, (3, 3), 0)
    return cv.Sobel(smooth, cv2.CV_32F, 1, 0), cv.Sobel(smooth, cv2.CV_32F, 0, 1)


def _correlation(one: Any, two: Any) -> float:
    """Return Pearson's correlation of two images, 0 when one is flat."""
    a, b = one - one.mean(), two - two.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / norm if norm > 1e-6 else 0.0
