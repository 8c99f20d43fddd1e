"""What every transport promises. Another one passes by being added to `BEDS`."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgevision.harness.transport import (
    InputMessage,
    MethodAnswer,
    MethodCall,
    Packet,
    Transport,
    TransportError,
)
from edgevision.testing.hub import HubStandIn
from edgevision.testing.memory_hub import MemoryHub
from tests.unit.harness.edge_bed import QUICK, Recorder, connector, limit, off_loop, packet


class Bed(ABC):
    """A hub, as seen from its other side."""

    @abstractmethod
    def transport(self) -> Transport:
        """Make a transport."""

    @abstractmethod
    def arrived(self) -> list[tuple[str, str, bytes, dict[str, str]]]:
        """Id, output, payload and properties of what has arrived."""

    @abstractmethod
    async def desire(self, patch: dict[str, Any]) -> None:
        """Change the desired properties."""

    @abstractmethod
    async def call(self, name: str, payload: Any) -> tuple[int, Any]:
        """Call a direct method; return the answer."""

    @abstractmethod
    async def input(self, name: str, payload: bytes) -> None:
        """Send a message to an input."""

    @abstractmethod
    async def cut(self) -> None:
        """Become unreachable."""


class MemoryBed(Bed):
    def __init__(self) -> None:
        self.hub = MemoryHub()

    def transport(self) -> Transport:
        return self.hub.transport()

    def arrived(self) -> list[tuple[str, str, bytes, dict[str, str]]]:
        return [(p.id, p.output, p.payload, dict(p.properties)) for p in self.hub.packets]

    async def desire(self, patch: dict[str, Any]) -> None:
        self.hub.desire(patch)

    async def call(self, name: str, payload: Any) -> tuple[int, Any]:
        answer = await self.hub.call(name, payload)
        return answer.status, answer.payload

    async def input(self, name: str, payload: bytes) -> None:
        self.hub.input(InputMessage(name, payload))

    async def cut(self) -> None:
        self.hub.cut()


class EdgeBed(Bed):
    def __init__(self, hub: HubStandIn) -> None:
        self.hub = hub

    def transport(self) -> Transport:
        return connector(self.hub, QUICK)()

    def arrived(self) -> list[tuple[str, str, bytes, dict[str, str]]]:
        return [(m.id, m.output, m.body, dict(m.properties)) for m in self.hub.messages]

    async def desire(self, patch: dict[str, Any]) -> None:
        await off_loop(self.hub.module().patch_desired, patch)

    async def call(self, name: str, payload: Any) -> tuple[int, Any]:
        answer = await off_loop(self.hub.module().call, name, payload)
        return answer.status, answer.payload

    async def input(self, name: str, payload: bytes) -> None:
        await off_loop(self.hub.module().send_input, name, payload)

    async def cut(self) -> None:
        await off_loop(self.hub.go_down)


@asynccontextmanager
async def memory_bed() -> AsyncIterator[Bed]:
    yield MemoryBed()


@asynccontextmanager
async def edge_bed() -> AsyncIterator[Bed]:
    with HubStandIn() as hub:
        yield EdgeBed(hub)


BEDS: dict[str, Callable[[], Any]] = {"memory": memory_bed, "edge": edge_bed}

pytestmark = pytest.mark.parametrize("bed", BEDS)


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[tuple[Bed, Transport, Recorder]]:
    async with BEDS[name]() as bed:
        transport, recorder = bed.transport(), Recorder()
        try:
            async with limit():
                await transport.open(recorder)
                yield bed, transport, recorder
        finally:
            await transport.close()


async def test_packets_arrive_as_they_were_given_in_the_order_of_the_calls(bed: str) -> None:
    async with opened(bed) as (hub, transport, _):
        given = [
            Packet(f"m:{n}+2", "alarms", f'{{"n": {n}, "ü": 1}}'.encode(), {"camera": "T%C3%BCr"})
            for n in range(30)
        ]
        await asyncio.gather(*(transport.send(one) for one in given))
        assert hub.arrived() == [(p.id, p.output, p.payload, dict(p.properties)) for p in given]


async def test_open_returns_the_twin_and_desired_patches_come(bed: str) -> None:
    async with BEDS[bed]() as hub:
        await hub.desire({"stages": {"motion": {"min_area": 500}}})
        transport, recorder = hub.transport(), Recorder()
        try:
            async with limit():
                twin = await transport.open(recorder)
                assert twin.desired["stages"] == {"motion": {"min_area": 500}}
                await hub.desire({"fps": 5})
                await recorder.until(lambda: recorder.patches)
                assert recorder.patches == [{"fps": 5, "$version": twin.version + 1}]
                assert (await transport.twin()).version == twin.version + 1
        finally:
            await transport.close()


async def test_reported_properties_are_merged_and_none_deletes(bed: str) -> None:
    async with opened(bed) as (_, transport, _):
        await transport.report({"state": {"a": 1, "b": 2}})
        await transport.report({"state": {"a": None}})
        assert (await transport.twin()).reported["state"] == {"b": 2}
        with pytest.raises(TransportError) as refused:
            await transport.report({"a.b": 1})
        assert refused.value.fault == "refused"
        assert not refused.value.retryable


async def test_methods_are_answered_and_inputs_come(bed: str) -> None:
    async def answer(call: MethodCall) -> MethodAnswer:
        return MethodAnswer(404 if call.name != "ping" else 200, {"got": call.payload})

    async with opened(bed) as (hub, _, recorder):
        recorder.answer = answer
        assert await hub.call("ping", {"a": 1}) == (200, {"got": {"a": 1}})
        assert await hub.call("pong", None) == (404, {"got": None})
        await hub.input("boxes", b"\x00\x01")
        await recorder.until(lambda: recorder.inputs)
        assert (recorder.inputs[0].input, recorder.inputs[0].payload) == ("boxes", b"\x00\x01")


async def test_a_packet_that_is_too_large_is_refused_and_harms_no_other(bed: str) -> None:
    async with opened(bed) as (hub, transport, _):
        room = transport.max_wire_size - transport.wire_size(packet(1, b""))
        large = packet(1, json.dumps("x" * room).encode())
        assert transport.wire_size(large) > transport.max_wire_size
        with pytest.raises(TransportError) as refused:
            await transport.send(large)
        assert refused.value.fault == "refused"
        await transport.send(packet(2))
        assert [item[0] for item in hub.arrived()] == ["m2"]


async def test_the_wire_size_counts_payload_and_properties(bed: str) -> None:
    async with BEDS[bed]() as hub:
        transport = hub.transport()
        small = transport.wire_size(packet(1, b""))
        # The length before it takes up to three bytes more.
        assert 100 <= transport.wire_size(packet(1, b"x" * 100)) - small <= 103
        assert transport.wire_size(packet(1, b"", properties={"camera": "door"})) > small
        await transport.close()


async def test_before_it_is_open_and_after_it_is_closed_nothing_is_sent(bed: str) -> None:
    async with BEDS[bed]() as hub:
        transport = hub.transport()
        assert not transport.connected
        with pytest.raises(TransportError):
            await transport.send(packet(1))
        async with limit():
            await transport.open(Recorder())
        assert transport.connected
        await transport.close()
        await transport.close()
        assert not transport.connected
        with pytest.raises(TransportError):
            await transport.send(packet(2))
        assert hub.arrived() == []


async def test_without_a_hub_what_is_sent_fails_and_may_be_tried_again(bed: str) -> None:
    async with opened(bed) as (hub, transport, recorder):
        await hub.cut()
        with pytest.raises(TransportError) as failed:
            await transport.send(packet(1))
        assert failed.value.retryable
        await recorder.until(lambda: False in recorder.connection)
        assert recorder.connection[:2] == [True, False]


async def test_without_a_hub_it_does_not_open(bed: str) -> None:
    async with BEDS[bed]() as hub:
        await hub.cut()
        transport = hub.transport()
        with pytest.raises(TransportError) as failed:
            async with limit():
                await transport.open(Recorder())
        assert failed.value.retryable
        await transport.close()
