"""What MQTT 3.1.1 promises, of the stand-in and of Mosquitto alike: the stand-in stays honest."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from edgevision.testing.hub import HubStandIn
from tests.unit.hub.brokers import Broker, MosquittoBroker, StandInBroker
from tests.unit.hub.raw_client import (
    CONNACK,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    UNSUBACK,
    packet,
    text,
)

_names = (f"module-{number}" for number in itertools.count())
PING = packet(0xC0)
GOODBYE = packet(0xE0)


@pytest.fixture(
    scope="module",
    params=["stand-in", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))],
)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "mosquitto":
        with MosquittoBroker() as mosquitto:
            yield mosquitto
    else:
        with HubStandIn() as hub:
            yield StandInBroker(hub)


@pytest.fixture
def module() -> str:
    """A name that no other test uses."""
    return next(_names)


def events(module: str) -> str:
    return f"devices/edge-device/modules/{module}/messages/events/"


def inputs(module: str) -> str:
    return f"devices/edge-device/modules/{module}/inputs/"


def test_a_session_is_found_again(broker: Broker, module: str) -> None:
    first, answer = broker.connect(module)
    assert answer.body == b"\x00\x00"
    with first:
        first.subscribe(inputs(module) + "#")
        first.send(GOODBYE)
        assert first.closed()
    second, answer = broker.connect(module)
    with second:
        assert answer.body == b"\x01\x00"
        broker.send(module, "in", b"still subscribed")
        assert second.expect(PUBLISH).payload == b"still subscribed"


def test_a_clean_session_is_not_found_again(broker: Broker, module: str) -> None:
    first, _ = broker.connect(module)
    with first:
        first.send(GOODBYE)
        assert first.closed()
    second, answer = broker.connect(module, clean=True)
    with second:
        assert answer.body == b"\x00\x00"
        second.send(GOODBYE)
        assert second.closed()
    third, answer = broker.connect(module)
    with third:
        assert answer.body == b"\x00\x00"


def test_every_qos_1_message_is_acknowledged_in_order(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        for packet_id in (7, 65_535, 1, 300):
            client.publish(events(module), b"x" * 1000, packet_id=packet_id)
        assert [client.expect(PUBACK).packet_id for _ in range(4)] == [7, 65_535, 1, 300]


def test_qos_0_is_not_acknowledged(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.publish(events(module), b"x", qos=0)
        client.send(PING)
        client.expect(PINGRESP)


def test_a_repeated_message_is_acknowledged_again(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.publish(events(module), b"x", packet_id=5)
        client.publish(events(module), b"x", packet_id=5, dup=True)
        assert [client.expect(PUBACK).packet_id for _ in range(2)] == [5, 5]


def test_packets_arrive_in_any_pieces(broker: Broker, module: str) -> None:
    client = broker.client()
    with client:
        publish = packet(0x32, text(events(module)) + b"\x00\x09" + b"y" * 300)
        data = broker.hello(module) + publish + PING
        for start in range(0, len(data), 7):
            client.send(data[start : start + 7])
        client.expect(CONNACK)
        assert client.expect(PUBACK).packet_id == 9
        client.expect(PINGRESP)
        client.send(publish, PING, publish)
        assert [client.receive().kind for _ in range(3)] == [PUBACK, PINGRESP, PUBACK]  # type: ignore[union-attr]


def test_several_subscriptions_are_granted_in_order(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        topics = text("$iothub/twin/res/#") + b"\x01" + text(inputs(module) + "#") + b"\x00"
        client.send(packet(0x82, b"\x12\x34" + topics))
        answer = client.expect(SUBACK)
        assert (answer.packet_id, list(answer.body[2:])) == (0x1234, [1, 0])


def test_an_ended_subscription_brings_nothing_more(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.subscribe(inputs(module) + "#")
        client.send(packet(0xA2, b"\x00\x08" + text(inputs(module) + "#")))
        assert client.expect(UNSUBACK).packet_id == 8
        broker.send(module, "in", b"for nobody")
        client.send(PING)
        client.expect(PINGRESP)


@pytest.mark.parametrize("qos", [0, 1])
def test_a_message_comes_with_the_granted_qos(broker: Broker, module: str, qos: int) -> None:
    client, _ = broker.connect(module)
    with client:
        client.subscribe(inputs(module) + "+/#", qos=qos)
        broker.send(module, "in", b"hello")
        message = client.expect(PUBLISH)
        assert (message.topic, message.payload) == (inputs(module) + "in/", b"hello")
        assert (message.qos, message.dup, bool(message.publish_id)) == (qos, False, bool(qos))


def test_what_was_not_acknowledged_comes_again(broker: Broker, module: str) -> None:
    first, _ = broker.connect(module)
    with first:
        first.subscribe(inputs(module) + "#")
        broker.send(module, "in", b"one")
        broker.send(module, "in", b"two")
        one, two = first.expect(PUBLISH), first.expect(PUBLISH)
        first.acknowledge(one.publish_id)
        first.send(PING)
        first.expect(PINGRESP)
    second, _ = broker.connect(module)
    with second:
        again = second.expect(PUBLISH)
        assert (again.payload, again.publish_id, again.dup) == (b"two", two.publish_id, True)
        second.acknowledge(again.publish_id)
        second.send(PING)
        second.expect(PINGRESP)


def test_messages_wait_for_a_client_that_is_away(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.subscribe(inputs(module) + "#")
        client.send(GOODBYE)
        assert client.closed()
    for number in range(5):
        broker.send(module, "in", b"%d" % number)
    client, _ = broker.connect(module)
    with client:
        assert [client.expect(PUBLISH).payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_second_connection_ends_the_first(broker: Broker, module: str) -> None:
    first, _ = broker.connect(module)
    with first:
        first.subscribe(inputs(module) + "#")
        second, answer = broker.connect(module)
        with second:
            assert first.closed()
            assert answer.body == b"\x01\x00"
            broker.send(module, "in", b"to the second")
            assert second.expect(PUBLISH).payload == b"to the second"


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("no CONNECT first", PING),
        ("a length of five bytes", b"\x30\xff\xff\xff\xff\x7f"),
        ("another protocol", packet(0x10, text("HTTP") + b"\x04\x02\x00\x3c" + text("x"))),
        ("a reserved packet type", packet(0x00)),
    ],
)
def test_a_client_that_begins_wrongly_is_cut_off(broker: Broker, what: str, data: bytes) -> None:
    with broker.client() as client:
        client.send(data)
        assert client.closed(), what


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a wildcard in a topic", packet(0x32, text("devices/#") + b"\x00\x01")),
        ("QoS 1 without a packet id", packet(0x32, text("devices/x") + b"\x00\x00")),
        ("a NUL in a topic", packet(0x30, text("devices/\0"))),
        ("QoS 3", packet(0x36, text("devices/x") + b"\x00\x01")),
        ("a packet shorter than its fields", packet(0x32, b"\x00\xff" + b"devices")),
        ("a topic that is not UTF-8", packet(0x30, text(b"\xff\xfe"))),
        ("a SUBSCRIBE without its flag", packet(0x80, b"\x00\x01" + text("a") + b"\x01")),
        ("a SUBSCRIBE without a filter", packet(0x82, b"\x00\x01")),
        ("a # in the middle", packet(0x82, b"\x00\x01" + text("a/#/b") + b"\x01")),
    ],
)
def test_a_client_that_breaks_the_rules_is_cut_off(
    broker: Broker, module: str, what: str, data: bytes
) -> None:
    client, _ = broker.connect(module)
    with client:
        client.send(data)
        assert client.closed(), what


def test_a_second_connect_ends_the_connection(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.send(broker.hello(module))
        assert client.closed()


def test_the_longest_packet_is_taken_and_a_longer_one_ends_the_connection(
    broker: Broker, module: str
) -> None:
    # Ours counts the header of 4 bytes, Mosquitto does not.
    head = text(events(module)) + b"\x00\x01"
    client, _ = broker.connect(module)
    with client:
        client.send(packet(0x32, head + bytes(262_144 - 4 - len(head))))
        assert client.expect(PUBACK).packet_id == 1
        client.send(packet(0x32, head + bytes(262_144 - len(head) + 1))[:1000])
        assert client.closed()


def test_a_silent_client_is_cut_off(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module, keep_alive_s=1)
    with client:
        begun_s = time.monotonic()
        assert client.closed()
        assert time.monotonic() - begun_s > 1.0


def test_a_filter_for_everything_brings_no_system_topics(broker: Broker, module: str) -> None:
    client, _ = broker.connect(module)
    with client:
        client.subscribe("#")
        client.publish("$iothub/twin/GET/?$rid=1", b" ", packet_id=2)
        assert client.expect(PUBACK).packet_id == 2
        client.send(PING)
        client.expect(PINGRESP)
        broker.send(module, "in", b"seen")
        assert client.expect(PUBLISH).payload == b"seen"


def test_a_client_that_trusts_somebody_else_gets_no_connection(broker: Broker) -> None:
    import ssl

    from edgevision.testing.hub.authority import Authority
    from tests.unit.hub.raw_client import RawClient

    ours = broker.client()
    with ours, pytest.raises(ssl.SSLCertVerificationError):
        RawClient(ours.host, ours.port, Authority().pem)
