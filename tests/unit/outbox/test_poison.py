"""One message that the hub refuses, or that kills the connection, blocks no other."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edgevision.harness.transport import Packet
from edgevision.testing.memory_hub import MemoryHub
from edgevision.upstream.outbox.batch import Batching
from tests.unit.outbox.outbox_bed import documents, message, messages, started, until
from tests.unit.outbox.test_forwarder import forwarding, last, numbers

BATCHINGS = [Batching(), Batching(6, linger_s=0.005)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def holds(packet: Packet, camera: str, number: int) -> bool:
    return any((body["camera"], body["number"]) == (camera, number) for body in documents(packet))


@pytest.mark.parametrize("batching", BATCHINGS)
async def test_a_refused_message_is_dropped_and_named(
    path: Path, batching: Batching, caplog: pytest.LogCaptureFixture
) -> None:
    hub = MemoryHub()
    hub.refuses = lambda packet: holds(packet, "door", 7)
    async with (
        started(path, batching=batching) as outbox,
        forwarding(outbox, hub) as (forwarder, _),
    ):
        with caplog.at_level(logging.ERROR):
            await outbox.put_all(messages(range(30)))
            await outbox.put_all(messages(range(30), "till"))
            assert await forwarder.drain(20)
        assert last(numbers(hub)) == [number for number in range(30) if number != 7]
        assert numbers(hub, "till") == list(range(30))
        counted = outbox.statistics()
        assert (counted.waiting, counted.dropped) == (0, {"refused": 1})
    (said,) = caplog.messages
    assert said.startswith("camera 'door': the frame vision:door:run:7 for output 'results' (")
    assert said.endswith("bytes) is dropped (refused): the hub refuses " + hub_id(batching))


def hub_id(batching: Batching) -> str:
    return "vision:door:run:7+1" if batching.enabled else "vision:door:run:7"


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("cameras", [["door"], ["door", "till"]])
async def test_a_message_that_kills_the_connection_is_given_up_in_the_end(
    path: Path, batching: Batching, cameras: list[str]
) -> None:
    hub = MemoryHub()
    hub.kills = lambda packet: holds(packet, "door", 7)
    async with (
        started(path, batching=batching) as outbox,
        forwarding(outbox, hub) as (forwarder, _),
    ):
        for camera in cameras:
            await outbox.put_all(messages(range(40), camera))
        assert await forwarder.drain(30)
        for camera in cameras:
            found = sorted(set(numbers(hub, camera)))
            assert found == [n for n in range(40) if (camera, n) != ("door", 7)]
        assert outbox.statistics().dropped == {"poison": 1}
        assert last(numbers(hub)) == [number for number in range(40) if number != 7]


async def test_alone_in_the_outbox_it_waits_for_a_proof(path: Path) -> None:
    """Nothing else passes, so it may be the hub's fault; the next message tells."""
    hub = MemoryHub()
    hub.kills = lambda packet: holds(packet, "door", 7)
    async with started(path) as outbox, forwarding(outbox, hub) as (forwarder, _):
        await outbox.put(message(7))
        await until(lambda: forwarder.statistics().attempts > 20)
        assert outbox.statistics().waiting == 1
        await outbox.put_all(messages(range(8, 20)))
        assert await forwarder.drain(20)
        assert numbers(hub) == list(range(8, 20))
        assert outbox.statistics().dropped == {"poison": 1}


async def test_while_the_hub_takes_nothing_nothing_is_given_up(path: Path) -> None:
    hub = MemoryHub()
    hub.kills = lambda packet: True
    async with started(path) as outbox, forwarding(outbox, hub) as (forwarder, _):
        await outbox.put_all([*messages(range(20)), *messages(range(20), "till")])
        await until(lambda: forwarder.statistics().attempts > 200)
        assert outbox.statistics().dropped == {}
        hub.kills = lambda packet: False
        assert await forwarder.drain(20)
        assert set(numbers(hub)) == set(numbers(hub, "till")) == set(range(20))


async def test_two_of_them_are_told_apart(path: Path) -> None:
    hub = MemoryHub()
    hub.kills = lambda packet: holds(packet, "door", 3) or holds(packet, "till", 0)
    async with started(path) as outbox, forwarding(outbox, hub) as (forwarder, _):
        await outbox.put_all([*messages(range(20)), *messages(range(20), "till")])
        assert await forwarder.drain(30)
        assert outbox.statistics().dropped == {"poison": 2}
        assert set(numbers(hub)) == set(range(20)) - {3}
        assert set(numbers(hub, "till")) == set(range(1, 20))
