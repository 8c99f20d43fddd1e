"""What azure-iot-device does not survive, and the harness does.

Each test says which fault of the SDK it is about, and how it fails without the cure.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from edgevision.harness.edge import EdgeTransport
from edgevision.harness.transport import Packet, TransportError
from edgevision.testing.hub import HubStandIn
from tests.unit.harness.edge_bed import (
    QUICK_SUPERVISOR,
    Recorder,
    deliver,
    ids,
    limit,
    off_loop,
    opened,
    packet,
    supervised,
)


def paho_of(transport: EdgeTransport) -> Any:
    client = transport._client
    assert client is not None
    assert client._network is not None
    return client._network._paho


class BrokenSocket:
    """A socket whose every send fails with an error that paho 1.6 does not expect."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send(self, data: bytes) -> int:
        raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")


# 1 A dead network thread (SDK issue 989, paho issue 750)


async def test_a_network_thread_that_dies_is_noticed_and_the_client_can_be_closed() -> None:
    """Without the watch, `connected` stays True and the message waits for ever; without `bury`,
    the SDK's shutdown waits for ever and the thread of the client stays behind.
    """
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            # Below the patch, as an error would be that the patch does not know.
            paho = paho_of(transport)

            def fail(data: bytes) -> int:
                raise RuntimeError("of a kind that nobody expects")

            paho._sock_send = fail
            with pytest.raises(TransportError) as caught:
                async with limit(5):
                    await transport.send(packet(1))
            assert caught.value.fault == "uncertain"
            reason = await transport.lost()
            assert reason.startswith("dead: ")
            assert "RuntimeError" in reason
            assert not transport.connected
            began_s = time.monotonic()
            await transport.close(timeout_s=2.0)
            assert time.monotonic() - began_s < 1.9
    assert not [t for t in threading.enumerate() if t.name.startswith("edgehub-")]


async def test_the_patch_turns_an_unexpected_socket_error_into_a_dropped_connection() -> None:
    """Without the patch the same error ends the network thread: `lost` says ``dead``."""
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            paho = paho_of(transport)
            paho._sock = BrokenSocket(paho._sock)
            with pytest.raises(TransportError):
                await transport.send(packet(1))
            assert (await transport.lost()).startswith("dropped: ")


async def test_the_module_goes_on_after_its_network_thread_died() -> None:
    recorder = Recorder()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor, limit():
            await deliver(supervisor, packet(1))
            transport = supervisor._transport
            assert isinstance(transport, EdgeTransport)

            def fail(data: bytes) -> int:
                raise RuntimeError("of a kind that nobody expects")

            paho_of(transport)._sock_send = fail
            await deliver(supervisor, packet(2))
            assert supervisor.status().lost == {"dead": 1}
        assert ids(hub) == {"m1", "m2"}


# 2 The hub goes away


@pytest.mark.parametrize("how", ["reset", "tls", "tcp"])
async def test_a_hub_that_is_restarted_under_load_costs_nothing(how: Any) -> None:
    """The SDK raises for some of these messages, delivers others later, and at times dies."""
    recorder = Recorder()
    sent: set[str] = set()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor, limit(40):

            async def produce(first: int) -> None:
                for number in range(first, first + 60):
                    await deliver(supervisor, packet(number, b"x" * 1000))
                    sent.add(f"m{number}")

            producers = [asyncio.ensure_future(produce(1000 * n)) for n in range(10)]
            for _ in range(4):
                count = hub.message_count
                await off_loop(hub.wait_for_messages, count + 50)
                await off_loop(hub.go_down, how)
                await off_loop(hub.come_up)
            await asyncio.gather(*producers)
            status = supervisor.status()
        assert len(sent) == 600
        assert ids(hub) == sent
        assert status.connections >= 2
        assert status.in_flight == 0


async def test_a_hub_that_was_away_for_long_is_back_at_once() -> None:
    """Without the look at the TCP port, the module would sit out its long wait."""
    recorder = Recorder()
    patient = replace(QUICK_SUPERVISOR, first_retry_s=60.0, longest_retry_s=60.0)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, supervisor_settings=patient) as supervisor:
            async with limit():
                await deliver(supervisor, packet(1))
            await off_loop(hub.go_down)
            await recorder.until(lambda: recorder.connection == [True, False])
            # Long enough to have been looked for in vain.
            await asyncio.sleep(0.2)
            await off_loop(hub.come_up)
            async with limit(5):
                await deliver(supervisor, packet(2))
        assert ids(hub) == {"m1", "m2"}


