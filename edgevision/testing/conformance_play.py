"""Run a stage on pictures and look at everything that it does to each frame."""

from __future__ import annotations

import gc
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.errors import BufferKeptError, ConfigurationError, EdgeVisionError, StageError
from edgevision.frame import Frame
from edgevision.image_watch import reachable
from edgevision.json_value import NotJsonError, json_value
from edgevision.pipeline import Pipeline
from edgevision.result import Event
from edgevision.stage import Stage
from edgevision.truth import Truth

__all__ = ["Outcome", "Player", "Shot", "StageCheckError", "difference"]

# Boxes are rounded to whole pixels by some, and cut to the picture by few.
_MARGIN_PX = 1.0
_BEGUN_S = 1767225600.0

_MEND = {
    "frames": "let every picture pass, or drop it with DropFrame",
    "sizes": "let small and odd pictures pass, or drop them with DropFrame",
    "gray": "let (H, W) pictures pass, as after cvtColor to gray: test frame.image.ndim",
    "views": "ask for no contiguous pixels; where they are needed, numpy.ascontiguousarray copies",
    "resolution": "make anew what has the size of a picture when frame.size_wh has changed",
    "extremes": "let pictures without contrast, or with nothing else, pass",
    "parameters": "narrow the Param's bounds, or refuse in start what does not fit together with "
    "ConfigurationError",
    "kept buffers": "copy what must outlive the frame: frame.image.copy(), "
    "edgevision.cv.clone(image)",
    "live changes": "make anew in changed what depends on the parameter, or declare it live=False",
}


class StageCheckError(AssertionError):
    """A stage breaks a rule; the message has the rule, what was seen, where, and how to mend it.

    Attributes:
        rule: name of the rule, as ``check_stage(..., skip=...)`` takes it.
    """

    def __init__(self, stage: str, rule: str, seen: str, mend: str) -> None:
        self.rule = rule
        super().__init__(f"{stage} breaks the rule {rule!r}: {seen}.\n  To mend it: {mend}.")


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture to be shown to a stage, as often as needed.

    Attributes:
        what: what is special about it, for messages.
        image: (H, W, 3) uint8 BGR or (H, W) uint8 gray.
        detections: what earlier stages have found.
        truth: what is in it, where that is known.
        is_view: show it as a part of a larger picture.
    """

    what: str
    image: NDArray[np.uint8]
    detections: Detections | None = None
    truth: Truth | None = None
    is_view: bool = False

    def frame(self, sequence: int, camera: str) -> Frame:
        """Return a new frame with a copy of the picture."""
        image = self.image.copy()
        if self.is_view:
            height, width = image.shape[:2]
            larger = np.zeros((height + 9, width + 14, *image.shape[2:]), np.uint8)
            larger[4 : 4 + height, 7 : 7 + width] = image
            image = larger[4 : 4 + height, 7 : 7 + width]
        frame = Frame(
            image,
            camera=camera,
            sequence=sequence,
            captured_at_s=_BEGUN_S + sequence / 10,
            truth=self.truth,
        )
        if self.detections is not None:
            frame.detections = self.detections
        frame.values["before"] = {"kept": True}
        frame.publish("before", {"kept": True})
        return frame

    @property
    def size_text(self) -> str:
        """Its size and kind for people."""
        kind = "gray" if self.image.ndim == 2 else "BGR"
        return f"{self.image.shape[1]} x {self.image.shape[0]} {kind}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a stage made of one frame, copied.

    Attributes:
        dropped: why it was dropped, or None.
        image: the picture afterwards.
        detections: what has been found.
        values: the frame's values as plain JSON.
        events: the events, those of earlier stages too.
    """

    dropped: str | None
    image: NDArray[np.uint8]
    detections: Detections
    values: dict[str, Any]
    events: list[Event]


