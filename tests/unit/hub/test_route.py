"""Routes: which messages they take, where they lead, and what is said about a wrong one."""

from __future__ import annotations

import pytest

from edgevision.testing.hub import HubMessage, HubStandIn, RouteError
from edgevision.testing.hub.route import UPSTREAM, Sink, parse_routes
from tests.unit.hub.brokers import StandInBroker
from tests.unit.hub.raw_client import PUBACK, PUBLISH

MESSAGE = HubMessage(
    id="m",
    output="results",
    body=b'{"count": 3, "who": {"name": "Ann", "tags": ["a", "b"]}, "ok": true, "none": null}',
    properties={"Camera": "door", "level": "7"},
    content_type="application/json",
    content_encoding="utf-8",
    device="edge-device",
    module="vision",
)


def takes(where: str, message: HubMessage = MESSAGE) -> bool:
    (route,) = parse_routes({"r": f"FROM /messages/* WHERE {where} INTO $upstream"})
    return route.takes(message)


@pytest.mark.parametrize(
    "where",
    [
        "camera = 'door'",
        'Camera != "yard"',
        "camera <> 'yard'",
        "camera > 'door' OR camera >= 'door'",
        "$body.count > 2.5 and $body.count <= 3",
        "$body.who.name = 'Ann'",
        "$body.who.tags[1] = 'b'",
        "$body.ok = true",
        "$body.none = null",
        "NOT ($body.count < 3)",
        "camera = 'yard' OR (level = '7' AND NOT camera = 'yard')",
        "as_number(level) > 6",
        "is_defined(camera) AND NOT is_defined(zone)",
        "$connectionModuleId = 'vision' AND $connectionDeviceId = 'edge-device'",
        "$messageId = 'm' AND $contentType = 'application/json'",
        "zone = 'x' OR camera = 'door'",
        "$body.count = -3 OR $body.count = 3",
        "$body.count * 2 - 1 = 5 AND -$body.count < abs(-1) / 2",
        "starts_with(camera, 'do') AND contains(camera, 'oo') AND length(upper(camera)) = 4",
        "camera || level = 'door7'",
        "NOT is_string(zone) AND NOT is_null(zone)",
        "is_string(camera) AND is_number($body.count) AND is_null($body.none)",
    ],
)
def test_a_condition_that_holds(where: str) -> None:
    assert takes(where)


@pytest.mark.parametrize(
    "where",
    [
        "camera = 'yard'",
        "zone = 'x'",
        "NOT zone = 'x'",
        "zone != 'x'",
        "level > 6",
        "$body.count = '3'",
        "$body.missing > 1",
        "$body.who.tags[2] = 'b'",
        "camera",
        "camera = 'door' AND zone = 'x'",
        "as_number(camera) > 1",
        "$userId = 'me'",
        "$body.ok > false",
        "length(zone) < 100",
        "NOT contains(zone, 'x')",
        "$body.count / 0 > 1",
        "camera || $body.count = 'door3'",
    ],
)
def test_a_condition_that_does_not_hold(where: str) -> None:
    assert not takes(where)


@pytest.mark.parametrize("changed", ["content_type", "content_encoding"])
def test_a_body_is_looked_into_only_if_it_is_said_what_it_is(changed: str) -> None:
    from dataclasses import replace

    assert not takes("$body.count = 3", replace(MESSAGE, **{changed: ""}))  # type: ignore[arg-type]
    broken = replace(MESSAGE, body=b"{")
    assert not takes("$body.count = 3", broken)
    wide = replace(MESSAGE, body='{"count": 3}'.encode("utf-16"), content_encoding="UTF-16")
    assert takes("$body.count = 3", wide)


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("/*", True),
        ("/messages/*", True),
        ("/messages/modules/*", True),
        ("/messages/modules/vision/*", True),
        ("/messages/modules/vision/outputs/*", True),
        ("/messages/modules/vision/outputs/results", True),
        ("/messages/modules/vision/outputs/events", False),
        ("/messages/modules/other/*", False),
    ],
)
def test_sources(source: str, taken: bool) -> None:
    (route,) = parse_routes({"r": f"from {source} into $upstream"})
    assert route.takes(MESSAGE) is taken
    assert route.route.sink == UPSTREAM


def test_an_endpoint() -> None:
    text = 'FROM /messages/modules/a/outputs/o INTO BrokeredEndpoint("/modules/b/inputs/i")'
    (route,) = parse_routes({"r": text})
    assert route.route.sink == Sink("b", "i")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("TO $upstream", "wanted FROM source"),
        ("FROM /messages/modules/a/inputs/x INTO $upstream", "there is no such source"),
        ("FROM /twinChangeNotifications INTO $upstream", "the stand-in sends no notifications"),
        ("FROM /* WHERE a = INTO $upstream", "it ends where a value should stand"),
        ("FROM /* WHERE sqrt(a) > 1 INTO $upstream", "the stand-in does not know sqrt\\(\\)"),
        (
            "FROM /* WHERE NOT (a = 'b' AND $enqueuedTime > '1') INTO $upstream",
            "the stand-in does not know \\$enqueuedTime",
        ),
    ],
)
def test_a_wrong_route_is_told(text: str, said: str) -> None:
    with pytest.raises(RouteError, match=rf"routes\.mine: .*{said}"):
        parse_routes({"mine": text})


def test_a_routes_name_is_checked() -> None:
    with pytest.raises(RouteError, match="name"):
        parse_routes({"a.b": "FROM /* INTO $upstream"})


def test_messages_go_where_the_routes_lead() -> None:
    routes = {
        "up": "FROM /messages/* WHERE level = '1' INTO $upstream",
        "again": "FROM /messages/* WHERE level = '1' INTO $upstream",
        "down": 'FROM /messages/modules/a/outputs/o INTO BrokeredEndpoint("/modules/b/inputs/i")',
    }
    with HubStandIn(routes=routes) as hub:
        broker = StandInBroker(hub)
        a, b = broker.connect("a")[0], broker.connect("b")[0]
        with a, b:
            b.subscribe("devices/edge-device/modules/b/inputs/#")
            events = "devices/edge-device/modules/a/messages/events/"
            a.publish(events + "%24.on=o&%24.mid=7&level=1&z=a%2Fb", b"both")
            a.publish(events + "%24.on=o", b"down only", packet_id=2)
            a.publish(events, b"nowhere", packet_id=3)
            assert [a.expect(PUBACK).packet_id for _ in range(3)] == [1, 2, 3]
            got = b.expect(PUBLISH)
            head, _, properties = got.topic.rpartition("/")
            assert head == "devices/edge-device/modules/b/inputs/i"
            assert dict(part.split("=") for part in properties.split("&")) == {
                "%24.mid": "7",
                "%24.cdid": "edge-device",
                "%24.cmid": "a",
                "level": "1",
                "z": "a%2Fb",
            }
            assert (got.payload, b.expect(PUBLISH).payload) == (b"both", b"down only")
            assert [message.body for message in hub.messages] == [b"both"]
            assert hub.unrouted == 1
            with pytest.raises(RouteError):
                hub.set_routes({"up": "FROM nowhere INTO $upstream"})
            hub.set_routes({"up": "FROM /messages/* INTO $upstream"})
            a.publish(events, b"up now", packet_id=4)
            a.expect(PUBACK)
            assert hub.messages[-1].body == b"up now"
