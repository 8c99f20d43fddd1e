"""A finished preview picture, and the viewer who waits for one."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

__all__ = ["Picture", "Viewer"]


@dataclass(slots=True, frozen=True, eq=False)
class Picture:
    """One annotated picture, as bytes.

    Attributes:
        jpeg: the picture with its boxes, JPEG.
        camera: name of the camera.
        sequence: number of the frame, counted from 1 at the camera's start.
        captured_at_s: UTC seconds since 1970 of the capture.
        size_wh: width and height of the frame in pixels, before it was made smaller.
        counts: detections by label.
        colors: ``#rrggbb`` in which a label's boxes are drawn; tracked boxes have a colour each.
        values: the frame's values, JSON-serialisable and cut to a size for people.
    """

    jpeg: bytes
    camera: str
    sequence: int
    captured_at_s: float
    size_wh: tuple[int, int]
    counts: dict[str, int]
    colors: dict[str, str]
    values: dict[str, Any]


class Viewer:
    """Someone who watches one or more cameras: keeps the newest picture of each, no older one.

    Made by `PreviewTap.watch` and `watch`, on the event loop that it belongs to.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._lock = threading.Lock()
        # By camera. A newer picture takes the place of the older one in the order, so a viewer of
        # several cameras who is slow sees all of them in turn.
        self._waiting: dict[str, Picture] = {}
        self._watched = 0

    async def next(self) -> Picture | None:
        """Return the newest picture not seen yet; wait for it if there is none.

        Of several cameras, the one that has waited longest comes first.

        Returns:
            None when all cameras that are watched have been closed.
        """
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.pop(next(iter(self._waiting)))
                if self._watched == 0:
                    return None
            self._event.clear()
            await self._event.wait()

    def put(self, picture: Picture) -> None:
        """Hand over a picture; called on any thread, never waits."""
        with self._lock:
            idle = not self._waiting
            self._waiting[picture.camera] = picture
        if idle:
            self._wake()

    def entered(self) -> None:
        """Note one more camera that is watched; called on any thread."""
        with self._lock:
            self._watched += 1

    def left(self) -> None:
        """Note that one camera is watched no longer; called on any thread."""
        with self._lock:
            self._watched -= 1
        self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # The loop is closed, so nobody waits any more.
            if not self._loop.is_closed():
                raise
