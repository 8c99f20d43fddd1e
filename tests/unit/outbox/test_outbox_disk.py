"""A disk that is full or may not be written: the outbox says so, and goes on when it can."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from edgevision.errors import EdgeVisionError, UpstreamError
from edgevision.upstream.outbox.outbox import Outbox
from tests.unit.outbox.outbox_bed import LIMIT, everything, message, messages, numbers, started
from tests.unit.upstream.helpers import fill

pytestmark = pytest.mark.needs("small-disk")

TEXT = "x" * 800


def free(disk: Path) -> None:
    (disk / "ballast").unlink()


async def put_until_it_fails(outbox: Outbox, number: int) -> tuple[int, UpstreamError]:
    """Return the first number that was not taken, and why."""
    while True:
        try:
            await outbox.put(message(number, text=TEXT))
        except UpstreamError as error:
            return number, error
        number += 1


@pytest.mark.parametrize("when_full", ["drop oldest", "block"])
async def test_on_a_full_disk_what_is_put_may_be_tried_again(
    small_disk: Path, when_full: str
) -> None:
    async with started(small_disk / "outbox.db", when_full=when_full) as outbox:
        await outbox.put_all(messages(range(20), text=TEXT))
        fill(small_disk)
        taken, error = await put_until_it_fails(outbox, 20)
        assert error.retryable
        assert "outbox.db cannot be used: database or disk is full" in str(error)
        assert "full" in outbox.statistics().detail
        free(small_disk)
        await outbox.put(message(taken, text=TEXT))
        assert outbox.statistics().detail == ""
        found = numbers(await everything(outbox))
        assert found == list(range(taken + 1 - len(found), taken + 1))
        if when_full == "block":
            assert len(found) == taken + 1


async def test_on_a_full_disk_drop_newest_drops(small_disk: Path) -> None:
    async with started(small_disk / "outbox.db", when_full="drop newest") as outbox:
        await outbox.put_all(messages(range(20), text=TEXT))
        fill(small_disk)
        stored = [await outbox.put(message(number, text=TEXT)) for number in range(20, 400)]
        assert False in stored
        assert outbox.statistics().dropped == {"no space": stored.count(False)}
        assert len(await everything(outbox)) == 20 + stored.count(True)


async def test_a_full_disk_does_not_stop_what_is_there_from_being_sent(small_disk: Path) -> None:
    path = small_disk / "outbox.db"
    async with started(path) as outbox:
        await outbox.put_all(messages(range(200), text=TEXT))
        fill(small_disk)
        packets = await everything(outbox)
        assert numbers(packets) == list(range(200))
        for packet in packets[:150]:
            outbox.done(packet)
        await outbox.rewind()
        assert numbers(await everything(outbox)) == list(range(150, 200))
    async with started(path) as outbox:
        assert numbers(await everything(outbox))[-1] == 199


async def test_a_disk_that_is_full_at_the_start_is_tried_again(small_disk: Path) -> None:
    fill(small_disk)
    outbox = Outbox(small_disk / "outbox.db", LIMIT)
    with pytest.raises(UpstreamError) as failed:
        await outbox.start()
    assert failed.value.retryable
    free(small_disk)
    await outbox.start()
    await outbox.put(message(1))
    await outbox.stop()


async def test_a_disk_of_its_own_size_bounds_the_outbox(small_disk: Path) -> None:
    """With max_bytes above what the disk has, drop oldest goes on at the disk's bound."""
    async with started(small_disk / "outbox.db") as outbox:
        number = 0
        while number < 3000:
            number, error = await put_until_it_fails(outbox, number)
            assert error.retryable
            number += 1
        found = numbers(await everything(outbox))
        assert len(found) > 500
        assert found == sorted(found)


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def test_a_disk_that_becomes_read_only_is_reported(small_disk: Path) -> None:
    outbox = Outbox(small_disk / "outbox.db", LIMIT)

    async def write(*numbers: int) -> None:
        await outbox.start()
        try:
            await outbox.put_all(messages(numbers))
        finally:
            await outbox.stop()

    asyncio.run(write(1))
    _remount(small_disk, "ro")
    with pytest.raises(EdgeVisionError, match=r"outbox\.db cannot be opened: "):
        asyncio.run(write(2))
    _remount(small_disk, "rw")
    asyncio.run(write(3))
