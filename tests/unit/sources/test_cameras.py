"""The stand-in cameras do what they say, seen with other clients than the sources."""

from __future__ import annotations

import http.client
import socket
import subprocess
from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision.testing.cameras import MjpegCamera, RtspCamera
from edgevision.testing.stamps import read_stamp


def connect(camera: MjpegCamera) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", camera.port, timeout=5)
    connection.request("GET", camera.path)
    return connection.getresponse()


def read_part(response: http.client.HTTPResponse) -> bytes:
    assert response.readline().strip() == b"--" + MjpegCamera.boundary.encode()
    headers = http.client.parse_headers(response)
    body = response.read(int(headers["Content-Length"]))
    assert response.readline() == b"\r\n"
    return body


def picture(jpeg: bytes) -> NDArray[np.uint8]:
    """Decode a part to (H, W, 3) uint8 BGR."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8)


def test_mjpeg_parts_are_stamped_jpegs() -> None:
    with MjpegCamera(size_wh=(320, 240), fps=None) as camera:
        response = connect(camera)
        assert response.status == 200
        counters = []
        for _ in range(5):
            image = picture(read_part(response))
            assert image.shape == (240, 320, 3)
            found = read_stamp(image)
            assert found is not None
            counters.append(found.counter)
        assert counters == [0, 1, 2, 3, 4]
        camera.inject(b"rubbish", 2)
        bodies = [read_part(response) for _ in range(200) if camera.sent]
        assert bodies.count(b"rubbish") == 2
        response.close()


def test_mjpeg_pictures_of_ones_own() -> None:
    with MjpegCamera(pictures=lambda n: np.full((30, 40, 3), n, np.uint8)) as camera:
        response = connect(camera)
        read_part(response)
        image = picture(read_part(response))
        assert image.shape == (30, 40, 3)
        assert image.mean() == pytest.approx(1, abs=1)
        response.close()


def test_mjpeg_statuses_and_logins() -> None:
    with MjpegCamera(user="ada", password="p:@/w") as camera:
        assert connect(camera).status == 401
        camera.user = None
        camera.status = 503
        assert connect(camera).status == 503
        assert camera.url_as("ada", "p:@/w").startswith("http://ada:p%3A%40%2Fw@127.0.0.1:")


def test_mjpeg_drop_ends_connections_and_serves_on() -> None:
    with MjpegCamera() as camera:
        response = connect(camera)
        read_part(response)
        camera.drop()
        response.read()  # returns, since the connection ends
        assert connect(camera).status == 200


def test_mjpeg_stall_keeps_the_connection() -> None:
    with MjpegCamera(fps=None) as camera:
        response = connect(camera)
        read_part(response)
        camera.stall()
        sent = camera.sent
        with pytest.raises(TimeoutError):
            camera.wait_until(lambda c: c.sent > sent + 1000, timeout_s=0.1)
        camera.resume()
        for _ in range(100):
            read_part(response)
        response.close()


def test_mjpeg_same_port_after_a_restart() -> None:
    camera = MjpegCamera()
    with camera:
        port = camera.port
    camera.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    with camera:
        assert camera.port == port
        assert connect(camera).status == 200


def test_mjpeg_stops_while_it_holds_back_its_headers() -> None:
    with MjpegCamera() as camera:
        camera.headers_gate.clear()
        connection = socket.create_connection(("127.0.0.1", camera.port), 5)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        camera.wait_until(lambda c: c.connections == 1)
        connection.settimeout(5)
        camera.stop()
        assert connection.recv(1) == b""
        connection.close()


@pytest.mark.needs("rtsp-server", "ffmpeg")
@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_rtsp_pictures_are_stamped(codec: Literal["h264", "mjpeg"]) -> None:
    with RtspCamera(codec=codec, size_wh=(320, 240), user="ada", password="p:@w") as camera:
        options = ["-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "100000"]
        output = ["-frames:v", "3", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
        raw = subprocess.run(
            ["ffmpeg", *options, "-i", camera.url, *output],
            stdout=subprocess.PIPE,
            check=True,
            timeout=30,
        ).stdout
    images = np.frombuffer(raw, np.uint8).reshape(3, 240, 320, 3)
    stamps = [read_stamp(image) for image in images]
    assert all(stamps)
    counters = [found.counter for found in stamps if found]
    assert counters == list(range(counters[0], counters[0] + 3))


@pytest.mark.needs("rtsp-server")
def test_rtsp_restart_on_the_same_port() -> None:
    assert RtspCamera.missing() is None
    camera = RtspCamera()
    camera.start()
    port = camera.port
    camera.freeze()
    camera.stop()
    camera.stop()
    camera.start()
    assert camera.port == port
    camera.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_rtsp_says_what_it_lacks() -> None:
    assert "apt-get install python3-gi" in (RtspCamera.missing("/nowhere/python3") or "")
    with pytest.raises(FileNotFoundError):
        RtspCamera(python="/nowhere/python3").start()


@pytest.mark.needs("rtsp-server")
def test_rtsp_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        camera = RtspCamera(port=taken.getsockname()[1])
        with pytest.raises(RuntimeError, match="cannot be bound"):
            camera.start()
