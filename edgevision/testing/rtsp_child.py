"""An RTSP server in a process of its own; run by an interpreter that has GStreamer's bindings.

`edgevision.testing.cameras.RtspCamera` starts it with the system's ``python3``, so it uses the
standard library and ``gi`` only. Its one argument is a JSON object: ``port`` (0 for any free one),
``path``, ``size_wh``, ``fps``, ``encode`` (the elements from raw I420 video to a payloader named
``pay0``), ``user`` and ``password`` (or null). It prints ``{"port": N}`` when it listens. Lines on
its standard input change its size (``{"size_wh": [W, H]}``); it ends when that is closed, so that
it never outlives the process which started it.

Its pictures carry the mark that `edgevision.testing.stamps` describes.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

__all__ = ["CHECK", "Camera", "main", "picture", "protect"]

CHECK = 0xA5C3
"""The same number as in `edgevision.testing.stamps`, which cannot be imported here."""


def picture(size_wh: tuple[int, int], counter: int) -> bytes:
    """Return one stamped GRAY8 picture, its rows padded to 4 bytes as GStreamer has them."""
    width, height = size_wh
    row_bytes = (width + 3) // 4 * 4
    block_width, block_height = width // 16, height // 24
    at_ms = int(time.monotonic() * 1000) % 2**32
    words = [counter & 0xFFFF, at_ms >> 16, at_ms & 0xFFFF]
    words.append(words[0] ^ words[1] ^ words[2] ^ CHECK)
    rows = []
    for word in words:
        bits = (b"\xff" if word >> shift & 1 else b"\x00" for shift in range(15, -1, -1))
        row = b"".join(bit * block_width for bit in bits)
        rows.append((row + b"\x60" * (row_bytes - len(row))) * block_height)
    bar = width // 8 + counter * 7 % (width // 2)
    rest = b"\x60" * bar + b"\xd0" * (width // 8)
    rest += b"\x60" * (row_bytes - len(rest))
    return b"".join(rows) + rest * (height - 4 * block_height)


class Camera:
    """Feeds every media of the server with pictures at the camera's rate."""

    def __init__(self, size_wh: tuple[int, int], fps: int) -> None:
        self.size_wh = size_wh
        self.fps = fps

    def caps(self) -> Any:
        """Describe the raw pictures."""
        width, height = self.size_wh
        return Gst.Caps.from_string(
            f"video/x-raw,format=GRAY8,width={width},height={height},framerate={self.fps}/1"
        )

    def feed(self, frames: Any, gone: threading.Event) -> None:
        """Push pictures into an appsrc until its pipeline is gone.

        Each has its time by its number. Left to do this itself (do-timestamp), appsrc may stamp the
        first one before the pipeline has its base time, and the sink then waits for that time. What
        it answers is not looked at: a pipeline that is not started yet refuses some.
        """
        due_s = time.monotonic()
        counter = 0
        size_wh = None
        while not gone.is_set():
            if size_wh != self.size_wh:
                size_wh = self.size_wh
                frames.set_property("caps", self.caps())
            buffer = Gst.Buffer.new_wrapped(picture(size_wh, counter))
            buffer.pts = counter * Gst.SECOND // self.fps
            frames.emit("push-buffer", buffer)
            counter += 1
            # After a delay the camera goes on at its rate; it does not make up for it.
            due_s = max(due_s + 1 / self.fps, time.monotonic())
            time.sleep(max(0.0, due_s - time.monotonic()))

    def configure(self, factory: Any, media: Any) -> None:
        """Start feeding a new media."""
        frames = media.get_element().get_by_name("frames")
        gone = threading.Event()
        media.connect("unprepared", lambda _: gone.set())
        threading.Thread(target=self.feed, args=(frames, gone), daemon=True).start()


def main() -> None:
    """Serve one camera until standard input is closed."""
    settings = json.loads(sys.argv[1])
    Gst.init(None)
    camera = Camera(tuple(settings["size_wh"]), settings["fps"])
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(settings["port"]))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=frames is-live=true format=time ! videoconvert "
        f"! video/x-raw,format=I420 ! {settings['encode']} )"
    )
    factory.set_shared(True)
    factory.connect("media-configure", camera.configure)
    if settings["user"] is not None:
        protect(server, factory, settings["user"], settings["password"])
    server.get_mount_points().add_factory(settings["path"], factory)
    loop = GLib.MainLoop()
    if not server.attach(None):
        raise SystemExit(f"port {settings['port']} cannot be bound")
    print(json.dumps({"port": server.get_bound_port()}), flush=True)

    def obey() -> None:
        for line in sys.stdin:
            camera.size_wh = tuple(json.loads(line)["size_wh"])
        GLib.idle_add(loop.quit)  # takes effect even before the loop runs

    threading.Thread(target=obey, daemon=True).start()
    loop.run()


def protect(server: Any, factory: Any, user: str, password: str) -> None:
    """Ask for a user name and a password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.set_auth(auth)


if __name__ == "__main__":
    main()
