"""The life of a hub: down and up, side by side, what it keeps, and how it is waited for."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from edgevision.errors import ConfigurationError
from edgevision.testing.hub import HubStandIn
from edgevision.testing.hub.identity import Identity
from edgevision.testing.hub.loop_thread import LoopThread
from edgevision.testing.hub.session import MAX_QUEUED, Session
from tests.unit.hub.brokers import StandInBroker
from tests.unit.hub.raw_client import PUBACK, RawClient

EVENTS = "devices/edge-device/modules/door/messages/events/"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as started:
        yield started


def door(hub: HubStandIn) -> RawClient:
    client, answer = StandInBroker(hub).connect("door")
    assert answer.body[1] == 0
    return client


def test_the_hub_comes_back_at_its_address_with_sessions_and_twins(hub: HubStandIn) -> None:
    hub.module("door").patch_desired({"a": 1})
    host, port = hub.host, hub.port
    for _ in range(20):
        with door(hub) as client:
            hub.go_down()
            assert client.closed()
            with pytest.raises(ConnectionRefusedError):
                StandInBroker(hub).client()
            hub.come_up()
    assert (hub.host, hub.port) == (host, port)
    client, answer = StandInBroker(hub).connect("door")
    client.__exit__()
    assert answer.body == b"\x01\x00"
    assert hub.module("door").desired == {"a": 1, "$version": 2}
    hub.restart(lose_sessions=True)
    client, answer = StandInBroker(hub).connect("door")
    client.__exit__()
    assert answer.body == b"\x00\x00"


def test_a_hub_that_is_stopped_and_started_again_has_its_twins(hub: HubStandIn) -> None:
    hub.module("door").patch_desired({"a": 1})
    environment = hub.environment(module="door")
    hub.stop()
    hub.stop()
    hub.start()
    again = hub.environment(module="door")
    assert hub.module("door").desired["a"] == 1
    assert again["IOTEDGE_GATEWAYHOSTNAME"] == environment["IOTEDGE_GATEWAYHOSTNAME"]
    door(hub).__exit__()


def test_hubs_run_side_by_side() -> None:
    with HubStandIn() as first, HubStandIn() as second:
        assert first.host != second.host
        assert first.port == second.port == 8883
        door(first).__exit__()
        door(second).__exit__()
        with pytest.raises(ConfigurationError, match="cannot listen"):
            HubStandIn(host=first.host).start()


def test_a_handshake_that_never_ends_does_not_hold_up_the_end() -> None:
    with HubStandIn() as hub, socket.create_connection((hub.host, hub.port)) as silent:
        hub.wait_for(lambda hub: hub._thread.call(lambda: len(hub._listener._handshakes)))
        begun_s = time.monotonic()
        hub.go_down()
        assert time.monotonic() - begun_s < 5
        silent.settimeout(5)
        assert silent.recv(1) == b""


def test_only_so_many_messages_are_kept() -> None:
    with HubStandIn(max_messages=3, max_bytes=100) as hub, door(hub) as client:
        for number in range(1, 6):
            client.publish(EVENTS, b"%d" % number, packet_id=number)
            client.expect(PUBACK)
        assert [message.body for message in hub.messages] == [b"3", b"4", b"5"]
        assert (hub.message_count, hub.forgotten) == (5, 2)
        client.publish(EVENTS, b"x" * 99, packet_id=6)
        client.expect(PUBACK)
        assert [message.number for message in hub.messages] == [5, 6]


def test_waiting_says_what_happened_instead(hub: HubStandIn) -> None:
    door(hub).__exit__()
    hub.wait_for(lambda hub: any(e.kind == "disconnected" for e in hub.events))
    with pytest.raises(TimeoutError, match=r"0 messages; last events: connected\(.*disconnected"):
        hub.wait_for_messages(1, timeout_s=0.05)


def test_listeners_hear_of_everything(hub: HubStandIn) -> None:
    heard: list[str] = []
    all_there = threading.Event()

    def listen(item: object) -> None:
        heard.append(type(item).__name__ + getattr(item, "kind", ""))
        if len(heard) == 2:
            all_there.set()

    hub.listen(listen)
    with door(hub) as client:
        client.publish(EVENTS, b"x")
        assert all_there.wait(10)
    assert heard[:2] == ["HubEventconnected", "HubMessage"]


def test_a_call_from_the_hubs_own_thread_is_refused(hub: HubStandIn) -> None:
    said: list[str] = []
    done = threading.Event()

    def listen(_: object) -> None:
        try:
            hub.pause()
        except RuntimeError as error:
            said.append(str(error))
        done.set()

    hub.listen(listen)
    with door(hub):
        assert done.wait(10)
    assert "from its own thread" in said[0]


def test_a_hub_that_does_not_run_says_so() -> None:
    hub = HubStandIn()
    with pytest.raises(RuntimeError, match="not running"):
        hub.module("door").connected  # noqa: B018
    with pytest.raises(RuntimeError, match="not running"):
        hub.environment()
    with pytest.raises(ValueError, match="no module id"):
        hub.identities.register("edge-device", "a/b")


def test_it_is_said_how_to_get_what_makes_the_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'edgevision\[testing\]'"):
        HubStandIn()


def test_a_call_that_takes_too_long_is_given_up() -> None:
    thread = LoopThread("slow")
    thread.start()
    given_up = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            given_up.set()
            raise

    try:
        with pytest.raises(TimeoutError, match=r"slow did not answer within 0\.05 s"):
            thread.run(slow(), timeout_s=0.05)
        assert given_up.wait(10)
    finally:
        thread.stop()
    with pytest.raises(RuntimeError, match="not running"):
        thread.call(lambda: None)


def test_inputs_that_wait_are_bounded_and_sent_a_few_at_a_time() -> None:
    session = Session(Identity("edge-device", "door"))
    session.subscriptions["in"] = 1
    for number in range(MAX_QUEUED + 5):
        session.deliver("in", b"%d" % number)
    assert (session.waiting, session.lost) == (MAX_QUEUED, 5)
    sent: list[bytes] = []

    class Wire:
        def send(self, data: bytes) -> None:
            sent.append(data)

    session.resume(Wire())
    assert len(sent) == 16
    assert sent[0].endswith(b"5")
    session.acknowledge(1)
    session.acknowledge(1)
    assert len(sent) == 17
