"""The collecting upstream can be waited for, on the event loop and on other threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.message import Message
from tests.unit.upstream.helpers import messages


def test_waits_on_the_loop_for_as_many_as_asked() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        await upstream.start()
        three = asyncio.ensure_future(upstream.wait_for(3))
        two = asyncio.ensure_future(upstream.wait_for(2))
        await asyncio.sleep(0)
        for message in messages(2):
            await upstream.send(message)
        assert [message.body["number"] for message in await two] == [1, 2]
        assert not three.done()
        await upstream.send(messages(3)[2])
        assert len(await three) == 3
        assert len(await upstream.wait_for(1)) == 3
        await upstream.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
    assert [body["number"] for body in upstream.bodies] == [1, 2, 3]


def test_waits_on_another_thread() -> None:
    upstream = CollectingUpstream()
    go = threading.Event()

    async def send() -> None:
        await upstream.start()
        await asyncio.to_thread(go.wait, 10)
        for message in messages(2, "door") + messages(1, "till"):
            await upstream.send(message)
        await upstream.stop()

    sender = threading.Thread(target=lambda: asyncio.run(send()))
    sender.start()
    go.set()
    assert len(upstream.wait(3)) == 3
    sender.join()
    assert [message.camera for message in upstream.of("till")] == ["till"]
    upstream.clear()
    assert upstream.messages == []


def test_says_what_came_instead() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        await upstream.start()
        await upstream.send(messages(1)[0])
        with pytest.raises(TimeoutError, match=r"wanted 2 .* got 1: event of door"):
            await upstream.wait_for(2, timeout_s=0.01)
        await upstream.stop()

    asyncio.run(main())
    with pytest.raises(TimeoutError, match="got 1"):
        upstream.wait(2, timeout_s=0.01)
    upstream.clear()
    with pytest.raises(TimeoutError, match="got 0: none"):
        upstream.wait(1, timeout_s=0.01)


def test_what_has_no_json_form_fails_as_it_would_anywhere() -> None:
    async def main() -> None:
        upstream = CollectingUpstream()
        await upstream.start()
        bad = Message("id", "event", "o", "door", {"x": object()})
        with pytest.raises(TypeError):
            await upstream.send(bad)

    asyncio.run(main())
