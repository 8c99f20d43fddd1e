"""The connection with the real azure-iot-device to the stand-in of edgeHub."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest

from edgevision.errors import ConfigurationError
from edgevision.harness.edge import EdgeSettings
from edgevision.harness.transport import InputMessage, MethodAnswer, MethodCall, TransportError
from edgevision.testing.hub import HubStandIn
from tests.unit.harness.edge_bed import (
    QUICK,
    Recorder,
    connector,
    limit,
    off_loop,
    opened,
    packet,
)


async def test_a_message_arrives_as_it_was_given() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            given = packet(1, '{"name": "Tür"}'.encode(), properties={"a b": "ü/&=", "c": "1"})
            await transport.send(given)
            (came,) = hub.messages
    assert (came.id, came.output, came.body) == ("m1", "detections", given.payload)
    assert came.properties == given.properties
    assert (came.content_type, came.content_encoding) == ("application/json", "utf-8")


async def test_messages_are_sent_in_the_order_of_the_calls() -> None:
    """Through the loop's default executor, where the SDK queues them, they overtake each other."""
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            await asyncio.gather(*(transport.send(packet(number)) for number in range(300)))
            ids = [message.id for message in hub.messages]
    assert ids == [f"m{number}" for number in range(300)]


async def test_a_full_default_executor_does_not_delay_a_message() -> None:
    release = threading.Event()
    loop = asyncio.get_running_loop()
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            blocked = [loop.run_in_executor(None, release.wait) for _ in range(64)]
            try:
                async with limit(5):
                    await transport.send(packet(1))
                    await transport.report({"alive": True})
            finally:
                release.set()
                await asyncio.gather(*blocked)
        assert hub.message_count == 1


async def test_open_returns_the_twin() -> None:
    with HubStandIn() as hub:
        hub.module().patch_desired({"stages": {"motion": {"min_area": 500}}})
        transport = connector(hub)()
        twin = await transport.open(Recorder())
        await transport.close()
    assert twin.desired["stages"] == {"motion": {"min_area": 500}}
    assert twin.version == hub.module().desired["$version"] == 2


async def test_reported_properties_are_merged_and_refused_ones_say_so() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            await transport.report({"state": {"a": 1, "b": 2}})
            await transport.report({"state": {"a": None}})
            assert (await transport.twin()).reported["state"] == {"b": 2}
            with pytest.raises(TransportError) as refused:
                await transport.report({"a.b": 1})
            assert refused.value.fault == "refused"
            assert transport.connected


async def test_what_the_hub_sends_reaches_the_handlers_on_the_loop() -> None:
    recorder = Recorder()
    with HubStandIn() as hub:
        async with opened(hub, recorder=recorder):
            module = hub.module()
            await off_loop(module.patch_desired, {"fps": 5})
            await off_loop(
                module.send_input,
                "boxes",
                b"\x00\x01",
                {"$.mid": "7", "$.cdid": "d", "$.cmid": "m"},
            )
            result = await off_loop(module.call, "snap shot", {"camera": "door"})
            await recorder.until(lambda: recorder.patches and recorder.inputs)
    assert recorder.patches == [{"fps": 5, "$version": 2}]
    assert recorder.inputs == [InputMessage("boxes", b"\x00\x01", id="7", sender="d/m")]
    assert result.status == 200
    assert result.payload == {"name": "snap shot", "payload": {"camera": "door"}}
    assert recorder.connection == [True, False]


async def test_patches_keep_their_order() -> None:
    recorder = Recorder()
    with HubStandIn() as hub:
        async with opened(hub, recorder=recorder):
            for number in range(50):
                await off_loop(hub.module().patch_desired, {"n": number})
            await recorder.until(lambda: len(recorder.patches) == 50)
    assert [patch["n"] for patch in recorder.patches] == list(range(50))


async def _raises(call: MethodCall) -> MethodAnswer:
    raise KeyError("secret detail")


async def _hangs(call: MethodCall) -> MethodAnswer:
    await asyncio.Event().wait()
    raise AssertionError


async def _no_json(call: MethodCall) -> MethodAnswer:
    return MethodAnswer(200, {1, 2})


async def _huge(call: MethodCall) -> MethodAnswer:
    return MethodAnswer(200, "x" * 140_000)