class Player:
    """Makes stages and runs them, and raises `StageCheckError` for any rule that one breaks.

    Args:
        factory: makes a stage.
        prepare: changes each frame before the stage sees it.
        skip: rules that do not apply.

    Attributes:
        name: the stage's class name, for messages.
        kind: the stage's class.
        reasons: why frames were dropped until now.
    """

    def __init__(
        self,
        factory: Callable[[], Stage],
        prepare: Callable[[Frame], None] | None,
        skip: Collection[str],
    ) -> None:
        self._factory = factory
        self._prepare = prepare
        self._skip = skip
        self.name = getattr(factory, "__name__", "the stage")
        self.reasons: dict[str, None] = {}
        first = self._made()
        self.name = type(first).__name__
        self.kind = type(first)
        if first is self._made():
            self.fail(
                "factory",
                "it made the same instance twice",
                "give the class, or a function that makes a new instance at each call; each camera "
                "has an instance of its own",
            )

    def fail(self, rule: str, seen: str, mend: str) -> NoReturn:
        """Raise a `StageCheckError`."""
        raise StageCheckError(self.name, rule, seen, mend)

    def _broken(self, rule: str, seen: str, mend: str) -> None:
        """Raise a `StageCheckError`, unless the rule does not apply."""
        if rule not in self._skip:
            self.fail(rule, seen, mend)

    def make(self, settings: Mapping[str, Any] | None = None) -> Stage:
        """Return a new stage with some parameters set.

        Raises:
            ConfigurationError: a value is refused.
        """
        stage = self._made()
        stage.configure(settings or {})
        return stage

    def _made(self) -> Stage:
        try:
            stage = self._factory()
        except Exception as error:
            self.fail(
                "factory",
                f"it cannot be made: {_told(error)}",
                "give a function that makes it with what it needs, such as "
                "check_stage(lambda: MyStage(model='...'))",
            )
        if not isinstance(stage, Stage):
            self.fail(
                "factory",
                f"it made {stage!r}, which is no Stage",
                "give a Stage class or a factory",
            )
        return stage

    @contextmanager
    def started(self, stage: Stage, *, camera: str = "camera") -> Iterator[Pipeline]:
        """Start a pipeline of this stage alone, and stop it at the end."""
        pipeline = Pipeline([stage], camera=camera, poison=True)
        try:
            pipeline.start()
        except StageError as error:
            if isinstance(error.__cause__, ConfigurationError):
                raise error.__cause__ from None
            self.fail(
                "start",
                f"{_told(error)}{self._where(error)}",
                "start has what it needs when the constructor got what it needs; raise "
                "ConfigurationError where settings do not fit together",
            )
        try:
            yield pipeline
        except BaseException:
            _stop_anyway(pipeline)
            raise
        try:
            pipeline.stop()
        except StageError as error:
            self.fail(
                "stop",
                f"{_told(error)}{self._where(error)}",
                "stop gives back what start took, however many frames came between",
            )

    def play(
        self,
        shots: Sequence[Shot],
        *,
        rule: str = "frames",
        stage: Stage | None = None,
        camera: str = "camera",
    ) -> list[Outcome]:
        """Start a stage, show it the shots in order, and stop it."""
        with self.started(stage or self.make(), camera=camera) as pipeline:
            return [
                self.show(pipeline, shot, number, rule=rule)
                for number, shot in enumerate(shots, start=1)
            ]

    def show(self, pipeline: Pipeline, shot: Shot, number: int, *, rule: str) -> Outcome:
        """Show one shot to a started stage, and look at what it did."""
        frame = shot.frame(number, pipeline.camera)
        where = f"on frame {number} ({shot.what}, {shot.size_text})"
        if self._prepare is not None:
            self._prepare(frame)
        before = _Before(frame)
        holders = sys.getrefcount(frame)
        try:
            dropped = pipeline.process(frame)
        except StageError as error:
            _stop_anyway(pipeline)
            if isinstance(error.__cause__, BufferKeptError):  # of a batch, found on the next frame
                rule = "kept buffers"
            self.fail(
                rule,
                f"{where} {_told(error)}{self._where(error)}",
                _MEND.get(rule, _MEND["frames"]) + _skipping(rule),
            )
        except TypeError as error:
            _stop_anyway(pipeline)
            self.fail(
                "returns",
                f"{where} {error}",
                "let process change the frame, and return nothing",
            )
        if dropped is not None:
            self.reasons[dropped] = None
        outcome = self._outcome(frame, before, dropped, where)
        try:
            pipeline.release(frame)
        except BufferKeptError as error:
            said = str(error).partition(": ")[2].partition(";")[0]
            self._broken(
                "kept buffers",
                f"{where} {said}",
                "copy what must outlive the frame: frame.image.copy(), edgevision.cv.clone(image)",
            )
        if sys.getrefcount(frame) > holders:
            gc.collect()
        if sys.getrefcount(frame) > holders:
            self._check_kept_frame(pipeline.stages[0], frame, where)
        return outcome

    def _check_kept_frame(self, stage: Stage, frame: Frame, where: str) -> None:
        paths = [path for path, value in reachable(stage) if value is frame]
        place = f" in {paths[0]}" if paths else ""
        self._broken(
            "kept frames",
            f"{where} it kept the Frame{place}, whose picture is gone after process",
            "keep a copy of what is needed of it: frame.image.copy(), frame.detections",
        )

    def _outcome(self, frame: Frame, before: _Before, dropped: str | None, where: str) -> Outcome:
        if before.identity != (frame.camera, frame.sequence, frame.captured_at_s, frame.truth):
            self._broken(
                "frame",
                f"{where} it changed the frame's camera, sequence, captured_at_s or truth",
                "leave them: later stages and whoever reads the messages rely on them",
            )
        if frame.events[: len(before.events)] != before.events:
            self._broken(
                "frame",
                f"{where} it took away or changed an event that an earlier stage had published",
                "add with frame.publish and leave frame.events alone",
            )
        lost = [name for name in before.values if name not in frame.values]
        if lost:
            self._broken(
                "frame",
                f"{where} it took away frame.values[{lost[0]!r}] of an earlier stage",
                "set single values, frame.values['mine'] = ..., and never frame.values itself",
            )
        self._check_detections(frame, dropped, where)
        values: dict[str, Any] = {}
        try:
            values = json_value(frame.values)
            json_value(dict(frame.detections.data))
        except NotJsonError as error:
            place = "".join(f"[{part!r}]" for part in error.path)
            self._broken(
                "values",
                f"{where} something in frame.values or detections.data{place}: {error.reason}",
                "put only what JSON can say into values and data columns: text, numbers, truth "
                "values, lists and dictionaries",
            )
        return Outcome(dropped, frame.image.copy(), frame.detections[:], values, list(frame.events))

    def _check_detections(self, frame: Frame, dropped: str | None, where: str) -> None:
        found = frame.detections
        if dropped is not None or not len(found):
            return
        problem = _problem(found, frame.size_wh)
        if problem:
            row, text = problem
            self._broken(
                "detections",
                f"{where} detection {row} ({str(found.label[row])!r}, "
                f"box_xyxy {found.box_xyxy[row].tolist()}, confidence {found.confidence[row]:g}) "
                f"{text}",
                "boxes are left, top, right, bottom in pixels of frame.image as the stage leaves "
                "it: detections.clipped(frame.size_wh) cuts them, and .scaled or .moved take "
                "earlier ones along when frame.image is replaced",
            )

    def _where(self, error: StageError) -> str:
        """Return file and line of the stage's own code that raised, for a message."""
        cause = error.__cause__
        if cause is None or isinstance(cause, EdgeVisionError):
            return ""
        steps = traceback.extract_tb(cause.__traceback__)
        try:
            own = inspect.getfile(self.kind)
        except (OSError, TypeError):
            own = ""
        place = next((step for step in reversed(steps) if step.filename == own), steps[-1])
        return f" ({place.filename.rpartition('/')[2]}:{place.lineno})"


