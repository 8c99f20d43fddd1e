"""check_stage catches every kind of broken stage with the right message, and passes good ones."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import ConfigurationError, Detections, DropFrame, Frame, Param, Stage, stage
from edgevision.testing import StageCheckError, check_stage, frames
from edgevision.testing.conformance import RULES
from edgevision.testing.conformance_rules import ALWAYS
from tests.unit.testing import broken, broken_batch


@stage
async def waits(frame: Frame, *, scale: float = Param(1.0, gt=0, le=4)) -> None:
    await asyncio.sleep(0)
    frame.values["mean"] = float(frame.image.mean()) * scale


@stage
def shrinks(frame: Frame) -> None:
    width, height = frame.size_wh
    frame.image = cv2.resize(frame.image, (width // 2, height // 2))
    frame.detections = frame.detections.scaled((0.5, 0.5)).clipped(frame.size_wh)


@stage
def inverts(frame: Frame) -> None:
    np.subtract(255, frame.image, out=frame.image)
    frame.values["mean"] = float(frame.image.mean())


@stage
def empty(frame: Frame) -> None: ...


@pytest.mark.parametrize("good", [broken.GoodTracker, waits, shrinks, inverts, empty])
def test_good_stages_pass(good: type[Stage]) -> None:
    check_stage(good)


class Nothing(Stage):
    def process(self, frame: Frame) -> None: ...


SHARED = Nothing()


@pytest.mark.parametrize(
    ("factory", "seen"),
    [
        (broken.NeedsModel, "it cannot be made: ParamError: stage NeedsModel needs the parameter"),
        (lambda: SHARED, "it made the same instance twice"),
        (lambda: 3, "it made 3, which is no Stage"),
        (SHARED, "it cannot be made: TypeError: 'Nothing' object is not callable"),
        (Stage, "it cannot be made: TypeError: Stage is abstract"),
    ],
)
def test_factories_that_make_no_fresh_stage(factory: Any, seen: str) -> None:
    with pytest.raises(StageCheckError) as caught:
        check_stage(factory)
    assert caught.value.rule == "factory"
    assert seen in str(caught.value)


BROKEN: list[tuple[type[Stage], str, str, str]] = [
    (broken.StartFails, "start", "start raised AttributeError: 'StartFails' object has no "
     "attribute 'no_such_thing' (broken.py:", "raise ConfigurationError where settings do not fit"),
    (broken.StopFails, "stop", "stop raised OSError: cannot flush (broken.py:", "gives back what"),
    (broken.StopNeedsAFrame, "stop", "stop raised TypeError", "however many frames came between"),
    (broken.StopNeedsStart, "failed start", "after a start that raised at once, stop raised "
     "AttributeError: 'StopNeedsStart' object has no attribute 'name_of_file'",
     "give the attributes that it uses a value in the class body"),
    (broken.Returns, "returns", "on frame 1 (moving shapes, 160 x 120 BGR) Returns.process "
     "returned Frame", "let process change the frame, and return nothing"),
    (broken.ReturnsACoroutine, "returns", "returned a coroutine that nobody waits for", "let"),
    (broken.RaisesLater, "frames", "on frame 7 (moving shapes, 160 x 120 BGR) process raised "
     "ZeroDivisionError: the seventh (broken.py:", "let every picture pass, or drop it with"),
    (broken.BoxesOutside, "detections", "on frame 1 (moving shapes, 160 x 120 BGR) detection 0 "
     "('swapped', box_xyxy [0.0, 0.0, 120.0, 160.0], confidence 1) is outside of the picture of "
     "160 x 120", "detections.clipped(frame.size_wh)"),
    (broken.BoxesLeftBehind, "detections", "is outside of the picture of 80 x 60", ".scaled or"),
    (broken.BoxesReversed, "detections", "has its right or bottom before its left", "left, top, r"),
    (broken.BoxesNotFinite, "detections", "has a box that is not finite", "left, top, right"),
    (broken.Percent, "detections", "confidence 87) has a confidence that is not within 0 and", ""),
    (broken.BadValue, "values", "['model']: a BadValue has no JSON form", "what JSON can say"),
    (broken.BadColumn, "values", "['crop'][0]: bytes", "what JSON can say"),
    (broken.NewValues, "frame", "took away frame.values['before'] of an earlier", "single values"),
    (broken.ClearsEvents, "frame", "took away or changed an event", "leave frame.events alone"),
    (broken.Renumbers, "frame", "changed the frame's camera, sequence", "leave them"),
    (broken.KeepsPicture, "kept buffers", "on frame 1 (moving shapes, 160 x 120 BGR) stage "
     "keepspicture (in self.previous) kept the frame's picture", "frame.image.copy()"),
    (broken.KeepsPart, "kept buffers", "(in self.history['crops'][0])", "frame.image.copy()"),
    (broken.KeepsBuffer, "kept buffers", "stage keepsbuffer kept a buffer", "cv.clone(image)"),
    (broken_batch.KeepsBatchBuffer, "kept buffers", "stage keepsbatchbuffer kept a buffer that "
     "belongs to a batch", "cv.clone(image)"),
    (broken_batch.StacksAll, "batches", "process_batch raised for the frames of three cameras "
     "together, and for none of them alone", "expect pictures of different sizes"),
    (broken_batch.MixesUp, "batches", "they differ in values['mean']", "self.of(frame)'s"),
    (broken.KeepsFrame, "kept frames", "it kept the Frame in self.last[0], whose picture is gone",
     "keep a copy of what is needed"),
    (broken.ManyReasons, "drops", "for 12 different reasons, such as 'manyreasons: number 1",
     "give DropFrame a fixed text"),
    (broken.DropsAll, "frames", "dropped all 24 frames, the first for 'dropsall: too small'",
     "check_stage(..., frames=[...])"),
    (broken.OnceOnly, "restart", "the same instance, started again after stop: on frame 1", "make"),
    (broken.NeedsSize, "sizes", "on frame 1 (a small picture, 16 x 12 BGR) process raised "
     "IndexError: index 40 is out of bounds", "skip={'sizes'}"),
    (broken.NeedsColor, "gray", "on frame 1 (a gray picture, 96 x 64 gray) process raised cv2.e",
     "skip={'gray'}"),
    (broken.NeedsContiguous, "views", "on frame 1 (a part of a larger picture, 96 x 64 BGR) "
     "process raised TypeError: memoryview", "skip={'views'}"),
    (broken.NeedsSameSize, "resolution", "on frame 4 (another size than before, 96 x 64 BGR) "
     "process raised cv2.error", "skip={'resolution'}"),
    (broken.NeedsContrast, "extremes", "on frame 1 (black, 160 x 120 BGR) process raised ZeroDivis",
     "skip={'extremes'}"),
    (broken.Rolls, "determinism", "the same frames shown to two fresh instances: on frame 1 they "
     "differ in values['score']: 0.", "deterministic=False"),
    (broken.RollsBoxes, "determinism", "on frame 1 they differ in the detections", "seed random"),
    (broken.RollsPixels, "determinism", "they differ in the picture, in ", "seed random"),
    (broken.ClassState, "shared state", "alone, and in turn with an instance of another camera: on "
     "frame 2 they differ in values['mean']", "keep state in self"),
    (broken.ThreadLeft, "leftovers", "after stop its thread 'my worker' is still there", "join in"),
    (broken.FileLeft, "leftovers", "three starts and stops left 3 files open, such as /dev/null",
     "close in stop what start opened"),
    (broken.SetsCv2Threads, "process", "it changed cv2.setNumThreads from", "shares its process"),
    (broken.SetsEnvironment, "process", "it changed the environment", "shares its process"),
    (broken.TooWideBounds, "parameters", "(with size=0, 160 x 120 BGR) process raised ZeroDivision",
     "narrow the Param's bounds"),
    (broken.TooWideAtStart, "parameters", "with size=8.991, which its declaration allows, start "
     "raised ValueError: no memory", "narrow the Param's bounds"),
    (broken.ChoiceForgotten, "parameters", "(with mode='c', 160 x 120 BGR) process raised KeyError",
     "narrow the Param's bounds"),
    (broken.ChangeFails, "live changes", "when size became 1, refused to change size: "
     "AttributeError", "let changed cope with every value"),
    (broken.ChangeBreaks, "live changes", "(after size became 6, 160 x 120 BGR) process raised "
     "IndexError", "make anew in changed"),
]  # fmt: skip


@pytest.fixture
def released() -> Iterator[None]:
    """Let the threads of the broken stages end."""
    yield
    broken._FOREVER.set()
    for thread in threading.enumerate():
        if thread.name == "my worker":
            thread.join()
    broken._FOREVER.clear()


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize(
    ("kind", "rule", "seen", "mend"), BROKEN, ids=[kind.__name__ for kind, *_ in BROKEN]
)
def test_broken_stages_are_caught(kind: type[Stage], rule: str, seen: str, mend: str) -> None:
    with pytest.raises(StageCheckError) as caught:
        check_stage(kind)
    said = str(caught.value)
    assert said.startswith(f"{kind.__name__} breaks the rule {rule!r}: ")
    assert seen in said
    assert mend in said.partition("\n  To mend it: ")[2]
    assert caught.value.rule == rule
    assert isinstance(caught.value, AssertionError)


def test_a_race_between_two_cameras_is_caught() -> None:
    # Whether threads meet is a matter of luck, so they get more than one chance.
    def check_often() -> None:
        for _ in range(20):
            check_stage(broken.Race)

    with pytest.raises(StageCheckError, match="beside another one on another thread"):
        check_often()


def test_every_rule_has_a_stage_that_breaks_it() -> None:
    caught = {rule for _, rule, _, _ in BROKEN} | {"factory", "threads"}
    assert caught == set(RULES)


def test_every_rule_is_documented() -> None:
    assert check_stage.__doc__
    for rule in RULES:
        assert f"``{rule}``" in check_stage.__doc__


SKIPPABLE = [
    (kind, rule)
    for kind, rule, _, _ in BROKEN
    if rule not in ALWAYS
    and kind not in (broken.RollsPixels, broken.FileLeft, broken_batch.KeepsBatchBuffer)
]


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize(("kind", "rule"), SKIPPABLE, ids=[k.__name__ for k, _ in SKIPPABLE])
def test_a_rule_can_be_left_out(kind: type[Stage], rule: str) -> None:
    # Some break a second rule in the same way.
    more = {"determinism": {"shared state", "threads", "restart"}, "parameters": {"live changes"},
            "shared state": {"threads"}, "batches": {"threads"},
            "detections": {"values"}}.get(rule, set())  # fmt: skip
    check_stage(kind, skip={rule, *more})


@pytest.mark.parametrize("rule", sorted(ALWAYS))
def test_some_rules_cannot_be_left_out(rule: str) -> None:
    with pytest.raises(ValueError, match=f"the rule '{rule}' cannot be skipped"):
        check_stage(empty, skip={rule})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"skip": {"grey"}}, "there is no rule 'grey', did you mean 'gray'"),
        ({"params": {"scael": [1]}}, "waits has no parameter 'scael', did you mean 'scale'"),
        ({"params": {"scale": [9]}}, "parameter scale must be float > 0, <= 4, got 9"),
        ({"frames": [np.zeros((4, 6, 3), np.uint8)]}, "frames: at least 2 are needed, got 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_stage(waits, **arguments)


def test_a_check_leaves_the_process_as_it_was() -> None:
    threads, environment = cv2.getNumThreads(), dict(os.environ)
    for kind in (broken.SetsCv2Threads, broken.SetsEnvironment):
        with pytest.raises(StageCheckError):
            check_stage(kind)
    check_stage(inverts)
    assert cv2.getNumThreads() == threads
    assert dict(os.environ) == environment
    assert sys.getswitchinterval() == pytest.approx(0.005)  # what Python begins with


def test_stages_that_roll_dice_pass_when_told() -> None:
    check_stage(broken.Rolls, deterministic=False)


def test_given_frames_are_shown() -> None:
    seen: list[tuple[tuple[int, int], int]] = []

    class Looks(Stage):
        def process(self, frame: Frame) -> None:
            seen.append((frame.size_wh, len(frame.detections)))

    pictures: list[Any] = frames(3, size_wh=(70, 50))
    pictures[0].detections = Detections([[1, 2, 3, 4]])
    pictures.append(np.zeros((50, 70), np.uint8))
    check_stage(Looks, frames=pictures)
    assert seen[:4] == [((70, 50), 1), ((70, 50), 0), ((70, 50), 0), ((70, 50), 0)]
    # They are shown again and again, as they were.
    assert seen.count(((70, 50), 1)) > 3


def test_given_frames_stay_as_they_are() -> None:
    pictures = frames(3)
    before = [frame.image.copy() for frame in pictures]
    check_stage(inverts, frames=pictures)
    for frame, image in zip(pictures, before, strict=True):
        assert np.array_equal(frame.image, image)


def test_a_thread_may_end_a_moment_after_stop() -> None:
    class EndsSoon(Stage):
        def start(self) -> None:
            self.ending = threading.Event()
            threading.Thread(target=self.work, args=(self.ending,)).start()

        def work(self, ending: threading.Event) -> None:
            ending.wait()
            threading.Event().wait(0.05)

        def process(self, frame: Frame) -> None: ...

        def stop(self) -> None:
            if "ending" in vars(self):
                self.ending.set()

    check_stage(EndsSoon)


def test_a_stage_that_drops_what_it_is_not_made_for_passes_with_its_own_frames() -> None:
    class Wants(Stage):
        def process(self, frame: Frame) -> None:
            if frame.size_wh != (70, 50):
                raise DropFrame("another size")

    with pytest.raises(StageCheckError, match="dropped all 24 frames"):
        check_stage(Wants)
    check_stage(Wants, frames=frames(3, size_wh=(70, 50)))


def test_frames_can_be_prepared_as_an_earlier_stage_would() -> None:
    class Wants(Stage):
        def process(self, frame: Frame) -> None:
            frame.values["doubled"] = frame.values["count"] * 2

    def prepare(frame: Frame) -> None:
        frame.values["count"] = frame.sequence

    with pytest.raises(StageCheckError, match="process raised KeyError: 'count'"):
        check_stage(Wants)
    check_stage(Wants, prepare=prepare)


def _trials(kind: type[Stage], name: str, **arguments: Any) -> list[Any]:
    """Return the values of a parameter that a check ran the stage with."""
    seen: list[Any] = []

    class Looks(kind):  # type: ignore[misc,valid-type]  # whatever it is given
        def start(self) -> None:
            value = getattr(self, name)
            if value not in seen:
                seen.append(value)

    check_stage(Looks, **arguments)
    return seen


class Typed(Stage):
    whole: int = Param(5, ge=2, lt=9)
    between: float = Param(0.5, gt=0, lt=1)
    tight: float = Param(5e-7, gt=0, lt=1e-6)
    truth: bool = Param(False, live=False)
    maybe: int | None = Param(3, ge=1)
    choice: int = Param(3)
    text: str = Param("a", min_length=1)

    def process(self, frame: Frame) -> None: ...


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("whole", [5, 2, 8]),
        ("between", [0.5, 0.001, 0.999]),
        ("tight", [5e-7]),
        ("truth", [False, True]),
        ("maybe", [3, 1, None]),
        ("choice", [3]),
        ("text", ["a"]),
    ],
)
def test_parameters_are_tried_at_their_limits(name: str, values: list[Any]) -> None:
    assert _trials(Typed, name) == values


def test_given_values_are_tried_instead() -> None:
    assert _trials(Typed, "whole", params={"whole": [3, 4]}) == [5, 3, 4]
    assert _trials(Typed, "text", params={"text": ["bb"]}) == ["a", "bb"]


def test_a_stage_that_cannot_run_here_says_so() -> None:
    class NeedsGpu(Stage):
        def start(self) -> None:
            raise ConfigurationError("no such detector in this OpenCV")

        def process(self, frame: Frame) -> None: ...

    with pytest.raises(ConfigurationError, match="no such detector"):
        check_stage(NeedsGpu)


def test_a_lock_that_two_instances_share_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevision.testing.conformance_rules._THREAD_TIMEOUT_S", 0.2)
    before = set(threading.enumerate())
    gate = threading.Event()

    class Waits(Stage):
        def process(self, frame: Frame) -> None:
            if frame.camera.startswith("camera-"):
                gate.wait(10)

    with pytest.raises(StageCheckError, match=r"did not end within 0\.2 s") as caught:
        check_stage(Waits)
    assert caught.value.rule == "threads"
    gate.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)


def test_checking_from_several_threads_works() -> None:
    failures: list[BaseException] = []

    def run(factory: Callable[[], Stage]) -> None:
        try:
            check_stage(factory, skip={"leftovers", "process", "threads"})
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=run, args=(kind,)) for kind in (shrinks, waits, empty)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
