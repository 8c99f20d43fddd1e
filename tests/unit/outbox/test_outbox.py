"""Messages go in, packets come out: order, identity, size, one process, life cycle."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.harness.transport import Packet
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.store import MIN_BYTES, Store
from tests.unit.outbox.outbox_bed import (
    LIMIT,
    MAX_WIRE_BYTES,
    MIB,
    everything,
    message,
    messages,
    numbers,
    started,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "outbox.db"


async def test_what_was_put_is_handed_out_in_order_also_after_a_restart(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all(messages(range(1, 100)))
        await outbox.put_all(messages(range(1, 40), "till"))
        first = await outbox.take(30)
        assert numbers(first.packets) == list(range(1, 1 + len(numbers(first.packets))))
    async with started(path) as outbox:
        packets = await everything(outbox)
        assert numbers(packets) == list(range(1, 100))
        assert numbers(packets, "till") == list(range(1, 40))


async def test_a_packet_is_what_the_message_was(path: Path) -> None:
    one = message(7, "Tür", output="alarms", kind="event", text='"ü€\u2028')
    async with started(path) as outbox:
        await outbox.put(one)
        (stored,) = await everything(outbox)
    packet = stored.packet()
    assert (packet.id, packet.output, packet.payload) == (one.id, "alarms", one.encode())
    assert packet.properties == one.properties
    assert (packet.content_type, packet.content_encoding) == ("application/json", "utf-8")


async def test_what_is_done_with_does_not_come_back(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all(messages(range(1, 6)))
        packets = await everything(outbox)
        for packet in (packets[0], packets[2]):
            outbox.done(packet)
        await outbox.rewind()
        assert numbers(await everything(outbox)) == [2, 4, 5]
        assert outbox.statistics().delivered == 2
        assert outbox.statistics().waiting == 3
    async with started(path) as outbox:
        assert numbers(await everything(outbox)) == [2, 4, 5]


async def test_one_id_is_stored_once(path: Path) -> None:
    async with started(path) as outbox:
        one = message(1)
        assert await asyncio.gather(*(outbox.put(one) for _ in range(5))) == [True] * 5
        await outbox.put(message(2))
    async with started(path) as outbox:
        await outbox.put_all([one, message(3)])
        assert outbox.statistics().duplicates == 1
        assert numbers(await everything(outbox)) == [1, 2, 3]


async def test_cameras_take_turns(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all(messages(range(1000), "busy"))
        await outbox.put_all(messages(range(5), "quiet"))
        taken = await outbox.take(10)
        assert len(numbers(taken.packets, "quiet")) == 5
        assert numbers(taken.packets, "busy") == list(range(5))
        assert taken.more


async def test_cameras_that_are_skipped_hand_nothing_out(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all([message(1, "a"), message(1, "b")])
        taken = await outbox.take(10, {("a", False)})
        assert [packet.camera for packet in taken.packets] == ["b"]


async def test_a_backlog_can_be_parted_from_what_is_new(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all(messages(range(100)))
        await outbox.rewind(part=True)
        await outbox.put_all(messages(range(100, 110)))
        packets = (await outbox.take(8)).packets
        assert [p.live for p in packets].count(True) == 4
        assert numbers([p for p in packets if p.live]) == [100, 101, 102, 103]
        packets += await everything(outbox)
        assert numbers([p for p in packets if p.live]) == list(range(100, 110))
        assert numbers([p for p in packets if not p.live]) == list(range(100))


async def test_many_puts_share_a_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = 0
    transaction = Store.transaction

    @contextlib.contextmanager
    def counting(store: Store, *, durable: bool) -> Iterator[None]:
        nonlocal commits
        commits += durable
        with transaction(store, durable=durable):
            yield

    async with started(path) as outbox:
        monkeypatch.setattr(Store, "transaction", counting)
        await asyncio.gather(*(outbox.put(message(number)) for number in range(200)))
        assert outbox.statistics().stored == 200
    assert 1 <= commits <= 10


async def test_a_message_that_is_too_large_is_refused_by_name_and_blocks_nobody(path: Path) -> None:
    async with started(path) as outbox:
        large = message(2, kind="event", output="alarms", stage="zones", text="x" * MAX_WIRE_BYTES)
        with pytest.raises(UpstreamError) as refused:
            await outbox.put_all([message(1), large, message(3)])
        assert not refused.value.retryable
        text = str(refused.value)
        assert text.startswith("camera 'door', stage 'zones': the event for output 'alarms' takes ")
        assert "262,144" in text
        assert large.id in text
        assert numbers(await everything(outbox)) == [1, 3]
        assert outbox.statistics().oversize == 1


@pytest.mark.parametrize("batching", [Batching(), Batching(10)])
async def test_the_largest_message_that_fits_is_taken(path: Path, batching: Batching) -> None:
    async with started(path, batching=batching) as outbox:
        empty = message(1)
        overhead = LIMIT.size(Packet(empty.id, empty.output, b"", empty.properties)) + 3
        room = MAX_WIRE_BYTES - overhead - len(empty.encode())
        with pytest.raises(UpstreamError):
            await outbox.put(message(1, text="x" * (room + 60)))
        await outbox.put(message(1, text="x" * (room - 30)))
        (stored,) = await everything(outbox)
        assert LIMIT.size(stored.packet()) <= MAX_WIRE_BYTES
        assert LIMIT.size(stored.packet()) > MAX_WIRE_BYTES - 100


async def test_a_second_outbox_on_the_file_is_refused(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put(message(1))
        other = Outbox(path, LIMIT)
        with pytest.raises(ConfigurationError, match=r"outbox\.db is in use by process \d+"):
            await other.start()
        await outbox.put(message(2))
    await other.start()
    assert numbers(await everything(other)) == [1, 2]
    await other.stop()


def test_a_second_process_on_the_file_is_refused(path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.unit.outbox.outbox_bed import started\n"
        "async def main():\n"
        "    async with started(Path(sys.argv[1])):\n"
        "        print('started', flush=True)\n"
        "        sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        with pytest.raises(ConfigurationError, match=f"in use by process {child.pid}"):
            asyncio.run(Outbox(path, LIMIT).start())
    finally:
        child.communicate(b"\n")


async def test_before_start_and_after_stop_nothing_is_taken(path: Path) -> None:
    outbox = Outbox(path, LIMIT)
    with pytest.raises(UpstreamError, match="not started"):
        await outbox.put(message(1))
    await outbox.start()
    await outbox.start()
    await outbox.put(message(1))
    (packet,) = await everything(outbox)
    await outbox.stop()
    await outbox.stop()
    with pytest.raises(UpstreamError, match="not started"):
        await outbox.take(1)
    outbox.done(packet)  # comes too late, and harms nobody


async def test_what_was_done_right_before_the_stop_is_deleted(path: Path) -> None:
    async with started(path) as outbox:
        await outbox.put_all(messages(range(3)))
        for packet in (await everything(outbox))[:2]:
            outbox.done(packet)
    async with started(path) as outbox:
        assert numbers(await everything(outbox)) == [2]


def test_it_can_be_started_again_on_another_loop(path: Path) -> None:
    outbox = Outbox(path, LIMIT, fsync=False)

    async def use(number: int) -> list[int]:
        await outbox.start()
        await outbox.put(message(number))
        await outbox.rewind()
        found = numbers(await everything(outbox))
        await outbox.stop()
        return found

    assert asyncio.run(use(1)) == [1]
    assert asyncio.run(use(2)) == [1, 2]


async def test_a_start_that_is_given_up_goes_on(path: Path) -> None:
    outbox = Outbox(path, LIMIT, fsync=False)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(outbox.start(), 0)
    await outbox.start()
    await outbox.put(message(1))
    await outbox.stop()


async def test_a_folder_in_place_of_the_file_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder"):
        await Outbox(tmp_path, LIMIT).start()


async def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"opened: (Not a directory|File exists)"):
        await Outbox(tmp_path / "file" / "outbox.db", LIMIT).start()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_bytes": MIB}, "at least 4,194,304, got 1,048,576"),
        ({"when_full": "explode"}, "'drop oldest', 'drop newest' or 'block', got 'explode'"),
        ({"max_age_s": 0}, "above 0"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(
    path: Path, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Outbox(path, LIMIT, **settings)  # type: ignore[arg-type]


async def test_the_listener_hears_of_new_messages(path: Path) -> None:
    async with started(path) as outbox:
        heard = asyncio.Event()
        outbox.listen(heard.set)
        await outbox.put(message(1))
        await asyncio.wait_for(heard.wait(), 10)
        outbox.listen(None)
        heard.clear()
        await outbox.put(message(2))
        assert not heard.is_set()


def test_only_what_is_stored_is_waited_for(path: Path) -> None:
    """2 is FULL: SQLite waits for the disk at each commit; 1 is NORMAL: at checkpoints."""

    def waits(store: Store) -> tuple[int, int]:
        found = []
        for durable in (True, False):
            with store.transaction(durable=durable):
                found.append(store._pragma("synchronous"))
        return found[0], found[1]

    path.parent.mkdir()
    for fsync, wanted in ((True, (2, 1)), (False, (1, 1))):
        store = Store(path, max_bytes=MIN_BYTES, fsync=fsync)
        store.open()
        assert waits(store) == wanted
        store.close()
