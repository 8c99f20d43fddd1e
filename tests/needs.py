"""What some tests need from outside PyPI, and how to get it.

``@pytest.mark.needs("ffmpeg")`` skips a test where ffmpeg is missing, with a reason that says how
to get it. ``python3 dev.py test`` collects these reasons, and ``--nothing-skipped`` makes such a
skip a failure.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

__all__ = ["NEEDS", "Need", "missing"]


@dataclass(frozen=True)
class Need:
    """Something that a machine may lack.

    Attributes:
        what: its name in the reason for a skip.
        how: how to get it.
        present: tells whether it is there; called once.
        required: False where a run of its own is needed to have it, so that a skip is no failure
            under ``--nothing-skipped``.
    """

    what: str
    how: str
    present: Callable[[], bool]
    required: bool = True


def _binary(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _rtsp_server() -> bool:
    # The bindings belong to the system's interpreter, not to the virtual environment.
    code = (
        "import gi; gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert all(map(Gst.ElementFactory.find, ('x264enc', 'jpegenc', 'avdec_h264')))"
    )
    try:
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


def _opencv_with_gstreamer() -> bool:
    code = "import cv2, re; assert re.search('GStreamer: +YES', cv2.getBuildInformation())"
    try:
        done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


def _cudart() -> bool:
    from edgevision.cuda.cudart import find

    return find() is not None


def _opencv_4() -> bool:
    import cv2

    return cv2.__version__.startswith("4.")


NEEDS = {
    "docker-compose": Need(
        "docker-compose", "apt-get install docker-compose", _binary("docker-compose")
    ),
    "buildah": Need(
        "buildah and what a base image is made with",
        "apt-get install apt-utils buildah gnupg mmdebstrap runc",
        lambda: all(map(shutil.which, ("apt-ftparchive", "buildah", "gpg", "mmdebstrap"))),
        required=False,
    ),
    "cudart": Need(
        "CUDA's runtime library", "pip install nvidia-cuda-runtime", _cudart, required=False
    ),
    "g++": Need("g++", "apt-get install g++", _binary("g++")),
    "chromium": Need("chromium", "apt-get install chromium", _binary("chromium")),
    "ffmpeg": Need("ffmpeg", "apt-get install ffmpeg", _binary("ffmpeg")),
    "mosquitto": Need(
        "mosquitto",
        "apt-get install mosquitto",
        lambda: (
            shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") is not None
            or shutil.which("mosquitto") is not None
        ),
    ),
    "gstreamer": Need(
        "GStreamer's tools",
        "apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good",
        _binary("gst-launch-1.0"),
    ),
    "rtsp-server": Need(
        "GStreamer's RTSP server",
        "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-rtsp "
        "gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-libav",
        _rtsp_server,
    ),
    "opencv-gstreamer": Need(
        "the system's OpenCV, which has GStreamer",
        "apt-get install python3-opencv gstreamer1.0-plugins-good",
        _opencv_with_gstreamer,
    ),
    "shellcheck": Need("shellcheck", "apt-get install shellcheck", _binary("shellcheck")),
    "opencv-4": Need(
        "OpenCV 4 (OpenCV 5's wheel has no HOGDescriptor and no CascadeClassifier)",
        "python3 dev.py test --opencv 4",
        _opencv_4,
        required=False,
    ),
}


@cache
def missing(name: str) -> str | None:
    """Return the reason for a skip, or None when the machine has what is named.

    Raises:
        KeyError: no such name in `NEEDS`.
    """
    need = NEEDS[name]
    return None if need.present() else f"needs {need.what}: {need.how}"
