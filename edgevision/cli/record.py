"""``edgevision record``: what a camera sees, into a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from edgevision.cli.output import Output
from edgevision.frame import Frame
from edgevision.recording import INDEX, ImageFormat, Recorder
from edgevision.runner.runner import Runner
from edgevision.stage import DropFrame, Stage
from edgevision.stage_spec import StageSpec

__all__ = ["record"]

_QUEUE_SIZE = 16


class _Write(Stage):
    """Writes frames until there are enough of them.

    Args:
        recorder: where to.
        frames: how many; None for all.
        enough: called once from the worker thread, when there are enough or the disk is full.
    """

    def __init__(self, recorder: Recorder, frames: int | None, enough: Callable[[], None]) -> None:
        self._recorder = recorder
        self._frames = frames
        self._enough = enough
        self.failure: OSError | None = None
        self.last_sequence = 0

    def process(self, frame: Frame) -> None:
        if self.failure or self._recorder.frames == self._frames:
            raise DropFrame("recording is complete")
        try:
            self._recorder.add(
                frame.host,
                captured_at_s=frame.captured_at_s,
                sequence=frame.sequence,
                truth=frame.truth,
            )
        except OSError as error:
            self.failure = error
            self._enough()
            raise DropFrame("disk") from error
        self.last_sequence = frame.sequence
        if self._recorder.frames == self._frames:
            self._enough()


def record(
    source: str,
    folder: Path,
    output: Output,
    *,
    frames: int | None,
    duration_s: float | None,
    image_format: ImageFormat,
    quality: int,
) -> int:
    """Record a source and return the exit status.

    Raises:
        ConfigurationError: the source makes no sense, or the folder cannot be recorded to.
    """
    from edgevision.config import from_mapping

    config = from_mapping({"cameras": {"cam": source}, "web": False, "upstream": []})
    made = config.cameras["cam"].open_source()
    if made.live and frames is None and duration_s is None:
        output.notice("recording until Ctrl-C")
    output.start_logging()
    with Recorder(folder, source=made.uri, image_format=image_format, quality=quality) as recorder:
        (spec,) = config.camera_specs()
        # Room for a disk that pauses to flush.
        spec.queue_size = _QUEUE_SIZE
        stop = _Stop()
        write = _Write(recorder, frames, stop)
        spec.stages = [StageSpec(lambda: write, name="record")]
        runner = Runner([spec])
        code = asyncio.run(stop.run(runner, duration_s))
        if write.failure is not None:
            reason = write.failure.strerror or type(write.failure).__name__
            output.error(f"{folder}: {reason}; the recording is good up to frame {recorder.frames}")
            code = 1
        return _report(recorder, write.last_sequence - recorder.frames, code, output)


class _Stop:
    """Stops a runner from its worker thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: Runner | None = None

    def __call__(self) -> None:
        if self._loop is not None and self._runner is not None:
            self._loop.call_soon_threadsafe(self._runner.request_stop)

    async def run(self, runner: Runner, duration_s: float | None) -> int:
        """Run ``runner`` until it ends or this object is called."""
        self._loop, self._runner = asyncio.get_running_loop(), runner
        return await runner.run_async(duration_s=duration_s)


def _report(recorder: Recorder, lost: int, code: int, output: Output) -> int:
    if not recorder.frames:
        (recorder.folder / INDEX).unlink()
        if not code:
            output.error("the source gave no frame: nothing was recorded")
        return 1
    if output.data_is_json:
        size = {"frames": recorder.frames, "bytes": recorder.nbytes, "lost": lost}
        output.data({"folder": str(recorder.folder), **size})
        return code
    if output.quiet:
        return code
    print(f"{recorder.frames} frames, {recorder.nbytes / 1e6:.1f} MB in {recorder.folder}")
    if lost:
        print(f"{lost} frames came faster than they could be written; --jpeg is faster")
    print(f"Play it:  edgevision replay {recorder.folder}")
    return code
