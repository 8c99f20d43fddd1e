"""How to make a stage, what to do when it raises, and what it has done."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgevision.errors import ConfigurationError
from edgevision.redaction import redact
from edgevision.stage import Stage
from edgevision.suggestion import did_you_mean

__all__ = ["OnError", "StageSpec", "StageStatistics", "describe"]

OnError = Literal["drop", "retry", "quarantine", "restart"]
"""What happens when a stage raises, see `StageSpec`."""

_MAX_REASONS = 32
_OTHER = "other"


@dataclass(slots=True)
class StageSpec:
    """How to make one stage of a pipeline, and what to do when it raises.

    Attributes:
        create: makes a new instance; called once for each camera and again at each restart.
        name: what the stage is called; default the class's own ``name``, or its class name in
            lower case.
        on_error: ``drop`` drops the frame; ``retry`` puts the frame back as it was (all but pixels
            that were changed in place), runs the stage once more and then drops the frame;
            ``quarantine`` drops the frame and, after ``max_consecutive_errors``, lets frames pass
            the stage by until its parameters are changed or its camera is restarted; ``restart``
            drops the frame and restarts the camera's stages at once. With ``drop`` and ``retry``
            the camera's stages are restarted after ``max_consecutive_errors``.
        max_consecutive_errors: see above; at least 1.

    Raises:
        ConfigurationError: ``on_error`` or ``max_consecutive_errors`` is none of these.
    """

    create: Callable[[], Stage]
    name: str = ""
    on_error: OnError = "drop"
    max_consecutive_errors: int = 10

    def __post_init__(self) -> None:
        known = get_args(OnError)
        if self.on_error not in known:
            raise ConfigurationError(
                f"on_error must be one of {', '.join(known)}, got {self.on_error!r}"
                f"{did_you_mean(str(self.on_error), known)}"
            )
        if self.max_consecutive_errors < 1:
            raise ConfigurationError(
                f"max_consecutive_errors must be at least 1, got {self.max_consecutive_errors}"
            )

    @classmethod
    def of(cls, stage: Stage | type[Stage] | StageSpec) -> StageSpec:
        """Return ``stage`` as a StageSpec: an instance, a class or already a spec.

        Raises:
            TypeError: it is something else.
        """
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
    """What one stage has done since its pipeline was made; written by the worker thread.

    Attributes:
        name: the stage's name in this pipeline.
        frames: frames it was run on, including those it dropped or failed on.
        total_ns: time spent in ``process``, in nanoseconds.
        longest_ns: the longest single ``process``.
        errors: how often it raised.
        consecutive_errors: how often in a row until now.
        drops: frames dropped with `DropFrame`, by reason; those beyond a fixed number of reasons
            share one entry, so that memory is bounded.
        last_error: the last exception's type and text, without credentials.
        quarantined: True while frames pass it by.
        uploads: copies that it made from the host to a CUDA device.
        downloads: copies that it made the other way.
        copied_bytes: bytes of both.
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
    uploads: int = 0
    downloads: int = 0
    copied_bytes: int = 0

    @property
    def mean_ms(self) -> float:
        """Mean time in ``process`` in milliseconds."""
        return self.total_ns / self.frames * 1e-6 if self.frames else 0.0

    def count_drop(self, reason: str) -> str:
        """Count a dropped frame and return the reason under which it is counted."""
        if reason not in self.drops and len(self.drops) >= _MAX_REASONS:
            reason = _OTHER
        self.drops[reason] = self.drops.get(reason, 0) + 1
        return reason

    def count_error(self, error: BaseException) -> None:
        """Count an exception."""
        self.errors += 1
        self.last_error = redact(describe(error))


def describe(error: BaseException) -> str:
    """Return an exception's type and text, on one line."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    if name.islower():  # "error" alone says too little: cv2.error
        name = f"{type(error).__module__}.{name}"
    return f"{name}: {text}" if text else name
