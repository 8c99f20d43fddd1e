"""Open captures through OpenCV's FFmpeg backend.

What the backend does, as measured with OpenCV 4.14 and 5.0 (docs/sources.md has the figures):

- Options for FFmpeg can be given only in the environment variable OPENCV_FFMPEG_CAPTURE_OPTIONS,
  which is read while opening. It belongs to the whole process, so it is set for the time of the
  opening and guarded: openings that need the same options run side by side, others one after the
  other, in the order in which they came.
- OpenCV lets one capture at a time open, for the whole process: a camera that accepts a connection
  and says nothing would hold up every other camera. OPENCV_FFMPEG_IS_THREAD_SAFE removes that lock;
  FFmpeg 4 and newer needs none.
- FFmpeg and OpenCV print on standard error, and may print a URL with its password. FFmpeg's log is
  switched off unless OPENCV_FFMPEG_LOGLEVEL or OPENCV_FFMPEG_DEBUG is set, in which case someone
  wants to read it. OpenCV obeys this at the first use of FFmpeg in the process only.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import cv2

__all__ = ["has_backend", "libavformat", "open_capture", "quiet"]

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_DEBUG = "OPENCV_FFMPEG_DEBUG"
_THREAD_SAFE = "OPENCV_FFMPEG_IS_THREAD_SAFE"
_QUIET = "-8"  # AV_LOG_QUIET
_ERROR = 2  # cv2's log level without warnings, which name the URL
# OpenCV 4.12 moved the function from cv2 to cv2.utils.logging.
_cv2_logging: Any = getattr(cv2.utils, "logging", cv2)
_quiet_lock = threading.Lock()
_quiet_levels: list[int] = []


def open_capture(
    target: str, options: Mapping[str, str], parameters: Sequence[int]
) -> cv2.VideoCapture:
    """Open ``target``, a path or URL, through FFmpeg; look at ``isOpened()`` for the outcome.

    Args:
        target: path or URL.
        options: FFmpeg's own options by name; what the user put into
            OPENCV_FFMPEG_CAPTURE_OPTIONS comes on top.
        parameters: cv2's open parameters, name and value by turns.
    """
    with _gate.entered(_merged(options)), quiet():
        return cv2.VideoCapture(target, cv2.CAP_FFMPEG, list(parameters))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep OpenCV's warnings, which name the URL, off standard error while something is opened."""
    with _quiet_lock:
        if not _quiet_levels:
            _quiet_levels.append(_cv2_logging.getLogLevel())
            _cv2_logging.setLogLevel(min(_quiet_levels[0], _ERROR))
        else:
            _quiet_levels.append(_quiet_levels[0])
    try:
        yield
    finally:
        with _quiet_lock:
            level = _quiet_levels.pop()
            if not _quiet_levels:
                _cv2_logging.setLogLevel(level)


@cache
def has_backend(name: str) -> bool:
    """Tell whether this OpenCV was built with ``FFMPEG`` or ``GStreamer``."""
    return bool(re.search(rf"^\s*{name}:\s+YES", cv2.getBuildInformation(), re.MULTILINE))


@cache
def libavformat() -> int:
    """Return the major version of FFmpeg's libavformat; 0 if it is not known."""
    found = re.search(r"^\s*avformat:\s+YES \((\d+)\.", cv2.getBuildInformation(), re.MULTILINE)
    return int(found[1]) if found else 0


def _merged(options: Mapping[str, str]) -> str:
    """Return ``options`` as OpenCV reads them, with the user's own from the environment."""
    merged = dict(options)
    for pair in _gate.users_options().split("|"):
        key, mark, value = pair.partition(";")
        if mark:
            merged[key] = value
    return "|".join(f"{key};{value}" for key, value in merged.items())


class _Gate:
    """Sets the environment for openings, and lets those with the same options in together."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._inside = 0
        self._options = ""
        self._before: dict[str, str | None] = {}

    def users_options(self) -> str:
        """Return the value of OPENCV_FFMPEG_CAPTURE_OPTIONS that is not of our making."""
        with self._changed:
            if self._inside:
                return self._before[_OPTIONS] or ""
            return os.environ.get(_OPTIONS, "")

    @contextmanager
    def entered(self, options: str) -> Iterator[None]:
        """Wait for the turn, hold the environment, and put it back when the last one leaves."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(
                lambda: self._queue[0] is ticket and (not self._inside or options == self._options)
            )
            self._queue.popleft()
            if not self._inside:
                self._set(options)
            self._inside += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._restore()
                self._changed.notify_all()

    def _set(self, options: str) -> None:
        self._options = options
        wanted = {_THREAD_SAFE: os.environ.get(_THREAD_SAFE, "1")}
        if options:
            wanted[_OPTIONS] = options
        if _LOG_LEVEL not in os.environ and _DEBUG not in os.environ:
            wanted[_LOG_LEVEL] = _QUIET
        self._before = {name: os.environ.get(name) for name in {*wanted, _OPTIONS}}
        os.environ.update(wanted)

    def _restore(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_gate = _Gate()
