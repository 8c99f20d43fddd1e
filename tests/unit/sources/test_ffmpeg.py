"""FFmpeg's options reach the captures they are for, and nothing else in the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgevision.sources import ffmpeg
from edgevision.testing.cameras import MjpegCamera

OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
NAMES = (OPTIONS, "OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_IS_THREAD_SAFE")


@pytest.fixture
def gate() -> ffmpeg._Gate:
    return ffmpeg._Gate()


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_the_environment_holds_inside_and_is_put_back(gate: ffmpeg._Gate) -> None:
    with gate.entered("rtsp_transport;tcp"):
        assert os.environ[OPTIONS] == "rtsp_transport;tcp"
        assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "-8"
        assert os.environ["OPENCV_FFMPEG_IS_THREAD_SAFE"] == "1"
    assert not [name for name in NAMES if name in os.environ]


def test_what_the_user_has_set_is_kept(gate: ffmpeg._Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "32")
    monkeypatch.setenv("OPENCV_FFMPEG_IS_THREAD_SAFE", "0")
    monkeypatch.setenv(OPTIONS, "timeout;5")
    with gate.entered("rtsp_transport;tcp|timeout;5"):
        assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "32"
        assert os.environ["OPENCV_FFMPEG_IS_THREAD_SAFE"] == "0"
        assert gate.users_options() == "timeout;5"
    assert os.environ[OPTIONS] == "timeout;5"
    with gate.entered(""):
        assert os.environ[OPTIONS] == "timeout;5"


def test_the_users_options_come_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTIONS, "rtsp_transport;udp|fflags;nobuffer")
    merged = ffmpeg._merged({"rtsp_transport": "tcp", "timeout": "2"})
    assert merged == "rtsp_transport;udp|timeout;2|fflags;nobuffer"


def test_the_environment_is_put_back_after_an_exception(gate: ffmpeg._Gate) -> None:
    with pytest.raises(KeyError), gate.entered("a;b"):
        raise KeyError
    assert OPTIONS not in os.environ


class Visit(threading.Thread):
    """One opening that stays inside until told to leave."""

    def __init__(self, gate: ffmpeg._Gate, options: str) -> None:
        super().__init__()
        self.inside = threading.Event()
        self.leave = threading.Event()
        self.seen = ""
        self._gate = gate
        self._options = options
        self.start()

    def run(self) -> None:
        with self._gate.entered(self._options):
            self.seen = os.environ[OPTIONS]
            self.inside.set()
            self.leave.wait(10)

    def end(self) -> None:
        self.leave.set()
        self.join(10)


def test_the_same_options_go_in_together_and_others_wait(gate: ffmpeg._Gate) -> None:
    first, second = Visit(gate, "a;1"), Visit(gate, "a;1")
    assert first.inside.wait(5)
    assert second.inside.wait(5)
    other = Visit(gate, "b;2")
    assert not other.inside.wait(0.05)
    first.end()
    assert not other.inside.wait(0.05)
    second.end()
    assert other.inside.wait(5)
    assert other.seen == "b;2"
    other.end()
    assert OPTIONS not in os.environ


def test_nobody_is_overtaken_for_ever(gate: ffmpeg._Gate) -> None:
    first = Visit(gate, "a;1")
    assert first.inside.wait(5)
    other = Visit(gate, "b;2")
    deadline_s = time.monotonic() + 5
    while not gate._queue and time.monotonic() < deadline_s:
        other.inside.wait(0.001)
    assert gate._queue
    late = Visit(gate, "a;1")
    assert not late.inside.wait(0.05)
    first.end()
    assert other.inside.wait(5)
    other.end()
    assert late.inside.wait(5)
    late.end()


def test_a_silent_camera_holds_up_no_other() -> None:
    with MjpegCamera() as good, MjpegCamera() as silent:
        silent.headers_gate.clear()
        parameters = (53, 5000)  # CAP_PROP_OPEN_TIMEOUT_MSEC
        hanging = threading.Thread(target=ffmpeg.open_capture, args=(silent.url, {}, parameters))
        hanging.start()
        silent.wait_until(lambda c: c.connections == 1)
        capture = ffmpeg.open_capture(good.url, {}, parameters)
        assert capture.isOpened()
        assert hanging.is_alive()
        capture.release()
        silent.drop()
        hanging.join(10)


def test_quiet_nests() -> None:
    level = ffmpeg._cv2_logging.getLogLevel()
    with ffmpeg.quiet():
        with ffmpeg.quiet():
            assert ffmpeg._cv2_logging.getLogLevel() <= 2
        assert ffmpeg._cv2_logging.getLogLevel() <= 2
    assert ffmpeg._cv2_logging.getLogLevel() == level


def test_versions_are_read_from_the_build() -> None:
    assert ffmpeg.has_backend("FFMPEG")
    assert not ffmpeg.has_backend("Nonsense")
    assert ffmpeg.libavformat() >= 58


FAULTS = """
import sys
from edgevision.errors import EdgeVisionError
from edgevision.slot import Slot
from edgevision.sources import open_source
for uri in sys.argv[1:]:
    source = open_source(uri)
    try:
        source.open()
        while source.read(Slot()):
            pass
    except EdgeVisionError as error:
        print(error)
    source.close()
"""


def test_nothing_is_printed_and_no_password_shown() -> None:
    """Faults of every kind, in a fresh process, looked at on its standard output and error."""
    with MjpegCamera(user="ada", password="tops3cret") as camera:
        camera.end_after = 3
        missing = camera.url.replace(str(camera.port), "9")
        spoilt = camera.jpeg()[:-700]
        camera.inject(spoilt)
        urls = [
            camera.url,
            camera.url_as("ada", "tops3cret-too"),
            camera.url + "/nowhere?password=tops3cret",
            missing,
            "rtsp" + camera.url[4:],
            "rtsp" + missing[4:],
            "nowhere.mp4?loop=1",
        ]
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, *urls],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=Path(__file__).parents[3],
            env={name: value for name, value in os.environ.items() if name not in NAMES},
        )
    assert done.returncode == 0, done.stderr
    assert "tops3cret" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert "refuses the user name or the password (401)" in done.stdout
    assert "connection refused" in done.stdout
    assert "no such file" in done.stdout
