"""What the outbox holds reaches the hub: order, repetition, windows, outages."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgevision.harness.transport import Packet, TransportError, Twin
from edgevision.testing.memory_hub import MemoryHub, MemoryTransport
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.forwarder import Forwarder
from edgevision.upstream.outbox.outbox import Outbox
from tests.unit.outbox.outbox_bed import everything, message, messages, started, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


class Silent:
    """Handlers of a module that only sends; knows when the connection is up."""

    def __init__(self) -> None:
        self.up = asyncio.Event()

    def on_twin(self, twin: Twin) -> None: ...

    def on_desired(self, patch: Any) -> None: ...

    async def on_method(self, call: Any) -> Any: ...

    def on_input(self, message: Any) -> None: ...

    def on_connection(self, connected: bool) -> None:
        if connected:
            self.up.set()
        else:
            self.up.clear()

    async def ready(self) -> None:
        await self.up.wait()


@asynccontextmanager
async def forwarding(
    outbox: Outbox, hub: MemoryHub, **settings: Any
) -> AsyncIterator[tuple[Forwarder, MemoryTransport]]:
    handlers, transport = Silent(), hub.transport()
    await transport.open(handlers)
    forwarder = Forwarder(
        outbox,
        transport.send,
        ready=handlers.ready,
        **{"first_retry_s": 0.001, "longest_retry_s": 0.01, **settings},
    )
    await forwarder.start()
    try:
        yield forwarder, transport
    finally:
        await forwarder.stop()
        await transport.close()


def numbers(hub: MemoryHub, camera: str = "door") -> list[int]:
    return [body["number"] for body in hub.documents() if body["camera"] == camera]


def once(found: Sequence[int]) -> list[int]:
    """The numbers without repetitions, as a reader that drops known ids sees them."""
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("batching", [Batching(), Batching(8, linger_s=0.01)])
async def test_everything_arrives_in_order_and_is_deleted(path: Path, batching: Batching) -> None:
    hub = MemoryHub()
    async with (
        started(path, batching=batching) as outbox,
        forwarding(outbox, hub) as (forwarder, _),
    ):
        for first in range(0, 300, 30):
            await outbox.put_all(messages(range(first, first + 30)))
            await outbox.put_all(messages(range(first, first + 30), "till"))
        assert await forwarder.drain(20)
        assert numbers(hub) == numbers(hub, "till") == list(range(300))
        assert outbox.statistics().waiting == 0
        assert outbox.statistics().delivered == forwarder.statistics().messages == 600
        assert forwarder.statistics().retries == 0
        assert 1 < hub.max_in_flight <= 10


async def test_what_was_there_before_the_start_is_sent(path: Path) -> None:
    hub = MemoryHub()
    async with started(path) as outbox:
        await outbox.put_all(messages(range(50)))
        async with forwarding(outbox, hub, window=3) as (forwarder, _):
            assert await forwarder.drain(20)
        assert numbers(hub) == list(range(50))
        assert hub.max_in_flight == 3


async def test_a_new_message_is_sent_at_once(path: Path) -> None:
    hub = MemoryHub()
    async with started(path) as outbox, forwarding(outbox, hub):
        for number in range(5):
            await outbox.put(message(number))
            await hub.until(lambda number=number: numbers(hub)[-1:] == [number])  # type: ignore[misc]


async def test_a_batch_goes_when_it_has_waited(path: Path) -> None:
    hub = MemoryHub()
    async with (
        started(path, batching=Batching(100, linger_s=0.05)) as outbox,
        forwarding(outbox, hub),
    ):
        await outbox.put_all(messages(range(3)))
        await hub.until(lambda: len(hub.packets) == 1)
        assert numbers(hub) == [0, 1, 2]


def last(found: Sequence[int]) -> list[int]:
    """The numbers by their last copies."""
    return once(found[::-1])[::-1]


@pytest.mark.parametrize("window", [1, 10])
@pytest.mark.parametrize("batching", [Batching(), Batching(5, linger_s=0)])
async def test_outages_lose_nothing_and_keep_the_order(
    path: Path, batching: Batching, window: int
) -> None:
    hub = MemoryHub(delay_s=0.0005)
    async with (
        started(path, batching=batching) as outbox,
        forwarding(outbox, hub, window=window) as (forwarder, _),
    ):
        number = 0
        for _ in range(20):
            before = len(hub.packets)
            await outbox.put_all(messages(range(number, number + 20)))
            number += 20
            await hub.until(lambda before=before: len(hub.packets) > before + 2)  # type: ignore[misc]
            hub.cut()
            await asyncio.sleep(0)
            hub.restore()
        assert await forwarder.drain(20)
        assert last(numbers(hub)) == list(range(number))
        if window == 1:
            assert once(numbers(hub)) == list(range(number))
        ids: dict[str, bytes] = {}
        for packet in hub.packets:  # a repetition has the same id and the same bytes
            assert ids.setdefault(packet.id, packet.payload) == packet.payload
        assert outbox.statistics().waiting == 0
        assert window == 1 or forwarder.statistics().failures["uncertain"] > 0


async def test_lost_acknowledgements_repeat_the_same_packets(path: Path) -> None:
    hub = MemoryHub()
    async with started(path) as outbox, forwarding(outbox, hub) as (forwarder, _):
        hub.acknowledging = False
        await outbox.put_all(messages(range(30)))
        await hub.until(lambda: len(hub.packets) == 10)
        assert outbox.statistics().delivered == 0
        hub.cut()
        hub.acknowledging = True
        hub.restore()
        assert await forwarder.drain(20)
        assert numbers(hub) == [*range(10), *range(30)]


async def test_nothing_is_sent_before_the_connection_is_ready(path: Path) -> None:
    hub = MemoryHub()
    attempts = []

    async def send(packet: Packet) -> None:
        attempts.append(packet.id)

    gate = asyncio.Event()
    async with started(path) as outbox:
        await outbox.put(message(1))
        forwarder = Forwarder(outbox, send, ready=gate.wait)  # type: ignore[arg-type]
        await forwarder.start()
        assert not await forwarder.drain(0.05)
        assert attempts == []
        gate.set()
        assert await forwarder.drain(20)
        assert len(attempts) == 1
        await forwarder.stop()
    assert hub.packets == []


async def test_after_a_failure_it_asks_the_gate_and_waits_longer_each_time(path: Path) -> None:
    asked: list[float] = []
    sent: list[str] = []
    loop = asyncio.get_running_loop()

    async def ready() -> None:
        asked.append(loop.time())

    async def send(packet: Packet) -> None:
        if len(asked) < 5:
            raise TransportError("no route", "offline")
        sent.append(packet.id)

    async with started(path) as outbox:
        await outbox.put(message(1))
        forwarder = Forwarder(outbox, send, ready=ready, first_retry_s=0.02)
        await forwarder.start()
        assert await forwarder.drain(20)
        await forwarder.stop()
    waits = [after - before for before, after in itertools.pairwise(asked)]
    assert len(waits) == 4
    for number, wait_s in enumerate(waits):
        assert wait_s >= 0.5 * 0.02 * 2**number - 0.005


async def test_a_later_message_is_not_deleted_before_an_earlier_one(path: Path) -> None:
    """The first fails while the second passes: both are sent again, in order."""
    sent: list[str] = []
    failing = True
    second_passed = asyncio.Event()

    async def send(packet: Packet) -> None:
        nonlocal failing
        sent.append(packet.id[-1])
        if packet.id.endswith(":1") and failing:
            await second_passed.wait()
            failing = False
            raise TransportError("no answer", "uncertain")
        if packet.id.endswith(":2"):
            second_passed.set()

    async with started(path) as outbox:
        await outbox.put_all([message(1), message(2)])
        forwarder = Forwarder(outbox, send, first_retry_s=0.001)
        await forwarder.start()
        assert await forwarder.drain(20)
        await forwarder.stop()
        assert sent == ["1", "2", "1", "2"]


async def test_a_camera_that_waits_holds_no_other_up(path: Path) -> None:
    hub = MemoryHub(delay_s=0.001)
    async with started(path) as outbox:
        await outbox.put_all(messages(range(400), "busy"))
        async with forwarding(outbox, hub) as (forwarder, _):
            await hub.until(lambda: len(hub.packets) > 20)
            await outbox.put(message(1, "quiet"))
            await hub.until(lambda: numbers(hub, "quiet") == [1])
            assert len(numbers(hub, "busy")) < 200
            assert await forwarder.drain(20)


async def test_after_an_outage_in_between_new_messages_go_beside_the_backlog(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevision.upstream.outbox.forwarder._OUTAGE_S", 0.05)
    hub = MemoryHub(delay_s=0.001)
    async with started(path) as outbox, forwarding(outbox, hub, live_first=True) as (forwarder, _):
        await outbox.put_all(messages(range(5)))
        await hub.until(lambda: len(hub.packets) == 5)
        hub.cut()
        await outbox.put_all(messages(range(5, 400)))
        await until(lambda: forwarder.statistics().detail != "")
        await asyncio.sleep(0.1)  # the outage's length is what this is about
        hub.restore()
        await hub.until(lambda: len(hub.packets) > 30)
        await outbox.put_all(messages(range(1000, 1010)))
        await hub.until(lambda: 1009 in numbers(hub))
        assert len(numbers(hub)) < 200
        assert await forwarder.drain(20)
    found = numbers(hub)
    assert last([number for number in found if number < 1000]) == list(range(400))
    assert [number for number in found if number >= 1000] == list(range(1000, 1010))


async def test_new_messages_go_beside_the_backlog_of_the_start(path: Path) -> None:
    hub = MemoryHub(delay_s=0.001)
    async with started(path) as outbox:
        await outbox.put_all(messages(range(400)))
        async with forwarding(outbox, hub, live_first=True) as (forwarder, _):
            await hub.until(lambda: len(hub.packets) > 20)
            await outbox.put_all(messages(range(1000, 1010)))
            await hub.until(lambda: 1009 in numbers(hub))
            assert len(numbers(hub)) < 200
            assert await forwarder.drain(20)
    found = numbers(hub)
    assert [number for number in found if number < 1000] == list(range(400))
    assert [number for number in found if number >= 1000] == list(range(1000, 1010))


async def test_a_send_that_hangs_counts_as_uncertain(path: Path) -> None:
    sent: list[str] = []

    async def send(packet: Packet) -> None:
        sent.append(packet.id)
        if len(sent) == 1:
            await asyncio.Event().wait()

    async with started(path) as outbox:
        await outbox.put(message(1))
        forwarder = Forwarder(outbox, send, send_timeout_s=0.05, first_retry_s=0.001)
        await forwarder.start()
        assert await forwarder.drain(20)
        assert forwarder.statistics().failures == {"uncertain": 1}
        await forwarder.stop()
    assert len(sent) == 2


async def test_a_transport_that_raises_anything_loses_nothing(path: Path) -> None:
    sent: list[str] = []

    async def send(packet: Packet) -> None:
        sent.append(packet.id)
        if len(sent) == 1:
            raise ZeroDivisionError("a mistake")

    async with started(path) as outbox:
        await outbox.put(message(1))
        forwarder = Forwarder(outbox, send, first_retry_s=0.001)
        await forwarder.start()
        assert await forwarder.drain(20)
        await forwarder.stop()
    assert len(sent) == 2


async def test_stop_ends_what_hangs_and_what_was_sent_stays(path: Path) -> None:
    hub = MemoryHub()
    hub.acknowledging = False
    async with started(path) as outbox:
        async with forwarding(outbox, hub) as (forwarder, _):
            await outbox.put(message(1))
            await hub.until(lambda: len(hub.packets) == 1)
            await forwarder.stop(0.01)
            await forwarder.stop()
        hub.acknowledging = True
        async with forwarding(outbox, hub) as (forwarder, _):
            assert await forwarder.drain(20)
    assert numbers(hub) == [1, 1]


async def test_what_became_too_old_while_it_waited_is_not_sent(path: Path) -> None:
    now_s = 10.0
    hub = MemoryHub()
    async with started(path, max_age_s=60, monotonic=lambda: now_s) as outbox:
        await outbox.put_all(messages(range(5)))
        async with forwarding(outbox, hub) as (forwarder, _):
            assert await forwarder.drain(20)
            hub.cut()
            await outbox.put_all(messages(range(5, 8)))
            await until(lambda: forwarder.statistics().attempts > 5)
            now_s += 61
            await outbox.put(message(8))
            hub.restore()
            assert await forwarder.drain(20)
            assert numbers(hub) == [0, 1, 2, 3, 4, 8]
            assert outbox.statistics().dropped == {"too old": 3}


async def test_an_outage_is_logged_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    async def send(packet: Packet) -> None:
        nonlocal tries
        tries += 1
        if tries < 20:
            raise TransportError("no route", "offline")

    with caplog.at_level(logging.INFO):
        async with started(path) as outbox:
            await outbox.put(message(1))
            forwarder = Forwarder(outbox, send, first_retry_s=0.001, longest_retry_s=0.002)
            await forwarder.start()
            assert await forwarder.drain(20)
            assert forwarder.statistics().detail == ""
            await forwarder.stop()
            assert await everything(outbox) == []
    assert [record.getMessage() for record in caplog.records] == [
        "messages wait in the outbox: offline: no route"
    ]
