"""Hooks that are coroutines: on a private loop, on somebody's loop, and when they go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edgevision import ConfigurationError, DropFrame, Frame, Pipeline, Stage
from edgevision.arena import current
from edgevision.errors import StageError
from tests.unit.core.recording import frame


@contextlib.contextmanager
def loop_on_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Waits(Stage):
    """Waits on the loop and says where it ran."""

    async def start(self) -> None:
        self.event = asyncio.Event()

    async def process(self, frame: Frame) -> None:
        asyncio.get_running_loop().call_soon(self.event.set)
        await self.event.wait()
        self.event.clear()
        frame.values["thread"] = threading.current_thread().name
        frame.values["arena"] = current() is not None

    async def stop(self) -> None:
        await asyncio.sleep(0)


def test_a_private_loop_runs_on_the_thread_that_waits() -> None:
    one = frame()
    pipeline = Pipeline([Waits])
    for _ in range(2):
        with pipeline:
            assert pipeline.process(one) is None
        assert one.values == {"thread": threading.current_thread().name, "arena": True}
        one = frame()


def test_a_given_loop_runs_the_hooks() -> None:
    one = frame()
    with loop_on_a_thread() as loop:
        with Pipeline([Waits], loop=loop) as pipeline:
            assert pipeline.process(one) is None
        assert loop.is_running()
    assert one.values["thread"] != threading.current_thread().name
    assert one.values["arena"] is True


class Raises(Stage):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def process(self, frame: Frame) -> None:
        raise self.error


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no luck"), "process raised ValueError: no luck"),
        (TimeoutError("the hook's own"), "process raised TimeoutError: the hook's own"),
        (asyncio.CancelledError(), "process raised RuntimeError: it was cancelled"),
    ],
)
def test_errors_come_through(error: BaseException, text: str, given: bool) -> None:
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_on_a_thread()) if given else None
        pipeline = stack.enter_context(Pipeline([Raises(error)], loop=loop))
        with pytest.raises(StageError, match=rf"{text}$"):
            pipeline.process(frame())


@pytest.mark.parametrize("given", [False, True])
def test_a_drop_comes_through(given: bool) -> None:
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_on_a_thread()) if given else None
        pipeline = stack.enter_context(Pipeline([Raises(DropFrame("dark"))], loop=loop))
        assert pipeline.process(frame()) == "raises: dark"


class Hangs(Stage):
    cancelled = False

    async def process(self, frame: Frame) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@pytest.mark.parametrize("given", [False, True])
def test_a_hook_that_takes_too_long_is_cancelled(given: bool) -> None:
    stage = Hangs()
    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(loop_on_a_thread()) if given else None
        pipeline = stack.enter_context(Pipeline([stage], loop=loop, async_timeout_s=0.05))
        with pytest.raises(
            StageError, match=r"TimeoutError: it did not return within 0\.05 s, and was cancelled"
        ):
            pipeline.process(frame())
        assert stage.cancelled


class HangsAtStart(Stage):
    async def start(self) -> None:
        await asyncio.Event().wait()

    def process(self, frame: Frame) -> None: ...


def test_a_loop_that_does_nothing_any_more_does_not_hold_the_camera() -> None:
    loop = asyncio.new_event_loop()
    try:
        pipeline = Pipeline([HangsAtStart], loop=loop, async_timeout_s=0.05)
        with pytest.raises(StageError, match="start raised TimeoutError: it did not return"):
            pipeline.start()
        # What was handed to the loop is cancelled when it runs again.
        for _ in range(5):
            loop.run_until_complete(asyncio.sleep(0))
        assert asyncio.all_tasks(loop) == set()
    finally:
        loop.close()


@pytest.mark.parametrize("own", [False, True])
async def test_waiting_on_the_thread_of_the_loop_is_refused(own: bool) -> None:
    loop = asyncio.get_running_loop() if own else None
    with pytest.raises(StageError, match="cannot be waited for on the thread of a running event"):
        Pipeline([Waits], loop=loop).start()


async def test_to_thread_is_the_way_out() -> None:
    one = frame()
    pipeline = Pipeline([Waits], loop=asyncio.get_running_loop())
    await asyncio.to_thread(pipeline.start)
    await asyncio.to_thread(pipeline.process, one)
    await asyncio.to_thread(pipeline.stop)
    assert "thread" in one.values


def test_what_a_stage_left_running_ends_with_the_pipeline() -> None:
    ended: list[str] = []

    class Background(Stage):
        async def start(self) -> None:
            self.task = asyncio.create_task(self.work())
            await asyncio.sleep(0)

        async def work(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("task")

        async def process(self, frame: Frame) -> None:
            frame.values["mean"] = await asyncio.to_thread(np.mean, frame.image)

    one = frame()
    with Pipeline([Background]) as pipeline:
        pipeline.process(one)
    assert one.values["mean"] == 10
    assert ended == ["task"]


def test_plain_stages_make_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(Stage):
        def process(self, frame: Frame) -> None: ...

    def refuse() -> asyncio.AbstractEventLoop:
        raise AssertionError("a loop was made")

    monkeypatch.setattr(asyncio, "new_event_loop", refuse)
    with Pipeline([Plain]) as pipeline:
        pipeline.process(frame())


def test_a_configuration_error_of_a_hook_stays_the_cause() -> None:
    class Misses(Stage):
        async def start(self) -> None:
            raise ConfigurationError("no such model")

        def process(self, frame: Frame) -> None: ...

    with pytest.raises(StageError, match="no such model") as caught:
        Pipeline([Misses]).start()
    assert isinstance(caught.value.__cause__, ConfigurationError)
