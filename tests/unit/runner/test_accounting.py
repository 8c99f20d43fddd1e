"""captured = processed + dropped by cause + in flight, at any moment."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edgevision import ConfigurationError, DropFrame, Frame, Stage
from edgevision.result import Result
from edgevision.runner import Runner
from edgevision.testing.scripted import Block, Repeat, ScriptedSource, Show, Step
from tests.unit.runner.harness import Gate, accounts, camera, picture, running, until


def test_wait_processes_every_frame_in_order() -> None:
    async def scenario() -> None:
        source = ScriptedSource([Repeat(picture(), 300)], live=False)
        results: list[Result] = []
        async with running(camera(source), results=results) as runner:
            while not runner.cameras["door"].done.is_set():
                accounts(runner)
                await asyncio.sleep(0)
            books = accounts(runner)
        assert [r.sequence for r in results] == list(range(1, 301))
        assert (books.captured, books.processed, books.dropped) == (300, 300, {})
        assert source.reads == 300
        assert source.violations == []

    asyncio.run(scenario())


def test_wait_holds_the_source_back() -> None:
    async def scenario() -> None:
        gate = Gate()
        source = ScriptedSource([Repeat(picture(), 50)], live=False)
        async with running(camera(source, [gate], queue_size=3)) as runner:
            # One frame with the stage, three that wait, one in the source's hands.
            await until(lambda: accounts(runner).working == 1, "the first frame")
            await until(lambda: accounts(runner).queued == 4, "a full queue")
            books = accounts(runner)
            assert (books.captured, books.dropped) == (5, {})
            assert source.reads == 5
            gate.open()
            await until(runner.cameras["door"].done.is_set, "the end")
            assert accounts(runner).processed == 50

    asyncio.run(scenario())


def test_latest_drops_the_oldest_and_keeps_the_newest() -> None:
    async def scenario() -> None:
        gate, burst, more = Gate(), threading.Event(), threading.Event()
        steps: list[Step] = [
            Show(picture()),
            Block(burst),
            Repeat(picture(), 9),
            Block(more),
            Show(picture()),
        ]
        source = ScriptedSource(steps, live=True)
        results: list[Result] = []
        spec = camera(source, [gate], queue_size=2)
        async with running(spec, results=results) as runner:
            await until(lambda: gate.entered.acquire(blocking=False), "the first frame")
            burst.set()
            await until(lambda: accounts(runner).dropped == {"overrun": 7}, "the drops")
            books = accounts(runner)
            assert (books.captured, books.working, books.queued) == (10, 1, 2)
            gate.open()
            await until(lambda: accounts(runner).in_flight == 0, "the frames that waited")
            # The ninth has waited nearly as long as the stage worked and gives way to the tenth.
            assert [r.sequence for r in results][-1] == 10
            assert set(accounts(runner).dropped) == {"overrun"}
            more.set()
            await until(lambda: results[-1].sequence == 11, "the last frame")

    asyncio.run(scenario())


def test_frames_too_old_are_dropped_as_stale() -> None:
    async def scenario() -> None:
        gate, burst, more = Gate(), threading.Event(), threading.Event()
        steps: list[Step] = [
            Show(picture()),
            Block(burst),
            Repeat(picture(), 3),
            Block(more),
            Show(picture()),
        ]
        source = ScriptedSource(steps, live=True)
        spec = camera(source, [gate], queue_size=3, max_age_s=0.05)
        async with running(spec) as runner:
            await until(lambda: gate.entered.acquire(blocking=False), "the first frame")
            burst.set()
            await until(lambda: accounts(runner).captured == 4, "four frames")
            since = asyncio.get_running_loop().time()
            await until(lambda: asyncio.get_running_loop().time() - since > 0.06, "ageing")
            gate.open()
            await until(lambda: accounts(runner).in_flight == 0, "the decision on all four")
            books = accounts(runner)
            assert books.dropped == {"stale": 3}
            assert books.processed == 1
            more.set()
            await until(lambda: accounts(runner).processed == 2, "a fresh frame")

    asyncio.run(scenario())


class Odd(Stage):
    """Drops every second frame, fails on every fifth."""

    def process(self, frame: Frame) -> None:
        if frame.sequence % 5 == 0:
            raise RuntimeError("every fifth")
        if frame.sequence % 2 == 0:
            raise DropFrame("even")


def test_each_cause_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        source = ScriptedSource([Repeat(picture(), 100)], live=False)
        results: list[Result] = []
        async with running(camera(source, [Odd]), results=results) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            books = accounts(runner)
        assert books.dropped == {"error odd": 20, "odd: even": 40}
        assert books.processed == len(results) == 40
        status = runner.status().cameras[0]
        assert (status.captured, status.processed, status.in_flight) == (100, 40, 0)
        assert status.stages[0].errors == 20
        assert status.stages[0].drops == {"even": 40}

    asyncio.run(scenario())
    # A kind of error is logged once; the counters have the rest.
    assert [r.levelname for r in caplog.records if "every fifth" in r.message] == ["ERROR"]


def test_slots_are_decoded_into_and_reused() -> None:
    """A steady camera allocates no image: the same few arrays come round and round."""

    class Addresses(Stage):
        def __init__(self) -> None:
            self.seen: set[int] = set()

        def process(self, frame: Frame) -> None:
            self.seen.add(frame.image.__array_interface__["data"][0])

    async def scenario() -> None:
        stage = Addresses()
        source = ScriptedSource([Repeat(picture(), 200)], live=False)
        async with running(camera(source, [stage], queue_size=3)) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
        assert len(stage.seen) <= 5

    asyncio.run(scenario())


def test_a_change_of_resolution_goes_through() -> None:
    async def scenario() -> None:
        sizes = [(48, 64), (30, 90), (48, 64)]
        steps = [Repeat(picture(0, size), 3) for size in sizes]
        results: list[Result] = []
        async with running(camera(ScriptedSource(steps, live=False)), results=results) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
        assert [r.size_wh for r in results] == [(64, 48)] * 3 + [(90, 30)] * 3 + [(64, 48)] * 3

    asyncio.run(scenario())


def test_a_runner_refuses_no_camera_and_two_of_one_name() -> None:
    with pytest.raises(ConfigurationError, match="at least one camera"):
        Runner([])
    spec = camera(ScriptedSource([]))
    with pytest.raises(ConfigurationError, match="two cameras are called 'door'"):
        Runner([spec, spec])
