"""A BatchStage under a runner: cameras that end, hang and are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from edgevision import BatchStage, Frame, Param
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.sources import open_source
from edgevision.testing.scripted import Block, ScriptedSource, Show, Step
from tests.unit.batch.cameras import TIMEOUT_S, Mean
from tests.unit.runner.harness import accounts, camera, picture, running, until


def rendered(name: str, frames: int, **settings: float) -> CameraSpec:
    uri = f"synthetic:?width=96&height=64&frames={frames}&pace=fast&people=1&faces=0&codes=0"
    return CameraSpec(name, lambda: open_source(uri), [Mean(**settings)], policy="wait")


def test_cameras_of_different_length_all_come_to_their_end() -> None:
    results: list[Result] = []
    lengths = {"a": 5, "b": 40, "c": 80}
    specs = [rendered(name, count, deadline_ms=1000) for name, count in lengths.items()]
    begun_s = time.monotonic()
    assert Runner(specs, on_result=results.append).run() == 0
    for name, count in lengths.items():
        mine = [r for r in results if r.camera == name]
        assert [r.sequence for r in mine] == list(range(1, count + 1))
        assert all("mean" in r.values for r in mine)
    # The one that is left waits for nobody: 40 deadlines would take 40 s.
    assert time.monotonic() - begun_s < 20


async def test_a_stop_ends_in_time_while_frames_wait_for_a_batch() -> None:
    first, gate = threading.Event(), threading.Event()
    steps: dict[str, list[Step]] = {
        "a": [Block(first), Show(picture()), Block(gate)],
        "b": [Block(gate)],
    }
    specs = [
        camera(ScriptedSource(script, live=True), [Mean(deadline_ms=1000)], name=name)
        for name, script in steps.items()
    ]
    async with running(*specs) as runner:
        await until(lambda: sum(len(c.stages) for c in runner.status().cameras) == 2)
        first.set()
        await until(lambda: accounts(runner, "a").working == 1, "a frame in the stage")
        gate.set()
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 5


async def test_the_watchdog_names_the_stage_for_each_camera_that_waits() -> None:
    go_on = threading.Event()

    class Hangs(BatchStage):
        deadline_ms: float = Param(1000.0, live=False)

        def process_batch(self, frames: Sequence[Frame]) -> None:
            assert go_on.wait(TIMEOUT_S)

    gate = threading.Event()
    specs = [
        camera(
            ScriptedSource([Show(picture()), Block(gate)], live=True),
            [Hangs],
            name=name,
            stage_timeout_s=0.1,
        )
        for name in "ab"
    ]
    async with running(*specs) as runner:

        def stuck() -> list[str]:
            return [status.stuck_stage for status in runner.status().cameras]

        await until(lambda: stuck() == ["hangs", "hangs"], "the stage is named")
        go_on.set()
        await until(lambda: stuck() == ["", ""], "the stage goes on")
        gate.set()


async def test_stages_replaced_while_they_run_share_what_is_there() -> None:
    starts: list[int] = []

    class Loads(Mean):
        def start(self) -> None:
            super().start()
            starts.append(1)

    gate, over = threading.Event(), threading.Event()
    steps: dict[str, list[Step]] = {
        "a": [Show(picture(5)), Block(gate), Show(picture(5)), Block(over)],
        "b": [Show(picture(5)), Block(over)],
    }
    results: list[Result] = []
    specs = [
        camera(ScriptedSource(script, live=True), [Loads], name=name)
        for name, script in steps.items()
    ]
    async with running(*specs, results=results) as runner:
        await until(lambda: len(results) == 2)
        await runner.cameras["a"].replace_stages([Loads(factor=3)])
        gate.set()
        await until(lambda: len(results) == 3)
        assert results[-1].values == {"mean": 15}
        assert len(starts) == 1
        await runner.cameras["a"].replace_stages([Loads(offset=3)])
        assert len(starts) == 2
        over.set()
