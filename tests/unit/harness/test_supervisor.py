"""What the supervisor does with transports that come and go, without any network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from edgevision.errors import ConfigurationError
from edgevision.harness.supervisor import Supervisor, SupervisorSettings
from edgevision.harness.transport import Handlers, Packet, Transport, TransportError, Twin
from tests.unit.harness.edge_bed import QUICK_SUPERVISOR, Recorder, limit, packet

INSTANT = replace(QUICK_SUPERVISOR, first_retry_s=0.001, longest_retry_s=0.002)


@dataclass
class World:
    """What the transports of a test find, and what becomes of them."""

    errors: list[Exception] = field(default_factory=list)
    always: Exception | None = None
    silent: bool = False
    opening: int = 0
    desired: dict[str, Any] = field(default_factory=lambda: {"$version": 1})
    made: list[ScriptedTransport] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    twin_error: TransportError | None = None
    made_one: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self) -> Transport:
        self.made.append(ScriptedTransport(self))
        return self.made[-1]


class ScriptedTransport(Transport):
    """A transport in a `World`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handlers: Handlers | None = None
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._connected = False
        self._reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self, handlers: Handlers) -> Twin:
        world = self.world
        world.opening += 1
        if world.silent:
            await asyncio.Event().wait()
        if world.errors:
            raise world.errors.pop(0)
        if world.always is not None:
            raise world.always
        self.handlers = handlers
        self._connected = True
        world.made_one.set()
        handlers.on_connection(True)
        return Twin(dict(world.desired), {})

    async def send(self, packet: Packet) -> None:
        if not self._connected:
            raise TransportError("not connected", "offline")
        await self.gate.wait()
        self.world.sent.append(packet.id)

    async def twin(self) -> Twin:
        if self.world.twin_error is not None:
            raise self.world.twin_error
        return Twin(dict(self.world.desired), {})

    async def report(self, patch: Mapping[str, Any]) -> None:
        if self.world.twin_error is not None:
            raise self.world.twin_error

    async def lost(self) -> str:
        return await asyncio.shield(self._reason)

    def lose(self, reason: str, *, usable: bool = False) -> None:
        self._reason.set_result(reason)
        if not usable:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connected and self.handlers is not None:
            self._connected = False
            self.handlers.on_connection(False)

    @property
    def connected(self) -> bool:
        return self._connected

    def wire_size(self, packet: Packet) -> int:
        return len(packet.payload)

    @property
    def max_wire_size(self) -> int:
        return 1000

    async def close(self, timeout_s: float = 2.0) -> None:
        self.closed = True
        self._disconnect()


class Running:
    """A supervisor that runs for the length of a with block."""

    def __init__(self, world: World, settings: SupervisorSettings = INSTANT, **more: Any) -> None:
        self.recorder = Recorder()
        self.supervisor = Supervisor(world, self.recorder, settings, **more)

    async def __aenter__(self) -> Running:
        self.task = asyncio.ensure_future(self.supervisor.run())
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.supervisor.stop()
        async with limit():
            await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, found: Callable[[], Any]) -> None:
        """Wait for something that nobody announces."""
        async with limit():
            while not found():  # noqa: ASYNC110 - as it says
                await asyncio.sleep(0.001)


def lost(message: str) -> TransportError:
    return TransportError(message, "unauthorized")


async def test_what_is_sent_before_the_connection_waits_for_it() -> None:
    world = World(always=TransportError("away", "offline"))
    async with Running(world) as running:
        sending = asyncio.ensure_future(running.supervisor.send(packet(1)))
        await running.until(lambda: running.supervisor.status().failures.get("offline", 0) >= 3)
        assert not sending.done()
        assert not running.supervisor.connected
        world.always = None
        async with limit():
            await sending
        assert running.supervisor.connected
    assert world.sent == ["m1"]


async def test_every_transport_is_closed_and_used_once() -> None:
    world = World(errors=[TransportError("away", "offline"), RuntimeError("a mistake of ours")])
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        world.made[-1].lose("dropped: a test")
        await running.until(lambda: len(world.made) == 4 and running.supervisor.connected)
        assert [transport.closed for transport in world.made] == [True, True, True, False]
    assert all(transport.closed for transport in world.made)


async def test_the_twin_comes_first_at_each_connection() -> None:
    world = World(desired={"$version": 4})
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        handlers = world.made[0].handlers
        assert handlers is not None
        handlers.on_desired({"a": 1, "$version": 5})
        # A module that was made anew begins at 1 again.
        world.desired = {"$version": 2}
        world.made[0].lose("dropped: a test")
        await running.until(lambda: len(running.recorder.twins) == 2)
    assert running.recorder.order == [
        "connected", "twin", "patch", "disconnected", "connected", "twin", "disconnected",
    ]  # fmt: skip
    assert [twin.version for twin in running.recorder.twins] == [4, 2]


