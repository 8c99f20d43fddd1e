"""What a pipeline does when a stage raises or returns something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Detections, DropFrame, Frame, Pipeline, Stage
from edgevision.errors import StageError
from edgevision.pipeline import OnError, StageSpec
from tests.unit.core.recording import A, frame, picture


class Script(Stage):
    """Does one step of its script at each call: raises it, returns it, or nothing for None."""

    def __init__(self, steps: Iterator[Any]) -> None:
        self.steps = steps
        self.calls = 0

    def process(self, frame: Frame) -> Any:
        self.calls += 1
        step = next(self.steps, None)
        if isinstance(step, Exception):
            raise step
        return step


def spec(*steps: Any, on_error: OnError = "drop", most: int = 3) -> StageSpec:
    return StageSpec(lambda: Script(iter(steps)), on_error=on_error, max_consecutive_errors=most)


def test_an_error_says_where_it_was() -> None:
    log: list[str] = []
    with Pipeline([spec(ValueError("no luck")), A(log)], camera="door") as pipeline:
        with pytest.raises(StageError) as caught:
            pipeline.process(frame(7))
        assert str(caught.value) == (
            "camera 'door', stage 'script', frame 7: process raised ValueError: no luck"
        )
        assert isinstance(caught.value.__cause__, ValueError)
        assert "process a" not in log
        assert pipeline.active == -1
        assert pipeline.process(frame(8)) is None
    statistics = pipeline.statistics[0]
    assert (statistics.frames, statistics.errors, statistics.consecutive_errors) == (2, 1, 0)
    assert statistics.last_error == "ValueError: no luck"


def test_credentials_in_an_error_are_hidden() -> None:
    with Pipeline([spec(OSError("cannot reach rtsp://me:hunter2@host/x"))]) as pipeline:
        with pytest.raises(StageError, match=r"rtsp://\*\*\*@host/x"):
            pipeline.process(frame())
        assert pipeline.statistics[0].last_error == "OSError: cannot reach rtsp://***@host/x"


def test_errors_of_opencv_are_on_one_line() -> None:
    class Wrong(Stage):
        def process(self, frame: Frame) -> None:
            cv2.cvtColor(frame.image[:, :, 0], cv2.COLOR_BGR2GRAY)

    with (
        Pipeline([Wrong]) as pipeline,
        pytest.raises(StageError, match=r"raised cv2\.error: OpenCV\(.*channels") as caught,
    ):
        pipeline.process(frame())
    assert "\n" not in str(caught.value)


def test_errors_in_a_row_are_counted() -> None:
    steps = [ValueError(), None, ValueError(), ValueError(), DropFrame("x"), ValueError()]
    rows = []
    with Pipeline([spec(*steps)]) as pipeline:
        for number in range(6):
            with suppress(StageError):
                pipeline.process(frame(number))
            rows.append(pipeline.statistics[0].consecutive_errors)
    assert rows == [1, 0, 1, 2, 0, 1]
    assert pipeline.statistics[0].errors == 4
    assert pipeline.statistics[0].last_error == "ValueError"


class HalfDone(Stage):
    """Changes the frame in every way, and fails the first time."""

    def start(self) -> None:
        self.calls = 0

    def process(self, frame: Frame) -> None:
        self.calls += 1
        frame.values["calls"] = self.calls
        frame.values["old"] = "changed"
        frame.add(Detections([[1, 2, 3, 4]]))
        frame.publish("alarm", {"call": self.calls})
        frame.image = frame.image[:24]
        if self.calls == 1:
            raise ValueError("half done")


def test_retry_begins_with_the_frame_as_it_was() -> None:
    one = frame()
    one.values["old"] = "value"
    one.add(Detections([[5, 6, 7, 8]]))
    one.publish("before", {})
    with Pipeline([StageSpec(HalfDone, on_error="retry")]) as pipeline:
        assert pipeline.process(one) is None
        assert one.size_wh == (64, 24)
        assert one.values == {"calls": 2, "old": "changed"}
        assert [event.output for event in one.events] == ["before", "alarm"]
        assert one.events[1].body == {"call": 2}
        assert len(one.detections) == 2
        statistics = pipeline.statistics[0]
    assert (statistics.frames, statistics.errors, statistics.consecutive_errors) == (1, 1, 0)
    assert statistics.last_error == "ValueError: half done"


def test_retry_that_fails_again_loses_the_frame() -> None:
    steps = [ValueError("first"), OSError("second")]
    with Pipeline([spec(*steps, on_error="retry")]) as pipeline:
        with pytest.raises(StageError, match=r"frame 5: process raised OSError: second$"):
            pipeline.process(frame(5))
        statistics = pipeline.statistics[0]
        assert (statistics.frames, statistics.errors, statistics.consecutive_errors) == (1, 2, 1)
        assert pipeline.process(frame(6)) is None
    assert statistics.consecutive_errors == 0


def test_retry_that_drops_the_frame_drops_it() -> None:
    with Pipeline([spec(ValueError(), DropFrame("dark"), on_error="retry")]) as pipeline:
        assert pipeline.process(frame()) == "script: dark"
        assert pipeline.statistics[0].drops == {"dark": 1}


def test_retry_is_not_for_drops() -> None:
    with Pipeline([spec(DropFrame("dark"), on_error="retry")]) as pipeline:
        assert pipeline.process(frame()) == "script: dark"
        stage: Any = pipeline.stages[0]
        assert stage.calls == 1


def test_retry_that_returns_a_value_is_a_mistake_too() -> None:
    with (
        Pipeline([spec(ValueError(), 3, on_error="retry")]) as pipeline,
        pytest.raises(TypeError, match=r"Script\.process returned int"),
    ):
        pipeline.process(frame())


def test_quarantine_lets_frames_pass_after_so_many_errors() -> None:
    log: list[str] = []
    steps = [ValueError(), None, *[ValueError("no")] * 10]
    with Pipeline([spec(*steps, on_error="quarantine"), A(log)]) as pipeline:
        outcome = []
        for number in range(8):
            try:
                pipeline.process(frame(number))
                outcome.append("")
            except StageError as error:
                outcome.append(str(error).partition("raised ")[2])
        statistics = pipeline.statistics[0]
        assert outcome == [
            *("ValueError", "", "ValueError: no", "ValueError: no"),
            "ValueError: no; from now on frames pass it by",
            *("", "", ""),
        ]
        assert statistics.quarantined
        assert (statistics.frames, statistics.errors) == (5, 4)
        assert log.count("process a") == 4


@pytest.mark.parametrize("on_error", ["drop", "restart", "retry"])
def test_other_policies_never_pass_a_stage_by(on_error: OnError) -> None:
    with Pipeline([spec(*[ValueError()] * 100, on_error=on_error, most=1)]) as pipeline:
        for number in range(5):
            with pytest.raises(StageError):
                pipeline.process(frame(number))
        assert not pipeline.statistics[0].quarantined


@pytest.mark.parametrize("value", [3, False, np.zeros((4, 6, 3), np.uint8), [], "x"])
def test_a_returned_value_is_a_mistake(value: Any) -> None:
    with Pipeline([spec(value)]) as pipeline:
        one = frame()
        with pytest.raises(TypeError) as caught:
            pipeline.process(one)
        assert str(caught.value) == (
            f"Script.process returned {type(value).__name__}: change the frame and return None "
            "(frame.image = ... replaces the picture)"
        )
        assert pipeline.active == -1


def test_a_returned_frame_is_a_mistake() -> None:
    class Returns(Stage):
        def process(self, frame: Frame) -> Frame:
            return frame

    with (
        Pipeline([Returns]) as pipeline,
        pytest.raises(TypeError, match=r"Returns\.process returned Frame: change the frame"),
    ):
        pipeline.process(frame())


@pytest.mark.parametrize("hook", ["process", "start", "stop"])
def test_a_coroutine_that_nobody_waits_for_is_a_mistake(hook: str) -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    class Wrapped(Stage):
        def process(self, frame: Frame) -> Any:
            return work() if hook == "process" else None

        def start(self) -> Any:
            return work() if hook == "start" else None

        def stop(self) -> Any:
            return work() if hook == "stop" else None

    # Warnings are errors here, so a coroutine that is never awaited would fail the test.
    wanted = rf"Wrapped\.{hook} returned a coroutine that nobody waits for: declare it `async def`"
    with pytest.raises((TypeError, StageError), match=wanted), Pipeline([Wrapped]) as pipeline:
        pipeline.process(frame())


def test_a_returned_generator_is_closed() -> None:
    closed: list[bool] = []

    def boxes() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    generator = boxes()
    next(generator)
    with (
        Pipeline([spec(generator)]) as pipeline,
        pytest.raises(TypeError, match="returned generator"),
    ):
        pipeline.process(frame())
    assert closed == [True]


def test_a_picture_of_the_wrong_kind_is_an_error_of_its_stage() -> None:
    class Floats(Stage):
        def process(self, frame: Frame) -> None:
            frame.image = picture().astype(np.float32)

    with (
        Pipeline([Floats]) as pipeline,
        pytest.raises(
            StageError, match=r"stage 'floats', frame 1: process raised TypeError: frame"
        ),
    ):
        pipeline.process(frame())
