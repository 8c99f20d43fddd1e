"""Stages that the GPU tests share."""

from __future__ import annotations

import cv2

from edgevision import Frame, Stage, cv

__all__ = ["Blobs", "Motion"]

_ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


class Motion(Stage):
    """The motion job: gray, half size, blur, background, threshold, opening, closing, count."""

    def start(self) -> None:
        self.background = cv.createBackgroundSubtractorMOG2()

    def process(self, frame: Frame) -> None:
        width, height = frame.size_wh
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        small = cv.resize(gray, (width // 2, height // 2))
        mask = self.background.apply(cv.GaussianBlur(small, (5, 5), 0))
        mask = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        mask = cv.morphologyEx(mask, cv2.MORPH_OPEN, _ELLIPSE)
        mask = cv.morphologyEx(mask, cv2.MORPH_CLOSE, _ELLIPSE)
        frame.fetch(mask, lambda array: frame.values.update(moving=cv2.countNonZero(array)))


class Blobs(Stage):
    """Boxes what is bright."""

    def process(self, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        frame.detect_blobs(cv.threshold(gray, 128, 255, cv2.THRESH_BINARY)[1], label="bright")
