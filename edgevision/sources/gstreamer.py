"""GStreamer pipelines, and the CSI cameras of Jetson modules, which are read through one."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import cv2

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.redaction import redact
from edgevision.slot import Slot
from edgevision.sources import ffmpeg
from edgevision.sources.capture import CaptureSource
from edgevision.sources.option import Bounds

__all__ = ["CsiSource", "GStreamerSource", "argus_pipeline", "with_appsink"]

_APPSINK = re.compile(r"(^|!)\s*appsink\b")
_ELEMENT = re.compile(r"[a-zA-Z][\w-]*(?=\s|$)")
_ARGUS_SOCKET = Path("/tmp/argus_socket")


class GStreamerSource(CaptureSource):
    """A pipeline in the words of gst-launch-1.0, which ends in an appsink.

    A pipeline without an appsink gets one that takes BGR: of a live pipeline it keeps the newest
    frame only (``drop=true max-buffers=1``), of a finite one every frame, and neither waits for the
    clock (``sync=false``). One that is written out is taken as it is; without ``sync=false`` it
    paces a file, and without ``drop=true`` it delivers every frame late rather than the newest.

    This needs an OpenCV that is built with GStreamer; those from PyPI are not.

    Args:
        pipeline: the description.
        live: False for a pipeline that plays something finite.
        open_timeout_s: the pipeline must play within this time.
        read_timeout_s: a pipeline that delivers nothing for this long is given up.
    """

    def __init__(
        self,
        pipeline: str,
        *,
        live: bool = True,
        open_timeout_s: Annotated[float, Bounds(0.1, 120)] = 10.0,
        read_timeout_s: Annotated[float, Bounds(0.1, 120)] = 2.0,
    ) -> None:
        super().__init__()
        if not pipeline.strip():
            raise ConfigurationError(
                "gstreamer: the pipeline is missing, as in gstreamer:v4l2src ! videoconvert"
            )
        self.live = live
        self.uri = redact(f"gstreamer:{pipeline}")
        self.pipeline = with_appsink(pipeline, live=live)
        """What is given to OpenCV; it may hold credentials."""
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._checked = False

    def open(self) -> None:
        """Start the pipeline and wait for its first frame.

        Raises:
            ConfigurationError: this OpenCV has no GStreamer, or GStreamer lacks an element.
            SourceUnavailableError: the pipeline did not start, or delivered nothing.
        """
        self.close()
        if not ffmpeg.has_backend("GStreamer"):
            raise ConfigurationError(
                f"{self.uri}: this OpenCV ({cv2.__version__}) is built without GStreamer, as all "
                "of those from PyPI are. Use the OpenCV of the edgevision images, which has it, or "
                "a source that needs none: webcam:, rtsp://, http://, a file"
            )
        self._refuse()
        if not self._checked and (missing := _missing_elements(self.pipeline)):
            raise ConfigurationError(
                f"{self.uri}: GStreamer has no element {' and no '.join(missing)} here"
            )
        self._checked = True
        with ffmpeg.quiet():
            self._capture = capture = cv2.VideoCapture(
                self.pipeline,
                cv2.CAP_GSTREAMER,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    int(self._open_timeout_s * 1000),
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    int(self._read_timeout_s * 1000),
                ],
            )
            opened = capture.isOpened()
            if opened and capture.grab():
                self._grabbed = True
                return
        self.close()
        raise SourceUnavailableError(
            f"{self.uri}: the pipeline "
            + ("started and delivered nothing" if opened else "did not start")
            + "; gst-launch-1.0 with the same words says why"
        )

    def read(self, slot: Slot) -> bool:
        """Wait for the next frame and copy it into the slot.

        Returns:
            True with a frame; False when the pipeline has ended.

        Raises:
            SourceUnavailableError: nothing came within ``read_timeout_s``.
            ConfigurationError: the pictures are neither BGR nor gray.
        """
        capture = self._opened()
        before_s = time.monotonic()
        first = self._grabbed
        if self._grab(capture) and self._retrieve(capture, slot):
            if first:
                self._check_format(capture, slot)
            return True
        if time.monotonic() - before_s >= 0.98 * self._read_timeout_s:
            raise SourceUnavailableError(
                f"{self.uri}: no frame for {self._read_timeout_s:g} s (read_timeout_s)"
            )
        return False

    def _check_format(self, capture: cv2.VideoCapture, slot: Slot) -> None:
        """Refuse what OpenCV takes as it is and no stage can use: NV12, YUY2, JPEG."""
        shape = () if slot.image is None else slot.image.shape
        if len(shape) == 3 and shape[2] == 3:
            return
        if len(shape) == 2 and shape[0] == round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)):
            return
        raise ConfigurationError(
            f"{self.uri}: the appsink must deliver BGR or GRAY8, got an array of shape {shape}; "
            "put 'videoconvert ! video/x-raw,format=BGR' before it, or leave it out"
        )

    def _refuse(self) -> None:
        """Raise if the pipeline cannot work on this machine, before GStreamer is asked."""


class CsiSource(GStreamerSource):
    """A CSI camera of a Jetson module, through Argus and its image signal processor.

    In a container, the socket of the host's nvargus-daemon must be mounted:
    ``/tmp/argus_socket:/tmp/argus_socket``.

    Args:
        sensor: number of the camera, from 0.
        width: in pixels; one of the sensor's modes.
        height: in pixels.
        fps: frames a second; up to what the mode gives.
        flip: how nvvidconv turns the picture: 0 not, 1 by 90 degrees to the left, 2 by 180 degrees,
            3 by 90 degrees to the right, 4 mirrored left to right, 5 and 7 mirrored along a
            diagonal, 6 mirrored top to bottom.
        open_timeout_s: see `GStreamerSource`.
        read_timeout_s: see `GStreamerSource`.
    """

    def __init__(
        self,
        sensor: str = "0",
        *,
        width: Annotated[int, Bounds(64, 8192)] = 1280,
        height: Annotated[int, Bounds(64, 8192)] = 720,
        fps: Annotated[float, Bounds(1, 240)] = 30.0,
        flip: Annotated[int, Bounds(0, 7)] = 0,
        open_timeout_s: Annotated[float, Bounds(0.1, 120)] = 10.0,
        read_timeout_s: Annotated[float, Bounds(0.1, 120)] = 2.0,
    ) -> None:
        if not sensor.isdecimal():
            raise ConfigurationError(f"csi:{sensor}: the camera must be a number, as in csi:0")
        super().__init__(
            argus_pipeline(int(sensor), (width, height), fps, flip),
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
        )
        self.uri = f"csi:{sensor}"

    def _refuse(self) -> None:
        if not _ARGUS_SOCKET.exists():
            raise SourceUnavailableError(
                f"{self.uri}: {_ARGUS_SOCKET} is missing: nvargus-daemon does not run on this "
                "machine, or its socket is not mounted into the container "
                f"(-v {_ARGUS_SOCKET}:{_ARGUS_SOCKET})"
            )


def with_appsink(pipeline: str, *, live: bool) -> str:
    """Return the pipeline with an appsink at its end, if it has none."""
    if _APPSINK.search(pipeline):
        return pipeline
    keep = "drop=true max-buffers=1" if live else "drop=false max-buffers=2"
    return (
        f"{pipeline.rstrip().rstrip('!').rstrip()} ! videoconvert ! video/x-raw,format=BGR "
        f"! appsink {keep} sync=false"
    )


def argus_pipeline(sensor: int, size_wh: tuple[int, int], fps: float, flip: int) -> str:
    """Return the pipeline from a CSI camera to BGR.

    The picture leaves the image signal processor as NV12 in NVMM memory; nvvidconv turns it and
    brings it to BGRx in system memory, which videoconvert makes BGR of.
    """
    rate = Fraction(fps).limit_denominator(1001)
    if abs(fps - round(fps) * 1000 / 1001) < 0.005:  # 29.97 and 59.94, as television has them
        rate = Fraction(round(fps) * 1000, 1001)
    width, height = size_wh
    return (
        f"nvarguscamerasrc sensor-id={sensor} "
        f"! video/x-raw(memory:NVMM),width={width},height={height},format=NV12,"
        f"framerate={rate.numerator}/{rate.denominator} "
        f"! nvvidconv flip-method={flip} ! video/x-raw,format=BGRx "
        "! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


def _missing_elements(pipeline: str) -> list[str]:
    """Return the elements of a pipeline that GStreamer does not know; needs gst-inspect-1.0."""
    inspect = shutil.which("gst-inspect-1.0")
    if inspect is None:
        return []
    missing = []
    for part in pipeline.split("!"):
        element = _ELEMENT.match(part.strip())
        if element and subprocess.run([inspect, "--exists", element[0]], check=False).returncode:
            missing.append(element[0])
    return missing
