"""The thread between the event loop and a file: batches, faults, and loops that go away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.upstream.message import Message
from edgevision.upstream.writer import Writer
from tests.unit.upstream.helpers import messages


class Notebook:
    """A destination that keeps what it is given, and waits for `gate` before each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.writing = threading.Event()
        self.refuse: Exception | None = None
        self.taken: int | None = None

    def open(self) -> None:
        self.calls.append("open")
        self.gate.wait(10)
        if self.refuse is not None:
            raise self.refuse

    def write(self, several: Sequence[Message]) -> tuple[int, UpstreamError | None]:
        self.threads.add(threading.current_thread().name)
        self.writing.set()
        self.gate.wait(10)
        if self.refuse is not None:
            raise self.refuse
        taken = len(several) if self.taken is None else min(self.taken, len(several))
        self.batches.append([message.body["number"] for message in several[:taken]])
        if taken == len(several):
            return taken, None
        return taken, UpstreamError("disk full", retryable=True)

    def close(self) -> None:
        self.calls.append("close")


def test_messages_that_wait_are_written_at_once() -> None:
    book = Notebook()

    async def main() -> None:
        writer = Writer("notes", book)
        await writer.start()
        book.gate.clear()
        sending = [asyncio.ensure_future(writer.send(message)) for message in messages(600)]
        await asyncio.to_thread(book.writing.wait, 10)
        book.gate.set()
        await asyncio.gather(*sending)
        await writer.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert [number for batch in book.batches for number in batch] == list(range(1, 601))
    assert len(book.batches) <= 6
    assert book.threads == {"edgevision-notes"}
    assert book.calls == ["open", "close"]


def test_each_message_learns_its_own_fate() -> None:
    book = Notebook()

    async def main() -> list[bool]:
        writer = Writer("notes", book)
        await writer.start()
        book.gate.clear()
        first = asyncio.ensure_future(writer.send(messages(1)[0]))
        await asyncio.to_thread(book.writing.wait, 10)
        rest = [asyncio.ensure_future(writer.send(message)) for message in messages(5)]
        await asyncio.sleep(0)
        book.taken = 2
        book.gate.set()
        fates = await asyncio.gather(first, *rest, return_exceptions=True)
        await writer.stop()
        return [fate is None for fate in fates]

    assert asyncio.run(asyncio.wait_for(main(), 30)) == [True, True, True, False, False, False]


@pytest.mark.parametrize("error", [ConfigurationError("no"), UpstreamError("no", retryable=True)])
def test_what_opening_raises_comes_out_of_start(error: Exception) -> None:
    book = Notebook()
    book.refuse = error

    async def main() -> None:
        writer = Writer("notes", book)
        with pytest.raises(type(error), match="no"):
            await writer.start()
        await writer.stop()
        book.refuse = None
        await writer.start()
        await writer.send(messages(1)[0])
        await writer.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert book.batches == [[1]]
    assert book.calls == ["open", "open", "close"]


def test_a_start_that_nobody_waits_for_any_more() -> None:
    book = Notebook()
    book.gate.clear()
    book.refuse = UpstreamError("no", retryable=True)

    async def main() -> None:
        writer = Writer("notes", book)
        starting = asyncio.ensure_future(writer.start())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        book.gate.set()
        await writer.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert book.calls == ["open"]


def test_a_bug_in_a_destination_is_reported_and_survived(
    caplog: pytest.LogCaptureFixture,
) -> None:
    book = Notebook()

    async def main() -> None:
        writer = Writer("notes", book)
        await writer.start()
        book.refuse = KeyError("x")
        with pytest.raises(UpstreamError, match="upstream notes failed: 'x'") as caught:
            await writer.send(messages(1)[0])
        assert not caught.value.retryable
        book.refuse = None
        await writer.send(messages(1)[0])
        await writer.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(main(), 30))
    assert book.batches == [[1]]
    assert "KeyError" in caplog.text


def test_a_destination_that_does_not_close_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(Notebook):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    async def main() -> None:
        writer = Writer("notes", Stuck())
        await writer.start()
        await writer.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert "upstream notes did not close: [Errno 5]" in caplog.text


def test_a_message_whose_sender_left_before_its_turn_is_not_written() -> None:
    book = Notebook()

    async def main() -> None:
        writer = Writer("notes", book)
        await writer.start()
        book.gate.clear()
        first, second, third = messages(3)
        sending = [asyncio.ensure_future(writer.send(first))]
        await asyncio.to_thread(book.writing.wait, 10)
        sending += [asyncio.ensure_future(writer.send(m)) for m in (second, third)]
        await asyncio.sleep(0)
        sending[1].cancel()
        await asyncio.sleep(0)
        book.gate.set()
        await asyncio.gather(*sending, return_exceptions=True)
        await writer.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert book.batches == [[1], [3]]


def test_what_was_taken_is_written_though_the_loop_has_ended() -> None:
    book = Notebook()
    writer = Writer("notes", book)

    async def leave() -> None:
        await writer.start()
        book.gate.clear()
        sending = [asyncio.ensure_future(writer.send(m)) for m in messages(1)]
        await asyncio.to_thread(book.writing.wait, 10)
        sending[0].cancel()

    asyncio.run(asyncio.wait_for(leave(), 30))
    book.gate.set()

    async def come_back() -> None:
        await writer.start()
        await writer.send(messages(2)[1])
        await writer.stop()

    asyncio.run(asyncio.wait_for(come_back(), 30))
    assert book.batches == [[1], [2]]
