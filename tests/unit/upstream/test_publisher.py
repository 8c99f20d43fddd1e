"""Results go in, valid messages come out, to every upstream, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from edgevision.errors import UpstreamError
from edgevision.result import Event
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.message import Message
from edgevision.upstream.publisher import CameraStatistics, Publisher
from edgevision.upstream.settings import PublishSettings
from tests.unit.upstream.helpers import START_S, detections, numbers, publisher, result


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def test_every_upstream_gets_the_same_messages_in_order() -> None:
    first, second = CollectingUpstream("a"), CollectingUpstream("a")

    async def main() -> None:
        made, _ = publisher(first, second, when="every")
        await made.start()
        for sequence in range(1, 101):
            for camera in ("door", "till"):
                await made.publish(result("person", camera=camera, sequence=sequence))
        await made.stop()
        statistics = made.statistics()
        assert statistics.cameras["till"] == CameraStatistics(results=100, published=100)
        assert list(statistics.upstreams) == ["a", "a-2"]
        assert [status.sent for status in made.status()] == [200, 200]

    run(main())
    assert first.messages == second.messages
    assert numbers(first) == numbers(first, "till") == list(range(1, 101))
    assert [message.sequence for message in first.of("door")] == list(range(1, 101))


def test_a_frame_comes_before_its_events() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, _ = publisher(upstream)
        await made.start()
        events = [Event("alarms", {"n": 1}, "count"), Event("audit", {"n": 2}, "count")]
        await made.publish(result("person", events=events))
        await made.publish(result("person", sequence=2, events=events[:1]))
        await made.stop()
        assert made.statistics().cameras["door"] == CameraStatistics(
            results=2, published=1, events=3, suppressed=1
        )

    run(main())
    assert [(m.kind, m.output) for m in upstream.messages] == [
        *(("frame", "results"), ("event", "alarms"), ("event", "audit"), ("event", "alarms")),
    ]
    assert numbers(upstream) == [1, 2, 3, 4]


def test_a_dead_camera_makes_heartbeats_with_its_state() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, clock = publisher(upstream, heartbeat_s=10)
        state = "connecting"
        made.add_camera("door", lambda: state)
        await made.start()
        await made.tick()
        state = "backing off"
        await made.tick()
        clock.now_s = 10.0
        await made.tick()
        state = "live"
        await made.tick()
        clock.now_s = 12.0
        await made.publish(result("person"))
        await made.stop()

    run(main())
    assert numbers(upstream) == [1, 2, 3, 4]
    bodies = [(b["kind"], b["reason"], b.get("state")) for b in upstream.bodies]
    assert bodies == [
        ("heartbeat", "state", "backing off"),
        ("heartbeat", "quiet", "backing off"),
        ("heartbeat", "state", "live"),
        ("frame", "first", None),
    ]
    assert upstream.bodies[1]["created_at"].endswith("50.000Z")


def test_it_ticks_by_itself() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        settings = PublishSettings(when="every", heartbeat_s=0.01)
        made = Publisher("vision", settings, [upstream], tick_s=0.001)
        made.add_camera("door")
        await made.start()
        await upstream.wait_for(3)
        await made.stop()
        count = len(upstream.messages)
        await asyncio.sleep(0.01)
        assert len(upstream.messages) == count

    run(main())
    assert {body["frames"] for body in upstream.bodies} == {0}


def test_a_state_that_cannot_be_told_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    upstream = CollectingUpstream()

    def state() -> str:
        raise RuntimeError("it is being removed")

    async def main() -> None:
        made, clock = publisher(upstream, when="interval", interval_s=10)
        made.add_camera("door", state)
        made.add_camera("till", lambda: "live")
        await made.start()
        clock.now_s = 10.0
        await made.tick()
        for camera in ("door", "till"):
            await made.publish(result(camera=camera))
        await made.stop()

    run(main())
    told = [(message.camera, message.body.get("state")) for message in upstream.messages]
    assert told == [("door", None), ("till", "live")] * 2
    assert caplog.text.count("the state of camera door cannot be told") == 1


def test_a_recording_played_in_a_hurry_makes_the_messages_of_the_camera() -> None:
    async def play(speed: float) -> list[Message]:
        upstream = CollectingUpstream()
        made, clock = publisher(upstream, when="interval", interval_s=10)
        await made.start()
        for sequence in range(1, 101):
            at_s = START_S + sequence * 0.5
            clock.now_s += 0.5 / speed
            await made.publish(result("person", sequence=sequence, captured_at_s=at_s))
        await made.stop()
        return upstream.messages

    real, hurried = asyncio.run(play(1)), asyncio.run(play(1000))
    assert len(real) == len(hurried) > 4
    for one, other in zip(real[1:-1], hurried[1:-1], strict=True):
        assert one.body["frames"] == other.body["frames"] == 20


def test_stop_flushes_the_interval_and_what_waits() -> None:
    summary, change = CollectingUpstream("summary"), CollectingUpstream("change")

    async def main() -> None:
        one, clock = publisher(summary, when="interval")
        await one.start()
        await one.publish(result("person"))
        clock.now_s = 5.0
        await one.stop()
        await one.stop()
        other, _ = publisher(change)
        await other.start()
        await other.publish(result())
        await other.publish(result("person", sequence=2))
        assert len(change.messages) <= 1
        await other.stop()

    run(main())
    assert [(b["kind"], b["reason"], b["frames"]) for b in summary.bodies] == [
        ("aggregate", "stop", 1)
    ]
    assert summary.bodies[0]["interval_s"] == 5
    assert [b["counts"] for b in change.bodies] == [{}, {"person": 1}]


def test_the_last_message_of_a_camera_says_that_it_ended() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, _ = publisher(upstream)
        state = "live"
        made.add_camera("door", lambda: state)
        await made.start()
        await made.publish(result())
        state = "ended"
        await made.stop()

    run(main())
    assert [(b["kind"], b.get("state")) for b in upstream.bodies] == [
        ("frame", None),
        ("heartbeat", "ended"),
    ]


def test_takes_results_only_while_it_runs() -> None:
    async def main() -> None:
        made, _ = publisher(CollectingUpstream())
        with pytest.raises(UpstreamError, match="not running"):
            await made.publish(result())
        await made.stop()
        await made.start()
        await made.publish(result())
        await made.stop()
        with pytest.raises(UpstreamError, match="not running"):
            await made.publish(result())

    run(main())


# --- what cannot be sent --------------------------------------------------------------------------


def test_a_bad_value_costs_its_own_message_only(caplog: pytest.LogCaptureFixture) -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, _ = publisher(upstream, when="every")
        await made.start()
        for sequence in range(1, 4):
            bad = {"crop": np.zeros((360, 640), np.uint8)} if sequence > 1 else {}
            events = [Event("alarms", {"n": sequence}, "count"), Event("audit", {"x": b""}, "log")]
            found = detections("person", codes=[b"x"]) if sequence == 3 else detections("person")
            await made.publish(result(found, sequence=sequence, values=bad, events=events))
        await made.publish(result(detections("person", codes=[b"x"]), sequence=4))
        await made.stop()
        assert made.statistics().cameras["door"] == CameraStatistics(
            results=4, published=1, events=3, suppressed=0, refused=6
        )

    with caplog.at_level(logging.INFO, "edgevision.upstream"):
        run(main())
    assert numbers(upstream) == [1, 2, 3, 4]
    assert [record.message[:80] for record in caplog.records] == [
        "message refused: camera 'door', stage 'log', frame 1: event for 'audit'['x']: by",
        "message refused: camera 'door', frame 2: frame.values['crop']: an array of shape",
        "message refused: camera 'door', frame 4: the frame's message['data']['codes']: a",
    ]


def test_values_are_those_of_the_moment() -> None:
    """A stage that keeps one dictionary and changes it is heard all the same."""
    upstream = CollectingUpstream()

    async def main() -> None:
        made, _ = publisher(upstream, min_interval_s=0)
        await made.start()
        zones = {"till": 0}
        for sequence in range(1, 4):
            zones["till"] = sequence
            shown = result(sequence=sequence)
            shown.values = {"zones": zones}
            await made.publish(shown)
        await made.stop()

    run(main())
    assert [body["values"]["zones"]["till"] for body in upstream.bodies] == [1, 2, 3]


# --- changes while it runs ------------------------------------------------------------------------


def test_the_policy_can_be_changed() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, clock = publisher(upstream, when="interval", interval_s=10)
        await made.start()
        await made.publish(result("person"))
        clock.now_s = 4.0
        await made.configure(PublishSettings(when="every", output="frames"))
        for sequence in (2, 3):
            await made.publish(result("person", sequence=sequence))
        await made.stop()

    run(main())
    assert [(b["kind"], b["reason"], b["output"]) for b in upstream.bodies] == [
        ("aggregate", "stop", "results"),
        ("frame", "every", "frames"),
        ("frame", "every", "frames"),
    ]
    assert numbers(upstream) == [1, 2, 3]


def test_a_camera_can_be_removed_and_added_again() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, clock = publisher(upstream, when="interval", interval_s=10)
        made.add_camera("door", lambda: "live")
        await made.start()
        await made.publish(result("person"))
        await made.remove_camera("door")
        await made.remove_camera("door")
        clock.now_s = 100.0
        await made.tick()
        assert len(upstream.messages) <= 1
        made.add_camera("door", lambda: "stalled")
        clock.now_s = 110.0
        await made.tick()
        await made.tick()
        await made.stop()

    run(main())
    assert numbers(upstream) == [1, 2, 3]  # the numbers go on: ids stay unique
    assert [body.get("state") for body in upstream.bodies] == ["live", "stalled", "stalled"]


def test_the_state_of_a_camera_can_be_told_later() -> None:
    upstream = CollectingUpstream()

    async def main() -> None:
        made, clock = publisher(upstream, heartbeat_s=10)
        await made.start()
        await made.publish(result())
        made.add_camera("door", lambda: "live")
        clock.now_s = 10.0
        await made.tick()
        await made.stop()

    run(main())
    assert upstream.bodies[1]["state"] == "live"


@pytest.mark.parametrize("when", ["every", "change", "interval"])
def test_all_that_comes_out_is_valid(when: str) -> None:
    upstream = CollectingUpstream()
    rng = np.random.default_rng(11)

    async def main() -> None:
        made, clock = publisher(upstream, when=when, heartbeat_s=3, interval_s=2, hold_s=0.5)
        states = ["connecting", "live", "stalled", "backing off", "ended"]
        made.add_camera("door", lambda: states[int(clock.now_s) % 5])
        await made.start()
        for sequence in range(1, 300):
            clock.now_s += 0.1
            if sequence % 50 > 40:
                await made.tick()
                continue
            names = rng.choice(["person", "car", "Tür", ""], rng.integers(0, 4)).tolist()
            tracks = rng.integers(-1, 9, len(names)).tolist()
            texts = rng.choice(["", "A", "B"], len(names))
            speeds = rng.normal(0, 9, len(names)).astype(np.float32)
            found = detections(names, track_ids=tracks, text=texts, speed=speeds)
            values = {"n": rng.integers(0, 3), "t": np.float32(rng.normal()), "m": {"a": [1, None]}}
            events = [Event("alarms", {"n": sequence}, "count")] if sequence % 7 == 0 else []
            at_s = START_S + clock.now_s
            await made.publish(
                result(found, sequence=sequence, captured_at_s=at_s, values=values, events=events)
            )
        await made.stop()
        counts = made.statistics().cameras["door"]
        assert counts.refused == 0
        assert counts.published + counts.events == len(upstream.messages)

    run(main())
    assert numbers(upstream) == list(range(1, len(upstream.messages) + 1))
    assert len({message.id for message in upstream.messages}) == len(upstream.messages)
    kinds = {message.kind for message in upstream.messages}
    expected = {
        "every": {"frame", "heartbeat", "event"},
        "change": {"frame", "heartbeat", "event"},
        "interval": {"aggregate", "heartbeat", "event"},
    }
    assert kinds == expected[when]
