"""One camera: its two threads, its two queues, and what watches over them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from edgevision.errors import StageError
from edgevision.pipeline import Pipeline
from edgevision.redaction import redact
from edgevision.runner.capture import Capture, SlotQueues
from edgevision.runner.ledger import Ledger
from edgevision.runner.outlet import Outlet
from edgevision.runner.spec import CameraSpec, Policy
from edgevision.runner.state import CameraState
from edgevision.runner.worker import FrameTap, Worker
from edgevision.slot import Slot
from edgevision.status import CameraStatus, StageStatus

if TYPE_CHECKING:
    from edgevision.cuda.lane import Lane

__all__ = ["Camera"]

_log = logging.getLogger("edgevision.camera")

# Results are small, and each one that does not have to wait for room saves two thread switches.
_RESULTS = 64
_QUEUE_SIZE = {"latest": 4, "wait": 8}
_CAPTURE_GRACE_S = 0.5
# A source that neither delivers nor returns for so long is left to itself, and another is opened.
_HUNG_S = 15.0
_RATE_WINDOW_S = 1.0
_T = TypeVar("_T")

# The event loop's other tasks get their turn at least once in so many results.
_YIELD_EVERY = 16


class Camera:
    """One camera of a runner. Every method runs on the event loop.

    Args:
        spec: what to run.
        deliver: takes each result on the event loop; awaiting it holds a ``wait`` camera back.
        tap: sees each processed frame on the worker thread.

    Raises:
        ConfigurationError: the source's URI or options make no sense.
    """

    def __init__(
        self,
        spec: CameraSpec,
        deliver: Callable[[Any], Awaitable[None]],
        tap: FrameTap | None = None,
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self._deliver = deliver
        self.tap = tap
        self._loop = asyncio.get_running_loop()
        source = spec.source()
        self._live = source.live
        policy: Policy = spec.policy or ("latest" if source.live else "wait")
        self.policy = policy
        self.ledger = Ledger()
        self.state = CameraState(spec.name)
        self._queues = SlotQueues(max(1, spec.queue_size or _QUEUE_SIZE[policy]))
        self._outlet = Outlet(self._loop, _RESULTS, policy, self.ledger)
        self.where, self._lane = _place(spec, self._queues.size + 2)
        self._capture = self._make_capture(source)
        self.worker = self._worker = Worker(
            spec,
            policy,
            self._queues,
            self.ledger,
            self._outlet,
            self._loop,
            tap,
            lambda: self._from_thread(self._worker_ended),
            self._lane,
        )
        self._capture_done = asyncio.Event()
        self._worker_done = asyncio.Event()
        self.done = asyncio.Event()
        """Set when the last result has been delivered and no more will come."""
        self._delivery: asyncio.Task[None] | None = None
        self._stuck_stage = ""
        self._rate = 0.0
        self._rate_at = (time.monotonic(), 0)
        self._hung = 0
        self.paused = False

    @property
    def over(self) -> bool:
        """True once no frame will be processed any more: ended, failed or stopped."""
        return self._worker_done.is_set()

    @property
    def busy_stage(self) -> str:
        """Name of the stage whose hook runs at this moment; "" if none does."""
        pipeline = self._worker.active_pipeline
        active = -1 if pipeline is None else pipeline.active
        return pipeline.stages[active].name if pipeline is not None and active >= 0 else ""

    @property
    def error(self) -> Exception | None:
        """Why the camera has failed, if it has."""
        return self._worker.error or self._capture.error

    def start(self) -> None:
        """Start both threads."""
        self._delivery = asyncio.create_task(self._deliver_all(), name=f"deliver {self.name}")
        self._worker.start()
        self._capture.start()

    async def stop(self, drain_s: float = 1.0) -> None:
        """End both threads; under ``wait`` all captured frames are processed and delivered.

        Args:
            drain_s: limit for that. Frames that are left then are dropped as ``stopped``. A stage
                that does not return is named in the log and left to itself.
        """
        deadline_s = time.monotonic() + drain_s
        self._capture.stop()
        if not await _within(_CAPTURE_GRACE_S, self._capture_done):
            self._capture.abandon()
        if self.policy == "wait":
            self._worker.finish()
        else:
            self._worker.quit()
        if not await _within(deadline_s - time.monotonic(), self._worker_done):
            self._worker.quit()
            # Frees a worker that waits for room in the outlet.
            self._outlet.close()
            if not await _within(0.1, self._worker_done):
                self._warn_stuck("was given up when the camera was stopped")
        self._outlet.close()
        if self._delivery is not None:
            left_s = max(0.1, deadline_s - time.monotonic())
            await asyncio.wait([self._delivery], timeout=left_s)
            self._delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._delivery
        if self._lane is not None and self._worker_done.is_set() and self._capture_done.is_set():
            self._lane.close()
        if self.state.name not in ("failed", "ended"):
            self.state.set("stopped")

    def check(self) -> None:
        """Look for a stalled source and a stuck stage; called several times a second."""
        now_ns = time.monotonic_ns()
        since_ns = self._capture.waiting_since_ns
        if self._live and since_ns:
            waited_s = (now_ns - since_ns) * 1e-9
            if waited_s > self.spec.stall_s:
                self._capture.stalled()
            if waited_s > _HUNG_S + self.spec.stall_s:
                self._replace_capture()
        self._check_stage(now_ns)
        then_s, count = self._rate_at
        now_s = now_ns * 1e-9
        if now_s - then_s >= _RATE_WINDOW_S:
            processed = self.ledger.snapshot().processed
            self._rate = (processed - count) / (now_s - then_s)
            self._rate_at = (now_s, processed)

    def pause(self) -> None:
        """Take no frames from now on. A live source is closed, a finite one held where it is.

        The stages stay started. A camera that has ended or failed stays so.
        """
        self.paused = True
        self._capture.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        self._capture.resume()

    async def call(self, function: Callable[[Pipeline], _T]) -> _T:
        """Run ``function`` with the pipeline on the worker thread, between two frames.

        Raises:
            StageError: the camera has ended, or its stages are not started at the moment.
        """
        future = self._worker.call(lambda: function(self._running_pipeline()))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self.over and future.cancelled():
                raise self._not_running("has ended") from None
            raise

    async def configure(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Set stage parameters between two frames, all or none.

        Args:
            values: stage name to parameter name to value.

        Raises:
            ConfigurationError: an unknown stage or parameter, or a bad value; nothing was set.
        """

        def apply() -> None:
            if self._worker.pipeline is not None:
                self._worker.pipeline.configure(values)

        await asyncio.wrap_future(self._worker.call(apply))

    async def replace_stages(self, stages: Sequence[Any]) -> None:
        """Start other stages between two frames and stop the present ones; the source stays open.

        Raises:
            StageError: the new stages cannot be started; the present ones go on.
        """
        await asyncio.wrap_future(self._worker.call(lambda: self._worker.replace_stages(stages)))

    def status(self) -> CameraStatus:
        """Return what the camera is doing and has done."""
        accounts = self.ledger.snapshot()
        latencies = self._worker.latencies_ms()
        pipeline, lane = self._worker.pipeline, self._lane
        device_bytes, host_bytes = _bytes_of(pipeline, lane)
        stages = [
            StageStatus(
                name=s.name,
                frames=s.frames,
                mean_ms=s.mean_ms,
                longest_ms=s.longest_ns * 1e-6,
                errors=s.errors,
                drops=dict(s.drops),
                last_error=s.last_error,
                quarantined=s.quarantined,
                uploads=s.uploads,
                downloads=s.downloads,
                copied_bytes=s.copied_bytes,
            )
            for s in (pipeline.statistics if pipeline is not None else ())
        ]
        return CameraStatus(
            name=self.name,
            source=self._capture.uri,
            state=self.state.name,
            state_since_s=self.state.since_s,
            detail=self.state.detail,
            size_wh=self._capture.size_wh,
            fps=self._rate,
            captured=accounts.captured,
            processed=accounts.processed,
            dropped=accounts.dropped,
            in_flight=accounts.in_flight,
            latency_ms=latencies[len(latencies) // 2] if latencies else None,
            latency_p95_ms=latencies[int(len(latencies) * 0.95)] if latencies else None,
            reconnects=self._capture.reconnects,
            results_waiting=len(self._outlet),
            stages=stages,
            stuck_stage=self._stuck_stage,
            buffers_bytes=device_bytes + host_bytes,
            device="cpu" if lane is None else f"cuda:{lane.index}",
            device_bytes=device_bytes,
        )

    async def _deliver_all(self) -> None:
        count = 0
        try:
            while (result := await self._outlet.get()) is not None:
                delivered = False
                try:
                    await self._deliver(result)
                    delivered = True
                except Exception:
                    _log.exception("camera %s: a result could not be delivered", self.name)
                finally:
                    if delivered:
                        self.ledger.deliver()
                    else:
                        self.ledger.drop_delivering("upstream")
                count += 1
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        finally:
            self._outlet.discard()
            self.done.set()

    def _make_capture(self, source: Any, sequence: int = 0) -> Capture:
        return Capture(
            self.spec,
            source,
            self.policy,
            self._queues,
            self.ledger,
            self.state,
            lambda: self._from_thread(self._capture_ended),
            sequence,
            self._lane,
        )

    def _capture_ended(self) -> None:
        self._capture_done.set()
        self._worker.finish()
        self._drop_left_over()

    def _drop_left_over(self) -> None:
        """Count what the source delivered after the worker had gone."""
        if self._capture_done.is_set() and self._worker_done.is_set():
            while self._queues.drop_oldest() is not None:
                self.ledger.drop_queued("stopped")

    def _worker_ended(self) -> None:
        self._worker_done.set()
        self._capture.stop()
        self._drop_left_over()
        self._outlet.close()
        error = self._worker.error
        if error is not None:
            self.state.set("failed", redact(f"{error}"))

    def _replace_capture(self) -> None:
        """Leave a source that hangs to itself and open another."""
        old = self._capture
        old.abandon()
        self._hung += 1
        _log.error(
            "camera %s: its source has neither delivered nor returned for %g s; opening another",
            self.name,
            _HUNG_S + self.spec.stall_s,
        )
        # The old thread keeps its slot.
        self._queues.free.put(Slot())
        self._capture = self._make_capture(self.spec.source(), old.sequence)
        self._capture.reconnects = old.reconnects + 1
        if self.paused:
            self._capture.pause()
        self._capture.start()

    def _running_pipeline(self) -> Pipeline:
        pipeline = self._worker.pipeline
        if pipeline is None:
            raise self._not_running("waits for its stages to start")
        return pipeline

    def _not_running(self, why: str) -> StageError:
        return StageError(f"the camera {why}", camera=self.name, stage="", sequence=None)

    def _check_stage(self, now_ns: int) -> None:
        pipeline = self._worker.active_pipeline
        active = -1 if pipeline is None else pipeline.active
        stuck = ""
        if pipeline is not None and active >= 0:
            ran_s = (now_ns - pipeline.active_since_ns) * 1e-9
            if ran_s > self.spec.stage_timeout_s:
                stuck = pipeline.stages[active].name
        if stuck and stuck != self._stuck_stage:
            self._stuck_stage = stuck
            self._warn_stuck(f"has been running for more than {self.spec.stage_timeout_s:g} s")
        elif not stuck and self._stuck_stage:
            _log.warning("camera %s: stage %s goes on again", self.name, self._stuck_stage)
            self._stuck_stage = ""

    def _warn_stuck(self, what: str) -> None:
        stage = self.busy_stage or "?"
        frame = self._worker.sequence
        where = f"frame {frame}" if frame else "before its first frame"
        _log.error("camera %s: stage %s %s (%s)", self.name, stage, what, where)

    def _from_thread(self, function: Callable[[], None]) -> None:
        # An abandoned thread may return when the loop is long closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


async def _within(limit_s: float, event: asyncio.Event) -> bool:
    """Wait for ``event``; say whether it came in time."""
    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, limit_s))
    return event.is_set()


def _place(spec: CameraSpec, slots: int) -> tuple[str, Lane | None]:
    """Say where a camera's frames are processed, and return its lane if it is a CUDA device."""
    if spec.device == "cpu":
        return "the CPU", None
    from edgevision.cuda.choice import choose

    chosen = choose(spec.device)
    if chosen.device is None:
        return str(chosen), None
    from edgevision.cuda.lane import Lane

    device = chosen.device
    return str(chosen), Lane(device.index, camera=spec.name, frames=slots, mapped=device.integrated)


def _bytes_of(pipeline: Pipeline | None, lane: Lane | None) -> tuple[int, int]:
    """Return the image memory of a camera on the device and on the host."""
    on_device, on_host = (0, 0) if lane is None else (lane.device_bytes, lane.pinned_bytes)
    if pipeline is not None:
        on_device += pipeline.device_nbytes
        on_host += pipeline.nbytes
    return on_device, on_host