async def test_a_message_that_fails_is_never_called_offline_when_it_may_arrive() -> None:
    """The SDK's "not connected" is said of messages that paho delivers later (887 of 887)."""
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            hub.faults.lose_pubacks = math.inf
            sending = [asyncio.ensure_future(transport.send(packet(n))) for n in range(20)]
            await off_loop(hub.wait_for_messages, 20)
            await off_loop(hub.end_connections)
            results = await asyncio.gather(*sending, return_exceptions=True)
        faults = {error.fault for error in results if isinstance(error, TransportError)}
        assert faults == {"uncertain"}
        assert len(results) == 20


# 3 Messages are not acknowledged


async def test_a_client_that_missed_one_acknowledgement_is_not_used_any_more() -> None:
    """The SDK remembers the late acknowledgement of a message that it called failed, and gives it
    to whoever has the same message id 65,535 messages later, before that one is delivered. And
    without the limit it would wait for ever: paho repeats nothing while a connection stands.
    """
    recorder = Recorder()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor, limit():
            await deliver(supervisor, packet(1))
            hub.faults.lose_pubacks = 1
            assert await deliver(supervisor, packet(2)) == 1
            assert supervisor.status().lost == {"deaf": 1}
            assert supervisor.status().connections == 2
        assert [message.id for message in hub.messages] == ["m1", "m2", "m2"]


async def test_a_message_whose_sender_lost_patience_is_watched_all_the_same() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport, limit():
            hub.faults.lose_pubacks = 1
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(transport.send(packet(1)), 0.1)
            assert (await transport.lost()).startswith("deaf: ")


async def test_a_hub_that_stalls_is_left_and_found_again() -> None:
    """The SDK's farewell waits for the network thread, on the thread that all clients share: while
    the hub does not read, no client of this process could be made, used or closed.
    """
    recorder = Recorder()
    body = b"x" * 200_000
    with HubStandIn() as hub, HubStandIn() as other:
        async with supervised(hub, recorder) as supervisor, limit():
            await deliver(supervisor, packet(0))
            await off_loop(hub.pause)
            # More is sent than the kernel takes, so that not even a farewell can be written.
            transport = supervisor._transport
            assert isinstance(transport, EdgeTransport)
            paho_of(transport).socket().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
            sending = [
                asyncio.ensure_future(deliver(supervisor, packet(n, body))) for n in range(40)
            ]
            await recorder.until(lambda: recorder.connection == [True, False])
            async with limit(3), opened(other) as elsewhere:
                await elsewhere.send(packet(1))
            await off_loop(hub.resume)
            await asyncio.gather(*sending)
        assert ids(hub) == {f"m{n}" for n in range(40)}


# 4 The session is lost (iotedge issue 4050)


async def test_a_lost_session_is_noticed_and_everything_is_heard_again() -> None:
    """The SDK subscribes once. Without the probe, telemetry flows, `connected` is True, and
    patches, methods and inputs are dead for ever.
    """
    recorder = Recorder()
    probing = replace(QUICK_SUPERVISOR, probe_every_s=0.3)
    with HubStandIn() as hub:
        module = hub.module()
        async with supervised(hub, recorder, supervisor_settings=probing) as supervisor, limit():
            await deliver(supervisor, packet(1))
            await off_loop(hub.lose_sessions)
            await off_loop(module.patch_desired, {"missed": True})
            await recorder.until(lambda: len(recorder.twins) == 2)
            assert supervisor.status().lost == {"session": 1}
            assert recorder.twins[1].desired["missed"] is True
            await off_loop(module.patch_desired, {"heard": True})
            await recorder.until(lambda: recorder.patches)
            assert (await off_loop(module.call, "ping")).status == 200
            await off_loop(module.send_input, "in", b"x")
            await recorder.until(lambda: recorder.inputs)


async def test_a_hub_that_forgot_everything_is_subscribed_to_anew() -> None:
    recorder = Recorder()
    with HubStandIn() as hub:
        module = hub.module()
        async with supervised(hub, recorder) as supervisor, limit():
            await deliver(supervisor, packet(1))
            await off_loop(lambda: hub.restart(lose_sessions=True))
            await recorder.until(lambda: len(recorder.twins) == 2)
            assert (await off_loop(module.call, "ping")).status == 200
            await off_loop(module.patch_desired, {"heard": True})
            await recorder.until(lambda: recorder.patches)
            assert supervisor.connected


