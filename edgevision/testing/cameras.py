"""Stand-in cameras on 127.0.0.1, with switches for what real ones do wrong.

Both show stamped pictures (`edgevision.testing.stamps`), so that a test can tell which frame it
got and how old it is. They are context managers, and may be stopped and started again: the port
stays the same, as it does for a camera that reboots.

::

    with MjpegCamera(size_wh=(640, 360), fps=20) as camera:
        source = open_source(camera.url)
        ...
        camera.drop()
"""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.testing.stamps import stamp, stamped

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MjpegCamera", "RtspCamera"]


class _Camera:
    """What both cameras have in common: an address, and being started and stopped."""

    scheme = ""

    def __init__(self, port: int, path: str, user: str | None, password: str | None) -> None:
        self.port = port
        self.path = path
        self.user = user
        self.password = password

    @property
    def url(self) -> str:
        """Where the camera is, with its user name and password if it asks for them."""
        return self.url_as(self.user, self.password)

    def url_as(self, user: str | None, password: str | None) -> str:
        """Return the URL with other credentials, or with none."""
        login = ""
        if user is not None:
            login = f"{quote(user, safe='')}:{quote(password or '', safe='')}@"
        return f"{self.scheme}://{login}127.0.0.1:{self.port}{self.path}"

    def start(self) -> None:
        """Begin to listen; the port is known afterwards."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop listening and end every connection; harmless when stopped."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class MjpegCamera(_Camera):
    """Serves MJPEG over HTTP: multipart/x-mixed-replace, one JPEG to a part.

    The switches may be turned from any thread, at any time, and act on connections that exist.

    Args:
        size_wh: width and height of the pictures in pixels.
        fps: pictures a second to each viewer; None sends as fast as the viewer takes them.
        port: 0 for any free one.
        path: path and query of the URL.
        user: asked for by HTTP basic authentication, if given.
        password: goes with ``user``.
        pictures: makes the picture with a given number instead of `stamped`; it is stamped too
            when it is large enough to read.

    Attributes:
        size_wh: set it to change the resolution.
        status: answer with this HTTP status instead of pictures, unless it is 200.
        content_type: of the answer.
        end_after: end each connection after this many parts; None for never.
        gate: cleared by `stall`, set by `resume`; pictures wait for it.
        headers_gate: clear it to accept connections and not answer.
        connections: how many requests came.
        sent: how many parts were sent, to all viewers together.
    """

    scheme = "http"
    boundary = "edgevisionframe"

    def __init__(
        self,
        *,
        size_wh: tuple[int, int] = (640, 480),
        fps: float | None = 10.0,
        port: int = 0,
        path: str = "/video",
        user: str | None = None,
        password: str | None = None,
        pictures: Callable[[int], NDArray[np.uint8]] | None = None,
    ) -> None:
        super().__init__(port, path, user, password)
        self.size_wh = size_wh
        self.fps = fps
        self.status = 200
        self.content_type = f"multipart/x-mixed-replace; boundary={self.boundary}"
        self.end_after: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.headers_gate = threading.Event()
        self.headers_gate.set()
        self.connections = 0
        self.sent = 0
        self._pictures = pictures
        self._injected: list[bytes] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._viewers: set[socket.socket] = set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._stopping.clear()
        self._server = _Server(self.port, self._serve)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=f"camera {self.port}"
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, end every connection and wait for the threads."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._server = self._thread = None
        self._stopping.set()
        server.shutdown()
        thread.join()
        self.drop()
        server.server_close()

    @property
    def viewers(self) -> int:
        """How many connections there are now."""
        return len(self._viewers)

    def drop(self) -> None:
        """End the present connections; new ones are served."""
        with self._changed:
            viewers = list(self._viewers)
        for viewer in viewers:
            try:
                viewer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def stall(self) -> None:
        """Send nothing more, and keep the connections."""
        self.gate.clear()

    def resume(self) -> None:
        """End a `stall`."""
        self.gate.set()

    def inject(self, body: bytes, count: int = 1) -> None:
        """Send ``body`` in place of the next ``count`` pictures: rubbish, or half a JPEG."""
        with self._changed:
            self._injected.extend([body] * count)

    def jpeg(self, number: int = 0) -> bytes:
        """Return the JPEG of a picture, to cut or spoil for `inject`."""
        return cv2.imencode(".jpg", self._picture(number))[1].tobytes()

    def wait_until(self, predicate: Callable[[Self], bool], timeout_s: float = 10.0) -> None:
        """Wait until ``predicate(self)`` holds of the counters.

        Raises:
            TimeoutError: it did not within ``timeout_s``.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout_s):
                raise TimeoutError(
                    f"not within {timeout_s} s: connections={self.connections} sent={self.sent}"
                )

    def _picture(self, number: int) -> NDArray[np.uint8]:
        if self._pictures is None:
            return stamped(self.size_wh, number)
        image = self._pictures(number).copy()
        if image.shape[1] >= 128 and image.shape[0] >= 96:
            stamp(image, number)
        return image

    def _serve(self, viewer: socket.socket) -> None:
        with self._changed:
            self._viewers.add(viewer)
            self.connections += 1
            self._changed.notify_all()
        try:
            self._answer(viewer)
        except OSError:
            return
        finally:
            with self._changed:
                self._viewers.discard(viewer)
                self._changed.notify_all()

    def _answer(self, viewer: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            received = viewer.recv(4096)
            if not received:
                return
            request += received
        if not self._wait(self.headers_gate, viewer):
            return
        status = self.status
        if status == 200 and not self._authorised(request):
            status = 401
        if status != 200:
            challenge = 'WWW-Authenticate: Basic realm="camera"\r\n' if status == 401 else ""
            viewer.sendall(
                f"HTTP/1.1 {status} No\r\n{challenge}Content-Length: 0\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            return
        viewer.sendall(
            f"HTTP/1.1 200 OK\r\nContent-Type: {self.content_type}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
        )
        self._send_pictures(viewer)

    def _send_pictures(self, viewer: socket.socket) -> None:
        due_s = time.monotonic()
        number = 0
        while self._wait(self.gate, viewer):
            if self.end_after is not None and number >= self.end_after:
                return
            with self._changed:
                body = self._injected.pop(0) if self._injected else None
            if body is None:
                body = self.jpeg(number)
            viewer.sendall(
                f"--{self.boundary}\r\nContent-Type: image/jpeg\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
                + b"\r\n"
            )
            number += 1
            with self._changed:
                self.sent += 1
                self._changed.notify_all()
            if self.fps is not None:
                # After a delay the camera goes on at its rate; it does not make up for it.
                due_s = max(due_s + 1 / self.fps, time.monotonic())
                if self._stopping.wait(due_s - time.monotonic()):
                    return

    def _wait(self, gate: threading.Event, viewer: socket.socket) -> bool:
        while not gate.wait(0.02):
            if self._stopping.is_set() or viewer not in self._viewers or _is_closed(viewer):
                return False
        return not self._stopping.is_set()

    def _authorised(self, request: bytes) -> bool:
        if self.user is None:
            return True
        login = base64.b64encode(f"{self.user}:{self.password or ''}".encode())
        return b"Authorization: Basic " + login in request


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = False

    def __init__(self, port: int, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._serve(request)


def _is_closed(viewer: socket.socket) -> bool:
    try:
        return viewer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class RtspCamera(_Camera):
    """Serves H.264, H.265 or MJPEG over RTSP from a process of its own, by gst-rtsp-server.

    Args:
        size_wh: width and height of the pictures in pixels; multiples of 16 show cleanly.
        fps: pictures a second.
        codec: how they are encoded.
        keyframe_interval: pictures from one key frame to the next (H.264 and H.265).
        port: 0 for any free one.
        path: path of the URL.
        user: asked for by basic authentication, if given.
        password: goes with ``user``.
        python: an interpreter with GStreamer's bindings.
    """

    scheme = "rtsp"

    _ENCODE = {
        "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={interval} "
        "! rtph264pay name=pay0 pt=96 config-interval=1",
        "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={interval} "
        "! rtph265pay name=pay0 pt=96 config-interval=1",
        "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
    }

    def __init__(
        self,
        *,
        size_wh: tuple[int, int] = (640, 480),
        fps: int = 10,
        codec: Literal["h264", "h265", "mjpeg"] = "h264",
        keyframe_interval: int = 10,
        port: int = 0,
        path: str = "/camera",
        user: str | None = None,
        password: str | None = None,
        python: str = "/usr/bin/python3",
    ) -> None:
        super().__init__(port, path, user, password)
        self.size_wh = size_wh
        self._settings = {
            "path": path,
            "fps": fps,
            "encode": self._ENCODE[codec].format(interval=keyframe_interval),
            "user": user,
            "password": password,
        }
        self._python = python
        self._process: subprocess.Popen[str] | None = None

    @staticmethod
    def missing(python: str = "/usr/bin/python3") -> str | None:
        """Say what this machine lacks to run the camera and how to get it, or None."""
        wanted = (
            "an RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
        )
        if not shutil.which(python):
            return wanted
        check = (
            "import gi; gi.require_version('Gst', '1.0'); "
            "gi.require_version('GstRtspServer', '1.0'); "
            "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
            "assert all(map(Gst.ElementFactory.find, "
            "('appsrc', 'videoconvert', 'jpegenc', 'rtph264pay', 'x264enc')))"
        )
        found = subprocess.run([python, "-c", check], capture_output=True, check=False)
        return None if found.returncode == 0 else wanted

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            RuntimeError: the process ended at once; the message holds what it printed.
        """
        settings = {**self._settings, "port": self.port, "size_wh": self.size_wh}
        child = Path(__file__).with_name("rtsp_child.py")
        self._process = subprocess.Popen(
            [self._python, str(child), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate(timeout=10)
            self._process = None
            raise RuntimeError(f"the RTSP server did not start: {said.strip()}")
        self.port = json.loads(line)["port"]

    def stop(self) -> None:
        """End the process and wait for it."""
        process = self._process
        if process is None:
            return
        self._process = None
        process.send_signal(signal.SIGCONT)
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def kill(self) -> None:
        """End the process as a power cut would."""
        process = self._process
        if process is not None:
            self._process = None
            process.kill()
            process.communicate()

    def freeze(self) -> None:
        """Stop the process where it is (SIGSTOP): connections stay, nothing comes."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def resize(self, size_wh: tuple[int, int]) -> None:
        """Change the resolution of the running video."""
        self.size_wh = size_wh
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps({"size_wh": size_wh}) + "\n")
            self._process.stdin.flush()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
