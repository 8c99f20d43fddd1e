"""Cameras and stages that come, go and change while others run."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from edgevision import ConfigurationError, Frame, Param, Stage
from edgevision.errors import StageError
from edgevision.pipeline import StageSpec
from edgevision.result import Result
from edgevision.runner import CameraPlan, CameraSpec, Runner
from edgevision.testing.scripted import Block, End, Repeat, ScriptedSource, Step
from tests.unit.runner.harness import accounts, camera, picture, running, until


class Add(Stage):
    """Puts its amount, and how many frames it has seen, into the values."""

    amount: int = Param(1, le=100)
    seen = 0

    def process(self, frame: Frame) -> None:
        self.seen += 1
        frame.values[self.name] = [self.amount, self.seen]

    def changed(self, names: frozenset[str]) -> None:
        if self.amount == 66:
            raise RuntimeError("not 66")


class Broken(Stage):
    """Does not start."""

    def start(self) -> None:
        raise RuntimeError("no such model")

    def process(self, frame: Frame) -> None: ...


class Hang(Stage):
    """Does not return until let go."""

    let_go = threading.Event()

    def process(self, frame: Frame) -> None:
        type(self).let_go.wait(20)


def endless(name: str, *stages: Any, **options: Any) -> CameraSpec:
    source = ScriptedSource([Repeat(picture(), None)], live=True)
    return camera(source, stages, name=name, **options)


def add(name: str = "add", amount: int = 1) -> StageSpec:
    return StageSpec(lambda: Add(amount=amount), name=name)


def state(runner: Runner) -> str:
    return runner.cameras["door"].state.name


def latest(results: list[Result], name: str) -> Result | None:
    return next((r for r in reversed(results) if r.camera == name), None)


def values(results: list[Result], name: str) -> dict[str, Any]:
    result = latest(results, name)
    return {} if result is None else dict(result.values)


def test_cameras_are_added_removed_and_put_in_order() -> None:
    async def scenario() -> None:
        results: list[Result] = []
        door, yard, gate = endless("door", add()), endless("yard", add()), endless("gate", add())
        async with running(door, yard, results=results, pictures=True) as runner:
            await until(lambda: latest(results, "yard") is not None, "a frame")
            tap = runner.taps()["yard"]
            await runner.revise([CameraPlan(gate), CameraPlan(door, "keep")])
            await until(lambda: latest(results, "gate") is not None, "a frame of the new one")
            assert list(runner.cameras) == ["gate", "door"]
            assert [c.name for c in runner.status().cameras] == ["gate", "door"]
            assert list(runner.taps()) == ["gate", "door"]
            assert tap.closed
            accounts(runner, "gate")

    asyncio.run(scenario())


def test_values_are_set_in_stages_that_go_on() -> None:
    async def scenario() -> None:
        results: list[Result] = []
        spec = endless("door", add())
        async with running(spec, results=results) as runner:
            await until(lambda: len(results) > 3, "frames")
            changed = replace(spec, stages=[add(amount=7)])
            before = values(results, "door")["add"][1] + 70
            await runner.revise([CameraPlan(changed, "set", {"add": {"amount": 7}})])
            count = len(results)
            await until(lambda: len(results) > count + 70, "more frames")
            amount, seen = values(results, "door")["add"]
            assert amount == 7
            assert seen > before  # the same instance all the time
            # What is started anew after errors has the new value as well.
            await runner.restart("door")
            await until(lambda: values(results, "door")["add"][1] < seen, "a restart")
            assert values(results, "door")["add"][0] == 7

    asyncio.run(scenario())


def test_stages_are_added_removed_and_put_in_order() -> None:
    async def scenario() -> None:
        results: list[Result] = []
        spec = endless("door", add("a"), add("b"))
        async with running(spec, results=results) as runner:
            await until(lambda: list(values(results, "door")) == ["a", "b"], "both")
            reconnects = runner.cameras["door"].status().reconnects
            spec = replace(spec, stages=[add("c"), add("a")])
            await runner.revise([CameraPlan(spec, "stages")])
            await until(lambda: list(values(results, "door")) == ["c", "a"], "the others")
            assert runner.cameras["door"].status().reconnects == reconnects
            assert [s.name for s in runner.status().cameras[0].stages] == ["c", "a"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [
        (lambda s: CameraPlan(s, "set", {"add": {"amount": 101}}), "must be int <= 100"),
        (lambda s: CameraPlan(s, "set", {"add": {"amount": 66}}), "not 66"),
        (lambda s: CameraPlan(replace(s, stages=[StageSpec(Broken)]), "stages"), "no such model"),
    ],
)
def test_one_that_cannot_puts_all_back(bad: Any, wanted: str) -> None:
    async def scenario() -> None:
        results: list[Result] = []
        door, gate, yard = endless("door", add()), endless("gate", add()), endless("yard", add())
        async with running(door, gate, yard, results=results) as runner:
            await until(lambda: all(values(results, n) for n in ("door", "gate", "yard")), "all")
            plans = [
                CameraPlan(replace(door, stages=[add("other")]), "stages"),
                CameraPlan(replace(gate, stages=[add(amount=5)]), "set", {"add": {"amount": 5}}),
                bad(yard),
            ]
            known = {n: values(results, n)["add"][1] + 20 for n in ("door", "gate", "yard")}
            await until(lambda: all(values(results, n)["add"][1] > c for n, c in known.items()))
            with pytest.raises((ConfigurationError, StageError), match=wanted):
                await runner.revise(plans)
            count = len(results)
            await until(lambda: len(results) > count + 200, "more frames")
            for name, before in known.items():
                amount, seen = values(results, name)["add"]
                assert amount == 1
                assert seen > before  # the stages have forgotten nothing
            seen = values(results, "gate")["add"][1]
            await runner.restart("gate")
            await until(lambda: values(results, "gate")["add"][1] < seen, "a restart")
            assert values(results, "gate")["add"][0] == 1

    asyncio.run(scenario())


def test_a_stage_that_hangs_refuses_for_all_and_changes_nothing_later() -> None:
    async def scenario() -> None:
        Hang.let_go.clear()
        results: list[Result] = []
        door, gate = endless("door", add()), endless("gate", Hang, add())
        async with running(door, gate, results=results) as runner:
            await until(lambda: runner.cameras["gate"].busy_stage == "hang", "the stage")
            plans = [
                CameraPlan(door, "set", {"add": {"amount": 2}}),
                CameraPlan(gate, "set", {"add": {"amount": 2}}),
            ]
            with pytest.raises(StageError, match=r"camera 'gate', stage 'hang'.*within 0.2 s"):
                await runner.revise(plans, timeout_s=0.2)
            Hang.let_go.set()
            await until(lambda: bool(values(results, "gate")), "it goes on")
            assert values(results, "gate")["add"][0] == 1
            count = len(results)
            await until(lambda: len(results) > count + 100, "more frames")
            assert values(results, "door")["add"][0] == 1

    asyncio.run(scenario())


def test_a_camera_whose_stages_do_not_start_takes_others_at_once() -> None:
    async def scenario() -> None:
        results: list[Result] = []
        spec = endless("door", Broken, first_retry_s=3600.0, longest_retry_s=3600.0)
        async with running(spec, results=results) as runner:
            door = runner.cameras["door"]
            await until(lambda: door.ledger.snapshot().captured > 10, "frames")
            with pytest.raises(StageError, match="waits for its stages to start"):
                await door.call(lambda pipeline: pipeline)
            await runner.revise([CameraPlan(replace(spec, stages=[add()]), "stages")])
            await until(lambda: bool(values(results, "door")), "a frame went through")

    asyncio.run(scenario())


def test_a_paused_camera_is_closed_and_opened_again() -> None:
    async def scenario() -> None:
        source = ScriptedSource([Repeat(picture(), None)], live=True)
        async with running(camera(source)) as runner:
            door = runner.cameras["door"]
            await until(lambda: accounts(runner).processed > 3, "frames")
            door.pause()
            captured = accounts(runner).captured
            assert state(runner) == "paused"
            await until(lambda: source.closed == 1, "it is closed")
            assert accounts(runner).captured == captured
            assert state(runner) == "paused"
            door.resume()
            await until(lambda: accounts(runner).captured > captured, "frames again")
            await until(lambda: state(runner) == "live", "live")
            door.pause()
        assert door.state.name == "stopped"

    asyncio.run(scenario())


def test_a_paused_file_goes_on_where_it_was() -> None:
    async def scenario() -> None:
        held = threading.Event()
        frames: list[Step] = [Repeat(picture(), 5), Block(held), Repeat(picture(), 5), End()]
        source = ScriptedSource(frames, live=False)
        async with running(camera(source)) as runner:
            door = runner.cameras["door"]
            await until(lambda: accounts(runner).processed == 5, "the first")
            door.pause()
            held.set()
            await until(lambda: accounts(runner).processed == 6, "the one that was being read")
            assert source.closed == 0
            door.resume()
            await door.done.wait()
            assert accounts(runner).processed == 10
            door.pause()
            assert door.state.name == "ended"

    asyncio.run(scenario())


def test_an_endless_runner_outlives_its_cameras() -> None:
    async def scenario() -> None:
        results: list[Result] = []
        short = camera(ScriptedSource([Repeat(picture(), 3), End()], live=False), [add()])
        async with running(short, results=results, endless=True) as runner:
            waiting = asyncio.create_task(runner.wait())
            await runner.cameras["door"].done.wait()
            await runner.revise([CameraPlan(endless("gate", add()))])
            await until(lambda: latest(results, "gate") is not None, "a frame")
            assert not waiting.done()
            runner.request_stop()
            await waiting

    asyncio.run(scenario())


def test_what_runs_on_the_worker_thread_sees_the_stages() -> None:
    async def scenario() -> None:
        async with running(endless("door", add())) as runner:
            door = runner.cameras["door"]
            thread, name = await door.call(
                lambda pipeline: (threading.current_thread().name, pipeline["add"].name)
            )
            assert (thread, name) == ("worker door", "add")
            await door.stop()
            with pytest.raises(StageError, match="has ended"):
                await door.call(lambda pipeline: pipeline)
            with pytest.raises(ConfigurationError, match="did you mean 'door'"):
                runner.camera("dor")

    asyncio.run(scenario())


def test_a_stage_that_hangs_in_its_first_start_is_named(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    class Slow(Stage):
        def start(self) -> None:
            release.wait(20)

        def process(self, frame: Frame) -> None: ...

    async def scenario() -> None:
        async with running(endless("door", Slow, stage_timeout_s=0.05)) as runner:
            await until(lambda: runner.status().cameras[0].stuck_stage == "slow", "the name")
            release.set()
            await until(lambda: accounts(runner).processed > 0, "frames")
            await until(lambda: runner.status().cameras[0].stuck_stage == "", "the end of it")

    asyncio.run(scenario())
    assert (
        "stage slow has been running for more than 0.05 s (before its first frame)" in caplog.text
    )
