"""Cameras that need no runner: real taps, a thread each, and a status that adds up."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision import Detections, Frame
from edgevision.status import CameraStatus, RunnerStatus, StageStatus, UpstreamStatus
from edgevision.web.server import WebServer
from edgevision.web.tap import PreviewTap

SIZE_WH = (1280, 720)
BOX_XYXY = (320, 180, 640, 540)
"""Where the bright rectangle of every frame is, and the box that was found around it."""


class Camera:
    """A thread which offers frames with one box to a tap, until it is stopped.

    Args:
        name: the camera's name; the box's label is ``person`` and its colour goes with it.
        fps: frames per second.
        size_wh: size of the frames.
    """

    def __init__(self, name: str, *, fps: float = 30.0, size_wh: tuple[int, int] = SIZE_WH) -> None:
        self.tap = PreviewTap(name)
        self.status = CameraStatus(name, source=f"synthetic:{name}", state="live")
        self.offered = 0
        self.longest_offer_s = 0.0
        self._image = picture(size_wh)
        self._size_wh = size_wh
        self._interval_s = 1 / fps
        self._stopped = threading.Event()
        self._paused = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}")
        self._thread.start()

    def change(self, **fields: Any) -> None:
        """Change the status; the frame counts are always those of the thread."""
        self.status = replace(self.status, **fields)

    def pause(self) -> None:
        """Offer no more frames."""
        self._paused.set()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self.tap.close()

    def snapshot(self) -> CameraStatus:
        dropped = sum(self.status.dropped.values())
        return replace(
            self.status,
            size_wh=self._size_wh,
            captured=self.offered + dropped + self.status.in_flight,
            processed=self.offered,
        )

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            if self._paused.is_set():
                continue
            frame = Frame(self._image, camera=self.tap.camera, sequence=self.offered + 1)
            frame.detections = Detections([BOX_XYXY], 0.87, "person")
            frame.values["people"] = 1
            began = time.perf_counter()
            self.tap.offer(frame)
            self.longest_offer_s = max(self.longest_offer_s, time.perf_counter() - began)
            frame.release()
            self.offered += 1


class Rig:
    """Cameras and upstreams by name, as a server wants to see them.

    Leaving the block stops all cameras.
    """

    def __init__(self, *names: str, **options: Any) -> None:
        self.cameras = {name: Camera(name, **options) for name in names}
        self.upstreams: list[UpstreamStatus] = []
        self.started_at_s = time.time()
        self.module = "gate"

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self.cameras):
            self.remove(name)

    def add(self, name: str) -> Camera:
        self.cameras[name] = Camera(name)
        return self.cameras[name]

    def remove(self, name: str) -> None:
        self.cameras.pop(name).stop()

    def status(self) -> RunnerStatus:
        cameras = [camera.snapshot() for camera in list(self.cameras.values())]
        return RunnerStatus(self.module, self.started_at_s, cameras, list(self.upstreams))

    def taps(self) -> Mapping[str, PreviewTap]:
        return {name: camera.tap for name, camera in list(self.cameras.items())}

    @contextlib.asynccontextmanager
    async def served(self, **options: Any) -> AsyncIterator[WebServer]:
        server = WebServer(port=0, status=self.status, taps=self.taps, **options)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


def picture(size_wh: tuple[int, int] = SIZE_WH) -> NDArray[np.uint8]:
    """Return a dark picture with a white rectangle at `BOX_XYXY`."""
    width, height = size_wh
    image = np.full((height, width, 3), 40, np.uint8)
    left, top, right, bottom = BOX_XYXY
    image[top:bottom, left:right] = 255
    return image


def stages() -> list[StageStatus]:
    """Return the numbers of three stages."""
    return [
        StageStatus("resize", 1000, 0.42, 1.1),
        StageStatus("motion", 1000, 3.27, 9.4),
        StageStatus("people", 990, 11.8, 31.0, errors=3, last_error="ValueError: empty crop"),
    ]
