"""Every kind of message is valid against the schema, and what differs from it is refused."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from edgevision.detections import Detections
from edgevision.errors import UpstreamError
from edgevision.result import Event
from edgevision.upstream.aggregate import Aggregate
from edgevision.upstream.builder import MessageBuilder, plain_values
from edgevision.upstream.message import SCHEMA, Message, json_schema, property_text
from edgevision.upstream.policy import Report
from tests.unit.upstream.helpers import START_S, VALIDATOR, builder, detections, result

TWO_PEOPLE = Detections(
    [(10.04, 20.06, 110.44, 220.5), (0.1, 0, 5, 7)],
    [0.98765, 0.5],
    ["person", "person"],
    [7, -1],
    {"text": ["Tür", ""], "keypoints": np.full((2, 2, 2), 0.1, np.float32)},
)


def frame_message() -> Message:
    found = result(TWO_PEOPLE, sequence=12, values={"inside": 3})
    report = Report("frame", "change", found, {"person": 2}, ("counts.person",), 4)
    return builder().report("door", report)


def quiet_message() -> Message:
    report = Report("heartbeat", "quiet", result("person"), {"person": 1}, frames=1790)
    return builder().report("door", report, "live")


def dead_message() -> Message:
    return builder().report("door", Report("heartbeat", "state"), "backing off")


def aggregate_message() -> Message:
    summary = Aggregate(0.0)
    for sequence, count in enumerate((1, 3, 0), 1):
        found = detections(["person"] * count, track_ids=list(range(count)) or -1)
        at_s = START_S + sequence
        values = {"inside": count, "mode": "day"}
        frame = result(found, sequence=sequence, captured_at_s=at_s, values=values)
        summary.add(frame, {"person": count} if count else {})
    summary.length_s = 60.0
    report = Report("aggregate", "interval", frames=3, aggregate=summary)
    return builder().report("door", report, "live")


def empty_aggregate_message() -> Message:
    summary = Aggregate(0.0)
    summary.length_s = 60.0
    return builder().report("door", Report("aggregate", "interval", aggregate=summary), "stalled")


def event_message() -> Message:
    event = Event("alarms", {"zone": "till", "$weird key.#": [1, {"a b": None}]}, "count")
    return builder().event(result(sequence=12), event)


KINDS: list[Callable[[], Message]] = [
    frame_message,
    quiet_message,
    dead_message,
    aggregate_message,
    empty_aggregate_message,
    event_message,
]


@pytest.mark.parametrize("make", KINDS)
def test_is_valid_and_says_the_same_in_bytes(make: Callable[[], Message]) -> None:
    message = make()
    VALIDATOR.validate(message.body)
    assert json.loads(message.encode()) == message.body
    assert b"\n" not in message.encode()
    assert b": " not in message.encode()
    assert message.encode() is message.encode()


def test_the_schema_itself_is_valid() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$defs"]["envelope"]["properties"]["schema"]["const"] == SCHEMA
    assert SCHEMA.split("/")[1] in json_schema()["$id"]


def test_a_frame_in_full() -> None:
    assert frame_message().body == {
        "schema": SCHEMA,
        "id": "vision:door:a1b2c3:1",
        "kind": "frame",
        "output": "results",
        "module": "vision",
        "camera": "door",
        "run": "a1b2c3",
        "number": 1,
        "created_at": "2026-05-28T20:26:41.000Z",
        "reason": "change",
        "changed": ["counts.person"],
        "sequence": 12,
        "captured_at": "2026-05-28T20:26:40.000Z",
        "size_wh": [640, 360],
        "detections": [
            {
                "label": "person",
                "confidence": 0.988,
                "box_xyxy": [10.0, 20.1, 110.4, 220.5],
                "track_id": 7,
                "data": {"text": "Tür", "keypoints": [[0.1, 0.1], [0.1, 0.1]]},
            },
            {
                "label": "person",
                "confidence": 0.5,
                "box_xyxy": [0.1, 0.0, 5.0, 7.0],
                "data": {"text": "", "keypoints": [[0.1, 0.1], [0.1, 0.1]]},
            },
        ],
        "counts": {"person": 2},
        "values": {"inside": 3},
        "latency_ms": 12.5,
    }


def test_a_dead_camera_tells_no_old_news() -> None:
    body = dead_message().body
    assert (body["state"], body["frames"]) == ("backing off", 0)
    assert not body.keys() & {"sequence", "captured_at", "detections", "counts", "values"}


def test_an_aggregate_in_full() -> None:
    body = aggregate_message().body
    assert body["frames"] == 3
    assert (body["first_sequence"], body["sequence"]) == (1, 3)
    assert body["first_captured_at"] < body["captured_at"]
    assert body["counts"] == {
        "person": {"min": 0, "mean": 1.333, "max": 3, "frames": 2, "tracks": 3}
    }
    assert body["values"] == {
        "inside": {"last": 0, "min": 0, "mean": 1.333333, "max": 3},
        "mode": {"last": "day"},
    }
    assert body["latency_ms"] == {"mean": 12.5, "max": 12.5}


def test_an_event_keeps_any_keys_in_its_body() -> None:
    body = event_message().body
    assert (body["output"], body["stage"], body["sequence"]) == ("alarms", "count", 12)
    assert body["body"] == {"zone": "till", "$weird key.#": [1, {"a b": None}]}


WRONG: list[tuple[Callable[[], Message], str, Any]] = [
    (frame_message, "schema", "edgevision.message/2.0"),
    (frame_message, "id", "a/b"),
    (frame_message, "id", "x" * 129),
    (frame_message, "id", ...),
    (frame_message, "kind", "picture"),
    (frame_message, "kind", ...),
    (frame_message, "kind", "heartbeat"),
    (frame_message, "output", "a.b"),
    (frame_message, "camera", ""),
    (frame_message, "number", 0),
    (frame_message, "created_at", "2026-11-24 07:03:00"),
    (frame_message, "created_at", "2026-11-24T07:03:00Z"),
    (frame_message, "captured_at", ...),
    (frame_message, "reason", "quiet"),
    (frame_message, "changed", []),
    (frame_message, "sequence", -1),
    (frame_message, "sequence", "12"),
    (frame_message, "size_wh", [640]),
    (frame_message, "size_wh", [640, 0]),
    (frame_message, "size_wh", [640, 360, 3]),
    (frame_message, "detections", {}),
    (frame_message, "detections", [{"label": "person", "confidence": 1}]),
    (frame_message, "detections", [{"label": "a", "confidence": 1, "box_xyxy": [1, 2, 3]}]),
    (
        frame_message,
        "detections",
        [{"label": "a", "confidence": 1, "box_xyxy": [1, 2, 3, 4], "track_id": -1}],
    ),
    (
        frame_message,
        "detections",
        [{"label": "a", "confidence": 1, "box_xyxy": [1, 2, 3, 4], "text": "x"}],
    ),
    (frame_message, "counts", {"person": 0}),
    (frame_message, "latency_ms", -1),
    (frame_message, "colour", "red"),
    (frame_message, "frames", 3),
    (quiet_message, "frames", ...),
    (quiet_message, "sequence", ...),
    (quiet_message, "detections", ...),
    (quiet_message, "state", ""),
    (dead_message, "detections", []),
    (dead_message, "reason", "first"),
    (aggregate_message, "counts", {"person": 3}),
    (aggregate_message, "counts", {"person": {"min": 0, "mean": 1, "max": 3}}),
    (aggregate_message, "values", {"a": {"last": 1, "min": 0}}),
    (aggregate_message, "interval_s", ...),
    (aggregate_message, "latency_ms", 12.5),
    (aggregate_message, "first_sequence", ...),
    (empty_aggregate_message, "sequence", 3),
    (event_message, "body", [1]),
    (event_message, "body", ...),
    (event_message, "stage", ...),
    (event_message, "detections", []),
]


@pytest.mark.parametrize(("make", "key", "value"), WRONG)
def test_the_schema_refuses(make: Callable[[], Message], key: str, value: Any) -> None:
    body = copy.deepcopy(make().body)
    if value is ...:
        del body[key]
    else:
        body[key] = value
    assert not VALIDATOR.is_valid(body)


@pytest.mark.parametrize("make", KINDS)
def test_every_field_is_needed_or_known(make: Callable[[], Message]) -> None:
    """Each field that is taken away breaks the document, but for those documented as optional."""
    optional = {"changed", "values", "state"}
    body = make().body
    kept = {
        key
        for key in body
        if VALIDATOR.is_valid({other: value for other, value in body.items() if other != key})
    }
    assert kept <= optional
    assert not VALIDATOR.is_valid({**body, "unknown": 1})


def test_ids_are_unique_stable_and_numbered_by_camera() -> None:
    made = MessageBuilder("vision", clock=lambda: START_S)
    event = Event("alarms", {}, "count")
    several = [made.event(result(camera=camera), event) for camera in ("a", "b", "a")]
    assert [message.body["number"] for message in several] == [1, 1, 2]
    assert len({message.id for message in several}) == 3
    assert several[0].id == several[0].body["id"]
    again = MessageBuilder("vision", clock=lambda: START_S).event(result(camera="a"), event)
    assert again.id not in {message.id for message in several}


@pytest.mark.parametrize(
    ("module", "camera"),
    [
        ("vision", "Tür 1"),
        ("m" * 300, "ü" * 300),
        ("a/b#c~d", "\ud800"),
        ("vision", "a:b"),
    ],
)
def test_ids_fit_iot_hub_whatever_the_names(module: str, camera: str) -> None:
    made = MessageBuilder(module, clock=lambda: START_S)
    # The largest number that is worth a thought: 1,000 messages a second for 300 million years.
    name = made.event(result(camera=camera), Event("o", {})).id[:-1] + "9" * 20
    assert len(name) <= 128
    assert re.fullmatch(r"[A-Za-z0-9:.+%_#*?!(),=@;$'-]+", name)
    VALIDATOR.validate(made.event(result(camera=camera), Event("o", {})).body)


def test_long_names_that_begin_alike_have_ids_of_their_own() -> None:
    made = builder()
    names = ["c" * 60 + "1", "c" * 60 + "2", "a:b", "a%3Ab"]
    ids = {made.event(result(camera=name), Event("o", {})).id for name in names}
    assert len(ids) == len(names)


def test_a_message_that_cannot_be_made_takes_no_number() -> None:
    made = builder()
    with pytest.raises(UpstreamError):
        made.event(result(), Event("alarms", {"x": b""}, "count"))
    assert made.event(result(), Event("alarms", {}, "count")).body["number"] == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: builder().event(result(sequence=4), Event("alarms", {"a": [1, b""]}, "count")),
            ["camera 'door'", "stage 'count'", "frame 4", "'alarms'", "['a'][1]", "base64"],
        ),
        (
            lambda: builder().event(result(), Event("al.arms", {}, "count")),
            ["camera 'door'", "stage 'count'", "'al.arms'", "letters"],
        ),
        (
            lambda: builder().event(result(captured_at_s=float("nan")), Event("alarms", {})),
            ["camera 'door'", "nan"],
        ),
        (
            lambda: plain_values(result(sequence=4, values={"zones": {"till": object()}})),
            ["camera 'door'", "frame 4", "frame.values['zones']['till']", "object"],
        ),
        (
            lambda: builder().report(
                "door", Report("frame", "every", result(detections("a", crop=[b"x"])))
            ),
            ["camera 'door'", "frame 1", "['data']['crop']", "S1"],
        ),
        (
            lambda: builder().report(
                "door", Report("frame", "every", result(Detections([(0, 0, np.nan, 1)])))
            ),
            ["camera 'door'", "box_xyxy", "not finite"],
        ),
        (
            lambda: builder().report(
                "door", Report("frame", "every", result(Detections([(0, 0, 1, 1)], np.inf)))
            ),
            ["camera 'door'", "confidence", "not finite"],
        ),
    ],
)
def test_refuses_and_says_where(make: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(UpstreamError) as caught:
        make()
    assert not caught.value.retryable
    for word in words:
        assert word in str(caught.value)


def test_a_mean_that_overflows_is_refused_by_name() -> None:
    summary = Aggregate(0.0)
    for _ in range(2):
        summary.add(result(values={"x": 1.7e308}), {})
    with pytest.raises(UpstreamError, match="camera 'door': a message of kind aggregate"):
        builder().report("door", Report("aggregate", "interval", aggregate=summary))


def test_a_detector_with_a_scale_of_its_own_is_let_through() -> None:
    found = Detections([(-5, 0, 700, 1)], 2.75, "person")
    body = builder().report("door", Report("frame", "every", result(found), {"person": 1})).body
    VALIDATOR.validate(body)
    assert body["detections"][0]["confidence"] == 2.75


@pytest.mark.parametrize("make", KINDS)
def test_decodes_what_it_encoded(make: Callable[[], Message]) -> None:
    message = make()
    again = Message.decode(message.encode())
    assert again.encode() == message.encode()
    assert again.body == message.body
    assert again.properties == message.properties
    for name in ("id", "kind", "output", "camera", "sequence", "captured_at_s", "created_at_s"):
        assert getattr(again, name) == getattr(message, name)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"schema":"edgevision.message/2.0"}', b'{"schema":1}']
)
def test_decodes_nothing_else(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"edgevision\.message/1\.|Expecting value"):
        Message.decode(data)


def test_decode_names_a_missing_field() -> None:
    body = event_message().body
    del body["camera"]
    with pytest.raises(ValueError, match="has no 'camera'"):
        Message.decode(json.dumps(body).encode())


def test_times_come_back_to_the_millisecond() -> None:
    message = frame_message()
    assert message.captured_at_s == START_S
    assert message.created_at_s == START_S + 1
    assert dead_message().captured_at_s is None
    text = datetime.fromtimestamp(START_S, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert message.body["captured_at"].startswith(text)


def test_properties_hold_only_what_iot_hub_takes() -> None:
    message = builder().event(result(camera="Tür 1/#"), Event("alarms", {}))
    assert message.properties == {"kind": "event", "camera": "T%C3%BCr%201%2F#"}
    assert message.body["camera"] == "Tür 1/#"
    every = "".join(map(chr, range(1, 0x250)))
    assert re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", property_text(every))


def test_detections_are_not_copied_by_reference() -> None:
    found = detections("person", speed=np.array([1.5]))
    body = builder().report("door", Report("frame", "every", result(found))).body
    found.data["speed"][0] = 9.0
    assert body["detections"][0]["data"] == {"speed": 1.5}
