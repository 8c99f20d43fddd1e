"""A video file."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.errors import ConfigurationError, SourceTruncatedError
from edgevision.slot import Slot
from edgevision.sources import ffmpeg
from edgevision.sources.capture import CaptureSource
from edgevision.sources.container import missing_bytes
from edgevision.sources.pace import Pace
from edgevision.suggestion import did_you_mean

__all__ = ["VideoFileSource", "refuse_unreadable"]

_log = logging.getLogger("edgevision.sources")

# FFmpeg reads files with these endings as text to be drawn in a video.
_TEXT_SUFFIXES = frozenset({".ans", ".art", ".asc", ".diz", ".ice", ".nfo", ".txt", ".vt"})

# A damaged place makes a grab fail as the end does; only trying again tells them apart.
_ATTEMPTS = 64

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class VideoFileSource(CaptureSource):
    """A video file, read by FFmpeg: every frame, in order, upright.

    A file that ends before its own structure says raises at that point; see
    `edgevision.sources.container` for the containers in which this can be known. Damage that
    FFmpeg can step over is counted in ``damaged`` and logged at the end. Frames of a file that
    changes its resolution are scaled to that of its beginning, by OpenCV.

    Args:
        path: the file.
        loop: begin again at the end, for ever; the timeline goes on.
        pace: ``real``: each frame at its own time after the first; ``fast``: as fast as it is read.

    Attributes:
        frames: how many frames were read since ``open``.
        announced: how many the file announces, None if it does not say or the number is absurd.
            Only a few containers count frames; OpenCV takes duration times frame rate for the
            others, so this is an estimate.
        damaged: how many places could not be decoded since ``open``.
    """

    live = False

    def __init__(
        self, path: str, *, loop: bool = False, pace: Literal["real", "fast"] = "real"
    ) -> None:
        super().__init__()
        self.uri = path
        self.frames = 0
        self.announced: int | None = None
        self.damaged = 0
        self._path = path
        self._loop = loop
        self._real = pace == "real"
        self._pace = Pace(0.0, real=False)
        self._turn: int | None = None
        self._lying: NDArray[np.uint8] | None = None
        self._frames_of_pass = 0
        self._announced_s = 0.0

    def open(self) -> None:
        """Open the file and decode its first frame.

        Raises:
            ConfigurationError: there is no such file, it cannot be read, is empty, is no video, or
                is cut off before anything can be read from it.
        """
        self.close()
        self.frames = self.damaged = 0
        capture = self._start()
        fps = capture.get(cv2.CAP_PROP_FPS)
        if not 0 < fps < 1000:
            fps = 25.0
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.announced = int(count) if 0 < count < 1e9 else None
        self._announced_s = (self.announced or 0) / fps
        self._pace = Pace(1 / fps, real=self._real)

    def read(self, slot: Slot) -> bool:
        """Decode the next frame into the slot, and wait until it is due.

        Returns:
            True with a frame; False at the end.

        Raises:
            SourceTruncatedError: the file is cut off here.
        """
        while True:
            capture = self._opened()
            if not self._next(capture):
                self._check_end()
                if not self._loop:
                    return False
                self._begin_again()
                continue
            if not self._show(capture, slot):
                self.damaged += 1
                continue
            self.frames += 1
            self._frames_of_pass += 1
            self._pace.wait(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            return True

    def _start(self) -> cv2.VideoCapture:
        refuse_unreadable(self._path)
        if Path(self._path).suffix.lower() in _TEXT_SUFFIXES:
            raise ConfigurationError(f"{self._path}: this is text, not a video")
        if ffmpeg.has_backend("FFMPEG"):
            capture = ffmpeg.open_capture(self._path, {}, ())
        else:
            capture = cv2.VideoCapture(self._path)
        self._capture = capture
        self._frames_of_pass = 0
        if not capture.isOpened():
            self.close()
            missing = missing_bytes(self._path)
            if missing:
                raise ConfigurationError(
                    f"{self._path}: the file is cut off: at least {missing} bytes are missing, "
                    "and the index that is needed to read the rest with them"
                )
            if not ffmpeg.has_backend("FFMPEG"):
                raise ConfigurationError(
                    f"{self._path}: this OpenCV ({cv2.__version__}) is built without FFmpeg, and "
                    "nothing else in it reads the file; the wheels on PyPI and edgevision's images "
                    "have it, and nvdec: does without on a card"
                )
            raise ConfigurationError(f"{self._path}: there is no video in it that FFmpeg can read")
        self._turn = _TURNS.get(round(capture.get(cv2.CAP_PROP_ORIENTATION_META)))
        if self._turn is not None:
            # OpenCV would turn the picture into a new array each time, past the slot.
            capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        if not self._next(capture):
            self.close()
            raise ConfigurationError(f"{self._path}: no picture in it can be decoded")
        self._grabbed = True
        return capture

    def _next(self, capture: cv2.VideoCapture) -> bool:
        for attempt in range(_ATTEMPTS):
            if self._grab(capture):
                if attempt:
                    self.damaged += 1
                return True
        return False

    def _show(self, capture: cv2.VideoCapture, slot: Slot) -> bool:
        if self._turn is None:
            return self._retrieve(capture, slot)
        done, lying = capture.retrieve(self._lying)
        if not done:
            return False
        self._lying = lying  # type: ignore[assignment]
        upright = cv2.rotate(lying, self._turn, slot.image)
        if upright is not slot.image:
            slot.image = upright  # type: ignore[assignment]
        return True

    def _begin_again(self) -> None:
        if not self._frames_of_pass:
            raise ConfigurationError(f"{self._path}: no picture in it can be decoded")
        super().close()
        capture = self._start()
        self._pace.restart(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)

    def _check_end(self) -> None:
        """Raise if the file is cut off, and say what else is not as announced."""
        if self.frames != self._frames_of_pass:
            return  # known from the first time round
        announced = "an unknown number" if self.announced is None else f"about {self.announced}"
        missing = missing_bytes(self._path)
        if missing:
            raise SourceTruncatedError(
                f"{self._path}: the file is cut off after {self._frames_of_pass} frames of "
                f"{announced}; at least {missing} bytes are missing"
            )
        if self.damaged:
            _log.warning(
                "%s: damaged in %d place(s); %d frames came of %s",
                self._path,
                self.damaged,
                self._frames_of_pass,
                announced,
            )
        elif self._announced_s - self._pace.end_s > max(1.0, 0.05 * self._announced_s):
            _log.warning(
                "%s: ended after %.1f s and announces %.1f s; a longer sound track and a late "
                "start do this, and damage too",
                self._path,
                self._pace.end_s,
                self._announced_s,
            )


def refuse_unreadable(path: str) -> None:
    """Raise for a path that is no readable file with something in it.

    Raises:
        ConfigurationError: the message says which of these it is not.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file{_near(path)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{path}: the file cannot be read: {reason}") from error
    if stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{path}: this is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path}: this is no file but a device, a pipe or a socket")
    if not found.st_size:
        raise ConfigurationError(f"{path}: the file is empty")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ConfigurationError(f"{path}: the file cannot be read: {error.strerror}") from error


def _near(path: str) -> str:
    """Name a file of the same folder that was probably meant, or the folder if it is missing."""
    folder = Path(path).parent
    if not folder.is_dir():
        return f" (there is no folder {str(folder)!r})"
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    return did_you_mean(Path(path).name, names)
