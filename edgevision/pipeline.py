"""Stages in order: life cycle, errors, statistics."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgevision import arena as arenas
from edgevision.arena import Arena
from edgevision.errors import BufferKeptError, ConfigurationError, StageError
from edgevision.redaction import redact
from edgevision.stage import DropFrame, Stage
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.frame import Frame

__all__ = ["OnError", "Pipeline", "StageSpec", "StageStatistics"]

OnError = Literal["drop", "retry", "quarantine", "restart"]
"""What happens when a stage raises, see `StageSpec`."""

_MAX_REASONS = 32
# An async hook that never returns must not hold its camera for ever.
_ASYNC_TIMEOUT_S = 30.0


@dataclass(slots=True)
class StageSpec:
    """How to make one stage of a pipeline, and what to do when it raises.

    Attributes:
        create: makes a new instance; called once for each camera and again at each restart.
        name: what the stage is called; default the class name in lower case.
        on_error: ``drop`` drops the frame; ``retry`` runs the stage once more on the same frame
            and then drops it; ``quarantine`` lets frames pass the stage by after
            ``max_consecutive_errors``; ``restart`` drops the frame and restarts the camera's
            stages at once. With ``drop`` and ``retry`` the camera's stages are restarted after
            ``max_consecutive_errors``.
        max_consecutive_errors: see above.
    """

    create: Callable[[], Stage]
    name: str = ""
    on_error: OnError = "drop"
    max_consecutive_errors: int = 10

    @classmethod
    def of(cls, stage: Stage | type[Stage] | StageSpec) -> StageSpec:
        """Return ``stage`` as a StageSpec: an instance, a class or already a spec."""
        if isinstance(stage, StageSpec):
            return stage
        if isinstance(stage, Stage):
            return cls(lambda: stage, stage.name)
        if isinstance(stage, type) and issubclass(stage, Stage):
            return cls(stage)
        raise TypeError(
            f"a pipeline is made of Stage classes or instances, got {stage!r}"
            + (" (decorate the function with @stage)" if inspect.isfunction(stage) else "")
        )


@dataclass(slots=True)
class StageStatistics:
    """What one stage has done since its camera started; written by the worker thread.

    Attributes:
        name: the stage's name in this pipeline.
        frames: frames it was run on, including those it dropped or failed on.
        total_ns: time spent in ``process``, in nanoseconds.
        longest_ns: the longest single ``process``.
        errors: how often it raised.
        consecutive_errors: how often in a row until now.
        drops: frames dropped with `DropFrame`, by reason.
        last_error: the last exception's type and text, without credentials.
        quarantined: True while frames pass it by.
    """

    name: str
    frames: int = 0
    total_ns: int = 0
    longest_ns: int = 0
    errors: int = 0
    consecutive_errors: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    quarantined: bool = False

    @property
    def mean_ms(self) -> float:
        """Mean time in ``process`` in milliseconds."""
        return self.total_ns / self.frames * 1e-6 if self.frames else 0.0


class Pipeline:
    """Stages in order, with one life cycle.

    ::

        with Pipeline([Motion(min_area=300)]) as pipeline:
            pipeline.process(frame)

    All methods run on one thread, which for a camera is its worker thread. After ``process`` the
    frame may be read until ``release`` or the next ``process``; then its buffers are used again.

    Args:
        stages: Stage instances, classes or `StageSpec`.
        camera: name of the camera, for the stages and for messages.
        poison: overwrite released buffers and raise `BufferKeptError` for those a stage kept.
        loop: event loop on which ``async def`` hooks run; default a private one, run while the
            hook waits.
    """

    def __init__(
        self,
        stages: Sequence[Stage | type[Stage] | StageSpec],
        *,
        camera: str = "camera",
        poison: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.camera = camera
        self.specs = [StageSpec.of(stage) for stage in stages]
        self._loop = loop
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._arena = Arena(poison=poison)
        self._frame: Frame | None = None
        self._entered: list[Stage] = []
        self._steps: list[tuple[Stage, Callable[[Frame], Any], StageStatistics, StageSpec]] = []
        self.stages: list[Stage] = []
        self.statistics: list[StageStatistics] = []
        for spec in self.specs:
            stage = spec.create()
            stage.camera = camera
            stage.name = self._unique_name(spec.name or type(stage).__name__.lower())
            self.stages.append(stage)
            self.statistics.append(StageStatistics(stage.name))
        self.active: int = -1
        """Index of the stage that runs now, -1 between frames; read by the watchdog."""
        self.active_since_ns: int = 0
        """Monotonic time at which the active stage was entered."""

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
        return self._arena.nbytes

    @property
    def poison(self) -> bool:
        """True if released buffers are overwritten and kept ones are found."""
        return self._arena.poison

    def start(self) -> None:
        """Call ``start`` of each stage in order.

        Raises:
            StageError: a stage raised; those entered before it, and it, have been stopped.
        """
        if self._entered:
            raise ConfigurationError(f"the pipeline of camera {self.camera!r} is started already")
        for index, stage in enumerate(self.stages):
            self._entered.append(stage)
            self.active_since_ns = time.monotonic_ns()
            self.active = index
            try:
                self._call(stage.start)
            except Exception as error:
                with contextlib.suppress(StageError):
                    self.stop()
                raise self._stage_error(stage, "start", None, error) from error
            finally:
                self.active = -1
        self._steps = [
            (stage, self._entry(stage), statistics, spec)
            for stage, statistics, spec in zip(
                self.stages, self.statistics, self.specs, strict=True
            )
        ]

    def stop(self) -> None:
        """Call ``stop`` once for each stage whose ``start`` was entered, in reverse order.

        Raises:
            StageError: the first error of a ``stop``; all the others have been called too.
        """
        failure: StageError | None = None
        frame, self._frame = self._frame, None
        if frame is not None:
            frame.release()
        self._steps = []
        while self._entered:
            stage = self._entered.pop()
            try:
                self._call(stage.stop)
            except Exception as error:
                wrapped = self._stage_error(stage, "stop", None, error)
                wrapped.__cause__ = error
                failure = failure or wrapped
        if self._own_loop is not None:
            self._own_loop.close()
            self._own_loop = None
        if failure is not None:
            raise failure

    def process(self, frame: Frame) -> str | None:
        """Run all stages on ``frame``.

        Returns:
            None if the frame went through, else the reason of the stage that dropped it.

        Raises:
            StageError: a stage raised, and its policy says that the frame is lost.
            TypeError: a stage returned a value.
        """
        if self._frame is not None:
            self.release(self._frame)
        if not self._entered and self.stages:
            raise ConfigurationError(
                f"the pipeline of camera {self.camera!r} is not started: use it in a with block"
            )
        self._frame = frame
        arena = self._arena
        token = arenas.enter(arena)
        now = time.monotonic_ns()
        try:
            for index, step in enumerate(self._steps):
                stage, process, statistics, _ = step
                if statistics.quarantined:
                    continue
                frame._stage = arena.owner = statistics.name
                self.active_since_ns = now
                self.active = index
                value = None
                try:
                    value = process(frame)
                    statistics.consecutive_errors = 0
                except DropFrame as drop:
                    _count(statistics.drops, drop.reason)
                    statistics.consecutive_errors = 0
                    return f"{statistics.name}: {drop.reason}"
                except Exception as error:
                    if not self._recover(step, frame, error):
                        raise self._stage_error(stage, "process", frame, error) from error
                finally:
                    end = time.monotonic_ns()
                    spent = end - now
                    now = end
                    statistics.frames += 1
                    statistics.total_ns += spent
                    if spent > statistics.longest_ns:
                        statistics.longest_ns = spent
                if value is not None:
                    raise _returned(stage, value)
            return None
        finally:
            self.active = -1
            arenas.leave(token)

    def release(self, frame: Frame) -> None:
        """Take the frame's buffers back; later use of ``frame.image`` is an error.

        Raises:
            BufferKeptError: with poisoning on, a stage kept one of them.
        """
        if frame is self._frame:
            self._frame = None
        frame.release()
        kept = self._arena.release()
        if kept:
            names = ", ".join(sorted(set(kept)))
            raise BufferKeptError(
                f"camera {self.camera!r}, frame {frame.sequence}: stage {names} kept a buffer that "
                "belongs to the frame; copy what must outlive it: image.copy()"
            )

    def configure(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Set parameters of several stages, all or none; call between two frames.

        Args:
            values: stage name to parameter name to value.

        Raises:
            ConfigurationError: an unknown stage or parameter, or a bad value; nothing was set.
            StageError: a ``changed`` hook raised; the new values are in force.
        """
        from edgevision.param import validate

        chosen = [(self[name], settings) for name, settings in values.items()]
        for stage, settings in chosen:
            validate(type(stage).__name__, stage.parameters(), settings)
        for stage, settings in chosen:
            names = stage.configure(settings)
            if not names:
                continue
            try:
                self._call(stage.changed, names)
            except Exception as error:
                raise self._stage_error(stage, "changed", None, error) from error

    def _recover(self, step: tuple[Any, ...], frame: Frame, error: Exception) -> bool:
        """Count the error; say whether the frame goes on to the next stage after all."""
        _, process, statistics, spec = step
        statistics.errors += 1
        statistics.consecutive_errors += 1
        statistics.last_error = redact(f"{type(error).__name__}: {error}")
        if spec.on_error == "retry" and process(frame) is None:
            statistics.consecutive_errors = 0
            return True
        if (
            spec.on_error == "quarantine"
            and statistics.consecutive_errors >= spec.max_consecutive_errors
        ):
            statistics.quarantined = True
            return True
        return False

    def _entry(self, stage: Stage) -> Callable[[Frame], Any]:
        process = stage.process
        if not inspect.iscoroutinefunction(process):
            return process
        return lambda frame: self._call(process, frame)

    def _call(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """Call a hook, on the event loop if it is ``async def``."""
        if not inspect.iscoroutinefunction(hook):
            return hook(*arguments)
        coroutine = hook(*arguments)
        if self._loop is not None:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            try:
                return future.result(_ASYNC_TIMEOUT_S)
            except TimeoutError:
                future.cancel()
                raise
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop.run_until_complete(coroutine)

    def _stage_error(
        self, stage: Stage, hook: str, frame: Frame | None, error: Exception
    ) -> StageError:
        text = redact(f"{hook} raised {type(error).__name__}: {error}")
        return StageError(
            text,
            camera=self.camera,
            stage=stage.name,
            sequence=None if frame is None else frame.sequence,
        )

    def _unique_name(self, name: str) -> str:
        taken = {stage.name for stage in self.stages}
        if name not in taken:
            return name
        number = 2
        while f"{name}-{number}" in taken:
            number += 1
        return f"{name}-{number}"


def _count(counts: dict[str, int], reason: str) -> None:
    """Count ``reason``; those beyond a fixed number share one entry, so that memory is bounded."""
    if reason not in counts and len(counts) >= _MAX_REASONS:
        reason = "other"
    counts[reason] = counts.get(reason, 0) + 1


def _returned(stage: Stage, value: Any) -> TypeError:
    if inspect.iscoroutine(value):
        value.close()
    return TypeError(
        f"{type(stage).__name__}.process returned {type(value).__name__}: change the frame and "
        "return None (frame.image = ... replaces the picture)"
    )
