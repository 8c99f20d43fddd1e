"""Stopping: soon, in order, and with nothing lost under ``wait``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from edgevision import Frame, Stage
from edgevision.result import Result
from edgevision.testing.scripted import Block, Repeat, ScriptedSource
from tests.unit.runner.harness import Gate, accounts, camera, picture, running, until


def test_stop_under_wait_loses_nothing_that_was_captured() -> None:
    async def scenario() -> None:
        gate = Gate()
        source = ScriptedSource([Repeat(picture(), 1000)], live=False)
        results: list[Result] = []
        async with running(camera(source, [gate], queue_size=5), results=results) as runner:
            await until(lambda: accounts(runner).queued == 6, "a full queue")
            gate.open()
        books = accounts(runner)
        assert books.in_flight == 0
        assert books.dropped == {}
        assert [r.sequence for r in results] == list(range(1, books.captured + 1))

    asyncio.run(scenario())


def test_stop_under_latest_counts_what_it_drops() -> None:
    async def scenario() -> None:
        gate, end = Gate(), threading.Event()
        source = ScriptedSource([Repeat(picture(), 3), Block(end)], live=True)
        async with running(camera(source, [gate])) as runner:
            await until(lambda: accounts(runner).working == 1, "the first frame")
            await until(lambda: accounts(runner).captured == 3, "all frames")
            end.set()
            worker = runner.cameras["door"]._worker

            async def open_when_told_to_quit() -> None:
                await until(worker._quit.is_set, "the order to quit")
                gate.open()

            opening = asyncio.create_task(open_when_told_to_quit())
        await opening
        books = accounts(runner)
        assert books.in_flight == 0
        assert set(books.dropped) <= {"overrun", "stopped"}
        assert books.dropped["stopped"] >= 1

    asyncio.run(scenario())


def test_stop_does_not_wait_for_a_source_that_blocks() -> None:
    async def scenario() -> None:
        end = threading.Event()
        source = ScriptedSource([Repeat(picture(), 2), Block(end)], live=True)
        results: list[Result] = []
        async with running(camera(source), results=results) as runner:
            await until(lambda: len(results) == 2, "both frames")
            since_s = time.monotonic()
        took_s = time.monotonic() - since_s
        end.set()
        assert took_s < 2.0
        assert runner.cameras["door"].state.name == "stopped"
        source.wait_until(lambda s: s.closed == 1)

    asyncio.run(scenario())


def test_stop_names_a_stage_that_does_not_return(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        gate = Gate()
        source = ScriptedSource([Repeat(picture(), 3)], live=False)
        since_s = 0.0
        async with running(camera(source, [gate]), drain_s=0.2) as runner:
            await until(lambda: accounts(runner).working == 1, "the first frame")
            since_s = time.monotonic()
        assert time.monotonic() - since_s < 2.0
        worker = next(t for t in threading.enumerate() if t.name == "worker door")
        gate.open()
        worker.join(5)
        assert accounts(runner).in_flight == 0

    asyncio.run(scenario())
    assert "stage gate was given up when the camera was stopped (frame 1)" in caplog.text


def test_stop_hooks_run_once_for_each_start() -> None:
    calls: list[str] = []

    class Notes(Stage):
        def start(self) -> None:
            calls.append(f"start {self.name}")

        def process(self, frame: Frame) -> None: ...

        def stop(self) -> None:
            calls.append(f"stop {self.name}")

    async def scenario() -> None:
        source = ScriptedSource([Repeat(picture(), 5)], live=False)
        async with running(camera(source, [Notes, Notes])) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")

    asyncio.run(scenario())
    assert calls == ["start notes", "start notes-2", "stop notes-2", "stop notes"]


PROGRAM = textwrap.dedent(
    """
    import json, sys, time
    import numpy as np
    from edgevision import Stage
    from edgevision.runner import CameraSpec, Runner
    from edgevision.sources.source import Source

    class Endless(Source):
        live = False
        uri = "endless:"
        def open(self): pass
        def read(self, slot):
            slot.image = np.zeros((48, 64, 3), np.uint8)
            return True
        def close(self): pass

    class Slow(Stage):
        def process(self, frame):
            if sys.argv[1] == "stuck":
                print("first", flush=True)
                time.sleep(60)
            time.sleep(0.02)

    count = 0
    def on_result(result):
        global count
        count += 1
        if count == 1:
            print("first", flush=True)

    runner = Runner([CameraSpec("door", Endless, [Slow])], on_result=on_result)
    code = runner.run()
    status = runner.status().cameras[0]
    print(json.dumps([code, count, status.captured, status.processed, dict(status.dropped)]))
    """
)


def start_program(mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_program_with_nothing_lost(number: signal.Signals) -> None:
    process = start_program("slow")
    since_s = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - since_s < 2.0
    code, count, captured, processed, dropped = json.loads(out)
    assert (code, process.returncode) == (0, 0)
    assert count == captured == processed > 0
    assert dropped == {}


def test_a_stuck_stage_does_not_keep_the_program_alive() -> None:
    process = start_program("stuck")
    since_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert time.monotonic() - since_s < 5.0


def test_a_second_signal_ends_the_program_at_once() -> None:
    process = start_program("stuck")
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    process.communicate()
    assert process.returncode == 128 + signal.SIGINT
