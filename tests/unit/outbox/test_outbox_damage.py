"""A file that cannot be read is set aside, what can be read of it is kept, and it goes on."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevision.upstream.outbox.batch import Batching
from tests.unit.outbox.outbox_bed import everything, message, messages, numbers, started

COUNT = 2000
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


async def fill(path: Path, *, batching: Batching | None = None) -> None:
    async with started(path, batching=batching) as outbox:
        await outbox.put_all(messages(range(COUNT), text="x" * 400))


def crash(path: Path) -> None:
    """Make it look as after a crash, so that each page is looked at."""
    Path(f"{path}-wal").touch()


def aside(path: Path) -> list[Path]:
    found = [file for file in path.parent.iterdir() if ".corrupt-" in file.name]
    return sorted(file for file in found if not file.name.endswith("-wal"))


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def garbage_header(path: Path) -> None:
    overwrite(path, 0, os.urandom(100))


def no_database(path: Path) -> None:
    path.write_bytes(b"this is a text file\n" * 1000)


def another_database(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE shopping (item TEXT)")
    connection.commit()
    connection.close()


def newer_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()


def missing_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE message")
    connection.commit()
    connection.close()


def no_content(path: Path) -> None:
    path.write_bytes(b"")


def copy_with_part_of_the_log(path: Path, copy: Path) -> None:
    copy.write_bytes(path.read_bytes())
    log = Path(f"{path}-wal").read_bytes()
    Path(f"{copy}-wal").write_bytes(log[: len(log) * 2 // 3])


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // PAGE * PAGE)


def broken_middle(path: Path) -> None:
    middle = path.stat().st_size // 2 // PAGE * PAGE
    overwrite(path, middle, b"\xff" * PAGE)


def broken_index(path: Path) -> None:
    """Overwrite a leaf of the index of ids, which the messages themselves are not in."""
    data = path.read_bytes()
    leaves = [
        offset
        for offset in range(PAGE, len(data), PAGE)
        if data[offset] == 0x0A and b"vision:door:run:" in data[offset : offset + PAGE]
    ]
    overwrite(path, leaves[len(leaves) // 2] + 8, b"\xff" * (PAGE - 8))


@pytest.mark.parametrize(
    ("damage", "least"),
    [
        (garbage_header, 0),
        (no_database, 0),
        (another_database, 0),
        (missing_table, 0),
        (newer_version, COUNT),
        (cut_off, COUNT // 4),
        (broken_middle, COUNT * 3 // 4),
        (broken_index, COUNT),
    ],
)
async def test_a_damaged_file_is_set_aside_and_salvaged(
    path: Path, damage: Callable[[Path], None], least: int, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(path)
    crash(path)
    damage(path)
    with caplog.at_level(logging.ERROR):
        async with started(path) as outbox:
            await outbox.put(message(COUNT))
            found = numbers(await everything(outbox))
            counted = outbox.statistics()
    assert found == sorted(set(found))
    assert found[-1] == COUNT
    assert least <= len(found) - 1 <= COUNT
    assert counted.corrupt_files == 1
    assert counted.salvaged == len(found) - 1
    assert len(aside(path)) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"{len(found) - 1} messages of it are kept" in caplog.text
    async with started(path) as outbox:  # what was begun in its place is sound
        assert numbers(await everything(outbox)) == found
        assert outbox.statistics().corrupt_files == 0


async def test_batches_stay_what_they_were_when_they_are_salvaged(path: Path) -> None:
    batching = Batching(7, linger_s=60)
    await fill(path, batching=batching)
    async with started(path, batching=batching) as outbox:
        before = [packet.packet() for packet in await everything(outbox)]
    crash(path)
    newer_version(path)
    async with started(path, batching=batching) as outbox:
        assert [packet.packet() for packet in await everything(outbox)] == before


async def test_damage_while_it_runs_stops_nobody(path: Path) -> None:
    """Only pages that are not in SQLite's cache are read anew, so the file has to be large."""
    async with started(path) as outbox:
        for first in range(0, 12_000, 500):
            await outbox.put_all(messages(range(first, first + 500), text="x" * 500))
        taken = (await outbox.take(5)).packets
        for page in range(400, 500):
            overwrite(path, page * PAGE, b"\xff" * PAGE)
        found = list(taken)
        found += await everything(outbox)
        await outbox.put(message(12_000))
        found += await everything(outbox)
        counted = outbox.statistics()
        assert counted.corrupt_files == 1
        assert counted.dropped["corrupt"] + len(set(numbers(found))) >= 12_001
        assert numbers(found) == sorted(set(numbers(found)))
        assert 6_000 < len(found) < 12_001
        for packet in taken:
            outbox.done(packet)
        await outbox.rewind()
        assert numbers(await everything(outbox))[0] == 5
    assert len(aside(path)) == 1


async def test_a_bounded_number_of_files_is_kept(path: Path) -> None:
    for number in range(4):
        no_database(path)
        async with started(path, keep_corrupt=2) as outbox:
            await outbox.put(message(number))
    assert len(aside(path)) == 2


async def test_an_empty_file_is_a_new_outbox(path: Path) -> None:
    no_content(path)
    async with started(path) as outbox:
        await outbox.put(message(1))
        assert outbox.statistics().corrupt_files == 0
    assert aside(path) == []


async def test_a_log_that_is_cut_off_loses_what_was_in_it_and_nothing_else(path: Path) -> None:
    await fill(path)
    async with started(path) as outbox:
        await outbox.put_all(messages(range(COUNT, COUNT + 100), text="x" * 400))
        copy = path.with_name("copy.db")
        copy_with_part_of_the_log(path, copy)
    async with started(copy) as outbox:
        found = numbers(await everything(outbox))
        assert found == list(range(len(found)))
        assert len(found) >= COUNT
        assert outbox.statistics().corrupt_files == 0
