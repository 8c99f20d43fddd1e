"""What the stand-in has beyond MQTT: identities, tokens, twins, methods, faults."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from edgevision.testing.hub import HUB_NAME, HubStandIn, MethodResult, TwinError
from edgevision.testing.hub.faults import EndKind
from edgevision.testing.hub.identity import Identity
from tests.unit.hub.brokers import StandInBroker
from tests.unit.hub.raw_client import (
    CONNACK,
    PINGRESP,
    PUBACK,
    PUBLISH,
    RawClient,
    connect_packet,
    packet,
)

PING = packet(0xC0)
EVENTS = "devices/edge-device/modules/door/messages/events/"
TWIN = "$iothub/twin/res/#"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as started:
        yield started


def door(hub: HubStandIn) -> RawClient:
    client, answer = StandInBroker(hub).connect("door")
    assert answer.body[1] == 0
    return client


def refusal(hub: HubStandIn, data: bytes) -> tuple[int, str]:
    """Return code and reason of the refusal of a CONNECT."""
    with StandInBroker(hub).client() as client:
        client.send(data)
        code = client.expect(CONNACK).body[1]
        assert client.closed()
    event = hub.wait_for(lambda hub: [e for e in hub.events if e.kind == "refused"])[-1]
    assert event.detail["code"] == code
    return code, event.detail["reason"]


def hello(hub: HubStandIn, **changed: str) -> bytes:
    known = hub.identities.register(hub.device, "door")
    fields = {
        "client_id": known.client_id,
        "username": f"{HUB_NAME}/{known.client_id}/?api-version=2019-10-01",
        "password": known.token(time.time() + 100),
        **changed,
    }
    return connect_packet(
        fields["client_id"], username=fields["username"], password=fields["password"]
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"client_id": "edge-device/window"}, "there is no module 'edge-device/window'"),
        ({"username": "elsewhere/edge-device/door/?api-version=1"}, "the user name is not"),
        ({"username": f"{HUB_NAME}/edge-device/door"}, "the user name is not"),
        ({"password": "swordfish"}, "no shared access signature"),
        ({"password": "SharedAccessSignature sr=x&se=1"}, "the token has no sig"),
    ],
)
def test_who_is_not_who_he_says_is_refused(
    hub: HubStandIn, changed: dict[str, str], reason: str
) -> None:
    code, said = refusal(hub, hello(hub, **changed))
    assert code == 5
    assert reason in said


def test_a_token_of_another_module_is_refused(hub: HubStandIn) -> None:
    other = hub.identities.register(hub.device, "window").token(time.time() + 100)
    assert "not for" in refusal(hub, hello(hub, password=other))[1]


def test_a_token_signed_with_another_key_is_refused(hub: HubStandIn) -> None:
    stranger = Identity(hub.device, "door").token(time.time() + 100)
    code, said = refusal(hub, hello(hub, password=stranger))
    assert (code, said) == (5, "the token is signed with another key")
    assert "sig=" not in said


def test_an_expired_token_is_refused(hub: HubStandIn) -> None:
    hub.clock_offset_s = 200.0
    assert "has expired" in refusal(hub, hello(hub))[1]


def test_a_token_of_before_the_key_was_rotated_is_refused(hub: HubStandIn) -> None:
    old = hello(hub)
    hub.module("door").rotate_key()
    assert refusal(hub, old)[0] == 5
    door(hub).__exit__()


def test_another_version_of_the_protocol_is_refused(hub: HubStandIn) -> None:
    assert refusal(hub, connect_packet("edge-device/door", level=5))[0] == 1


def test_the_connection_ends_with_its_token(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.send(PING)
        client.expect(PINGRESP)
        hub.clock_offset_s = 3601.0
        assert client.closed()
    (event,) = hub.wait_for(lambda hub: [e for e in hub.events if e.kind == "disconnected"])
    assert event.detail["reason"] == "the token has expired"


def test_modules_do_not_hear_each_other(hub: HubStandIn) -> None:
    broker = StandInBroker(hub)
    first, second = broker.connect("first")[0], broker.connect("second")[0]
    with first, second:
        for client in (first, second):
            client.subscribe(TWIN, "$iothub/twin/PATCH/properties/desired/#")
        hub.module("first").patch_desired({"a": 1})
        second.publish("$iothub/twin/GET/?$rid=r%201", b" ", packet_id=9)
        assert second.expect(PUBACK).packet_id == 9
        answer = second.expect(PUBLISH)
        assert answer.topic == "$iothub/twin/res/200/?$rid=r%201"
        assert json.loads(answer.payload)["desired"] == {"$version": 1}
        patch = first.expect(PUBLISH)
        assert patch.topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
        assert json.loads(patch.payload) == {"a": 1, "$version": 2}


def test_a_message_in_another_modules_name_ends_the_connection(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.publish(EVENTS.replace("door", "window"), b"x")
        assert client.closed()
    assert not hub.messages


def test_whoever_does_not_listen_gets_no_answer(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.publish("$iothub/twin/GET/?$rid=1", b" ")
        client.expect(PUBACK)
        client.send(PING)
        client.expect(PINGRESP)
    assert any(event.kind == "ignored" for event in hub.events)


@pytest.mark.parametrize(
    "patch",
    [
        b"not json",
        b"[1]",
        b'{"a.b": 1}',
        b'{"$a": 1}',
        b'{"a b": 1}',
        b'{"": 1}',
        b'{"big": 4503599627370497}',
        json.dumps({"text": "x" * 4097}).encode(),
        json.dumps({str(i): "x" * 4000 for i in range(9)}).encode(),
        b'{"a":' * 11 + b"1" + b"}" * 11,
    ],
)
def test_a_patch_beyond_the_limits_is_refused(hub: HubStandIn, patch: bytes) -> None:
    with door(hub) as client:
        client.subscribe(TWIN)
        client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", patch)
        client.expect(PUBACK)
        assert client.expect(PUBLISH).topic == "$iothub/twin/res/400/?$rid=1"
    assert hub.module("door").reported == {"$version": 1}


def test_a_patch_within_the_limits_is_merged(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.subscribe(TWIN)
        topic = ""
        for patch in (
            b'{"a": {"b": 1, "c": [1, null]}, "x": 1}',
            b'{"a": {"b": null}, "x": {"y": 2}}',
        ):
            client.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", patch)
            client.expect(PUBACK)
            topic = client.expect(PUBLISH).topic
        assert topic == "$iothub/twin/res/204/?$rid=1&$version=3"
    assert hub.module("door").reported == {"a": {"c": [1, None]}, "x": {"y": 2}, "$version": 3}
    deepest = json.loads('{"a":' * 10 + "1" + "}" * 10)
    assert hub.module("door").patch_desired(deepest) == 2
    with pytest.raises(TwinError, match="deeper than 10"):
        hub.module("door").patch_desired({"a": deepest})


def test_direct_methods(hub: HubStandIn) -> None:
    module = hub.module("door")
    assert module.call("ping").status == 404
    with door(hub) as client, ThreadPoolExecutor() as threads:
        assert module.call("ping").status == 404
        client.subscribe("$iothub/methods/POST/#")

        def answer(status: str, payload: bytes) -> MethodResult:
            calling = threads.submit(module.call, "take it/now", {"a": [1]})
            request = client.expect(PUBLISH)
            head, _, rid = request.topic.partition("/?$rid=")
            assert head == "$iothub/methods/POST/take%20it%2Fnow"
            assert json.loads(request.payload) == {"a": [1]}
            client.publish(f"$iothub/methods/res/{status}/?$rid={rid}", payload, packet_id=3)
            client.expect(PUBACK)
            return calling.result(10)

        assert answer("200", b'{"ok": true}') == MethodResult(200, {"ok": True})
        assert answer("409", b"") == MethodResult(409, None)
        assert answer("200", b"{broken").status == 502
        assert answer("200", json.dumps("x" * 131_072).encode()).status == 502
        assert module.call("ping", timeout_s=0.05).status == 504
    with pytest.raises(ValueError, match="131072"):
        module.call("ping", "x" * 131_072)


def test_a_lost_acknowledgement_loses_no_message(hub: HubStandIn) -> None:
    hub.faults.lose_pubacks = 2
    with door(hub) as client:
        for number in (1, 2, 3):
            client.publish(EVENTS, b"%d" % number, packet_id=number)
        assert client.expect(PUBACK).packet_id == 3
        hub.faults.lose_pubacks = math.inf
        client.publish(EVENTS, b"4", packet_id=4)
        client.send(PING)
        client.expect(PINGRESP)
    assert [message.body for message in hub.messages] == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("how", ["reset", "tls", "tcp"])
def test_each_way_to_end_a_connection(hub: HubStandIn, how: EndKind) -> None:
    with door(hub) as client, socket.socket(fileno=os.dup(client.fileno())) as below_tls:
        below_tls.settimeout(10)
        assert hub.end_connections(how) == 1
        if how == "reset":
            with pytest.raises(ConnectionResetError):
                below_tls.recv(100)
        elif how == "tcp":
            assert below_tls.recv(100) == b""
        else:
            assert below_tls.recv(100)
            assert below_tls.recv(100) == b""


def test_closing_on_a_topic_stores_nothing(hub: HubStandIn) -> None:
    hub.faults.close_on_topic = "poison"
    with door(hub) as client:
        client.publish(EVENTS + "a=1", b"good")
        client.expect(PUBACK)
        client.publish(EVENTS + "a=poison", b"bad")
        assert client.closed()
    assert [message.body for message in hub.messages] == [b"good"]


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_refusing_connections(hub: HubStandIn, code: int) -> None:
    hub.faults.refuse_connect = code
    assert refusal(hub, hello(hub)) == (code, "told to refuse")
    hub.faults.refuse_connect = 0
    door(hub).__exit__()


def test_a_hub_that_does_not_answer_a_connect(hub: HubStandIn) -> None:
    hub.faults.silent_connect = True
    with StandInBroker(hub).client() as client:
        client.send(hello(hub))
        client.set_limit(0.2)
        with pytest.raises(TimeoutError):
            client.receive()
    assert not any(event.kind in ("connected", "refused") for event in hub.events)


def test_a_hub_that_is_paused_reads_nothing(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.publish(EVENTS, b"1")
        client.expect(PUBACK)
        hub.pause()
        client.publish(EVENTS, b"2", packet_id=2)
        client.set_limit(0.3)
        with pytest.raises(TimeoutError):
            client.receive()
        assert hub.message_count == 1
        client.set_limit(10)
        hub.resume()
        assert client.expect(PUBACK).packet_id == 2


def test_a_delay_holds_up_one_after_another(hub: HubStandIn) -> None:
    with door(hub) as client:
        hub.faults.delay_s = 0.05
        begun_s = time.monotonic()
        for number in range(1, 6):
            client.publish(EVENTS, b"x", packet_id=number)
        assert [client.expect(PUBACK).packet_id for _ in range(5)] == [1, 2, 3, 4, 5]
        assert time.monotonic() - begun_s >= 0.25


@pytest.mark.parametrize(("twin", "topic"), [(429, "$iothub/twin/res/429/?$rid=1"), (500, None)])
def test_a_twin_that_answers_with_an_error(hub: HubStandIn, twin: int, topic: str | None) -> None:
    hub.faults.twin = twin
    with door(hub) as client:
        client.subscribe(TWIN)
        client.publish("$iothub/twin/GET/?$rid=1", b" ")
        client.expect(PUBACK)
        assert client.expect(PUBLISH).topic == (topic or "$iothub/twin/res/500/?$rid=1")


def test_a_silent_twin(hub: HubStandIn) -> None:
    hub.faults.twin = "silent"
    with door(hub) as client:
        client.subscribe(TWIN)
        client.publish("$iothub/twin/GET/?$rid=1", b" ")
        client.expect(PUBACK)
        client.send(PING)
        client.expect(PINGRESP)


def test_a_lost_session_makes_a_connected_client_deaf(hub: HubStandIn) -> None:
    with door(hub) as client:
        client.subscribe(TWIN)
        hub.lose_sessions()
        assert not hub.module("door").subscriptions
        client.publish(EVENTS, b"still goes up")
        client.expect(PUBACK)
        hub.end_connections()
    with StandInBroker(hub).connect("door")[0] as client:
        client.send(PING)
        client.expect(PINGRESP)
    presents = [e.detail["session_present"] for e in hub.events if e.kind == "connected"]
    assert presents == [False, False]


def test_a_hub_that_forgets_sessions(hub: HubStandIn) -> None:
    door(hub).__exit__()
    hub.faults.forget_sessions = True
    client, answer = StandInBroker(hub).connect("door")
    client.__exit__()
    assert answer.body == b"\x00\x00"


def test_qos_2_is_never_granted(hub: HubStandIn) -> None:
    with door(hub) as client:
        assert client.subscribe("devices/edge-device/modules/door/inputs/#", qos=2) == [1]
        hub.module("door").send_input("in", b"x")
        assert client.expect(PUBLISH).qos == 1


def test_a_clean_session_is_gone_with_its_connection(hub: HubStandIn) -> None:
    client, _ = StandInBroker(hub).connect("door", clean=True)
    with client:
        client.subscribe(TWIN)
        assert hub.module("door").subscriptions == {TWIN}
    hub.wait_for(lambda hub: any(event.kind == "disconnected" for event in hub.events))
    assert not hub.module("door").subscriptions
