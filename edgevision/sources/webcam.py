"""A camera at this machine: V4L2 on Linux, whatever OpenCV chooses elsewhere."""

from __future__ import annotations

import logging
import os
import time
from typing import Annotated

import cv2

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources import ffmpeg, v4l2
from edgevision.sources.capture import CaptureSource
from edgevision.sources.option import Bounds, Size

__all__ = ["WebcamSource"]

_log = logging.getLogger("edgevision.sources")

# The driver fills one buffer while the other is read. More of them only keep old frames.
_BUFFERS = 2
# A frame that was damaged on its way over USB cannot be decoded, and a grab fails at once then; so
# it does when the camera is gone.
_ATTEMPTS = 5

# OpenCV waits so long for a frame. It takes this from the environment, in whole seconds, when the
# process opens its first V4L2 camera, and from nowhere else; its default is 10.
_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"
_TIMEOUT_S = 2


class WebcamSource(CaptureSource):
    """A webcam by number or by device node.

    What the driver gives instead of what was asked for is logged once; cameras round to the sizes
    and rates they have. An unplugged camera is noticed by the next read, and opened again when it
    is back under the same node. For two cameras of one kind, and for a number that changes from
    boot to boot, use the links in /dev/v4l/by-id or /dev/v4l/by-path.

    Args:
        device: ``0``, ``/dev/video0`` or a link to a node.
        size_wh: width and height asked of the driver, in pixels.
        width: as `size_wh`, for a URI.
        height: as `size_wh`, for a URI.
        fps: frames a second asked of the driver.
        fourcc: pixel format asked of the driver, such as MJPG: over USB 2 most cameras reach large
            sizes at full rate only with it.
        open_timeout_s: how long the first frame may take; some cameras need seconds to wake up.

    Raises:
        ConfigurationError: the device is neither a number nor a path, or options contradict.
    """

    live = True

    def __init__(
        self,
        device: str,
        *,
        size_wh: Size | None = None,
        width: Annotated[int, Bounds(16, 16384)] | None = None,
        height: Annotated[int, Bounds(16, 16384)] | None = None,
        fps: Annotated[float, Bounds(0.1, 1000)] | None = None,
        fourcc: str | None = None,
        open_timeout_s: Annotated[float, Bounds(0.1, 120)] = 5.0,
    ) -> None:
        super().__init__()
        self.uri = f"webcam:{device}" if device.isdecimal() else device
        self._device = device
        if not device.isdecimal() and not device.startswith("/"):
            raise ConfigurationError(
                f"webcam:{device}: the camera must be a number or a device node, "
                "as in webcam:0 or /dev/video0"
            )
        if (width is None) != (height is None):
            raise ConfigurationError(f"{self.uri}: width and height go together")
        if width is not None and height is not None:
            if size_wh not in (None, (width, height)):
                raise ConfigurationError(
                    f"{self.uri}: size_wh contradicts width and height: give one of them"
                )
            size_wh = (width, height)
        if fourcc is not None and (len(fourcc) != 4 or not fourcc.isascii()):
            raise ConfigurationError(
                f"{self.uri}: option 'fourcc' must be four letters such as MJPG or YUYV, "
                f"got {fourcc!r}"
            )
        self._size_wh = size_wh
        self._fps = fps
        self._fourcc = fourcc
        self._open_timeout_s = open_timeout_s
        self._was_open = False

    @property
    def node(self) -> str:
        """The device node (Linux)."""
        return f"/dev/video{self._device}" if self._device.isdecimal() else self._device

    def open(self) -> None:
        """Open the device, set it up and wait for its first frame.

        Raises:
            SourceUnavailableError: the camera is missing, in use, silent, or not permitted.
            ConfigurationError: the node exists and is no camera.
        """
        self.close()
        if v4l2.SUPPORTED:
            self._look()
            # OpenCV wants the node, not a link to it.
            node = os.path.realpath(self.node)
            os.environ.setdefault(_TIMEOUT, str(_TIMEOUT_S))
            with ffmpeg.quiet():
                self._capture = capture = cv2.VideoCapture(node, cv2.CAP_V4L2)
        else:
            self._capture = capture = cv2.VideoCapture(int(self._device))
        if not capture.isOpened():
            self.close()
            self._give_up()
        self._set_up(capture)
        deadline_s = time.monotonic() + self._open_timeout_s
        while not capture.grab():
            if time.monotonic() >= deadline_s or not self._is_there():
                self.close()
                self._give_up()
            time.sleep(0.02)  # a grab may fail at once, too
        self._grabbed = True
        if not self._was_open:
            self._compare(capture)
        self._was_open = True

    def read(self, slot: Slot) -> bool:
        """Wait for the next frame and decode it into the slot.

        Returns:
            True: there is a frame.

        Raises:
            SourceUnavailableError: the camera has gone, or gives no frame for 2 s.
        """
        capture = self._opened()
        before_s = time.monotonic()
        for _ in range(_ATTEMPTS):
            if self._grab(capture) and self._retrieve(capture, slot):
                return True
            if not self._is_there() or time.monotonic() - before_s >= 0.9 * _TIMEOUT_S:
                break
        if not self._is_there():
            raise SourceUnavailableError(f"{self.uri}: the camera has gone")
        raise SourceUnavailableError(
            f"{self.uri}: no frame for {time.monotonic() - before_s:.1f} s"
        )

    def reachable(self) -> bool:
        """Tell whether the device node is there (Linux)."""
        return os.path.exists(self.node)

    @property
    def probes(self) -> bool:
        """True where there are device nodes to look for."""
        return v4l2.SUPPORTED

    def _is_there(self) -> bool:
        """Tell whether the device still answers; its node may outlive it."""
        if not v4l2.SUPPORTED:
            return True
        try:
            v4l2.look(self.node)
        except OSError:
            return False
        return True

    def _look(self) -> None:
        """Raise with the reason if the node cannot be used; it is not opened for streaming here."""
        try:
            usable = v4l2.look(self.node).captures
        except OSError:
            usable = False
        if not usable:
            self._give_up()

    def _give_up(self) -> None:
        if not v4l2.SUPPORTED:
            raise SourceUnavailableError(f"{self.uri}: there is no such camera, or it is in use")
        reason, for_good = v4l2.why_unusable(self.node)
        # Numbers move when a camera is plugged in again: for a camera that worked before, even a
        # node of another kind may be its own again later.
        if for_good and not self._was_open:
            raise ConfigurationError(f"{self.uri}: {reason}")
        raise SourceUnavailableError(f"{self.uri}: {reason}")

    def _set_up(self, capture: cv2.VideoCapture) -> None:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
        # The pixel format decides which sizes there are, and the size which rates.
        if self._fourcc is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self._fourcc))
        if self._size_wh is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size_wh[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size_wh[1])
        if self._fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._fps)

    def _compare(self, capture: cv2.VideoCapture) -> None:
        """Log what the driver gives instead of what was asked for."""
        different = []
        got_wh = (
            round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if self._size_wh not in (None, got_wh):
            asked = "{}x{}".format(*self._size_wh)
            different.append("{}x{} instead of {}".format(*got_wh, asked))
        fps = capture.get(cv2.CAP_PROP_FPS)
        if self._fps is not None and abs(fps - self._fps) > 0.5:
            different.append(f"{fps:g} frames/s instead of {self._fps:g}")
        code = (int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little")
        fourcc = code.decode("ascii", "replace")
        if self._fourcc not in (None, fourcc):
            different.append(f"{fourcc} instead of {self._fourcc}")
        if different:
            _log.warning("%s: the camera gives %s", self.uri, ", ".join(different))
