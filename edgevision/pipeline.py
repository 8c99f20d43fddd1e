"""Stages in order: life cycle, errors, statistics."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgevision.caller import Caller
from edgevision.errors import BufferKeptError, ConfigurationError, EdgeVisionError, StageError
from edgevision.image_watch import ImageWatch
from edgevision.param import validate
from edgevision.redaction import redact
from edgevision.side import Side
from edgevision.stage import DropFrame, Stage
from edgevision.stage_check import check_free, kept_error, returned_value, unique_name
from edgevision.stage_spec import OnError, StageSpec, StageStatistics, describe
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.cuda.lane import Lane
    from edgevision.frame import Frame

__all__ = ["OnError", "Pipeline", "StageSpec", "StageStatistics"]


class Pipeline:
    """Stages in order, with one life cycle.

    ::

        with Pipeline([Motion(min_area=300)]) as pipeline:
            pipeline.process(frame)

    All methods run on one thread, which for a camera is its worker thread. After ``process`` the
    frame may be read until ``release`` or the next ``process``; then its buffers are used again.
    A pipeline that has been stopped may be started again.

    Args:
        stages: Stage instances, classes or `StageSpec`.
        camera: name of the camera, for the stages and for messages.
        poison: overwrite released buffers, and raise `BufferKeptError` for those, and for pictures,
            that a stage kept. Slow; for tests and for the search of a mistake.
        loop: event loop, running on another thread, for ``async def`` hooks; default a private
            one, which runs only while a hook is waited for.
        async_timeout_s: an ``async def`` hook that takes longer is cancelled, which counts as an
            error of its stage.
        device: where the pictures are: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for CUDA where it
            can be used.
        max_copies: copies between host and device that the stages may make of one frame; the stage
            that makes one more fails. The capture's upload is not one of theirs.
        lane: the camera's lane, from the runner, in place of ``device``.

    Attributes:
        camera: see above.
        specs: what the stages were made of.
        stages: the stages in order.
        statistics: what each of them has done.
        active: index of the stage that runs now, -1 between two hooks; read by the watchdog.
        active_since_ns: monotonic time at which the active stage was entered.

    Raises:
        ConfigurationError: a bad parameter, or one instance twice or in two cameras.
        StageError: the constructor of a stage raised.
        TypeError: something that is no stage.
    """

    def __init__(
        self,
        stages: Sequence[Stage | type[Stage] | StageSpec],
        *,
        camera: str = "camera",
        poison: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        async_timeout_s: float = 30.0,
        device: str = "cpu",
        max_copies: int | None = None,
        lane: Lane | None = None,
    ) -> None:
        self.camera = camera
        self.specs = [StageSpec.of(stage) for stage in stages]
        self.stages: list[Stage] = []
        self.statistics: list[StageStatistics] = []
        self.active = -1
        self.active_since_ns = 0
        self._caller = Caller(loop, async_timeout_s)
        self._side = Side(camera, device, lane, poison=poison, max_copies=max_copies)
        self._frame: Frame | None = None
        self._kept = ""
        self._failed = False
        self._entered: list[int] = []
        self._steps: list[tuple[Callable[[Frame], Any], StageStatistics]] | None = None
        for spec in self.specs:
            stage = self._create(spec)
            name = spec.name or stage.name or type(stage).__name__.lower()
            stage.name = unique_name(name, {other.name for other in self.stages})
            stage.camera = camera
            self.stages.append(stage)
            self.statistics.append(StageStatistics(stage.name))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __getitem__(self, name: str) -> Stage:
        """Return the stage called ``name``.

        Raises:
            ConfigurationError: there is none; the message names those there are.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise ConfigurationError(
            f"camera {self.camera!r} has no stage {name!r}{did_you_mean(name, names)} "
            f"(it has: {', '.join(names) or 'none'})"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of host memory held by the frame buffers."""
        return self._side.arena.nbytes

    @property
    def device_nbytes(self) -> int:
        """Bytes of device memory held by the frame buffers."""
        return self._side.device_nbytes

    @property
    def poison(self) -> bool:
        """True if released buffers are overwritten and kept ones are found."""
        return self._side.arena.poison

    def start(self) -> None:
        """Call ``start`` of each stage in order.

        Raises:
            StageError: a stage raised; those entered before it, and it, have been stopped.
            ConfigurationError: the pipeline, or one of its stages in another one, runs already.
        """
        if self._steps is not None:
            raise ConfigurationError(f"the pipeline of camera {self.camera!r} is started already")
        self._side.open()
        for stage in self.stages:
            check_free(stage, self.camera)
        for index, stage in enumerate(self.stages):
            try:
                self._enter(index)
            except BaseException as error:
                others = self._stop_all()
                if not isinstance(error, Exception):
                    raise
                raise self._stage_error(stage, "start raised", error, others=others) from error
        self._steps = [
            (self._entry(stage, spec, statistics), statistics)
            for stage, spec, statistics in zip(
                self.stages, self.specs, self.statistics, strict=True
            )
        ]

    def stop(self) -> None:
        """Call ``stop`` once for each stage whose ``start`` was entered, in reverse order.

        Raises:
            StageError: the first error of a ``stop``; all the others have been called too, and its
                message has their errors.
            BufferKeptError: with poisoning on, a stage kept a buffer of the last frame; all stages
                have been stopped.
        """
        kept: BufferKeptError | None = None
        if self._frame is not None:
            try:
                self.release(self._frame)
            except BufferKeptError as error:
                kept = error
        failures = self._stop_all()
        if failures:
            stage, first = failures[0]
            raise self._stage_error(stage, "stop raised", first, others=failures[1:]) from first
        if kept is not None:
            raise kept

    def process(self, frame: Frame) -> str | None:
        """Run all stages on ``frame``, to the last result.

        Returns:
            None if the frame went through, else the name and reason of the stage that dropped it.

        Raises:
            StageError: a stage raised, and the frame is lost.
            TypeError: a stage returned a value.
            BufferKeptError: see `release`, for the frame before; this one has not been touched.
            CudaFaultError: CUDA is broken in this process.
        """
        dropped = self.launch(frame)
        if dropped is None:
            self.settle(frame)
        return dropped

    def launch(self, frame: Frame) -> str | None:
        """Run all stages on ``frame``, and do not wait for what they left to `Frame.fetch`.

        The frame may be released and the next one launched before `settle` is called: the device
        then works on one frame while the host finishes another. Returns and raises as `process`.
        """
        if self._frame is not None:
            self.release(self._frame)
        steps = self._steps
        if steps is None:
            raise ConfigurationError(
                f"the pipeline of camera {self.camera!r} is not started: use it in a with block"
            )
        self._frame = frame
        arena, meter = self._side.arena, self._side.meter
        self._side.attach(frame)
        watch = ImageWatch(frame) if arena.poison else None
        dropped = None
        index = 0
        now = time.monotonic_ns()
        self._side.enter()
        try:
            for process, statistics in steps:
                if statistics.quarantined:
                    index += 1
                    continue
                frame._stage = arena.owner = statistics.name
                meter.stage = statistics
                self.active_since_ns = now
                self.active = index
                value = None
                try:
                    value = process(frame)
                    statistics.consecutive_errors = 0
                except DropFrame as drop:
                    # A stage may raise the same instance again and again; its traceback would
                    # keep the stage's variables, and so the frame's buffers, until then.
                    drop.__traceback__ = None
                    statistics.consecutive_errors = 0
                    dropped = f"{statistics.name}: {statistics.count_drop(drop.reason)}"
                    break
                except Exception as error:
                    raise self._process_error(index, frame, error) from error
                finally:
                    end = time.monotonic_ns()
                    spent = end - now
                    now = end
                    statistics.frames += 1
                    statistics.total_ns += spent
                    if spent > statistics.longest_ns:
                        statistics.longest_ns = spent
                if value is not None:
                    raise returned_value(self.stages[index], value)
                index += 1
            frame._stage = ""
            if watch is not None and dropped is None:
                self.settle(frame)
        except BaseException:
            frame._forget()
            raise
        finally:
            self.active = -1
            self._side.leave()
        if dropped is not None:
            frame._forget()
        if watch is not None and watch.kept(frame):
            self._kept = watch.find(self.stages) or "?"
        return dropped

    def settle(self, frame: Frame) -> None:
        """Wait for what the stages left to `Frame.fetch`, and do it.

        Raises:
            StageError: what a stage left to do raised, and the frame is lost.
            CudaFaultError: CUDA is broken in this process.
        """
        try:
            frame.settle()
        except Exception as error:
            names = [stage.name for stage in self.stages]
            index = names.index(frame._stage) if frame._stage in names else 0
            raise self._process_error(index, frame, error) from error

    def release(self, frame: Frame) -> None:
        """Take the frame's buffers back; later use of ``frame.image`` is an error.

        Raises:
            BufferKeptError: with poisoning on, a stage kept one of them, or the frame's picture.
        """
        mine = frame is self._frame
        kept = self._side.release(frame, whole=mine)
        if not mine:
            return
        self._frame = None
        if self.poison:
            self._check_kept(frame, kept)

    def configure(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Set parameters of several stages, all or none; call between two frames.

        A stage of a started pipeline is told by its ``changed`` hook, or stopped and started where
        a parameter says ``live=False``. A stage that was quarantined gets another chance.

        Args:
            values: stage name to parameter name to value.

        Raises:
            ConfigurationError: an unknown stage or parameter, or a bad value; nothing was set.
            StageError: a hook raised; the old values have been put back everywhere, and the stages
                that had been told of the new ones have been told of the old ones.
        """
        chosen = [(self.stages.index(self[name]), settings) for name, settings in values.items()]
        for index, settings in chosen:
            stage = self.stages[index]
            validate(type(stage).__name__, stage.parameters(), settings)
        before = [(index, self.stages[index].settings()) for index, _ in chosen]
        changed = [(index, self.stages[index].configure(settings)) for index, settings in chosen]
        told: list[tuple[int, frozenset[str]]] = []
        try:
            for index, names in changed:
                if names:
                    told.append((index, names))
                    self._tell(index, names)
        except Exception as error:
            others = self._put_back(before, told)
            index, names = told[-1]
            what = f"refused to change {', '.join(sorted(names))}:"
            raise self._stage_error(self.stages[index], what, error, others=others) from error
        for index, _ in told:
            self.statistics[index].quarantined = False
            self.statistics[index].consecutive_errors = 0

    def _create(self, spec: StageSpec) -> Stage:
        try:
            stage = spec.create()
        except (EdgeVisionError, TypeError):
            raise
        except Exception as error:
            name = spec.name or getattr(spec.create, "__name__", "stage").lower()
            text = redact(f"its constructor raised {describe(error)}")
            raise StageError(text, camera=self.camera, stage=name, sequence=None) from error
        if not isinstance(stage, Stage):
            raise TypeError(f"a StageSpec's create must return a Stage, got {stage!r}")
        check_free(stage, self.camera)
        if any(stage is other for other in self.stages):
            raise ConfigurationError(
                f"camera {self.camera!r} has the same {type(stage).__name__} instance twice: make "
                "two, or give the class"
            )
        return stage

    def _entry(
        self, stage: Stage, spec: StageSpec, statistics: StageStatistics
    ) -> Callable[[Frame], Any]:
        """Return what runs the stage on a frame."""
        process = self._caller.plain(stage.process)
        if spec.on_error != "retry":
            return process

        def retrying(frame: Frame) -> Any:
            state = frame._state()
            try:
                return process(frame)
            except DropFrame:
                raise
            except Exception as error:
                statistics.count_error(error)
            frame._restore(state)
            return process(frame)

        return retrying

    def _call(self, index: int, hook: Callable[..., Any], *arguments: Any) -> None:
        self.active_since_ns = time.monotonic_ns()
        self.active = index
        try:
            value = self._caller.call(hook, *arguments)
        finally:
            self.active = -1
        if inspect.iscoroutine(value):
            raise returned_value(self.stages[index], value, hook.__name__)

    def _tell(self, index: int, names: frozenset[str]) -> None:
        """Let a stage know that parameters have changed, if it is started."""
        if self._steps is None:
            return
        stage = self.stages[index]
        parameters = stage.parameters()
        if all(parameters[name].live for name in names):
            self._call(index, stage.changed, names)
            return
        self._entered.remove(index)
        try:
            self._call(index, stage.stop)
        finally:
            self._enter(index)

    def _put_back(
        self,
        before: Sequence[tuple[int, Mapping[str, Any]]],
        told: Sequence[tuple[int, frozenset[str]]],
    ) -> list[tuple[Stage, Exception]]:
        """Set the old values again, tell those who know the new ones, return what they raised."""
        for index, settings in before:
            self.stages[index].configure(settings)
        failures: list[tuple[Stage, Exception]] = []
        for index, names in reversed(told):
            try:
                self._tell(index, names)
            except Exception as error:
                failures.append((self.stages[index], error))
        return failures

    def _enter(self, index: int) -> None:
        stage = self.stages[index]
        stage._running = True
        stage._device = -1 if self._side.lane is None else self._side.lane.index
        self._entered = sorted([*self._entered, index])
        self._call(index, stage.start)

    def _stop_all(self) -> list[tuple[Stage, Exception]]:
        """Stop every entered stage, the last one first, and return what they raised."""
        self._steps = None
        failures: list[tuple[Stage, Exception]] = []
        interrupt: BaseException | None = None
        while self._entered:
            index = self._entered.pop()
            stage = self.stages[index]
            try:
                self._call(index, stage.stop)
            except Exception as error:
                failures.append((stage, error))
            except BaseException as error:
                interrupt = error
            stage._running = False
        self._caller.close()
        self._side.close()
        if interrupt is not None:
            raise interrupt
        return failures

    def _process_error(self, index: int, frame: Frame, error: Exception) -> StageError:
        """Count an error of ``process``, and return it as what the caller gets.

        Raises:
            CudaFaultError: it means that CUDA is broken in this process.
        """
        from edgevision.cuda import fault

        if fault.kind_of(error) == "fault":
            where = f"camera {self.camera!r}, stage {self.stages[index].name!r}"
            raise fault.translated(error, f"{where}, frame {frame.sequence}") from error
        statistics, spec = self.statistics[index], self.specs[index]
        statistics.count_error(error)
        statistics.consecutive_errors += 1
        self._failed = True
        many = statistics.consecutive_errors >= spec.max_consecutive_errors
        statistics.quarantined = many and spec.on_error == "quarantine"
        more = "; from now on frames pass it by" if statistics.quarantined else ""
        return self._stage_error(
            self.stages[index], "process raised", error, sequence=frame.sequence, more=more
        )

    def _stage_error(
        self,
        stage: Stage,
        what: str,
        error: Exception,
        *,
        sequence: int | None = None,
        others: Sequence[tuple[Stage, Exception]] = (),
        more: str = "",
    ) -> StageError:
        text = f"{what} {describe(error)}{more}"
        for other, another in others:
            text += f"; then stage {other.name!r} raised {describe(another)}"
        return StageError(redact(text), camera=self.camera, stage=stage.name, sequence=sequence)

    def _check_kept(self, frame: Frame, owners: Sequence[str]) -> None:
        picture, self._kept = self._kept, ""
        failed, self._failed = self._failed, False
        # Until an error is forgotten its traceback holds the stage's variables, which is no fault.
        if failed or not (owners or picture):
            return
        # What belongs to no stage is the picture, uploaded before the first of them.
        stages = [owner for owner in owners if owner]
        raise kept_error(self.camera, frame.sequence, stages, picture or "?")
