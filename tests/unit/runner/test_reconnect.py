"""Cameras go and come back; the runner says what they are doing meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from edgevision import ConfigurationError
from edgevision.errors import SourceUnavailableError
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.runner import camera as camera_module
from edgevision.runner.backoff import Backoff
from edgevision.slot import Slot
from edgevision.sources.source import Source
from edgevision.testing.scripted import (
    Block,
    End,
    Fail,
    Raise,
    RefuseOpen,
    Repeat,
    ScriptedSource,
    Show,
    Truncate,
)
from tests.unit.runner.harness import accounts, camera, picture, running, until


def state(runner: Runner, name: str = "door") -> str:
    return runner.cameras[name].state.name


def test_a_camera_is_reconnected_and_keeps_counting() -> None:
    async def scenario() -> None:
        end = threading.Event()
        source = ScriptedSource(
            [Repeat(picture(), 2), End(), RefuseOpen("no route"), Repeat(picture(), 2), Block(end)]
        )
        results: list[Result] = []
        async with running(camera(source), results=results) as runner:
            await until(lambda: len(results) == 4, "four frames")
            assert state(runner) == "live"
            assert [r.sequence for r in results] == [1, 2, 3, 4]
            assert (source.opened, source.refused, source.closed) == (2, 1, 1)
            assert runner.status().cameras[0].reconnects == 2
            end.set()
        assert source.violations == []
        assert source.closed == source.opened

    asyncio.run(scenario())


def test_why_a_camera_is_away_is_said_without_credentials() -> None:
    async def scenario() -> None:
        text = "rtsp://admin:hunter2@10.0.0.8/live refused"
        source = ScriptedSource([Show(picture()), Fail(text)])
        spec = camera(source, first_retry_s=30.0, longest_retry_s=30.0)
        async with running(spec) as runner:
            await until(lambda: state(runner) == "backing off", "backing off")
            detail = runner.status().cameras[0].detail
            assert "refused" in detail
            assert "hunter2" not in detail

    asyncio.run(scenario())


class Storm(Source):
    """Opens and ends at once, for ever."""

    live = True
    uri = "storm:"

    def __init__(self) -> None:
        self.opened = 0

    def open(self) -> None:
        self.opened += 1

    def read(self, slot: Slot) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_source_that_opens_and_ends_at_once_does_not_spin() -> None:
    async def scenario() -> None:
        source = Storm()
        spec = CameraSpec("door", lambda: source, first_retry_s=0.05, longest_retry_s=10.0)
        started_s = time.monotonic()
        async with running(spec):
            await until(lambda: source.opened >= 5, "five attempts")
        # Each wait is at least half of 0.05, 0.1, 0.2, 0.4 s.
        assert time.monotonic() - started_s >= 0.5 * (0.05 + 0.1 + 0.2 + 0.4)

    asyncio.run(scenario())


def test_a_server_that_answers_again_is_opened_at_once() -> None:
    async def scenario() -> None:
        away = threading.Event()
        source = ScriptedSource(
            [Show(picture()), End(), Show(picture()), Block(threading.Event(), 1.0)],
            reachable=lambda: not away.is_set(),
        )
        away.set()
        results: list[Result] = []
        spec = camera(source, first_retry_s=60.0, longest_retry_s=60.0)
        async with running(spec, results=results) as runner:
            await until(lambda: source.probed >= 2, "probing")
            assert state(runner) == "backing off"
            away.clear()
            since_s = time.monotonic()
            await until(lambda: len(results) == 2, "the return")
            assert time.monotonic() - since_s < 5.0

    asyncio.run(scenario())


def test_a_silent_camera_is_stalled_until_it_delivers() -> None:
    async def scenario() -> None:
        silence, end = threading.Event(), threading.Event()
        source = ScriptedSource([Show(picture()), Block(silence), Show(picture()), Block(end)])
        async with running(camera(source, stall_s=0.05)) as runner:
            await until(lambda: state(runner) == "stalled", "the stall")
            assert "no frame for 0.05 s" in runner.status().cameras[0].detail
            silence.set()
            await until(lambda: accounts(runner).processed == 2, "the second frame")
            end.set()

    asyncio.run(scenario())


def test_a_source_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_module, "_HUNG_S", 0.1)

    async def scenario() -> None:
        hang, end = threading.Event(), threading.Event()
        sources = [
            ScriptedSource([Show(picture()), Block(hang), Show(picture())]),
            ScriptedSource([Repeat(picture(), 2), Block(end)]),
        ]
        made = iter(sources)
        spec = CameraSpec("door", lambda: next(made), stall_s=0.05)
        results: list[Result] = []
        async with running(spec, results=results) as runner:
            await until(lambda: len(results) == 3, "frames of the second source")
            assert [r.sequence for r in results] == [1, 2, 3]
            # What the first source brings at last is not taken for a frame of the camera.
            hang.set()
            sources[0].wait_until(lambda s: s.closed == 1)
            assert accounts(runner).captured == 3
            end.set()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Truncate("ends after 2 of 10 frames"), "2 of 10"),
        (Raise(RuntimeError("a bug in the source")), "a bug in the source"),
    ],
)
def test_a_file_that_breaks_fails_its_camera_and_no_other(step: object, words: str) -> None:
    async def scenario() -> None:
        bad = ScriptedSource([Repeat(picture(), 2), step], live=False)  # type: ignore[list-item]
        good = ScriptedSource([Repeat(picture(), 50)], live=False)
        runner = Runner([camera(bad), camera(good, name="yard")])
        code = await runner.run_async()
        assert code == 1
        assert words in str(runner.failures["door"])
        assert accounts(runner).processed == 2
        assert accounts(runner, "yard").processed == 50
        assert (state(runner), state(runner, "yard")) == ("failed", "ended")

    asyncio.run(scenario())


def test_a_source_that_can_never_work_fails_at_once() -> None:
    async def scenario() -> None:
        source = ScriptedSource([RefuseOpen("no such file", ConfigurationError)], live=False)
        runner = Runner([camera(source)])
        assert await runner.run_async() == 1
        assert isinstance(runner.failures["door"], ConfigurationError)
        assert source.refused == 1

    asyncio.run(scenario())


def test_back_off_doubles_to_its_bound_with_jitter() -> None:
    backoff = Backoff(0.2, 5.0)
    waits_s = [backoff.next_s() for _ in range(12)]
    for attempt, wait_s in enumerate(waits_s):
        bound_s = min(5.0, 0.2 * 2**attempt)
        assert bound_s / 2 <= wait_s <= bound_s
    backoff.reset()
    assert backoff.next_s() <= 0.2
    backoff.attempts = 10**6
    assert backoff.next_s() <= 5.0
    assert len({Backoff(1.0, 1.0).next_s() for _ in range(10)}) > 1


def test_unavailable_is_no_failure() -> None:
    async def scenario() -> None:
        source = ScriptedSource([RefuseOpen("busy", SourceUnavailableError)])
        async with running(camera(source)) as runner:
            await until(source.finished.is_set, "the end of the script")
            assert state(runner) in ("backing off", "connecting")
            assert runner.failures == {}

    asyncio.run(scenario())
