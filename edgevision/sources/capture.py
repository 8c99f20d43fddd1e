"""What every source on top of cv2.VideoCapture has in common."""

from __future__ import annotations

import cv2

from edgevision.slot import Slot
from edgevision.sources.source import Source

__all__ = ["CaptureSource"]


class CaptureSource(Source):
    """Holds one cv2.VideoCapture, from ``open`` to ``close``.

    A subclass's ``open`` sets ``_capture`` and grabs the first frame, so that a camera counts as
    open only when it delivers; ``_grabbed`` says that this frame is still to be handed out.
    """

    def __init__(self) -> None:
        self._capture: cv2.VideoCapture | None = None
        self._grabbed = False

    def close(self) -> None:
        """Release the device; harmless when nothing is open."""
        capture, self._capture = self._capture, None
        self._grabbed = False
        if capture is not None:
            capture.release()

    def _opened(self) -> cv2.VideoCapture:
        if self._capture is None:
            raise RuntimeError(f"{self.uri}: read before open")
        return self._capture

    def _grab(self, capture: cv2.VideoCapture) -> bool:
        """Take the frame that ``open`` grabbed, or grab the next one."""
        if self._grabbed:
            self._grabbed = False
            return True
        return capture.grab()

    @staticmethod
    def _retrieve(capture: cv2.VideoCapture, slot: Slot) -> bool:
        """Decode the grabbed frame into the slot; cv2 makes a new array if the old does not fit."""
        done, image = capture.retrieve(slot.image)
        if done and image is not slot.image:
            slot.image = image  # type: ignore[assignment]
        return done
