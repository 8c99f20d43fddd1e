"""A stage that raises, hangs or breaks the rules harms its own camera only."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from edgevision import ConfigurationError, Frame, Stage
from edgevision.errors import StageError
from edgevision.pipeline import StageSpec
from edgevision.result import Result
from edgevision.runner import Runner
from edgevision.testing.scripted import Block, Repeat, ScriptedSource
from tests.unit.runner.harness import Gate, accounts, camera, picture, running, until


class Flaky(Stage):
    """Fails until told not to; counts its lives."""

    lives = 0
    failing = True

    def __init__(self) -> None:
        type(self).lives += 1

    def process(self, frame: Frame) -> None:
        if type(self).failing:
            raise ValueError("no luck")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Flaky.lives = 0
    Flaky.failing = True


def finite(count: int) -> ScriptedSource:
    return ScriptedSource([Repeat(picture(), count)], live=False)


def test_stages_are_restarted_after_errors_in_a_row() -> None:
    async def scenario() -> None:
        spec = StageSpec(Flaky, max_consecutive_errors=4)
        async with running(camera(finite(10), [spec])) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            books = accounts(runner)
        assert books.dropped == {"error flaky": 10}
        # A first life, and another after every fourth error.
        assert Flaky.lives == 3

    asyncio.run(scenario())


def test_on_error_restart_restarts_at_the_first_error() -> None:
    async def scenario() -> None:
        spec = StageSpec(Flaky, on_error="restart")
        async with running(camera(finite(3), [spec])) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
        assert Flaky.lives == 4

    asyncio.run(scenario())


def test_a_quarantined_stage_lets_frames_pass() -> None:
    async def scenario() -> None:
        spec = StageSpec(Flaky, on_error="quarantine", max_consecutive_errors=3)
        results: list[Result] = []
        async with running(camera(finite(10), [spec]), results=results) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            assert accounts(runner).dropped == {"error flaky": 3}
            assert runner.status().cameras[0].stages[0].quarantined
        assert [r.sequence for r in results] == list(range(4, 11))
        assert Flaky.lives == 1

    asyncio.run(scenario())


def test_other_cameras_do_not_notice() -> None:
    async def scenario() -> None:
        specs = [camera(finite(40), [Flaky]), camera(finite(40), name="yard")]
        runner = Runner(specs)
        assert await runner.run_async() == 0
        assert accounts(runner).dropped == {"error flaky": 40}
        assert accounts(runner, "yard").processed == 40

    asyncio.run(scenario())


class Returns(Stage):
    def process(self, frame: Frame) -> Any:
        return frame


class NotHere(Stage):
    def start(self) -> None:
        raise ConfigurationError("this OpenCV has no HOGDescriptor")

    def process(self, frame: Frame) -> None: ...


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Returns, "Returns.process returned Frame: change the frame and return None"),
        (NotHere, "this OpenCV has no HOGDescriptor"),
    ],
)
def test_a_mistake_in_the_stage_itself_fails_its_camera(stage: type[Stage], words: str) -> None:
    async def scenario() -> None:
        runner = Runner([camera(finite(5), [stage]), camera(finite(5), name="yard")])
        assert await runner.run_async() == 1
        assert words in str(runner.failures["door"])
        status = {c.name: c for c in runner.status().cameras}
        assert status["door"].state == "failed"
        assert words in status["door"].detail
        assert status["yard"].processed == 5
        await until(lambda: accounts(runner).in_flight == 0, "an account of every frame")

    asyncio.run(scenario())


def test_start_is_tried_again_while_it_fails() -> None:
    class Late(Stage):
        tries = 0

        def start(self) -> None:
            Late.tries += 1
            if Late.tries < 4:
                raise OSError("the model server is not up")

        def process(self, frame: Frame) -> None: ...

    async def scenario() -> None:
        async with running(camera(finite(5), [Late])) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            assert accounts(runner).processed == 5

    asyncio.run(scenario())


def test_a_stage_that_does_not_return_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        gate = Gate()
        spec = camera(finite(3), [gate], stage_timeout_s=0.05)
        async with running(spec) as runner:
            await until(
                lambda: runner.status().cameras[0].stuck_stage == "gate", "naming the stage"
            )
            gate.open()
            await until(runner.cameras["door"].done.is_set, "the end")
            await until(lambda: not runner.status().cameras[0].stuck_stage, "the all-clear")

    asyncio.run(scenario())
    named = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert named == ["camera door: stage gate has been running for more than 0.05 s (frame 1)"]


class Keeper(Stage):
    def process(self, frame: Frame) -> None:
        self.kept = frame.image


def test_a_stage_that_keeps_a_buffer_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with running(camera(finite(5), [Keeper], poison=True)) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            assert accounts(runner).processed == 5

    asyncio.run(scenario())
    named = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert len(named) == 1
    assert "keeper" in named[0]
    assert "copy" in named[0]


def test_parameters_change_between_two_frames() -> None:
    from edgevision import Param

    class Marks(Stage):
        low: int = Param(1, ge=0)
        high: int = Param(1, ge=0)

        def process(self, frame: Frame) -> None:
            frame.values["pair"] = (self.low, self.high)

    async def scenario() -> None:
        end = threading.Event()
        source = ScriptedSource([Repeat(picture(), 2000), Block(end)], live=False)
        results: list[Result] = []
        async with running(camera(source, [Marks]), results=results) as runner:
            door = runner.cameras["door"]
            for value in range(2, 30):
                await door.configure({"marks": {"low": value, "high": value}})
            with pytest.raises(ConfigurationError, match="must be int >= 0"):
                await door.configure({"marks": {"low": 99, "high": -1}})
            with pytest.raises(ConfigurationError, match="did you mean 'marks'"):
                await door.configure({"mark": {"low": 99}})
            end.set()
            await until(door.done.is_set, "the end")
        pairs = [r.values["pair"] for r in results]
        assert all(low == high for low, high in pairs)
        assert pairs == sorted(pairs)
        assert pairs[-1] == (29, 29)

    asyncio.run(scenario())


def test_stages_are_replaced_while_the_source_stays_open() -> None:
    class Broken(Stage):
        def start(self) -> None:
            raise OSError("cannot start")

        def process(self, frame: Frame) -> None: ...

    class Mark(Stage):
        def process(self, frame: Frame) -> None:
            frame.values["new"] = True

    async def scenario() -> None:
        more, end = threading.Event(), threading.Event()
        source = ScriptedSource(
            [Repeat(picture(), 3), Block(more), Repeat(picture(), 3), Block(end)], live=False
        )
        results: list[Result] = []
        Flaky.failing = False
        async with running(camera(source, [Flaky]), results=results) as runner:
            await until(lambda: len(results) == 3, "the first frames")
            with pytest.raises(StageError, match="cannot start"):
                await runner.cameras["door"].replace_stages([Broken])
            await runner.cameras["door"].replace_stages([Mark])
            more.set()
            await until(lambda: len(results) == 6, "the other frames")
            end.set()
        assert [bool(r.values) for r in results] == [False] * 3 + [True] * 3
        assert source.opened == 1

    asyncio.run(scenario())


def test_a_replacement_asked_of_an_ended_camera_is_cancelled() -> None:
    async def scenario() -> None:
        async with running(camera(finite(1))) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            with pytest.raises(asyncio.CancelledError):
                await runner.cameras["door"].replace_stages([Flaky])

    asyncio.run(scenario())
