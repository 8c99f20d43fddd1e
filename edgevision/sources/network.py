"""Cameras on the network: RTSP, and MJPEG over HTTP."""

from __future__ import annotations

import time
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import cv2

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.redaction import redact_url
from edgevision.slot import Slot
from edgevision.sources import ffmpeg, probe
from edgevision.sources.capture import CaptureSource
from edgevision.sources.option import Bounds

__all__ = ["HttpSource", "NetworkSource", "RtspSource"]

_PROBE_S = 0.3
_ASK_S = 1.0

# A grab fails on a damaged picture as it does at the end of the connection; only trying again
# tells them apart. At the end, each further grab fails within microseconds.
_ATTEMPTS = 30
_INSTANT_S = 0.05

_PROBING_S = 0.1


class NetworkSource(CaptureSource):
    """A camera that FFmpeg reads from a URL; see `RtspSource` and `HttpSource`.

    ``open`` returns when the first picture is there, and `reachable` connects to the camera's port.

    FFmpeg decides on the size of the pictures when it opens: if the camera changes its resolution
    within a connection, OpenCV scales to the first size (RTSP with MJPEG excepted, which changes).
    After the next ``open`` the pictures have the new size. OpenCV before 4.13 does not scale but
    delivers rubbish until then, and cannot be asked.

    Args:
        url: where the camera is; user name and password in it are percent-encoded.
        open_timeout_s: `open` gives up after this long.
        read_timeout_s: a connection that is silent for this long is lost.
        decoder_threads: threads that decode. FFmpeg delays the video by one frame for each thread,
            so the default is 1; more are for cameras that one core cannot decode. 0: all cores.

    Raises:
        ConfigurationError: the URL cannot be one.
    """

    live = True

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: Annotated[float, Bounds(0.1, 120)] = 5.0,
        read_timeout_s: Annotated[float, Bounds(0.1, 120)] = 2.0,
        decoder_threads: Annotated[int, Bounds(0, 16)] = 1,
    ) -> None:
        super().__init__()
        self.uri = redact_url(url)
        self._url = url
        self._parts = _parsed(url)
        self._host = self._parts.hostname or ""
        self._port = self._parts.port or probe.default_port(self._parts.scheme)
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._decoder_threads = decoder_threads
        self.spoilt = 0
        """Pictures of this connection that could not be decoded."""

    def reachable(self) -> bool:
        """Tell within 0.3 s whether the camera's port accepts a TCP connection."""
        return probe.why_unreachable(self._host, self._port, _PROBE_S) is None

    def open(self) -> None:
        """Connect and wait for the first picture.

        Raises:
            SourceUnavailableError: the message says what the camera answered: refused, silent, no
                such path, credentials refused. A camera that boots may say any of these for a
                while, so each is worth another try.
            ConfigurationError: this OpenCV cannot read from the network.
        """
        self.close()
        if not ffmpeg.has_backend("FFMPEG"):
            raise ConfigurationError(
                f"{self.uri}: this OpenCV is built without FFmpeg and cannot read it; "
                "install opencv-python from PyPI, or read the camera with gstreamer:"
            )
        deadline_s = time.monotonic() + self._open_timeout_s
        reason = probe.why_unreachable(self._host, self._port, self._open_timeout_s)
        if reason:
            raise SourceUnavailableError(f"{self.uri}: {reason}")
        self.spoilt = 0
        if not self._connect(deadline_s):
            self.close()
            raise SourceUnavailableError(f"{self.uri}: {self._why_not()}")
        self._grabbed = True

    def read(self, slot: Slot) -> bool:
        """Decode the next picture into the slot.

        Pictures that arrived while the connection was being opened come at once, one after the
        other.

        Returns:
            True with a picture; False when the camera has ended the connection.

        Raises:
            SourceUnavailableError: silence for ``read_timeout_s``, noticed within twice that; or
                pictures come and none can be decoded.
        """
        capture = self._opened()
        before_s = time.monotonic()
        waited_s = 0.0
        for attempt in range(_ATTEMPTS):
            grabbed = self._grab(capture)
            # After a time-out FFmpeg may still hand out what its decoder held back, and would then
            # wait for the whole time-out again.
            waited_s = time.monotonic() - before_s
            if waited_s >= 0.98 * self._read_timeout_s:
                raise SourceUnavailableError(
                    f"{self.uri}: no picture for {self._read_timeout_s:g} s (read_timeout_s)"
                )
            if grabbed and self._retrieve(capture, slot):
                self.spoilt += attempt
                return True
        if waited_s > _INSTANT_S:
            raise SourceUnavailableError(
                f"{self.uri}: {_ATTEMPTS} pictures in a row could not be decoded"
            )
        return False

    def _ffmpeg_options(self) -> dict[str, str]:
        """Return FFmpeg's options for the next opening."""
        return {}

    def _grab_timeout_s(self) -> float:
        """Return how long one grab may take in all."""
        return self._read_timeout_s

    def _connect(self, deadline_s: float) -> bool:
        """Open the capture and grab the first picture; False if either fails."""
        left_s = max(0.1, deadline_s - time.monotonic())
        capture = ffmpeg.open_capture(
            self._url,
            self._ffmpeg_options(),
            (
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                int(left_s * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                int(self._grab_timeout_s() * 1000),
                cv2.CAP_PROP_N_THREADS,
                self._decoder_threads,
            ),
        )
        self._capture = capture
        return capture.isOpened() and capture.grab()

    def _why_not(self) -> str:
        """Ask the camera itself why FFmpeg got no picture."""
        try:
            answer = probe.ask(self._parts, _ASK_S)
        except TimeoutError:
            return "the camera accepts the connection and does not answer"
        except OSError as error:
            return f"the connection broke: {error.strerror or type(error).__name__}"
        if answer.status == 0:
            return "the camera accepts the connection and ends it without an answer"
        if answer.status == 401:
            if self._parts.username is None:
                return (
                    "the camera asks for a user name and a password (401); give them in the URL, "
                    f"{self._parts.scheme}://user:password@{self._host}"
                )
            return "the camera refuses the user name or the password (401)"
        if answer.status >= 300:
            return f"the camera answers {answer.status} {answer.reason}".rstrip()
        return self._why_no_picture(answer)

    def _why_no_picture(self, answer: probe.Answer) -> str:
        kind = f" with {answer.content_type}" if answer.content_type else ""
        return f"the camera answers{kind}, but sends no picture that can be decoded"


class HttpSource(NetworkSource):
    """``http://`` and ``https://``: MJPEG as multipart/x-mixed-replace, as most cameras have it.

    Certificates are not checked: cameras sign their own. A part that is no JPEG is skipped; half
    a JPEG is shown as far as it goes.
    """


class RtspSource(NetworkSource):
    """``rtsp://`` and ``rtsps://``.

    The connection is open within one picture or two of the camera's answer, and one frame of
    delay remains, which FFmpeg's parser needs. A camera that sends no key frame on request
    delays the first picture to its next regular one.

    Args:
        url: see `NetworkSource`.
        transport: ``tcp``, or ``udp`` where the network loses nothing and every millisecond counts.
        first_frame_timeout_s: how long to wait for a key frame, on top of ``open_timeout_s``.
        open_timeout_s: see `NetworkSource`.
        read_timeout_s: see `NetworkSource`.
        decoder_threads: see `NetworkSource`.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        first_frame_timeout_s: Annotated[float, Bounds(0.1, 120)] = 10.0,
        open_timeout_s: Annotated[float, Bounds(0.1, 120)] = 5.0,
        read_timeout_s: Annotated[float, Bounds(0.1, 120)] = 2.0,
        decoder_threads: Annotated[int, Bounds(0, 16)] = 1,
    ) -> None:
        super().__init__(
            url,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            decoder_threads=decoder_threads,
        )
        self._transport = transport
        self._first_frame_timeout_s = first_frame_timeout_s
        self._probing_s = _PROBING_S

    def _connect(self, deadline_s: float) -> bool:
        self._probing_s = _PROBING_S
        before_s = time.monotonic()
        if super()._connect(deadline_s):
            return True
        capture = self._capture
        silent = time.monotonic() - before_s >= self._read_timeout_s
        if silent or capture is None or not capture.isOpened():
            return False
        # A camera may describe its video in the key frames only. Without one FFmpeg opens, but
        # knows no size, and never will: it has to look for longer from the start.
        if capture.get(cv2.CAP_PROP_FRAME_WIDTH) > 0:
            return False
        self.close()
        self._probing_s = self._first_frame_timeout_s
        return super()._connect(time.monotonic() + self._first_frame_timeout_s)

    def _ffmpeg_options(self) -> dict[str, str]:
        # FFmpeg 4 and older call the socket's time-out stimeout; their timeout is another thing.
        name = "timeout" if not 0 < ffmpeg.libavformat() < 59 else "stimeout"
        return {
            "rtsp_transport": self._transport,
            name: str(int(self._read_timeout_s * 1e6)),
            # FFmpeg would look at the video for seconds to guess its frame rate.
            "analyzeduration": str(int(self._probing_s * 1e6)),
            "fpsprobesize": "0",
        }

    def _grab_timeout_s(self) -> float:
        # Silence is noticed by the socket's time-out; this one only bounds the wait for the first
        # key frame, and OpenCV has no other for the frames after it.
        return max(self._read_timeout_s, self._first_frame_timeout_s)

    def _why_no_picture(self, answer: probe.Answer) -> str:
        other = "udp" if self._transport == "tcp" else "tcp"
        return (
            f"the camera answers, but no picture came within {self._first_frame_timeout_s:g} s; "
            f"it may want the other transport (ev.transport={other})"
        )


def _parsed(url: str) -> SplitResult:
    wrong = f"{redact_url(url)!r} is no URL of a camera: "
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Not chained: Python's own message holds the password.
        raise ConfigurationError(
            wrong + "the port must be a number, and ':', '/', '?', '#' and '@' in a password are "
            "written %3A, %2F, %3F, %23 and %40"
        ) from None
    if port == 0:
        raise ConfigurationError(wrong + "the port must be from 1 to 65535")
    if not parts.hostname:
        raise ConfigurationError(wrong + f"the host is missing, as in {parts.scheme}://host/path")
    if any(letter.isspace() for letter in url):
        raise ConfigurationError(wrong + "a URL has no spaces; write %20")
    return parts