async def test_a_report_that_is_not_answered_has_the_session_looked_at() -> None:
    recorder = Recorder()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor, limit():
            await supervisor.report({"a": 1})
            hub.faults.twin = "silent"
            with pytest.raises(TransportError) as caught:
                await supervisor.report({"a": 2})
            assert caught.value.fault == "uncertain"
            await recorder.until(lambda: False in recorder.connection)
            hub.faults.twin = "answer"
            await supervisor.report({"a": 3})
            assert hub.module().reported["a"] == 3


async def test_a_hub_that_is_busy_with_twins_keeps_its_connection() -> None:
    recorder = Recorder()
    probing = replace(QUICK_SUPERVISOR, probe_every_s=0.05)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, supervisor_settings=probing) as supervisor, limit():
            await deliver(supervisor, packet(1))
            hub.faults.twin = 429
            with pytest.raises(TransportError) as caught:
                await supervisor.report({"a": 1})
            assert caught.value.fault == "uncertain"
            hub.faults.twin = "answer"
            await supervisor.twin()
            assert supervisor.status().lost == {}


async def test_a_missed_patch_is_found_by_the_probe() -> None:
    recorder = Recorder()
    probing = replace(QUICK_SUPERVISOR, probe_every_s=0.1)
    with HubStandIn() as hub:
        async with supervised(hub, recorder, supervisor_settings=probing), limit():
            await recorder.until(lambda: recorder.twins)
            # Behind the module's back, as while the hub loses it.
            hub._broker.twin("edge-device/edgevision").patch_desired({"missed": 1})
            await recorder.until(lambda: len(recorder.twins) == 2)
            assert recorder.twins[1].desired["missed"] == 1
            assert recorder.connection == [True]


# 5 The hub refuses


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
async def test_a_module_that_was_refused_comes_back(code: int) -> None:
    """After codes 1, 2, 4 and 5 the SDK never tries again (still off after 20 s)."""
    recorder = Recorder()
    with HubStandIn() as hub:
        async with supervised(hub, recorder) as supervisor:
            async with limit():
                await deliver(supervisor, packet(1))
            hub.faults.refuse_connect = code
            await off_loop(hub.restart)
            await off_loop(
                hub.wait_for, lambda _: len([e for e in hub.events if e.kind == "refused"]) >= 2
            )
            hub.faults.refuse_connect = 0
            async with limit():
                await deliver(supervisor, packet(2))
        assert ids(hub) == {"m1", "m2"}
        assert sum(supervisor.status().failures.values()) >= 2


async def test_two_clients_with_one_identity_do_not_throw_each_other_out_without_end() -> None:
    """Two clients of the SDK change places a hundred times a second (388 times in 4 s)."""
    with HubStandIn() as hub:
        calm = replace(QUICK_SUPERVISOR, first_retry_s=0.1, longest_retry_s=5.0, stable_after_s=5.0)
        async with (
            supervised(hub, Recorder(), supervisor_settings=calm) as first,
            supervised(hub, Recorder(), supervisor_settings=calm) as second,
        ):
            await asyncio.sleep(2.0)
            made = first.status().connections + second.status().connections
    assert 2 <= made <= 14


async def test_a_message_that_the_hub_cannot_bear_does_not_make_a_storm() -> None:
    """With the SDK: 290 connections in 6.5 s, and none of the other messages got through."""
    recorder = Recorder()
    calm = replace(QUICK_SUPERVISOR, first_retry_s=0.1, longest_retry_s=5.0, stable_after_s=5.0)
    with HubStandIn() as hub:
        hub.faults.close_on_topic = "poison"
        async with supervised(hub, recorder, supervisor_settings=calm) as supervisor:
            poisoned = asyncio.ensure_future(deliver(supervisor, Packet("p", "poison", b"{}")))
            await asyncio.sleep(1.5)
            made = supervisor.status().connections
            poisoned.cancel()
            await asyncio.gather(poisoned, return_exceptions=True)
            async with limit():
                await deliver(supervisor, packet(1))
        assert made <= 8
        assert ids(hub) == {"m1"}
