"""With poisoning on, whatever a stage keeps of a frame is found, and nothing else is."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import DropFrame, Frame, Pipeline, Stage, cv
from edgevision.errors import BufferKeptError, StageError
from tests.unit.core.recording import frame, picture


class Keeps(Stage):
    """Keeps something of the frame."""

    def __init__(self, keep: Callable[[Keeps, Frame], None]) -> None:
        self.keep = keep

    def process(self, frame: Frame) -> None:
        self.keep(self, frame)


class Other(Stage):
    def process(self, frame: Frame) -> None:
        frame.values["mean"] = float(cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY).mean())


class Shrinks(Stage):
    def process(self, frame: Frame) -> None:
        frame.image = frame.image[1:, 1:]


def gray(frame: Frame) -> Any:
    return cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)


def crop_and_keep(stage: Keeps, frame: Frame) -> None:
    frame.image = frame.image[:9]
    stage.last = frame.image  # type: ignore[attr-defined]


KEPT = ": stage keeps (in {}) kept the frame's picture, or a part of it; copy what must outlive it"
BUFFER = ": stage keeps kept a buffer that belongs to the frame; copy what must outlive it"


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda s, f: setattr(s, "last", f.image), KEPT.format("self.last")),
        (lambda s, f: setattr(s, "last", f.image[4:8, ::2]), KEPT.format("self.last")),
        (lambda s, f: setattr(s, "all", [1, {"a": f.image.T}]), KEPT.format("self.all[1]['a']")),
        (lambda s, f: setattr(s, "all", deque([f.image])), KEPT.format("self.all[0]")),
        (lambda s, f: setattr(s, "last", gray(f)), BUFFER),
        (lambda s, f: setattr(s, "last", gray(f)[2:]), BUFFER),
        (crop_and_keep, KEPT.format("self.last")),
        (lambda s, f: f.values.update(crop=f.image[:2]), ": a stage kept the frame's picture"),
    ],
)  # fmt: skip
def test_what_is_kept_is_found(keep: Callable[[Keeps, Frame], None], message: str) -> None:
    pipeline = Pipeline([Other, Keeps(keep), Other], camera="door", poison=True)
    with pipeline:
        one = frame(5)
        pipeline.process(one)
        with pytest.raises(BufferKeptError) as caught:
            pipeline.release(one)
        assert f"camera 'door', frame 5{message}" in str(caught.value)
        # It is told once, and the pipeline goes on.
        pipeline.release(one)


def shrink(stage: Keeps, frame: Frame) -> None:
    frame.image = frame.image[::2, ::2]


def replace(stage: Keeps, frame: Frame) -> None:
    frame.image = cv.GaussianBlur(frame.image, (5, 5), 0)


def cycle(stage: Keeps, frame: Frame) -> None:
    knot: list[Any] = [frame.image[1:]]
    knot.append(knot)


def swallow(stage: Keeps, frame: Frame) -> None:
    try:
        local = frame.image[1:]
        raise ValueError(local.shape)
    except ValueError as error:
        stage.text = str(error)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "keep",
    [
        lambda s, f: None,
        lambda s, f: setattr(s, "last", f.image.copy()),
        lambda s, f: setattr(s, "last", cv.clone(gray(f))),
        lambda s, f: setattr(f, "image", gray(f)),
        lambda s, f: setattr(f, "image", f.image.copy()),
        shrink,
        replace,
        cycle,
        swallow,
    ],
)
def test_what_is_not_kept_is_no_fault(keep: Callable[[Keeps, Frame], None]) -> None:
    image = picture()
    for more in ([], [Shrinks, Shrinks]):
        with Pipeline([Keeps(keep), *more], poison=True) as pipeline:
            for number in range(4):
                pipeline.process(Frame(image, sequence=number))
    assert (image == 10).all()


class Raises(Stage):
    """Raises one and the same exception while it has variables."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def process(self, frame: Frame) -> None:
        local = (frame.image[1:], gray(frame))
        if len(local):
            raise self.error


def test_an_error_keeps_nothing() -> None:
    with Pipeline([Raises(ValueError("no"))], poison=True) as pipeline:
        for number in range(3):
            one = frame(number)
            with pytest.raises(StageError) as caught:
                pipeline.process(one)
            # As the worker does it: while the error, and so the stage's variables, are alive.
            pipeline.release(one)
            assert caught.value.sequence == number


def test_a_drop_keeps_nothing() -> None:
    with Pipeline([Raises(DropFrame("dark"))], poison=True) as pipeline:
        for number in range(3):
            one = frame(number)
            assert pipeline.process(one) == "raises: dark"
            pipeline.release(one)


def test_what_a_stage_keeps_and_drops_is_found() -> None:
    class KeepsAndDrops(Stage):
        def process(self, frame: Frame) -> None:
            self.last = frame.image
            raise DropFrame("dark")

    with Pipeline([KeepsAndDrops], poison=True) as pipeline:
        one = frame()
        assert pipeline.process(one) == "keepsanddrops: dark"
        with pytest.raises(BufferKeptError, match=r"stage keepsanddrops \(in self\.last\)"):
            pipeline.release(one)


def test_the_next_frame_or_the_end_tell_it_too() -> None:
    stage = Keeps(lambda s, f: setattr(s, "last", f.image))
    pipeline = Pipeline([stage], poison=True)
    pipeline.start()
    pipeline.process(frame(1))
    with pytest.raises(BufferKeptError, match="frame 1: stage keeps"):
        pipeline.process(frame(2))
    pipeline.process(frame(3))
    with pytest.raises(BufferKeptError, match="frame 3: stage keeps"):
        pipeline.stop()
    pipeline.start()
    pipeline.stop()


def test_released_buffers_are_overwritten() -> None:
    kept: list[Any] = []
    with Pipeline([Keeps(lambda s, f: kept.append(gray(f)))], poison=True) as pipeline:
        assert pipeline.poison
        one = frame()
        pipeline.process(one)
        assert (kept[0] == 10).all()
        with pytest.raises(BufferKeptError):
            pipeline.release(one)
    assert (kept[0] == 0xA5).all()


def test_an_older_frame_takes_nothing_from_the_present_one() -> None:
    class Blurs(Stage):
        def process(self, frame: Frame) -> None:
            frame.image = cv.GaussianBlur(frame.image, (5, 5), 0)

    with Pipeline([Blurs], poison=True) as pipeline:
        first, second = frame(1), frame(2)
        pipeline.process(first)
        pipeline.process(second)
        pipeline.release(first)
        assert (second.image == 10).all()


def test_the_pictures_memory_is_watched_down_to_its_owner() -> None:
    memory = np.zeros((100, 64, 3), np.uint8)
    stage = Keeps(lambda s, f: setattr(s, "last", f.image[1:2]))
    with Pipeline([stage], poison=True) as pipeline:
        one = Frame(memory[10:58])
        pipeline.process(one)
        with pytest.raises(BufferKeptError, match=r"self\.last"):
            pipeline.release(one)


def test_without_poisoning_nothing_is_looked_for() -> None:
    image = picture()
    stage = Keeps(lambda s, f: setattr(s, "last", f.image))
    with Pipeline([stage]) as pipeline:
        assert not pipeline.poison
        before = sys.getrefcount(image)
        pipeline.process(Frame(image))
    assert sys.getrefcount(image) == before + 1
