"""Where the preview takes pictures off a camera, for as long as someone watches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from edgevision.errors import SourceUnavailableError
from edgevision.redaction import redact
from edgevision.web.picture import Picture, Viewer

if TYPE_CHECKING:
    from edgevision.frame import Frame
    from edgevision.web.encoder import Encoder

__all__ = ["PreviewTap", "watch"]

_LOG = logging.getLogger(__name__)


class PreviewTap:
    """Takes pictures off one camera while someone watches it.

    The camera's worker thread calls `offer` for each frame. The event loop watches::

        async with tap.watch() as viewer:
            while picture := await viewer.next():
                ...  # picture.jpeg

    With the first viewer an encoder thread starts, with the last one it ends. A viewer who is slow
    skips pictures and holds up neither the camera nor other viewers.

    Args:
        camera: name of the camera.
        max_fps: pictures per second at most.
        max_width: pictures are made smaller down to this width, in pixels.
        jpeg_quality: 1 to 100.

    Attributes:
        camera: see above.
        encoded: pictures encoded since the tap was made.
        failed: frames of which no picture could be made; the first is logged.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(
        self, camera: str, *, max_fps: float = 15, max_width: int = 960, jpeg_quality: int = 80
    ) -> None:
        if not max_fps > 0:
            raise ValueError(f"max_fps must be above 0, got {max_fps}")
        if max_width < 16:
            raise ValueError(f"max_width must be at least 16 px, got {max_width}")
        if not 1 <= jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be 1 to 100, got {jpeg_quality}")
        self.camera = camera
        self.encoded = 0
        self.failed = 0
        self._max_fps = max_fps
        self._max_width = max_width
        self._jpeg_quality = jpeg_quality
        self._encoder: Encoder | None = None
        self._last: Picture | None = None
        self._viewers: tuple[Viewer, ...] = ()
        self._closed = False
        self._lock = threading.Lock()

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return len(self._viewers)

    @property
    def closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    def offer(self, frame: Frame) -> None:
        """Show a frame; called on the camera's worker thread before the frame is released.

        Without a viewer this is one look at an attribute. With viewers it copies at most
        ``max_fps`` pictures a second, made smaller, and never waits for a viewer. Raises nothing.
        """
        encoder = self._encoder
        if encoder is not None:
            encoder.offer(frame)

    def watch(self) -> AbstractAsyncContextManager[Viewer]:
        """Watch this camera, see `Viewer.next`; use it on an event loop.

        The first picture is the last one that anyone saw, if there is one, so that a camera that
        has ended shows something.
        """
        return watch([self])

    async def snapshot(self, timeout_s: float = 5.0) -> Picture:
        """Return the camera's next picture.

        Raises:
            SourceUnavailableError: no frame came in time, or the camera is gone.
        """
        async with watch([self], fresh=True) as viewer:
            try:
                picture = await asyncio.wait_for(viewer.next(), timeout_s)
            except (TimeoutError, asyncio.TimeoutError) as error:
                raise SourceUnavailableError(
                    f"camera {self.camera!r} has delivered no frame in {timeout_s:g} s"
                ) from error
        if picture is None:
            raise SourceUnavailableError(f"camera {self.camera!r} is gone")
        return picture

    def close(self) -> None:
        """End all viewers for good, because the camera is gone; any thread, harmless twice."""
        with self._lock:
            self._closed = True
            viewers, self._viewers = self._viewers, ()
            self._end_encoder()
        for viewer in viewers:
            viewer.left()

    def _add(self, viewer: Viewer, *, fresh: bool) -> None:
        # Here, so that a runner which only makes taps loads no drawing.
        from edgevision.web.encoder import Encoder

        with self._lock:
            if self._closed:
                return
            viewer.entered()
            if self._last is not None and not fresh:
                viewer.put(self._last)
            self._viewers += (viewer,)
            if self._encoder is None:
                self._encoder = Encoder(
                    self.camera,
                    max_fps=self._max_fps,
                    max_width=self._max_width,
                    jpeg_quality=self._jpeg_quality,
                    deliver=self._deliver,
                    fail=self._fail,
                )

    def _remove(self, viewer: Viewer) -> None:
        with self._lock:
            if viewer not in self._viewers:
                return
            self._viewers = tuple(other for other in self._viewers if other is not viewer)
            if not self._viewers:
                self._end_encoder()
        viewer.left()

    def _end_encoder(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def _deliver(self, picture: Picture) -> None:
        """Hand a picture to all viewers; on the encoder's thread."""
        with self._lock:
            self.encoded += 1
            self._last = picture
            viewers = self._viewers
        for viewer in viewers:
            viewer.put(picture)

    def _fail(self, error: Exception) -> None:
        """Count a frame that cannot be shown; on the encoder's or the camera's thread."""
        with self._lock:
            self.failed += 1
            first = self.failed == 1
        if first:
            _LOG.warning(
                "camera %r: no preview of this frame, and more of them are only counted: %s",
                self.camera,
                redact(f"{type(error).__name__}: {error}"),
            )


@asynccontextmanager
async def watch(taps: Iterable[PreviewTap], *, fresh: bool = False) -> AsyncIterator[Viewer]:
    """Watch several cameras with one viewer; their pictures come in turn.

    Args:
        taps: the cameras.
        fresh: do without the last picture that anyone saw before.
    """
    chosen = list(taps)
    viewer = Viewer()
    try:
        for tap in chosen:
            tap._add(viewer, fresh=fresh)
        yield viewer
    finally:
        for tap in chosen:
            tap._remove(viewer)
