"""Cameras on the network: their pictures, their faults, and what is said about each."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import pytest

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources import ffmpeg, open_source
from edgevision.sources.network import HttpSource, NetworkSource, RtspSource
from edgevision.testing.cameras import MjpegCamera, RtspCamera
from edgevision.testing.stamps import Stamp, read_stamp

Watch = Callable[..., "Viewer"]

scales = pytest.mark.skipif(
    tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 13),
    reason="needs OpenCV 4.13: older ones deliver rubbish after a change of resolution",
)


class Viewer:
    """An open source and its slot."""

    def __init__(self, source: NetworkSource) -> None:
        self.source = source
        self.slot = Slot()
        source.open()

    def read(self) -> Stamp:
        assert self.source.read(self.slot)
        return self.stamp()

    def stamp(self) -> Stamp:
        assert self.slot.image is not None
        found = read_stamp(self.slot.image)
        assert found is not None
        return found

    def read_to_end(self) -> None:
        while self.source.read(self.slot):
            pass


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Open a source for a URL; closed at the end."""
    viewers: list[Viewer] = []

    def watch(url: str, **options: object) -> Viewer:
        source = open_source(url, **options)
        assert isinstance(source, NetworkSource)
        viewers.append(Viewer(source))
        return viewers[-1]

    yield watch
    for viewer in viewers:
        viewer.source.close()


def refusal(url: str, **options: object) -> str:
    source = open_source(url, **options)
    before_s = time.monotonic()
    with pytest.raises(SourceUnavailableError) as caught:
        source.open()
    assert time.monotonic() - before_s < 20
    source.close()
    assert str(caught.value).startswith(f"{source.uri}: ")
    return str(caught.value)


class TestHttp:
    def test_no_frame_is_lost_or_late(self, watch: Watch) -> None:
        with MjpegCamera(fps=None, size_wh=(320, 240)) as camera:
            viewer = watch(camera.url)
            counters = [viewer.read().counter for _ in range(100)]
        assert counters == list(range(100))

    def test_frames_are_decoded_into_the_slot(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url)
            viewer.read()
            first = viewer.slot.image
            for _ in range(5):
                viewer.read()
                assert viewer.slot.image is first

    def test_credentials_and_a_query_of_the_cameras_own(self, watch: Watch) -> None:
        with MjpegCamera(user="ada", password="p:@/w?#", path="/v?size=1&a=%20") as camera:
            viewer = watch(camera.url + "&ev.read_timeout_s=3")
            viewer.read()
            assert viewer.source.uri == f"http://***@127.0.0.1:{camera.port}/v?size=1&a=%20"

    def test_a_dropped_connection_ends_and_can_be_opened_again(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url)
            viewer.read()
            camera.drop()
            viewer.read_to_end()
            assert viewer.source.spoilt == 0
            viewer.source.close()
            viewer.source.close()
            viewer.source.open()
            viewer.read()

    def test_silence_is_an_error_within_its_time_out(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url, read_timeout_s=0.3)
            viewer.read()
            camera.stall()
            before_s = time.monotonic()
            with pytest.raises(SourceUnavailableError, match=r"no picture for 0\.3 s"):
                viewer.read_to_end()
            assert 0.29 <= time.monotonic() - before_s < 5

    def test_a_short_stall_is_none(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url)
            before = viewer.read().counter
            camera.stall()
            timer = threading.Timer(0.3, camera.resume)
            timer.start()
            while viewer.read().counter < before + 20:
                pass
            timer.join()

    @pytest.mark.parametrize("rubbish", [b"\0\1rubbish" * 40, b"<html>busy</html>", b""])
    def test_parts_that_are_no_picture_are_skipped(self, watch: Watch, rubbish: bytes) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url)
            viewer.read()
            camera.inject(rubbish, 3)
            sent = camera.sent
            counters: list[int] = []
            while not counters or counters[-1] < sent + 8:
                counters.append(viewer.read().counter)
            assert viewer.source.spoilt >= 1

    def test_half_a_jpeg_does_no_harm(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url)
            viewer.read()
            camera.inject(camera.jpeg(5)[:3000], 3)
            sent = camera.sent
            while True:
                assert viewer.source.read(viewer.slot)
                found = read_stamp(viewer.slot.image)  # type: ignore[arg-type]
                if found and found.counter >= sent + 5:
                    break

    def test_rubbish_without_end_is_an_error(self, watch: Watch) -> None:
        with MjpegCamera(fps=50) as camera:
            viewer = watch(camera.url, read_timeout_s=0.5)
            viewer.read()
            camera.inject(b"rubbish", 10_000)
            with pytest.raises(SourceUnavailableError, match=r"no picture for|in a row"):
                viewer.read_to_end()

    @scales
    def test_a_change_of_resolution_is_survived(self, watch: Watch) -> None:
        with MjpegCamera(fps=50, size_wh=(640, 480)) as camera:
            viewer = watch(camera.url)
            viewer.read()
            for size_wh in ((320, 240), (800, 608), (360, 640)):
                camera.size_wh = size_wh
                counter = viewer.read().counter
                while viewer.read().counter < counter + 5:
                    pass
            viewer.source.close()
            viewer.source.open()
            viewer.read()
            assert viewer.slot.image is not None
            assert viewer.slot.image.shape == (640, 360, 3)

    def test_a_camera_that_ends_each_connection(self, watch: Watch) -> None:
        with MjpegCamera(fps=None) as camera:
            camera.end_after = 2
            viewer = watch(camera.url)
            assert viewer.read().counter == 0
            assert viewer.read().counter == 1
            assert not viewer.source.read(viewer.slot)
            camera.end_after = 0
            assert "sends no picture that can be decoded" in refusal(camera.url)

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (404, "answers 404 No"),
            (503, "answers 503"),
            (401, "asks for a user name"),
            (302, "302"),
        ],
    )
    def test_what_the_camera_answers_is_said(self, status: int, message: str) -> None:
        with MjpegCamera() as camera:
            camera.status = status
            assert message in refusal(camera.url)

    def test_refused_credentials_are_said(self) -> None:
        with MjpegCamera(user="ada", password="right") as camera:
            text = refusal(camera.url_as("ada", "wrong-secret"))
            assert "refuses the user name or the password (401)" in text
            assert "wrong-secret" not in text
            text = refusal(camera.url_as(None, None))
            assert "asks for a user name and a password (401)" in text

    def test_something_that_is_no_video(self) -> None:
        with MjpegCamera(pictures=None) as camera:
            camera.content_type = "text/html"
            camera.inject(b"<html>log in</html>", 100)
            assert "answers with text/html" in refusal(camera.url, open_timeout_s=0.5)

    def test_a_camera_that_accepts_and_says_nothing(self) -> None:
        with MjpegCamera() as camera:
            camera.headers_gate.clear()
            before_s = time.monotonic()
            text = refusal(camera.url, open_timeout_s=0.3)
            assert time.monotonic() - before_s >= 0.3
            assert "accepts the connection and does not answer" in text

    def test_nothing_listens(self) -> None:
        with MjpegCamera() as camera:
            url = camera.url
            source = open_source(url)
            assert source.reachable()
        assert not source.reachable()
        assert f"connection refused: nothing listens on port {camera.port}" in refusal(url)

    def test_it_comes_back_on_the_same_port(self, watch: Watch) -> None:
        camera = MjpegCamera(fps=50)
        with camera:
            viewer = watch(camera.url)
            viewer.read()
        viewer.read_to_end()
        viewer.source.close()
        with camera:
            viewer.source.open()
            viewer.read()
            viewer.source.close()

    def test_fifty_connections_leak_nothing(self) -> None:
        with MjpegCamera(fps=None, size_wh=(128, 96)) as camera:
            source = HttpSource(camera.url)
            slot = Slot()
            held = []
            for _ in range(51):
                source.open()
                assert source.read(slot)
                source.close()
                camera.wait_until(lambda c: not c.viewers)
                held.append(len(os.listdir("/proc/self/fd")))
            assert held[-1] < held[0] + 5  # the camera's own ends close a moment later