class _Before:
    """What a stage must leave as it is."""

    def __init__(self, frame: Frame) -> None:
        self.identity = (frame.camera, frame.sequence, frame.captured_at_s, frame.truth)
        self.events = list(frame.events)
        self.values = list(frame.values)


def difference(one: Outcome, other: Outcome) -> str:
    """Say in what two outcomes differ; "" if in nothing.

    Floating-point numbers may differ in their last digits, since sums over several threads do.
    """
    if one.dropped != other.dropped:
        return f"dropped: {one.dropped!r}, then {other.dropped!r}"
    if one.image.shape != other.image.shape:
        return f"the picture's shape: {one.image.shape}, then {other.image.shape}"
    if not np.array_equal(one.image, other.image):
        count = int((one.image != other.image).sum())
        return f"the picture, in {count} of {one.image.size} values"
    if not _like(one.detections.to_json(), other.detections.to_json()):
        return f"the detections: {one.detections!r}, then {other.detections!r}"
    for name in [*one.values, *(n for n in other.values if n not in one.values)]:
        if not _like(one.values.get(name), other.values.get(name)):
            return f"values[{name!r}]: {one.values.get(name)!r}, then {other.values.get(name)!r}"
    if not _like(
        [(e.output, e.body) for e in one.events], [(e.output, e.body) for e in other.events]
    ):
        return "the published events"
    return ""


def _like(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_like(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_like, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True))
    return bool(one == other)


def _problem(found: Detections, size_wh: tuple[int, int]) -> tuple[int, str] | None:
    """Return the first bad row and what is wrong with it."""
    box, score = found.box_xyxy, found.confidence
    width, height = size_wh
    limit = np.array([width, height, width, height], np.float32) + _MARGIN_PX
    checks = [
        (~np.isfinite(box).all(axis=1), "has a box that is not finite"),
        (~((score >= 0) & (score <= 1)), "has a confidence that is not within 0 and 1"),
        ((box[:, 2:] < box[:, :2]).any(axis=1), "has its right or bottom before its left or top"),
        (
            ((box < -_MARGIN_PX) | (box > limit)).any(axis=1),
            f"is outside of the picture of {width} x {height}",
        ),
    ]
    for bad, text in checks:
        if bad.any():
            return int(np.flatnonzero(bad)[0]), text
    return None


def _stop_anyway(pipeline: Pipeline) -> None:
    """Stop a pipeline of which something else is to be told."""
    try:
        pipeline.stop()
    except EdgeVisionError:
        return


def _skipping(rule: str) -> str:
    """Return how to leave a rule out, for those that may not apply."""
    if rule not in ("sizes", "gray", "views", "resolution", "extremes"):
        return ""
    return f"; where that need not be: check_stage(..., skip={{{rule!r}}})"


def _told(error: BaseException) -> str:
    """Return what an error says, without the names of the camera, stage and frame."""
    if isinstance(error, StageError):
        return str(error).partition(": ")[2]
    return f"{type(error).__name__}: {error}"
