"""A lane hands an upstream that asks for it what waits together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edgevision.errors import UpstreamError
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.lane import Lane
from edgevision.upstream.message import Message
from edgevision.upstream.settings import DeliverySettings
from tests.unit.upstream.helpers import messages, until

QUICK = DeliverySettings(first_retry_s=0.001, longest_retry_s=0.002)


class Grouped(CollectingUpstream):
    """Takes up to four at once; refuses a group that holds one of ``wrong``."""

    group = 4

    def __init__(self, wrong: Sequence[Message] = ()) -> None:
        super().__init__("grouped")
        self.groups: list[int] = []
        self.wrong = {message.id for message in wrong}
        self.gate = asyncio.Event()

    async def send(self, message: Message) -> None:
        await self.gate.wait()
        if message.id in self.wrong:
            raise UpstreamError("too large", retryable=False)
        await super().send(message)

    async def send_all(self, messages: Sequence[Message]) -> None:
        await self.gate.wait()
        if any(message.id in self.wrong for message in messages):
            raise UpstreamError("one is too large", retryable=False)
        self.groups.append(len(messages))
        for message in messages:
            await super().send(message)


async def run(upstream: Grouped, given: Sequence[Message]) -> Lane:
    lane = Lane(upstream, QUICK)
    await lane.start()
    for message in given:
        await lane.put(message)
    upstream.gate.set()
    await until(lambda: lane.statistics().waiting == 0)
    await lane.stop(5)
    return lane


async def test_what_waits_is_handed_over_together_in_order() -> None:
    given = messages(11)
    upstream = Grouped()
    lane = await run(upstream, given)
    assert upstream.messages == given
    assert upstream.groups == [4, 4, 3]
    assert (lane.statistics().sent, lane.statistics().lost) == (11, {})


async def test_one_that_is_refused_costs_its_group_the_call_and_no_message() -> None:
    given = messages(12)
    upstream = Grouped(wrong=[given[5]])
    lane = await run(upstream, given)
    assert upstream.messages == [message for message in given if message is not given[5]]
    assert upstream.groups == [4, 4]
    assert (lane.statistics().sent, lane.statistics().lost) == (11, {"refused": 1})


async def test_a_lone_message_does_not_wait_for_others() -> None:
    upstream = Grouped()
    await run(upstream, messages(1))
    assert upstream.groups == []
    assert len(upstream.messages) == 1