@pytest.mark.needs("rtsp-server")
class TestRtsp:
    @pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
    @pytest.mark.parametrize("transport", ["tcp", "udp"])
    def test_no_frame_is_lost(self, watch: Watch, codec: str, transport: str) -> None:
        with RtspCamera(codec=codec, fps=25, size_wh=(320, 240)) as camera:  # type: ignore[arg-type]
            viewer = watch(f"{camera.url}?ev.transport={transport}")
            counters = [viewer.read().counter for _ in range(12)]
            assert counters == list(range(counters[0], counters[0] + 12))
            assert counters[0] <= 2
            first = viewer.slot.image
            viewer.read()
            assert viewer.slot.image is first

    def test_open_waits_for_the_next_key_frame_longer_than_a_read(self, watch: Watch) -> None:
        with RtspCamera(fps=10, keyframe_interval=20) as camera:
            early = watch(camera.url)
            early.read()
            late = watch(camera.url, read_timeout_s=0.5)
            assert late.read().counter % 20 == 0

    def test_a_frozen_camera_is_an_error_within_twice_the_time_out(self, watch: Watch) -> None:
        with RtspCamera(fps=25) as camera:
            viewer = watch(camera.url, read_timeout_s=0.5)
            viewer.read()
            camera.freeze()
            before_s = time.monotonic()
            with pytest.raises(SourceUnavailableError, match=r"no picture for 0\.5 s"):
                viewer.read_to_end()
            assert 0.4 <= time.monotonic() - before_s < 5
            viewer.source.close()
            assert "does not answer" in refusal(camera.url, open_timeout_s=0.5)
            camera.thaw()
            viewer.source.open()
            viewer.read()

    @pytest.mark.parametrize("codec", ["h264", "mjpeg"])
    def test_a_killed_camera_ends_and_comes_back(self, watch: Watch, codec: str) -> None:
        camera = RtspCamera(codec=codec, fps=25)  # type: ignore[arg-type]
        with camera:
            viewer = watch(camera.url)
            viewer.read()
            camera.kill()
            viewer.read_to_end()
            viewer.source.close()
            assert not viewer.source.reachable()
            assert "connection refused" in refusal(camera.url)
            camera.start()
            assert viewer.source.reachable()
            viewer.source.open()
            viewer.read()

    def test_credentials(self, watch: Watch) -> None:
        with RtspCamera(user="ada", password="p:@/w%?", path="/a/b") as camera:
            watch(camera.url).read()
            text = refusal(camera.url_as("ada", "wrong-secret"))
            assert "refuses the user name or the password (401)" in text
            assert "wrong-secret" not in text
            assert "asks for a user name" in refusal(camera.url_as(None, None))
            assert "answers 404 Not Found" in refusal(camera.url.replace("/a/b", "/a/c"))

    @scales
    def test_a_change_of_resolution_is_survived(self, watch: Watch) -> None:
        with RtspCamera(codec="mjpeg", fps=25, size_wh=(640, 480)) as camera:
            viewer = watch(camera.url)
            viewer.read()
            first = viewer.slot.image
            camera.resize((320, 240))
            while viewer.slot.image is first:
                viewer.read()
            assert viewer.slot.image is not None
            assert viewer.slot.image.shape == (240, 320, 3)
            viewer.read()

    @scales
    def test_h264_keeps_the_size_it_was_opened_with(self, watch: Watch) -> None:
        with RtspCamera(fps=25, size_wh=(640, 480)) as camera:
            viewer = watch(camera.url)
            viewer.read()
            camera.resize((320, 240))
            counter = viewer.read().counter
            while viewer.read().counter < counter + 15:
                pass
            viewer.source.close()
            viewer.source.open()
            viewer.read()
            assert viewer.slot.image is not None
            assert viewer.slot.image.shape == (240, 320, 3)

    def test_a_camera_that_describes_its_video_in_key_frames_only(self, watch: Watch) -> None:
        with RtspCamera(fps=25, keyframe_interval=40) as camera, Relay(camera.port) as relay:
            url = f"rtsp://127.0.0.1:{relay.port}{camera.path}"
            early = watch(url)  # at the camera's start, which is a key frame
            while early.read().counter < 5:
                pass
            assert watch(url).read().counter == 40
            assert relay.changed

    def test_many_connections_leak_nothing(self) -> None:
        with RtspCamera(codec="mjpeg", fps=50, size_wh=(128, 96)) as camera:
            source = RtspSource(camera.url)
            slot = Slot()
            held = []
            for _ in range(51):
                source.open()
                assert source.read(slot)
                source.close()
                held.append(len(os.listdir("/proc/self/fd")))
            assert held[-1] == held[0]


