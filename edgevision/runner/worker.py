"""The worker thread: runs a camera's stages on its frames, one after another."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from edgevision.errors import BufferKeptError, ConfigurationError, StageError
from edgevision.frame import Frame
from edgevision.pipeline import Pipeline, StageSpec
from edgevision.result import Result
from edgevision.runner.backoff import Backoff
from edgevision.runner.capture import WAKE, SlotQueues
from edgevision.runner.ledger import Ledger
from edgevision.runner.outlet import Outlet
from edgevision.runner.spec import CameraSpec, Policy
from edgevision.slot import Slot

if TYPE_CHECKING:
    from edgevision.cuda.lane import Lane

__all__ = ["FrameTap", "Worker"]

_log = logging.getLogger("edgevision.camera")

_LATENCIES = 256
_MAX_KINDS = 100


class FrameTap(Protocol):
    """Sees each processed frame on the worker thread, before its buffers are used again."""

    def offer(self, frame: Frame) -> None:
        """Look at ``frame`` and return soon; keep nothing of it."""


class Worker:
    """One camera's worker thread.

    Under ``latest``, a frame that waited already when the last one was taken gives way to a newer
    one. So a result is younger than two stage times, however long the queue is.

    Args:
        spec: the camera; `replace_stages` changes its stages.
        policy: ``latest`` or ``wait``.
        queues: where frames come from and slots go back to.
        ledger: told of each frame.
        outlet: where results go.
        loop: event loop on which ``async def`` hooks run.
        tap: sees each processed frame, for the preview.
        ended: called from the thread when it ends.
        lane: the camera's lane on a CUDA device; None on the CPU. What the stages leave to
            `Frame.fetch` is done when the next frame is launched, or when none waits.
    """

    def __init__(
        self,
        spec: CameraSpec,
        policy: Policy,
        queues: SlotQueues,
        ledger: Ledger,
        outlet: Outlet,
        loop: asyncio.AbstractEventLoop,
        tap: FrameTap | None,
        ended: Callable[[], None],
        lane: Lane | None = None,
    ) -> None:
        self._spec = spec
        self._lane = lane
        # Launched, and not finished: the frame, its pipeline and the size of its picture.
        self._flying: tuple[Frame, Pipeline, tuple[int, int]] | None = None
        self._ended = ended
        self._stages: Sequence[Any] = spec.stages
        self._policy = policy
        self._queues = queues
        self._ledger = ledger
        self._outlet = outlet
        self._loop = loop
        self._tap = tap
        self._max_age_ns = None if spec.max_age_s is None else int(spec.max_age_s * 1e9)
        self._commands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._finish = threading.Event()
        self._quit = threading.Event()
        self._called = threading.Event()
        self._reported: set[str] = set()
        self._latency_s = [0.0] * _LATENCIES
        self._delivered = 0
        self._taken_ns = 0
        self._over = False
        self._parked: Pipeline | None = None
        self._handled: Pipeline | None = None
        self.pipeline: Pipeline | None = None
        self.error: Exception | None = None
        self.restarts = 0
        self.sequence = 0
        """Number of the frame that the stages have now or had last."""
        self.thread = threading.Thread(target=self._run, name=f"worker {spec.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def finish(self) -> None:
        """Ask the thread to process what waits and end. No frame may be captured any more."""
        self._finish.set()
        self._queues.ready.put(WAKE)

    def quit(self) -> None:
        """Ask the thread to end after the frame that it is in; what waits is dropped."""
        self._quit.set()
        self._called.set()
        self.finish()

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Run ``function`` on the worker thread between two frames; from any thread.

        Returns:
            A future with its result; cancelled if the worker ends before it comes to it.
        """
        future: Future[Any] = Future()
        self._commands.append((function, future))
        self._called.set()
        self._queues.ready.put(WAKE)
        if self._over:
            self._cancel_commands()
        return future

    @property
    def active_pipeline(self) -> Pipeline | None:
        """The pipeline that is being started or stopped, or else the one that frames go through."""
        return self._handled or self.pipeline

    def replace_stages(self, stages: Sequence[Any]) -> None:
        """Start new stages and stop the old ones; to be run by `call`.

        Raises:
            StageError: the new stages cannot be started; the old ones go on.
        """
        self.revise(stages, None)(True)

    def revise(
        self, stages: Sequence[Any], values: Mapping[str, Mapping[str, Any]] | None
    ) -> Callable[[bool], None]:
        """Change the stages so that it can be taken back; to be run by `call`.

        Args:
            stages: what the stages are made from after the next restart; without ``values``, what
                new ones are made from now.
            values: parameters by stage and name, where nothing else differs: the stages go on.

        Returns:
            What settles it, to be run by `call` too: True keeps the change, False takes it back.
            Replaced stages stay started until then, and have forgotten nothing when they go on.

        Raises:
            ConfigurationError: an unknown stage or parameter, or a bad value; nothing was changed.
            StageError: a stage refused the values or cannot be started; nothing was changed.
        """
        before, old = self._stages, self.pipeline
        if values is not None:
            settings = self._configure(values)
            self._stages = stages

            def settle(keep: bool) -> None:
                if keep:
                    return
                self._stages = before
                try:
                    self._configure(settings)
                except StageError as error:
                    self._report(error)

            return settle
        fresh = self._make(stages)
        self._start(fresh)
        self.pipeline, self._stages, self._parked = fresh, stages, old

        def settle_stages(keep: bool) -> None:
            self._parked = None
            if keep:
                if old is not None:
                    self._stop_pipeline(old)
                return
            new, self.pipeline, self._stages = self.pipeline, old, before
            if new is not None:
                self._stop_pipeline(new)
            if old is None:
                self._start_pipeline()

        return settle_stages

    def latencies_ms(self) -> list[float]:
        """Return the latencies of up to 256 recent frames in milliseconds, sorted."""
        count = min(self._delivered, _LATENCIES)
        return sorted(value * 1e3 for value in self._latency_s[:count])

    def _run(self) -> None:
        try:
            if self._lane is not None:
                self._lane.enter()
            if self._start_pipeline():
                self._process_all()
                self._land()
        except Exception as error:
            _log.error("camera %s has failed: %s: %s", self._spec.name, type(error).__name__, error)
            self.error = error
        finally:
            if self._flying is not None:
                self._flying = None
                self._ledger.drop_working("error")
            for pipeline in (self.pipeline, self._parked):
                if pipeline is not None:
                    self._stop_pipeline(pipeline)
            self._finish.set()
            self._drop_queued("stopped")
            # Before the commands are cancelled: one that comes later cancels itself.
            self._over = True
            self._cancel_commands()
            self._ended()

    def _process_all(self) -> None:
        ready = self._queues.ready
        while True:
            if self._flying is not None and (self._commands or ready.empty()):
                self._land()
            item = ready.get()
            while self._commands:
                self._land()
                self._run_command()
            if not isinstance(item, Slot):
                if self._quit.is_set() or (self._finish.is_set() and ready.empty()):
                    return
                continue
            now_ns = time.monotonic_ns()
            cause = self._too_late(item, now_ns)
            if cause is not None:
                self._ledger.drop_queued(cause)
                self._queues.free.put(item)
                continue
            self._taken_ns = now_ns
            self._ledger.take()
            if self._quit.is_set():
                self._ledger.drop_working("stopped")
                self._queues.free.put(item)
                return
            self._process(item)
            if self.pipeline is None or (self._finish.is_set() and ready.empty()):
                return

    def _too_late(self, slot: Slot, now_ns: int) -> str | None:
        """Say why a frame whose turn has come is not processed, or None.

        Under ``latest`` a frame that waited already when the last one was taken (or nearly so)
        gives way to a newer one. That keeps the age of a result below two stage times when stages
        are slower than the camera; a camera that is faster only for a moment loses nothing.
        """
        if self._max_age_ns is not None and now_ns - slot.captured_ns > self._max_age_ns:
            return "stale"
        limit_ns = self._taken_ns + (now_ns - self._taken_ns) // 8
        if self._policy == "latest" and slot.captured_ns < limit_ns and self._ledger.waiting > 1:
            return "overrun"
        return None

    def _process(self, slot: Slot) -> None:
        """Run the stages on one frame, which the ledger counts as being worked on."""
        pipeline, ledger = self.pipeline, self._ledger
        if pipeline is None or slot.size_wh is None:
            raise RuntimeError("a frame without pipeline or image")
        self.sequence = slot.sequence
        try:
            gpu = None if self._lane is None else self._lane.receive(slot)
        except BaseException:
            ledger.drop_working("error")
            self._queues.free.put(slot)
            raise
        frame = Frame(
            slot.image,
            camera=self._spec.name,
            sequence=slot.sequence,
            captured_at_s=slot.captured_at_s,
            truth=slot.truth,
            captured_ns=slot.captured_ns,
            gpu=gpu,
        )
        try:
            reason = pipeline.launch(frame)
        except StageError as error:
            ledger.drop_working(f"error {error.stage}")
            self._release(pipeline, frame, slot)
            self._land()
            self._report(error)
            self._after_error(error)
            return
        except BaseException:
            ledger.drop_working("error")
            self._release(pipeline, frame, slot)
            raise
        if reason is not None:
            ledger.drop_working(reason)
            self._release(pipeline, frame, slot)
            self._land()
            return
        tap = self._tap
        if tap is not None:
            tap.offer(frame)
        size_wh = frame.size_wh
        self._release(pipeline, frame, slot)
        self._land()
        self._flying = frame, pipeline, size_wh
        if not frame.pending:
            self._land()

    def _land(self) -> None:
        """Finish the frame that was launched last, if there is one, and hand its result over."""
        if self._flying is None:
            return
        frame, pipeline, size_wh = self._flying
        if frame.pending:
            try:
                pipeline.settle(frame)
            except StageError as error:
                self._flying = None
                self._ledger.drop_working(f"error {error.stage}")
                self._report(error)
                self._after_error(error)
                return
        self._flying = None
        latency_s = frame.age_s()
        self._latency_s[self._delivered % _LATENCIES] = latency_s
        self._delivered += 1
        result = Result(
            frame.camera,
            frame.sequence,
            frame.captured_at_s,
            size_wh,
            frame.detections,
            frame.values,
            frame.events,
            latency_s,
        )
        self._ledger.finish()
        self._outlet.put(result)

    def _release(self, pipeline: Pipeline, frame: Frame, slot: Slot) -> None:
        try:
            pipeline.release(frame)
        except BufferKeptError as error:
            self._report_once("kept buffer", str(error))
        if self._lane is not None:
            self._lane.finish(slot)
        self._queues.free.put(slot)

    def _after_error(self, error: StageError) -> None:
        """Restart the stages when one has failed too often."""
        pipeline = self.pipeline
        if pipeline is None:
            return
        for statistics, spec in zip(pipeline.statistics, pipeline.specs, strict=True):
            if statistics.name != error.stage:
                continue
            often = statistics.consecutive_errors >= spec.max_consecutive_errors
            if spec.on_error == "restart" or (often and spec.on_error != "quarantine"):
                _log.warning(
                    "camera %s: restarting its stages after %d errors of stage %s in a row",
                    self._spec.name,
                    statistics.consecutive_errors,
                    error.stage,
                )
                self._stop_pipeline(pipeline)
                self.pipeline = None
                self.restarts += 1
                self._start_pipeline()

    def _start_pipeline(self) -> bool:
        """Make and start the stages, again and again until they start or the camera is stopped.

        Raises:
            ConfigurationError: they never will; the message says why.
        """
        backoff = Backoff(self._spec.first_retry_s, self._spec.longest_retry_s)
        # A restart after errors waits too: a stage that fails at once must not spin.
        if self.restarts and self._rest(backoff.next_s()):
            return self.pipeline is not None
        while not self._quit.is_set():
            try:
                pipeline = self._make(self._stages)
                self._start(pipeline)
            except StageError as error:
                if isinstance(error.__cause__, (ConfigurationError, TypeError)):
                    raise
                self._report(error)
                if self._policy == "latest":
                    self._drop_queued("restart")
                if self._rest(backoff.next_s()):
                    return self.pipeline is not None
            else:
                self.pipeline = pipeline
                return True
        return False

    def _rest(self, wait_s: float) -> bool:
        """Wait between two starts and run commands meanwhile; say whether there is no next start.

        That is when the camera is stopped, or a command has brought other stages.
        """
        deadline_s = time.monotonic() + wait_s
        while not self._quit.is_set():
            while self._commands:
                self._run_command()
            if self.pipeline is not None:
                return True
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self._called.wait(left_s)
            self._called.clear()
        return True

    def _make(self, stages: Sequence[Any]) -> Pipeline:
        return Pipeline(
            [StageSpec.of(stage) for stage in stages],
            camera=self._spec.name,
            poison=self._spec.poison,
            loop=self._loop,
            lane=self._lane,
            max_copies=self._spec.max_copies,
        )

    def _start(self, pipeline: Pipeline) -> None:
        self._handled = pipeline
        try:
            pipeline.start()
        finally:
            self._handled = None

    def _stop_pipeline(self, pipeline: Pipeline) -> None:
        self._handled = pipeline
        try:
            pipeline.stop()
        except StageError as error:
            self._report(error)
        finally:
            self._handled = None

    def _configure(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Set parameters of the running stages, and return what they were."""
        pipeline = self.pipeline
        if pipeline is None:
            return {}
        before = {}
        for stage, given in values.items():
            settings = pipeline[stage].settings()
            before[stage] = {name: settings[name] for name in given if name in settings}
        pipeline.configure(values)
        return before

    def _drop_queued(self, cause: str) -> None:
        while (slot := self._queues.drop_oldest()) is not None:
            self._ledger.drop_queued(cause)
            self._queues.free.put(slot)

    def _run_command(self) -> None:
        function, future = self._commands.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    def _cancel_commands(self) -> None:
        while True:
            try:
                command = self._commands.popleft()
            except IndexError:  # the last one, or another thread was faster
                return
            command[1].cancel()

    def _report(self, error: StageError) -> None:
        cause = error.__cause__
        kind = f"{error.stage} {type(cause).__name__}"
        self._report_once(kind, str(error), cause)

    def _report_once(self, kind: str, text: str, cause: BaseException | None = None) -> None:
        """Log the first error of each kind; the counters have the rest."""
        if kind in self._reported or len(self._reported) >= _MAX_KINDS:
            return
        self._reported.add(kind)
        trace = (type(cause), cause, cause.__traceback__) if cause is not None else None
        _log.error("%s (further errors of this kind are only counted)", text, exc_info=trace)
