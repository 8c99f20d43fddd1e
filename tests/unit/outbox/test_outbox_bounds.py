"""Bytes and age are bounded, on the disk too, and what gives way is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgevision.upstream.outbox.age import AgeClock
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.store import MIN_BYTES
from tests.unit.outbox.outbox_bed import (
    MIB,
    everything,
    message,
    messages,
    numbers,
    started,
    until,
)

TEXT = "x" * 800


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())


@pytest.mark.parametrize("batching", [Batching(), Batching(50, linger_s=0)])
async def test_drop_oldest_keeps_the_newest_within_the_bytes(
    path: Path, batching: Batching
) -> None:
    largest = 0
    async with started(path, max_bytes=MIN_BYTES, batching=batching) as outbox:
        for first in range(0, 6000, 200):
            camera = "door" if first % 400 else "till"
            await outbox.put_all(messages(range(first, first + 200), camera, text=TEXT))
            largest = max(largest, on_disk(path))
        packets = await everything(outbox)
        kept = sorted(numbers(packets) + numbers(packets, "till"))
        counted = outbox.statistics()
    assert largest <= MIN_BYTES + 4096
    assert kept == list(range(6000 - len(kept), 6000))
    assert len(kept) > 1000
    assert counted.dropped == {"full": 6000 - len(kept)}
    assert counted.waiting == len(kept)


async def test_what_is_on_its_way_is_not_dropped(path: Path) -> None:
    async with started(path, max_bytes=MIN_BYTES) as outbox:
        await outbox.put_all(messages(range(20), text=TEXT))
        on_its_way = (await outbox.take(20)).packets
        for first in range(1000, 5000, 200):
            await outbox.put_all(messages(range(first, first + 200), text=TEXT))
        assert outbox.statistics().dropped["full"] > 1000
        await outbox.rewind()
        assert numbers(await everything(outbox))[:20] == numbers(on_its_way) == list(range(20))


async def test_drop_newest_keeps_the_oldest(path: Path) -> None:
    async with started(path, max_bytes=MIN_BYTES, when_full="drop newest") as outbox:
        stored = await outbox.put_all(messages(range(4000), text=TEXT))
        kept = numbers(await everything(outbox))
        assert kept == [number for number, was_stored in enumerate(stored) if was_stored]
        assert kept[:1500] == list(range(1500))
        assert len(kept) < 2500
        assert outbox.statistics().dropped == {"full": 4000 - len(kept)}


async def test_block_waits_for_room_and_keeps_the_order(path: Path) -> None:
    async with started(path, max_bytes=MIN_BYTES, when_full="block") as outbox:
        putting = asyncio.ensure_future(outbox.put_all(messages(range(4000), text=TEXT)))
        await until(lambda: outbox.statistics().blocked > 0)
        found: list[int] = []
        while len(found) < 4000:
            for packet in (await outbox.take(20)).packets:
                found += numbers([packet])
                outbox.done(packet)
            await asyncio.sleep(0)
        assert found == list(range(4000))
        assert await putting == [True] * 4000
        assert outbox.statistics().dropped == {}
    assert on_disk(path) <= MIN_BYTES + 4096


async def test_a_blocked_put_can_be_given_up_without_a_trace(path: Path) -> None:
    async with started(path, max_bytes=MIN_BYTES, when_full="block") as outbox:
        filling = asyncio.ensure_future(outbox.put_all(messages(range(4000), text=TEXT)))
        await until(lambda: outbox.statistics().blocked > 0)
        given_up = asyncio.ensure_future(outbox.put(message(1, "till")))
        await asyncio.sleep(0)
        filling.cancel()
        given_up.cancel()
        await asyncio.wait({filling, given_up})
        for packet in await everything(outbox):
            outbox.done(packet)
        await asyncio.wait_for(outbox.put(message(2, "till")), 10)
        assert numbers(await everything(outbox), "till") == [2]


async def test_the_stop_ends_blocked_puts(path: Path) -> None:
    async with started(path, max_bytes=MIN_BYTES, when_full="block") as outbox:
        putting = asyncio.ensure_future(outbox.put_all(messages(range(4000), text=TEXT)))
        await until(lambda: outbox.statistics().blocked > 0)
        await outbox.stop()
        with pytest.raises(Exception, match="has stopped"):
            await putting


async def test_the_disk_gets_back_what_a_backlog_took(path: Path) -> None:
    async with started(path, max_bytes=64 * MIB) as outbox:
        for first in range(0, 15000, 500):
            await outbox.put_all(messages(range(first, first + 500), text=TEXT))
        assert on_disk(path) > 12 * MIB
        for packet in await everything(outbox):
            outbox.done(packet)
        await until(lambda: on_disk(path) < 4 * MIB)


class Clocks:
    def __init__(self) -> None:
        self.monotonic_s = 50.0
        self.wall_s = 1_780_000_000.0

    def pass_s(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.wall_s += seconds


async def test_what_is_too_old_is_dropped_and_counted(path: Path) -> None:
    clocks = Clocks()
    async with started(
        path, max_age_s=100, monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s
    ) as outbox:
        await outbox.put_all(messages(range(5)))
        clocks.pass_s(60)
        await outbox.put_all(messages(range(5, 8)))
        clocks.pass_s(60)
        await outbox.put(message(8))
        await until(lambda: outbox.statistics().dropped == {"too old": 5})
        assert outbox.statistics().oldest_age_s == pytest.approx(60)
        assert numbers(await everything(outbox)) == [5, 6, 7, 8]


async def test_the_time_between_two_runs_counts(path: Path) -> None:
    clocks = Clocks()

    async def run(*put: int) -> list[int]:
        async with started(
            path, max_age_s=100, monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s
        ) as outbox:
            await outbox.put_all(messages(put))
            if not put:
                await until(lambda: outbox.statistics().oldest_age_s < 100)
            return numbers(await everything(outbox))

    await run(1)
    clocks.monotonic_s, clocks.wall_s = 7.0, clocks.wall_s + 70
    await run(2)
    clocks.monotonic_s, clocks.wall_s = 3.0, clocks.wall_s + 70
    assert await run() == [2]


@pytest.mark.parametrize(
    ("wall_s", "aged_s"),
    [(1_780_000_500.0, 500.0), (1_779_000_000.0, 0.0), (3.0, 0.0)],
)
def test_a_date_that_was_lost_makes_nothing_old(wall_s: float, aged_s: float) -> None:
    clock = AgeClock(40.0, 1_780_000_000.0, monotonic=lambda: 7.0, wall=lambda: wall_s)
    assert clock.now_s() == pytest.approx(40.0 + aged_s)


def test_a_date_that_is_set_late_makes_nothing_old() -> None:
    clocks = Clocks()
    clocks.wall_s = 12.0  # 1970
    clock = AgeClock(monotonic=lambda: clocks.monotonic_s, wall=lambda: clocks.wall_s)
    before_s = clock.now_s()
    clocks.monotonic_s += 5
    clocks.wall_s = 1_780_000_000.0
    assert clock.now_s() - before_s == pytest.approx(5)
    kept = AgeClock(1.0, 12.0, monotonic=lambda: 0.0, wall=lambda: 1_780_000_000.0)
    assert kept.now_s() == pytest.approx(1.0)
