"""Pipelines of GStreamer's: their text here, and their frames with an OpenCV that has GStreamer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.sources import ffmpeg, gstreamer, open_source
from edgevision.sources.gstreamer import CsiSource, GStreamerSource, argus_pipeline, with_appsink

ARGUS = (
    "nvarguscamerasrc sensor-id=0 "
    "! video/x-raw(memory:NVMM),width=1280,height=720,format=NV12,framerate=30/1 "
    "! nvvidconv flip-method=0 ! video/x-raw,format=BGRx "
    "! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
)


def test_the_pipeline_of_a_csi_camera() -> None:
    source = open_source("csi:0")
    assert isinstance(source, CsiSource)
    assert source.pipeline == ARGUS
    assert source.uri == "csi:0"
    assert source.live


def test_the_options_of_a_csi_camera() -> None:
    source = open_source("csi:2?width=1920&height=1080&fps=60&flip=2")
    assert isinstance(source, CsiSource)
    assert source.pipeline == (
        ARGUS.replace("sensor-id=0", "sensor-id=2")
        .replace("width=1280,height=720", "width=1920,height=1080")
        .replace("30/1", "60/1")
        .replace("flip-method=0", "flip-method=2")
    )


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (30, "30/1"),
        (29.97, "30000/1001"),
        (59.94, "60000/1001"),
        (23.976, "24000/1001"),
        (12.5, "25/2"),
    ],
)
def test_frame_rates_are_fractions(fps: float, rate: str) -> None:
    assert f"framerate={rate} " in argus_pipeline(0, (640, 480), fps, 0)


@pytest.mark.parametrize(
    ("pipeline", "live", "whole"),
    [
        (
            "videotestsrc",
            True,
            "videotestsrc ! videoconvert ! video/x-raw,format=BGR "
            "! appsink drop=true max-buffers=1 sync=false",
        ),
        (
            "filesrc location=a.mp4 ! decodebin ! ",
            False,
            "filesrc location=a.mp4 ! decodebin ! videoconvert ! video/x-raw,format=BGR "
            "! appsink drop=false max-buffers=2 sync=false",
        ),
        ("videotestsrc ! appsink", True, "videotestsrc ! appsink"),
        ("videotestsrc !appsink name=x", True, "videotestsrc !appsink name=x"),
        (
            "appsinkish ! myappsink",
            True,
            "appsinkish ! myappsink ! videoconvert ! video/x-raw,format=BGR "
            "! appsink drop=true max-buffers=1 sync=false",
        ),
    ],
)
def test_an_appsink_is_added_where_there_is_none(pipeline: str, live: bool, whole: str) -> None:
    assert with_appsink(pipeline, live=live) == whole


def test_an_opencv_without_gstreamer_says_so_and_names_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ffmpeg, "has_backend", lambda name: name != "GStreamer")
    source = open_source("gstreamer:videotestsrc")
    with pytest.raises(ConfigurationError) as caught:
        source.open()
    text = str(caught.value)
    assert "is built without GStreamer, as all of those from PyPI are" in text
    assert "OpenCV of the edgevision images" in text
    assert "webcam:, rtsp://, http://, a file" in text
    with pytest.raises(ConfigurationError, match="csi:0: this OpenCV"):
        open_source("csi:0").open()


def test_without_the_daemon_of_argus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ffmpeg, "has_backend", lambda name: True)
    monkeypatch.setattr(gstreamer, "_ARGUS_SOCKET", tmp_path / "argus_socket")
    with pytest.raises(SourceUnavailableError) as caught:
        open_source("csi:0").open()
    assert "nvargus-daemon does not run on this machine" in str(caught.value)
    assert f"-v {tmp_path}/argus_socket:{tmp_path}/argus_socket" in str(caught.value)


def test_a_csi_option_out_of_bounds() -> None:
    with pytest.raises(ConfigurationError, match="'width' must be a whole number from 64 to 8192"):
        open_source("csi:0?width=9000")


def test_finite_pipelines() -> None:
    source = open_source("gstreamer:filesrc location=x?y=z ! decodebin", live=False)
    assert isinstance(source, GStreamerSource)
    assert not source.live
    assert "location=x?y=z" in source.pipeline


# The system's OpenCV runs these, in a process of its own: the one from PyPI has no GStreamer.
CHILD = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import cv2
# Debian's is older than edgevision wants: its GStreamer backend has no time-outs yet.
cv2.__version__ = "4.8.0"
VideoCapture = cv2.VideoCapture
cv2.VideoCapture = lambda pipeline, backend, timeouts: VideoCapture(pipeline, backend)
from edgevision.slot import Slot
from edgevision.sources import open_source
said = []
for uri, options, reads in json.loads(sys.argv[2]):
    source = open_source(uri, **options)
    slot, images, before_s = Slot(), set(), time.monotonic()
    try:
        source.open()
        frames = 0
        while frames < reads and source.read(slot):
            images.add(id(slot.image))
            frames += 1
        shape = list(slot.image.shape) if frames else None
        said.append({"frames": frames, "shape": shape, "arrays": len(images)})
    except Exception as error:
        said.append({"error": type(error).__name__, "text": str(error)})
    source.close()
    said[-1]["took_s"] = time.monotonic() - before_s
print(json.dumps(said))
"""


def run(*jobs: tuple[str, dict[str, object], int]) -> tuple[list[dict[str, object]], str]:
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        ["/usr/bin/python3", "-c", CHILD, root, json.dumps(jobs)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.needs("opencv-gstreamer")
def test_frames_of_a_pipeline() -> None:
    small = "video/x-raw,width=320,height=240,framerate=30/1"
    (live, finite, gray), _ = run(
        (f"gstreamer:videotestsrc is-live=true ! {small}", {}, 5),
        (f"gstreamer:videotestsrc num-buffers=7 ! {small}", {"live": False}, 100),
        (f"gstreamer:videotestsrc num-buffers=3 ! {small},format=GRAY8 ! appsink", {}, 100),
    )
    assert (live["frames"], live["shape"]) == (5, [240, 320, 3])
    assert (finite["frames"], finite["arrays"]) == (7, 1)
    assert (gray["frames"], gray["shape"]) == (3, [240, 320])


@pytest.mark.needs("opencv-gstreamer")
def test_faults_of_a_pipeline() -> None:
    (missing, wrong, silent, nv12, yuy2), stderr = run(
        ("gstreamer:nosuchsrc ! queue ! nosuchfilter", {}, 1),
        ("gstreamer:filesrc location=/nowhere.mp4 ! decodebin", {"live": False}, 1),
        ("gstreamer:rtspsrc location=rtsp://a:tops3cret@127.0.0.1:9/ ! decodebin", {}, 1),
        ("gstreamer:videotestsrc ! video/x-raw,format=NV12 ! appsink", {}, 1),
        ("gstreamer:videotestsrc ! video/x-raw,format=YUY2 ! appsink", {}, 1),
    )
    if shutil.which("gst-inspect-1.0"):
        assert "no element nosuchsrc and no nosuchfilter here" in str(missing["text"])
        assert missing["error"] == "ConfigurationError"
    assert wrong["error"] == silent["error"] == "SourceUnavailableError"
    for raw in (nv12, yuy2):
        assert raw["error"] == "ConfigurationError"
        assert "put 'videoconvert ! video/x-raw,format=BGR' before it" in str(raw["text"])
    assert "/nowhere.mp4" in str(wrong["text"])
    assert "tops3cret" not in str(silent["text"]) + stderr
