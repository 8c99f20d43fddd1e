"""The upstream of IoT Hub by itself: stored before it is sent, started and stopped again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgevision import ConfigurationError
from edgevision.errors import UpstreamError
from edgevision.testing.memory_hub import MemoryHub
from edgevision.upstream.builder import MessageBuilder
from edgevision.upstream.iotedge import IotEdgeUpstream
from edgevision.upstream.message import Message
from edgevision.upstream.policy import Report
from edgevision.upstream.settings import IotEdgeSettings, OutboxSettings

_BUILDER = MessageBuilder("test")


def message() -> Message:
    return _BUILDER.report("door", Report("heartbeat", "quiet"))


def upstream(path: Path, hub: MemoryHub) -> IotEdgeUpstream:
    return IotEdgeUpstream(IotEdgeSettings(outbox=OutboxSettings(path=str(path))), hub.transport)


def test_what_is_sent_while_the_hub_is_away_arrives_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        hub = MemoryHub()
        hub.cut()
        own = upstream(tmp_path / "outbox", hub)
        with pytest.raises(UpstreamError, match="not started"):
            await own.send(message())
        await own.start()
        await own.start()
        sent = [message(), message()]
        await own.send_all(sent)
        assert own.detail
        assert own.numbers()["outbox_waiting"] == 2
        await own.stop()
        await own.stop()
        assert hub.documents() == []
        with pytest.raises(UpstreamError, match="not started"):
            await own.send_all([message()])
        hub.restore()
        await own.start()
        last = message()
        await own.send(last)
        wanted = [m.id for m in (*sent, last)]
        await hub.until(lambda: [d["id"] for d in hub.documents()] == wanted)
        assert (await hub.call("ping")).status == 404
        await own.stop()

    asyncio.run(scenario())


def test_an_outbox_that_can_never_be_written_leaves_no_connection_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def scenario() -> None:
        hub = MemoryHub()
        own = upstream(tmp_path / "file" / "outbox", hub)
        with pytest.raises(ConfigurationError):
            await own.start()
        assert own.describe().keys() == {"outbox"}
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others

    asyncio.run(scenario())


def test_a_connection_that_can_never_be_made_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        told = asyncio.Event()
        hub = MemoryHub()
        own = upstream(tmp_path / "outbox", hub)
        own.attach(own._handlers, told.set)

        async def refuse(*_: object) -> object:
            raise ConfigurationError("the certificate is for another host")

        transport = hub.transport()
        transport.open = refuse  # type: ignore[method-assign, assignment]
        own._factory = lambda: transport
        await own.start()
        await asyncio.wait_for(told.wait(), 10)
        assert isinstance(own.failure, ConfigurationError)
        await own.send(message())
        await own.stop()

    asyncio.run(scenario())
