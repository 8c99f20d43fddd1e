"""Clips of a few seconds around now, as a direct method asks for them.

A clip holds the pictures that the preview page shows, boxes and all, as Motion JPEG in an AVI file:
OpenCV writes that itself, also where it has no FFmpeg.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgevision.errors import SourceUnavailableError
from edgevision.harness.methods import MethodError
from edgevision.harness.recorder_folder import ArtifactFolder
from edgevision.json_value import utc_text
from edgevision.web.picture import Picture

if TYPE_CHECKING:
    from edgevision.web.tap import PreviewTap

__all__ = ["FPS", "MAX_CLIP_S", "ClipRecorder"]

_log = logging.getLogger("edgevision.recorder")

FPS = 15
"""Pictures a second in a clip; one that is late is there twice, so that a second is a second."""

MAX_CLIP_S = 300.0
"""The longest clip."""

_FIRST_PICTURE_S = 5.0


@dataclass(slots=True)
class _Past:
    """The last pictures of one camera."""

    pictures: deque[Picture]
    bytes: int = 0


class ClipRecorder:
    """Records clips; all methods on the event loop, files on a thread of its own.

    Args:
        taps: returns the previews by camera at this moment.
        folder: where clips go.
        before_s: how much of the past is kept for clips, for every camera and all the time, which
            costs an encoded picture for each frame that the preview would show; 0: none.
        max_past_bytes: the most that is kept of one camera's past.
    """

    def __init__(
        self,
        taps: Callable[[], Mapping[str, PreviewTap]],
        folder: ArtifactFolder,
        *,
        before_s: float = 0.0,
        max_past_bytes: int = 32_000_000,
    ) -> None:
        self._taps = taps
        self._folder = folder
        self._before_s = before_s
        self._max_past_bytes = max_past_bytes
        self._past: dict[str, _Past] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._clips: dict[str, asyncio.Task[None]] = {}
        self._thread = ThreadPoolExecutor(1, "recorder")

    def follow(self) -> None:
        """Keep the past of the cameras that are there now; called whenever these change."""
        if not self._before_s:
            return
        taps = self._taps()
        for name in [name for name in self._watching if name not in taps]:
            self._watching.pop(name).cancel()
            self._past.pop(name, None)
        for name, tap in taps.items():
            if name not in self._watching or self._watching[name].done():
                task = asyncio.create_task(self._keep_past(tap), name=f"past of {name}")
                self._watching[name] = task

    async def record(self, camera: str, seconds: float, before_s: float) -> dict[str, Any]:
        """Begin a clip and return where it will be; the file is there once it is complete.

        Args:
            camera: which one.
            seconds: how long it goes on from now.
            before_s: how much of the past it begins with, as far as that is kept.

        Raises:
            MethodError: 409 if a clip of that camera is being recorded or no picture comes.
        """
        if camera in self._clips:
            raise MethodError(409, f"a clip of camera {camera!r} is being recorded already")
        started = asyncio.get_running_loop().create_future()
        path = self._folder.name(camera, ".avi")
        past = self._past.get(camera)
        earliest_s = time.time() - before_s
        pictures = [p for p in (past.pictures if past else ()) if p.captured_at_s >= earliest_s]
        task = asyncio.create_task(
            self._record(self._taps()[camera], path, pictures, seconds, started),
            name=f"clip of {camera}",
        )
        self._clips[camera] = task
        task.add_done_callback(lambda done: self._ended(camera, started))
        first: Picture = await started
        return {
            "path": str(path),
            "from": utc_text(first.captured_at_s),
            "until": utc_text(time.time() + seconds),
        }

    def recording(self) -> list[str]:
        """Return the cameras of which a clip is being recorded."""
        return sorted(self._clips)

    async def stop(self) -> None:
        """End the clips that are being recorded; what they have is kept."""
        tasks = [*self._clips.values(), *self._watching.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._thread.shutdown(wait=False)

    def _ended(self, camera: str, started: asyncio.Future[Picture]) -> None:
        task = self._clips.pop(camera)
        error = None if task.cancelled() else task.exception()
        if not started.done():
            started.set_exception(error or MethodError(409, "the recording was stopped"))
        elif error is not None:
            _log.error("the clip of camera %s failed: %s", camera, error)

    async def _record(
        self,
        tap: PreviewTap,
        path: Path,
        past: list[Picture],
        seconds: float,
        started: asyncio.Future[Picture],
    ) -> None:
        writer = _Writer(self._folder.part(path))
        try:
            async with tap.watch() as viewer:
                try:
                    newest = past[-1].sequence if past else 0
                    for picture in past:
                        await self._on_thread(writer.add, picture)
                    if past:
                        started.set_result(past[0])
                    ends_s = time.monotonic() + seconds
                    wait_s = seconds if past else _FIRST_PICTURE_S
                    while wait_s > 0:
                        try:
                            picture_or_end = await asyncio.wait_for(viewer.next(), wait_s)
                        except (TimeoutError, asyncio.TimeoutError):
                            break
                        if picture_or_end is None:
                            break
                        # The first may be the last one that anyone saw, of long ago.
                        recent = time.time() - picture_or_end.captured_at_s < _FIRST_PICTURE_S
                        if picture_or_end.sequence != newest and recent:
                            await self._on_thread(writer.add, picture_or_end)
                            if not started.done():
                                started.set_result(picture_or_end)
                                ends_s = time.monotonic() + seconds
                        if started.done():
                            wait_s = ends_s - time.monotonic()
                finally:
                    await asyncio.shield(self._on_thread(self._finish, writer, path))
            if not started.done():
                raise MethodError(409, f"camera {tap.camera!r} has delivered no frame")
        except (OSError, cv2.error) as error:
            raise SourceUnavailableError(f"{path} cannot be written: {error}") from error

    def _finish(self, writer: _Writer, path: Path) -> None:
        if writer.close():
            self._folder.finish(path)
            _log.info("recorded %s", path)

    async def _on_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def _keep_past(self, tap: PreviewTap) -> None:
        past = self._past[tap.camera] = _Past(deque())
        async with tap.watch() as viewer:
            while (picture := await viewer.next()) is not None:
                past.pictures.append(picture)
                past.bytes += len(picture.jpeg)
                oldest_s = picture.captured_at_s - self._before_s
                while past.pictures and (
                    past.pictures[0].captured_at_s < oldest_s or past.bytes > self._max_past_bytes
                ):
                    past.bytes -= len(past.pictures.popleft().jpeg)


class _Writer:
    """One AVI file in which each picture has the length that it had; on the recorder's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        self._first_s = 0.0
        self._written = 0
        self._last: Any = None

    def add(self, picture: Picture) -> None:
        """Write the picture before until the time of this one."""
        image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            return
        if self._writer is None:
            self._size_wh = (image.shape[1], image.shape[0])
            code = cv2.VideoWriter.fourcc(*"MJPG")
            backend = cv2.CAP_OPENCV_MJPEG
            self._writer = cv2.VideoWriter(str(self._path), backend, code, FPS, self._size_wh)
            if not self._writer.isOpened():
                raise OSError(f"OpenCV cannot write {self._path}")
            self._first_s = picture.captured_at_s
        elif self._last is not None:
            # A camera whose clock jumps makes no endless file.
            wanted = int((picture.captured_at_s - self._first_s) * FPS)
            self._repeat(min(wanted, int(MAX_CLIP_S * 2 * FPS)))
        if (image.shape[1], image.shape[0]) != self._size_wh:
            image = cv2.resize(image, self._size_wh)
        self._last = image

    def close(self) -> bool:
        """Complete the file; say whether there is one."""
        if self._writer is None:
            return False
        self._repeat(self._written + 1)
        self._writer.release()
        return True

    def _repeat(self, until: int) -> None:
        while self._writer is not None and self._written < until:
            self._writer.write(self._last)
            self._written += 1
