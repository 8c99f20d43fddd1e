"""Desired properties in force: between two frames, as a whole or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from edgevision import ConfigurationError
from edgevision.errors import StageError
from edgevision.harness.desired import Baseline, Wanted
from edgevision.harness.transport import TransportError, Twin
from edgevision.harness.twin import DesiredOutcome, Steering
from edgevision.result import Result
from edgevision.runner import Runner
from tests.unit.harness.pipelines import pipeline, playing, stages, until
from tests.unit.harness.wishes import patches, send


def twin(version: int, **desired: Any) -> Twin:
    return Twin({**desired, "$version": version}, {"$version": 1})


@asynccontextmanager
async def steered(
    folder: Path, results: list[Result] | None = None, **options: Any
) -> AsyncIterator[tuple[Runner, Steering]]:
    config = pipeline(folder)
    async with playing(config, results) as runner:
        steering = Steering(runner, Baseline(config), **options)
        steering.start()
        await until(lambda: all(c.worker.pipeline for c in runner.cameras.values()), "stages")
        try:
            yield runner, steering
        finally:
            await steering.stop()


async def take(steering: Steering, version: int, **patch: Any) -> DesiredOutcome:
    steering.take_patch({**patch, "$version": version})
    await steering.idle()
    return steering.outcome


def test_a_twin_and_its_patches(tmp_path: Path) -> None:
    async def scenario() -> None:
        results: list[Result] = []
        async with steered(tmp_path, results) as (runner, steering):
            assert steering.outcome.status == "none"
            steering.take_twin(twin(4, stages={"add": {"amount": 4}}))
            await steering.idle()
            assert steering.outcome == DesiredOutcome(4, 4)
            assert stages(runner, "door")["add"]["amount"] == 4
            await until(lambda: newest(results, "door")["add"][1] > 5, "some frames")
            before = len(results)
            outcome = await take(steering, 5, stages={"add": {"amount": 5}})
            assert (outcome.version, outcome.status) == (5, "applied")
            # In force with the next frame: the same instance, no restart.
            await until(lambda: any(r.camera == "door" for r in results[before:]), "a frame")
            await until(lambda: newest(results, "door")["add"][0] == 5, "the value")
            assert newest(results, "door")["add"][1] > 5
            await take(steering, 6, stages={"add": {"amount": None}})
            assert stages(runner, "door")["add"]["amount"] == 2  # pipeline.yaml's
            await take(
                steering, 7, cameras={"yard": False, "gate": {"source": SMALL, "paused": True}}
            )
            assert list(runner.cameras) == ["door", "gate"]
            assert runner.cameras["gate"].state.name == "paused"
            await take(steering, 8, cameras={"yard": None, "gate": {"paused": False}})
            await until(lambda: runner.cameras["gate"].state.name == "live", "it is resumed")
            assert list(runner.cameras) == ["door", "yard", "gate"]

    asyncio.run(scenario())


SMALL = "synthetic:?width=96&height=64&fps=100&people=0"


def newest(results: list[Result], camera: str) -> dict[str, Any]:
    return next((r.values for r in reversed(results) if r.camera == camera), {"add": [0, 0]})


def test_what_is_wrong_is_refused_as_a_whole_and_mended_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with steered(tmp_path) as (runner, steering):
            await take_twin(steering, twin(1))
            outcome = await take(
                steering, 2, stages={"add": {"amount": 9}}, cameras={"gate": SMALL, "yard": 7}
            )
            assert outcome.status == "refused"
            assert (outcome.version, outcome.applied_version) == (2, 1)
            assert outcome.path == "cameras.yard"
            assert outcome.reason.startswith("a camera is an object")
            assert list(runner.cameras) == ["door", "yard"]
            assert stages(runner, "door")["add"]["amount"] == 2
            outcome = await take(steering, 3, cameras={"yard": None})
            assert outcome == DesiredOutcome(3, 3)
            assert list(runner.cameras) == ["door", "yard", "gate"]
            assert stages(runner, "door")["add"]["amount"] == 9

    asyncio.run(scenario())
    assert "version 2 refused: cameras.yard: a camera is" in caplog.text


async def take_twin(steering: Steering, whole: Twin) -> None:
    steering.take_twin(whole)
    await steering.idle()


@pytest.mark.parametrize(
    ("patch", "wanted"),
    [
        ({"stages": {"add": {"amount": 66}}}, "66 is refused by the stage itself"),
        ({"stages": {"bad": {"use": "./stages.py:Broken"}}}, "no such model"),
    ],
)
def test_a_stage_that_refuses_refuses_for_all(
    tmp_path: Path, patch: dict[str, Any], wanted: str
) -> None:
    async def scenario() -> None:
        async with steered(tmp_path) as (runner, steering):
            await take_twin(steering, twin(1))
            more = {"cameras": {"yard": {"stages": {"count": {"step": 4}}}, "gate": SMALL}}
            outcome = await take(steering, 2, **patch, **more)
            assert wanted in outcome.reason
            assert list(runner.cameras) == ["door", "yard"]
            assert stages(runner, "yard")["count"]["step"] == 1.0
            assert stages(runner, "door")["add"]["amount"] == 2
            assert list(stages(runner, "door")) == ["add", "count"]

    asyncio.run(scenario())


class _Surprising(Baseline):
    def apply(self, wish: Mapping[str, Any]) -> Wanted:
        if wish.get("log_level") == "debug":
            raise RuntimeError("password=hunter2 was not expected")
        return super().apply(wish)


def test_whatever_goes_wrong_the_next_properties_are_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = pipeline(tmp_path)
        async with playing(config) as runner:
            steering = Steering(runner, _Surprising(config))
            steering.start()
            outcome = await asyncio.wait_for(take(steering, 1, log_level="debug"), 10)
            assert "RuntimeError" in outcome.reason
            assert "hunter2" not in outcome.reason
            assert (await take(steering, 2, log_level=None)) == DesiredOutcome(2, 2)
            await steering.stop()

    asyncio.run(scenario())


def test_old_and_repeated_patches_are_ignored_and_a_missed_one_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        fetched: list[int] = []

        async def fetch() -> Twin:
            fetched.append(1)
            if len(fetched) == 1:
                raise TransportError("no answer", "uncertain")
            return twin(7, stages={"add": {"amount": 7}, "count": {"step": 7}})

        async with steered(tmp_path, fetch=fetch, retry_s=0.01) as (runner, steering):
            await take_twin(steering, twin(4, stages={"add": {"amount": 4}}))
            for version in (3, 4):
                await take(steering, version, stages={"add": {"amount": 99}})
            assert stages(runner, "door")["add"]["amount"] == 4
            # 5 and 6 are missing: the whole twin is asked for, until it comes.
            steering.take_patch({"stages": {"count": {"step": 7}}, "$version": 7})
            await until(lambda: steering.outcome.version == 7, "the whole twin")
            assert len(fetched) == 2
            door = stages(runner, "door")
            assert (door["add"]["amount"], door["count"]["step"]) == (7, 7.0)
            steering.take_patch({"no version": 1})
            await until(lambda: len(fetched) == 3, "another request")
            # A module that was made anew begins again at 1.
            await take_twin(steering, twin(1))
            assert stages(runner, "door")["add"]["amount"] == 2
            assert (await take(steering, 2, log_level="error")).status == "applied"

    asyncio.run(scenario())


def test_what_a_method_sets_holds_until_the_twin_says_something_else_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with steered(tmp_path) as (runner, steering):
            await take_twin(steering, twin(1, stages={"count": {"step": 3}}))
            await steering.set({"stages": {"add": {"amount": 50}, "count": {"step": 5}}})
            await steering.set({"cameras": {"door": {"paused": True}}})
            door = stages(runner, "door")
            assert (door["add"]["amount"], door["count"]["step"]) == (50, 5.0)
            await take(steering, 2, stages={"count": {"step": 6}}, cameras={"door": {"stall_s": 5}})
            door = stages(runner, "door")
            assert (door["add"]["amount"], door["count"]["step"]) == (50, 6.0)
            assert runner.cameras["door"].state.name == "paused"
            await steering.set({"stages": {"add": None}, "cameras": {"door": {"paused": None}}})
            await until(lambda: stages(runner, "door")["add"]["amount"] == 2, "the file's")
            assert not runner.cameras["door"].paused
            with pytest.raises(ConfigurationError, match="did you mean 'amount'"):
                await steering.set({"stages": {"add": {"amout": 1}}})
            with pytest.raises(StageError, match="66 is refused"):
                await steering.set({"stages": {"add": {"amount": 66}}})
            assert stages(runner, "door")["add"]["amount"] == 2

    asyncio.run(scenario())


def test_methods_work_while_the_desired_properties_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with steered(tmp_path) as (runner, steering):
            await take_twin(steering, twin(1, stages={"count": {"step": 3}}))
            await take(steering, 2, stages={"add": {"amount": "much"}})
            assert steering.outcome.status == "refused"
            await steering.set({"cameras": {"door": {"paused": True}}})
            assert runner.cameras["door"].paused
            assert stages(runner, "door")["count"]["step"] == 3.0
            assert steering.outcome.status == "refused"
            assert (await take(steering, 3, stages={"add": {"amount": 4}})).status == "applied"
            assert runner.cameras["door"].paused
            assert stages(runner, "door")["add"]["amount"] == 4

    asyncio.run(scenario())


def test_the_log_level(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with steered(tmp_path, log_level="warning") as (_, steering):
            await take_twin(steering, twin(1, log_level="debug"))
            assert logging.getLogger("edgevision").level == logging.DEBUG
            await take(steering, 2, log_level=None)
            assert logging.getLogger("edgevision").level == logging.WARNING

    before = logging.getLogger("edgevision").level
    try:
        asyncio.run(scenario())
    finally:
        logging.getLogger("edgevision").setLevel(before)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=patches(25))
def test_no_sequence_of_patches_leaves_half_of_one_behind(
    tmp_path: Path, sequence: list[dict[str, Any]]
) -> None:
    async def scenario() -> None:
        async with steered(tmp_path) as (runner, steering):
            outcomes = [status async for status in send(runner, steering, sequence)]
            assert len(outcomes) == len(sequence)

    asyncio.run(scenario())