@pytest.mark.parametrize(
    ("handler", "status", "text"),
    [
        (_raises, 500, "KeyError"),
        (_hangs, 504, "no answer within 0.3 s"),
        (_no_json, 500, "no JSON"),
        (_huge, 500, "140002 bytes"),
    ],
)
async def test_a_method_is_always_answered(
    handler: Any, status: int, text: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Finding 10: when a handler raises, the SDK answers nothing and the caller waits."""
    recorder = Recorder()
    recorder.answer = handler
    with HubStandIn() as hub:
        async with opened(hub, recorder=recorder):
            result = await off_loop(hub.module().call, "m", None, 5.0)
    assert result.status == status
    assert text in result.payload["error"]
    assert "secret" not in json.dumps(result.payload)


async def test_methods_that_take_long_do_not_hold_up_others() -> None:
    recorder = Recorder()
    gate = asyncio.Event()

    async def answer(call: MethodCall) -> MethodAnswer:
        if call.name == "slow":
            await gate.wait()
        return MethodAnswer(200, call.name)

    recorder.answer = answer
    with HubStandIn() as hub:
        async with opened(hub, QUICK, recorder):
            slow = asyncio.ensure_future(off_loop(hub.module().call, "slow", None, 5.0))
            await recorder.until(lambda: "method slow" in recorder.order)
            quick = await off_loop(hub.module().call, "quick", None, 5.0)
            gate.set()
            assert (await slow).payload == "slow"
    assert quick.payload == "quick"


async def test_a_handler_that_raises_harms_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    recorder.on_desired = lambda patch: 1 // 0  # type: ignore[assignment]
    with HubStandIn() as hub:
        async with opened(hub, recorder=recorder) as transport:
            await off_loop(hub.module().patch_desired, {"n": 1})
            await off_loop(hub.module().send_input, "in", b"x")
            await recorder.until(lambda: recorder.inputs)
            await transport.send(packet(1))
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("text", ["a" * 250_000, "€" * 83_400])
async def test_a_message_that_is_too_large_is_refused_and_never_sent(text: Any) -> None:
    """Finding 7: the SDK lets both through, and edgeHub closes the connection on some."""
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            with pytest.raises(TransportError, match="on the wire, the most is 250000") as caught:
                await transport.send(packet(1, text.encode()))
            assert caught.value.fault == "refused"
            await transport.send(packet(2))
            assert transport.connected
        assert [message.id for message in hub.messages] == ["m2"]


async def test_the_largest_message_gets_through() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            empty = packet(1)
            # The length of such a packet takes one byte more in its header.
            room = transport.max_wire_size - transport.wire_size(empty) + len(empty.payload) - 1
            largest = packet(1, b"x" * room)
            assert transport.wire_size(largest) == transport.max_wire_size
            await transport.send(largest)
        assert len(hub.messages[0].body) == room


async def test_properties_longer_than_a_topic_are_refused() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            with pytest.raises(TransportError, match="65535 bytes of a topic") as caught:
                await transport.send(packet(1, properties={"p": "ü" * 12_000}))
            assert caught.value.fault == "refused"
            await transport.send(packet(2))


async def test_a_closed_transport_says_offline_and_closes_again() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            await transport.close()
            await transport.close()
            assert await transport.lost() == "closed"
            for call in (transport.send(packet(1)), transport.twin(), transport.report({})):
                with pytest.raises(TransportError) as caught:
                    await call
                assert caught.value.fault == "offline"


async def test_a_transport_is_opened_once() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            with pytest.raises(RuntimeError, match="once"):
                await transport.open(Recorder())


async def test_two_modules_of_one_process_do_not_mix() -> None:
    with HubStandIn() as hub:
        first, second = Recorder(), Recorder()
        transports = [connector(hub, QUICK, **hub.environment(module=name))() for name in "ab"]
        await transports[0].open(first)
        await transports[1].open(second)
        await off_loop(hub.module("b").send_input, "in", b"x")
        await second.until(lambda: second.inputs)
        await transports[0].close()
        await transports[1].send(packet(1))
        await transports[1].close()
        assert not first.inputs
        assert hub.messages[0].module == "b"


async def test_what_is_used_and_worked_around_is_said_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "edgevision")
    with HubStandIn() as hub:
        connector(hub)
    (line,) = [r.getMessage() for r in caplog.records if "azure-iot-device" in r.getMessage()]
    assert "paho-mqtt 1.6" in line
    assert "network thread" in line
    assert not logging.getLogger("azure.iot.device").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("life_s", [10.0, 300.5])
def test_a_token_that_cannot_be_renewed_in_time_is_refused(life_s: float) -> None:
    with pytest.raises(ConfigurationError, match="cannot be renewed"):
        EdgeSettings(token_life_s=life_s)


async def test_messages_are_sent_by_the_public_way_if_there_is_no_shorter_one() -> None:
    with HubStandIn() as hub:
        async with opened(hub) as transport:
            assert transport._client is not None
            transport._client._submit = None
            await asyncio.gather(*(transport.send(packet(number)) for number in range(50)))
            await off_loop(hub.end_connections)

            async def go_on() -> None:
                while True:
                    await transport.send(packet(50))

            with pytest.raises(TransportError):
                await asyncio.wait_for(go_on(), 20)
        assert [message.id for message in hub.messages][:50] == [f"m{n}" for n in range(50)]
