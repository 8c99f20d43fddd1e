"""The thread that draws on the pictures of one camera and makes JPEGs of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.annotation import bgr8, caption, color_of, draw, hex_of
from edgevision.detections import NO_TRACK, Detections
from edgevision.web.picture import Picture

if TYPE_CHECKING:
    from edgevision.frame import Frame

__all__ = ["Encoder", "Pace"]

_MAX_VALUES = 24
_MAX_TEXT = 120


class _Copy:
    """A frame's picture and findings, outside of the frame's own memory."""

    __slots__ = ("captured_at_s", "detections", "image", "sequence", "size_wh", "values")

    def __init__(self) -> None:
        self.image: NDArray[Any] = np.empty((0, 0, 3), np.uint8)
        self.size_wh = (0, 0)
        self.sequence = 0
        self.captured_at_s = 0.0
        self.detections = Detections.empty()
        self.values: dict[str, Any] = {}

    def take(self, frame: Frame, max_width: int) -> None:
        """Copy what is needed of ``frame``, at most ``max_width`` pixels wide."""
        source = frame.host
        height, width = source.shape[:2]
        if source.dtype == np.uint8 and source.ndim == 3 and source.shape[2] == 3:
            scale = min(1.0, max_width / width)
            size_wh = max(1, round(width * scale)), max(1, round(height * scale))
            if self.image.shape != (size_wh[1], size_wh[0], 3) or self.image.dtype != np.uint8:
                self.image = np.empty((size_wh[1], size_wh[0], 3), np.uint8)
            # Linear costs a fifth of area averaging where the factor is no whole number, and this
            # is the camera's own thread. The result looks good down to half the size.
            cv2.resize(source, size_wh, dst=self.image, interpolation=cv2.INTER_LINEAR)
        else:
            # Gray, float, depth: fewer pixels now, the conversion later on the encoder's thread.
            step = max(1, -(-width // max_width))
            self.image = source[::step, ::step].copy()
        self.size_wh = width, height
        self.sequence = frame.sequence
        self.captured_at_s = frame.captured_at_s
        self.detections = frame.detections
        self.values = dict(frame.values)


class Pace:
    """Says which frames are taken, so that it is ``fps`` a second at most.

    The schedule advances by whole intervals: 30 frames/s give 15 and not 10 pictures when a frame
    comes a moment before its picture is due.
    """

    def __init__(self, fps: float) -> None:
        self._interval_ns = int(1e9 / fps)
        self._due_ns = 0

    def take(self, now_ns: int) -> bool:
        """Return whether the frame that comes at ``now_ns`` is taken."""
        if now_ns < self._due_ns:
            return False
        self._due_ns = max(self._due_ns + self._interval_ns, now_ns)
        return True


class Encoder:
    """Takes at most ``max_fps`` frames a second and hands over the finished pictures.

    It owns one thread, which starts with it and ends soon after `close`, and two image buffers,
    which are used in turn: the thread draws on one while the camera's thread may fill the other.

    Args:
        camera: name of the camera.
        max_fps: pictures per second at most.
        max_width: pictures are made smaller down to this width, in pixels.
        jpeg_quality: 1 to 100.
        deliver: called with each finished picture, on the encoder's thread.
        fail: called with the error when a picture cannot be made, on either thread.
    """

    def __init__(
        self,
        camera: str,
        *,
        max_fps: float,
        max_width: int,
        jpeg_quality: int,
        deliver: Callable[[Picture], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._camera = camera
        self._pace = Pace(max_fps)
        self._max_width = max_width
        self._parameters = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
        self._deliver = deliver
        self._fail = fail
        self._changed = threading.Condition(threading.Lock())
        self._free = [_Copy(), _Copy()]
        self._pending: _Copy | None = None
        self._closed = False
        # A daemon: a program that ends without stopping its server must not wait for it.
        threading.Thread(target=self._run, name=f"preview {camera}", daemon=True).start()

    def offer(self, frame: Frame) -> None:
        """Copy the frame if a picture is due; called on the camera's worker thread.

        A picture that the encoder has not begun yet is replaced. Raises nothing for what is in the
        frame.
        """
        if not self._pace.take(time.monotonic_ns()):
            return
        with self._changed:
            copy = self._pending or (self._free.pop() if self._free else None)
            self._pending = None
        if copy is None:  # two threads offer at the same time: a stage of a former run hangs
            return
        try:
            copy.take(frame, self._max_width)
        except Exception as error:
            self._fail(error)
            with self._changed:
                self._free.append(copy)
            return
        with self._changed:
            self._pending = copy
            self._changed.notify()

    def close(self) -> None:
        """Let the thread end after the picture it is at; returns at once."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._pending is None and not self._closed:
                    self._changed.wait()
                if self._closed or self._pending is None:
                    return
                copy, self._pending = self._pending, None
            picture = None
            try:
                picture = self._encode(copy)
            except Exception as error:
                self._fail(error)
            with self._changed:
                self._free.append(copy)
            if picture is not None:
                self._deliver(picture)

    def _encode(self, copy: _Copy) -> Picture:
        image = bgr8(copy.image)
        height, width = image.shape[:2]
        scale_xy = width / copy.size_wh[0], height / copy.size_wh[1]
        draw(image, copy.detections, scale=scale_xy)
        caption(image, copy.sequence, copy.captured_at_s)
        jpeg = cv2.imencode(".jpg", image, self._parameters)[1].tobytes()
        names, counts = np.unique(copy.detections.label, return_counts=True)
        tracked = bool((copy.detections.track_id != NO_TRACK).any())
        return Picture(
            jpeg=jpeg,
            camera=self._camera,
            sequence=copy.sequence,
            captured_at_s=copy.captured_at_s,
            size_wh=copy.size_wh,
            counts=dict(zip(names.tolist(), counts.tolist(), strict=True)),
            colors={} if tracked else {name: hex_of(color_of(name)) for name in names.tolist()},
            values=_presentable(copy.values),
        )


def _presentable(values: dict[str, Any]) -> dict[str, Any]:
    """Return the first values as numbers, truth values and short texts."""
    shown: dict[str, Any] = {}
    for name in list(values)[:_MAX_VALUES]:
        value = values[name]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            value = str(value)
        if not isinstance(value, (bool, int, float, type(None))):
            text = str(value)
            value = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
        shown[str(name)] = value
    return shown