async def test_a_patch_that_came_twice_or_late_is_left_out() -> None:
    world = World(desired={"$version": 4})
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        handlers = world.made[0].handlers
        assert handlers is not None
        for version in (3, 4, 5, 5, 6):
            handlers.on_desired({"$version": version})
    assert [patch["$version"] for patch in running.recorder.patches] == [5, 6]


async def test_messages_are_held_back_from_the_moment_of_the_loss() -> None:
    """Else whoever sends again at once turns in a circle that the loop never gets out of."""
    world = World()
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        world.made[0].lose("dropped: a test")
        async with limit():
            await running.supervisor.send(packet(1))
        assert len(world.made) == 2


async def test_a_transport_that_still_works_finishes_what_is_under_way() -> None:
    world = World()
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        first = world.made[0]
        first.gate.clear()
        under_way = asyncio.ensure_future(running.supervisor.send(packet(1)))
        await asyncio.sleep(0)
        first.lose("token: a test", usable=True)
        await asyncio.sleep(0.02)
        later = asyncio.ensure_future(running.supervisor.send(packet(2)))
        await asyncio.sleep(0.02)
        assert not first.closed
        assert not later.done()
        first.gate.set()
        async with limit():
            await asyncio.gather(under_way, later)
        assert first.closed
    assert world.sent == ["m1", "m2"]
    assert running.supervisor.status().lost == {"token": 1}


async def test_a_transport_that_does_not_finish_is_replaced_all_the_same() -> None:
    world = World()
    async with Running(world, replace(INSTANT, drain_s=0.05)) as running:
        await running.until(lambda: running.supervisor.connected)
        world.made[0].gate.clear()
        under_way = asyncio.ensure_future(running.supervisor.send(packet(1)))
        await asyncio.sleep(0)
        world.made[0].lose("token: a test", usable=True)
        await running.until(lambda: len(world.made) == 2 and running.supervisor.connected)
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)


async def test_a_mistake_of_the_configuration_at_the_start_ends_it_at_once() -> None:
    world = World(errors=[ConfigurationError("IOTEDGE_DEVICEID is not set")])
    async with Running(world) as running:
        with pytest.raises(ConfigurationError, match="IOTEDGE_DEVICEID"):
            async with limit():
                await running.task
        assert world.made[0].closed
        assert running.supervisor.status().state == "stopped"
        with pytest.raises(TransportError) as caught:
            await running.supervisor.send(packet(1))
        assert caught.value.fault == "offline"


async def test_a_mistake_of_the_configuration_later_is_tried_again() -> None:
    """The security daemon is being replaced, or a certificate is."""
    world = World()
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        world.errors = [ConfigurationError("no socket"), ConfigurationError("no socket")]
        world.made[0].lose("dropped: a test")
        await running.until(lambda: len(world.made) == 4 and running.supervisor.connected)
        assert running.supervisor.status().failures == {"configuration": 2}


@pytest.mark.parametrize("fault", ["unauthorized", "broken", "uncertain"])
async def test_a_hub_that_is_there_and_refuses_for_long_ends_it(fault: Any) -> None:
    """So that edgeAgent starts the module anew."""
    world = World(always=TransportError("no, SharedAccessKey=abcdefgh12345678", fault))
    async with Running(world, replace(INSTANT, give_up_after_s=0.05)) as running:
        with pytest.raises(TransportError, match="although the hub is there") as caught:
            async with limit():
                await running.task
    assert "abcdefgh" not in str(caught.value)
    assert running.supervisor.status().failures[fault] >= 2


async def test_a_hub_that_is_away_is_waited_for_without_end() -> None:
    world = World(always=TransportError("away", "offline"))
    async with Running(world, replace(INSTANT, give_up_after_s=0.01)) as running:
        await running.until(lambda: running.supervisor.status().failures.get("offline", 0) > 20)
        assert not running.task.done()


async def test_the_time_to_give_up_begins_anew_when_the_hub_was_away() -> None:
    refusals = [lost("no") for _ in range(10)]
    world = World(errors=[*refusals, TransportError("away", "offline"), lost("no")])
    async with Running(world, replace(INSTANT, give_up_after_s=30.0)) as running:
        await running.until(lambda: running.supervisor.connected)
        assert running.supervisor._failing_since_s is None


async def test_waits_grow_and_begin_anew_after_a_connection_that_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(always=lost("no"))
    settings = replace(INSTANT, stable_after_s=0.05)
    async with Running(world, settings) as running:
        backoff = running.supervisor._backoff
        await running.until(lambda: backoff.attempts >= 5)
        world.always = None
        await running.until(lambda: running.supervisor.connected)
        world.made[-1].lose("dropped: soon")
        await running.until(lambda: running.supervisor.connected and world.made[-2].closed)
        assert backoff.attempts >= 6
        await asyncio.sleep(0.06)
        count = len(world.made)
        world.made[-1].lose("dropped: after a while")
        await running.until(lambda: len(world.made) > count and running.supervisor.connected)
        assert backoff.attempts == 1