class Relay:
    """Passes RTSP on, and takes the parameter sets out of the camera's description."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.changed = False
        self._camera_port = port
        self._open = [self._listening]
        self._threads = [threading.Thread(target=self._serve)]

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(5)
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                viewer, _ = self._listening.accept()
            except OSError:
                return
            camera = socket.create_connection(("127.0.0.1", self._camera_port))
            self._open += [viewer, camera]
            for ends in ((viewer, camera), (camera, viewer)):
                thread = threading.Thread(target=self._pass_on, args=ends)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, giver: socket.socket, taker: socket.socket) -> None:
        try:
            while data := giver.recv(65536):
                if b"sprop-parameter-sets" in data:
                    self.changed = True
                    data = data.replace(b"sprop-parameter-sets", b"xprop-parameter-sets")
                taker.sendall(data)
            taker.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def test_an_opencv_without_ffmpeg_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "has_backend", lambda name: False)
    with pytest.raises(ConfigurationError, match="built without FFmpeg"):
        open_source("rtsp://127.0.0.1/x").open()


@pytest.mark.parametrize(("version", "name"), [(62, "timeout"), (58, "stimeout"), (0, "timeout")])
def test_the_time_out_has_the_name_that_this_ffmpeg_knows(
    monkeypatch: pytest.MonkeyPatch, version: int, name: str
) -> None:
    monkeypatch.setattr(ffmpeg, "libavformat", lambda: version)
    options = RtspSource("rtsp://127.0.0.1/x", read_timeout_s=1.5)._ffmpeg_options()
    assert options == {
        "rtsp_transport": "tcp",
        name: "1500000",
        "analyzeduration": "100000",
        "fpsprobesize": "0",
    }


def test_ports() -> None:
    for url, port in (
        ("rtsp://c/x", 554),
        ("rtsps://c/x", 322),
        ("http://c/x", 80),
        ("https://c/x", 443),
        ("rtsp://c:8554/x", 8554),
        ("rtsp://[::1]:8554/x", 8554),
    ):
        source = open_source(url)
        assert isinstance(source, NetworkSource)
        assert source._port == port
