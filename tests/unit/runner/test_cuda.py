"""Cameras on a device: results in order, faults that end one camera or the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Frame, Stage
from edgevision.cuda.lane import Lane
from edgevision.errors import CudaFaultError, CudaMemoryError, CudaUnavailableError
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.runner import camera as camera_module
from edgevision.testing.scripted import Repeat, ScriptedSource, Show
from tests.unit.cuda.fake_device import FakeRuntime
from tests.unit.runner.harness import accounts, camera, picture, running, until

Place = Callable[[FakeRuntime], None]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Put every camera on a device of arrays."""

    def on(runtime: FakeRuntime) -> None:
        def place_on(spec: CameraSpec, slots: int) -> tuple[str, Lane]:
            return "a fake device", Lane(0, camera=spec.name, frames=slots, runtime=runtime)

        monkeypatch.setattr(camera_module, "_place", place_on)

    return on


class Reads(Stage):
    """Fetches the picture and says which value it has."""

    def process(self, frame: Frame) -> None:
        def use(array: Any) -> None:
            frame.values["value"] = int(array[0, 0, 0])

        frame.fetch(frame.image, use)


@pytest.mark.parametrize("policy", ["wait", "latest"])
def test_each_result_is_of_its_own_frame(place: Place, policy: Any) -> None:
    async def scenario() -> None:
        place(FakeRuntime())
        source = ScriptedSource([Show(picture(value)) for value in range(1, 200)], live=False)
        results: list[Result] = []
        async with running(camera(source, [Reads], policy=policy), results=results) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
            books = accounts(runner)
            status = runner.cameras["door"].status()
        assert results
        assert [r.values["value"] for r in results] == [r.sequence for r in results]
        assert [r.sequence for r in results] == sorted(r.sequence for r in results)
        assert books.in_flight == 0
        if policy == "wait":
            assert books.processed == 199
        assert (status.device, status.stages[0].downloads) == ("cuda:0", status.stages[0].frames)
        assert status.device_bytes == {"wait": 10, "latest": 6}[policy] * picture().nbytes
        assert status.buffers_bytes > status.device_bytes

    asyncio.run(scenario())


def test_a_result_does_not_wait_for_the_next_frame(place: Place) -> None:
    async def scenario() -> None:
        place(FakeRuntime())
        source = ScriptedSource([Show(picture(7))], live=True)
        results: list[Result] = []
        async with running(camera(source, [Reads]), results=results):
            await until(lambda: bool(results), "the only frame's result")
        assert results[0].values == {"value": 7}

    asyncio.run(scenario())


def test_a_camera_without_room_fails_and_the_others_go_on(place: Place) -> None:
    async def scenario() -> None:
        # Ten slots for a file's camera: there is room for one of the two.
        place(FakeRuntime(room=10))
        specs = [
            camera(ScriptedSource([Repeat(picture(), 20)], live=False), [Reads], name=name)
            for name in ("door", "yard")
        ]
        async with running(*specs) as runner:
            cameras = runner.cameras.values()
            await until(lambda: all(each.done.is_set() for each in cameras), "the end")
            failed = runner.failures
            states = {each.name: each.state.name for each in cameras}
            done = sum(accounts(runner, each.name).processed for each in cameras)
        assert len(failed) == 1
        name, error = next(iter(failed.items()))
        assert isinstance(error, CudaMemoryError)
        assert f"camera {name!r} on CUDA device 0: 10 frames of 64x48 do not fit" in str(error)
        assert sorted(states.values()) == ["ended", "failed"]
        assert done == 20

    asyncio.run(scenario())


class Breaks(Stage):
    """Its kernel writes where it may not."""

    def process(self, frame: Frame) -> None:
        if frame.sequence >= 3:
            raise cv2.error("(-217:Gpu API call) an illegal memory access was encountered in 'x'")


class Fine(Stage):
    """Has nothing to do with it."""

    def process(self, frame: Frame) -> None:
        assert np.size(frame.host)


def test_a_broken_context_ends_the_process_with_its_own_code(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place(FakeRuntime())
    results: list[Result] = []
    specs = [
        camera(ScriptedSource([Repeat(picture(), 20)], live=True), [Breaks], name="bad"),
        camera(ScriptedSource([Repeat(picture(), 20)], live=True), [Fine], name="good"),
    ]
    runner = Runner(specs, on_result=results.append)
    with caplog.at_level(logging.CRITICAL):
        assert runner.run(duration_s=20) == CudaFaultError.EXIT_CODE == 75
    assert isinstance(runner.failures["bad"], CudaFaultError)
    events = [event for result in results for event in result.events]
    assert [(event.output, event.body["exit_code"]) for event in events] == [("fault", 75)]
    assert "CUDA is broken in this process" in caplog.text


def test_where_pictures_are_processed_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        specs = [
            camera(ScriptedSource([Show(picture())], live=False), name=name, device="cpu")
            for name in ("door", "yard")
        ]
        async with running(*specs) as runner:
            await until(runner.cameras["yard"].done.is_set, "the end")

    with caplog.at_level(logging.INFO, "edgevision"):
        asyncio.run(scenario())
    said = [r.getMessage() for r in caplog.records if "processed on" in r.getMessage()]
    assert said == ["camera door: pictures are processed on the CPU"]


def test_a_device_that_is_asked_for_and_missing_is_an_error() -> None:
    async def scenario() -> None:
        async with running(camera(ScriptedSource([]), device="cuda:97")):
            raise AssertionError("it started")

    with pytest.raises(CudaUnavailableError, match=r"OpenCV|no CUDA device 97"):
        asyncio.run(scenario())


class Gone(FakeRuntime):
    """A device that breaks after its first frames."""

    def fence(self) -> Any:
        fence = super().fence()
        runtime = self

        class Breaks(type(fence)):  # type: ignore[misc]
            def wait(self, stream: Any) -> None:
                runtime.waits += 1
                if runtime.waits > 5:
                    raise cv2.error("(-217:Gpu API call) unspecified launch failure in 'waitEvent'")
                super().wait(stream)

        return Breaks()

    waits = 0


def test_a_device_that_breaks_between_the_stages_leaves_the_books_in_balance(place: Place) -> None:
    async def scenario() -> None:
        place(Gone())
        source = ScriptedSource([Repeat(picture(), 30)], live=False)
        async with running(camera(source, [Reads])) as runner:
            await until(runner.cameras["door"].done.is_set, "the end")
        books = accounts(runner)
        assert isinstance(runner.failures["door"], CudaFaultError)
        assert books.in_flight == 0

    asyncio.run(scenario())