async def test_connections_that_end_at_once_are_explained(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with Running(world, replace(INSTANT, stable_after_s=60.0)) as running:
        for count in range(1, 8):
            await running.until(lambda: running.supervisor.status().connections == count)  # noqa: B023
            world.made[-1].lose("dropped: a test")
    assert caplog.text.count("does another client use the identity") == 1


async def test_a_hub_that_comes_back_is_not_kept_waiting() -> None:
    here = False

    async def reachable() -> bool:
        return here

    world = World(errors=[TransportError("away", "offline")])
    patient = replace(INSTANT, first_retry_s=60.0, longest_retry_s=60.0, reachable_every_s=0.005)
    async with Running(world, patient, reachable=reachable) as running:
        await running.until(lambda: running.supervisor.status().state == "backing off")
        await asyncio.sleep(0.03)
        assert not running.supervisor.connected
        here = True
        await running.until(lambda: running.supervisor.connected)


async def test_a_hub_that_can_be_reached_and_refuses_is_not_stormed() -> None:
    async def reachable() -> bool:
        return True

    world = World(always=lost("no"))
    patient = replace(INSTANT, first_retry_s=60.0, longest_retry_s=60.0, reachable_every_s=0.001)
    async with Running(world, patient, reachable=reachable) as running:
        await running.until(lambda: running.supervisor.status().failures)
        await asyncio.sleep(0.1)
        assert running.supervisor.status().failures == {"unauthorized": 1}


async def test_a_hub_that_is_silent_about_the_twin_has_lost_the_session() -> None:
    world = World()
    async with Running(world, replace(INSTANT, probe_every_s=0.02)) as running:
        await running.until(lambda: running.supervisor.connected)
        world.twin_error = TransportError("no answer in time", "uncertain")
        await running.until(lambda: len(world.made) >= 2)
        world.twin_error = None
        await running.until(lambda: running.supervisor.connected)
        assert running.supervisor.status().lost["session"] >= 1


async def test_a_hub_that_refuses_a_twin_request_is_still_there() -> None:
    world = World(twin_error=TransportError("404", "refused"))
    async with Running(world, replace(INSTANT, probe_every_s=0.001)) as running:
        await running.until(lambda: running.supervisor.connected)
        await asyncio.sleep(0.05)
        assert running.supervisor.status().lost == {}


async def test_a_handler_that_fails_does_not_end_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    running = Running(world)
    running.recorder.on_twin = lambda twin: 1 // 0  # type: ignore[assignment]
    async with running, limit():
        await running.supervisor.send(packet(1))
    assert "ZeroDivisionError" in caplog.text


async def test_a_cancelled_supervisor_closes_its_transport() -> None:
    world = World()
    async with Running(world) as running:
        await running.until(lambda: running.supervisor.connected)
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        assert world.made[0].closed
        with pytest.raises(TransportError):
            await running.supervisor.ready()


async def test_stopping_ends_a_wait_at_once() -> None:
    world = World(always=TransportError("away", "offline"))
    patient = replace(INSTANT, first_retry_s=60.0, longest_retry_s=60.0)
    async with Running(world, patient) as running:
        waiting = asyncio.ensure_future(running.supervisor.send(packet(1)))
        await running.until(lambda: running.supervisor.status().state == "backing off")
        await running.supervisor.stop()
        async with limit(2):
            await running.task
            with pytest.raises(TransportError) as caught:
                await waiting
        assert caught.value.fault == "offline"


async def test_stopping_ends_an_attempt_at_once() -> None:
    """An attempt may take 45 s, and docker gives 10."""
    world = World(silent=True)
    async with Running(world) as running:
        await running.until(lambda: world.opening)
        await running.supervisor.stop()
        async with limit(2):
            await running.task
        assert world.made[0].closed
        assert running.supervisor.status().state == "stopped"


async def test_the_status_tells_and_hides() -> None:
    world = World(errors=[lost("no: SharedAccessSignature sr=x&sig=y&se=1")])
    async with Running(world) as running:
        assert running.supervisor.status().state == "connecting"
        await running.until(lambda: running.supervisor.connected)
        world.made[-1].gate.clear()
        sending = asyncio.ensure_future(running.supervisor.send(packet(1)))
        await asyncio.sleep(0)
        status = running.supervisor.status()
        world.made[-1].gate.set()
        await sending
    assert (status.state, status.connections, status.in_flight) == ("connected", 1, 1)
    assert status.failures == {"unauthorized": 1}
    assert "sig=y" not in status.last_error
    assert json.loads(json.dumps(status.to_json())) == status.to_json()


async def test_sizes_are_known_before_there_is_a_connection() -> None:
    supervisor = Supervisor(World(), Recorder(), INSTANT)
    assert supervisor.wire_size(packet(1, b"12345")) == 5
    assert supervisor.max_wire_size == 1000
