"""Many small messages become one packet, always the same one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.errors import ConfigurationError
from edgevision.upstream.outbox.batch import Batching, OpenBatch
from edgevision.upstream.outbox.packet import StoredPacket
from tests.unit.outbox.outbox_bed import (
    LIMIT,
    documents,
    everything,
    message,
    messages,
    numbers,
    started,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def test_messages_share_a_packet_up_to_the_count(path: Path) -> None:
    async with started(path, batching=Batching(10, linger_s=60)) as outbox:
        given = messages(range(25), text="ü")
        await outbox.put_all(given)
        assert [packet.count for packet in (await outbox.take(10)).packets] == [10, 10]
        packets = [*(await outbox.take(10, flush=True)).packets]
        assert [packet.count for packet in packets] == [5]
        wire = packets[0].packet()
        assert json.loads(wire.payload) == [one.body for one in given[20:]]
        assert wire.id == given[20].id + "+5"
        assert wire.properties == {"kind": "frame", "camera": "door", "batch": "5"}


async def test_a_batch_has_one_output_one_kind_and_one_camera(path: Path) -> None:
    mixed = [
        message(1),
        message(2),
        message(3, kind="heartbeat"),
        message(4),
        message(5, output="alarms", kind="event"),
        message(6, output="alarms", kind="event"),
        message(7),
        message(8),
    ]
    async with started(path, batching=Batching(10, linger_s=60)) as outbox:
        for one in mixed:  # another camera in between closes nothing
            await outbox.put_all([one, message(one.body["number"], "till")])
        packets = await everything(outbox)
    door = [numbers([packet]) for packet in packets if packet.camera == "door"]
    assert door == [[1, 2], [3], [4], [5, 6], [7, 8]]
    assert [numbers([p], "till") for p in packets if p.camera == "till"] == [list(range(1, 9))]


async def test_a_batch_waits_for_more_and_no_longer_than_it_may(path: Path) -> None:
    now_s = 10.0
    async with started(path, batching=Batching(10, linger_s=2), monotonic=lambda: now_s) as outbox:
        await outbox.put(message(1))
        taken = await outbox.take(5)
        assert (taken.packets, taken.due_in_s) == ([], 2.0)
        now_s += 1.5
        await outbox.put(message(2))
        assert (await outbox.take(5)).due_in_s == 0.5
        now_s += 0.5
        (packet,) = (await outbox.take(5)).packets
        assert numbers([packet]) == [1, 2]
        await outbox.put(message(3))
        assert (await outbox.take(5)).packets == []


async def test_without_a_connection_batches_grow(path: Path) -> None:
    """Nobody takes them, so the time they wait does not matter."""
    async with started(path, batching=Batching(100, linger_s=0)) as outbox:
        for number in range(100):
            await outbox.put(message(number))
        assert [packet.count for packet in (await outbox.take(5)).packets] == [100]


async def test_batches_are_the_same_after_a_restart_with_other_settings(path: Path) -> None:
    async with started(path, batching=Batching(7, linger_s=0)) as outbox:
        await outbox.put_all(messages(range(20)))
        before = await everything(outbox)
    async with started(path) as outbox:
        await outbox.put(message(20))
        after = await everything(outbox)
    assert [packet.packet() for packet in after[:-1]] == [packet.packet() for packet in before]
    assert after[-1].packet().payload == message(20).encode()


async def test_a_batch_that_was_handed_out_takes_no_more(path: Path) -> None:
    async with started(path, batching=Batching(10, linger_s=0)) as outbox:
        await outbox.put(message(1))
        first = (await outbox.take(1)).packets
        await outbox.put(message(2))
        await outbox.rewind()
        again = await everything(outbox)
        assert again[0] == first[0]
        assert numbers(again) == [1, 2]


async def test_a_batch_can_be_taken_apart(path: Path) -> None:
    async with started(path, batching=Batching(5, linger_s=0)) as outbox:
        await outbox.put_all([*messages(range(12)), *messages(range(12), "till")])
        packets = (await outbox.take(20, flush=True)).packets
        (second,) = (p for p in packets if p.camera == "door" and numbers([p])[0] == 5)
        await outbox.split(second)
        again = await everything(outbox)
        assert [packet.count for packet in again] == [1, 1, 1, 1, 1, 2]
        assert numbers(again) == list(range(5, 12))
        assert documents(again[0]) == [message(5).body]
        await outbox.put(message(12))
        assert numbers(await everything(outbox)) == [12]


SIZES = st.lists(st.integers(0, 3000), min_size=1, max_size=40)


@given(sizes=SIZES, most=st.integers(2, 12), max_bytes=st.integers(100, 6000))
def test_no_batch_is_larger_than_it_may_be(sizes: list[int], most: int, max_bytes: int) -> None:
    limit_bytes = 4000
    batching = Batching(most, max_bytes=max_bytes)
    batches: list[list[int]] = []
    batch: OpenBatch | None = None
    given_messages = [message(n, text="ü" * (size // 2)) for n, size in enumerate(sizes)]
    for number, one in enumerate(given_messages):
        joined = batch and batch.joined(one, batching, limit_bytes)
        if joined:
            batches[-1].append(number)
        else:
            joined = OpenBatch.begin(number, one, LIMIT.overhead(one), 0.0)
            batches.append([number])
        batch = joined
    assert [number for numbers_ in batches for number in numbers_] == list(range(len(sizes)))
    for numbers_ in batches:
        body = b",".join(given_messages[number].encode() for number in numbers_)
        first = given_messages[numbers_[0]]
        packet = StoredPacket(
            "door", 1, first.id, len(numbers_), "results", "frame", True, 0.0, len(body), body
        ).packet()
        if len(numbers_) > 1:
            assert len(numbers_) <= most
            assert len(packet.payload) <= max_bytes
            assert LIMIT.size(packet) <= limit_bytes


@pytest.mark.parametrize("wrong", [{"max_messages": 0}, {"max_bytes": 0}, {"linger_s": -1}])
def test_a_batch_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="a batch has at least 1 message"):
        Batching(**wrong)


async def test_many_small_messages_stay_below_what_the_hub_takes(path: Path) -> None:
    async with started(path, batching=Batching(10_000, max_bytes=10**6, linger_s=60)) as outbox:
        await asyncio.gather(*(outbox.put(message(n, "Tür", text="ü" * 300)) for n in range(800)))
        packets = await everything(outbox)
    assert sum(packet.count for packet in packets) == 800
    sizes = [LIMIT.size(packet.packet()) for packet in packets]
    assert max(sizes) <= LIMIT.max_bytes
    assert sizes[0] > LIMIT.max_bytes - 2000
