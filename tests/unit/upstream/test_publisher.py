"""Results go in, valid messages come out, to every upstream, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevision.errors import ConfigurationError, UpstreamError
from edgevision.result import Event
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.jsonl import JsonlUpstream
from edgevision.upstream.message import Message
from edgevision.upstream.publisher import CameraStatistics, Publisher
from edgevision.upstream.settings import DeliverySettings, JsonlSettings, PublishSettings
from edgevision.upstream.upstream import Upstream
from tests.unit.upstream.helpers import (
    START_S,
    VALIDATOR,
    TroubledUpstream,
    detections,
    result,
)

LATER = UpstreamError("disk full", retryable=True)


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def publisher(*upstreams: Upstream, **settings: Any) -> tuple[Publisher, Clock]:
    """A publisher whose clock only the test moves, and which never ticks by itself."""
    clock = Clock()
    delivery = DeliverySettings(
        first_retry_s=0.001, longest_retry_s=0.002, **settings.pop("delivery", {})
    )
    made = Publisher(
        "vision",
        PublishSettings(delivery=delivery, **settings),
        upstreams,
        run="a1b2c3",
        tick_s=1e6,
        clock=clock,
        wall_clock=lambda: START_S + clock.now_s,
    )
    return made, clock


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 30))


def numbers(upstream: CollectingUpstream, camera: str = "door") -> list[int]:
    for message in upstream.messages:
        VALIDATOR.validate(message.body)
    return [message.body["number"] for message in upstream.of(camera)]


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


# --- upstreams in trouble -------------------------------------------------------------------------


def test_one_that_hangs_delays_the_others_once(tmp_path: Path) -> None:
    hung, good = TroubledUpstream(asyncio.Event(), name="hung"), CollectingUpstream("good")

    async def main() -> None:
        settings = PublishSettings(
            when="every", delivery=DeliverySettings(queue=4, give_up_after_s=0.1)
        )
        made = Publisher("vision", settings, [hung, good])
        await made.start()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for sequence in range(1, 201):
            await made.publish(result("person", sequence=sequence))
        assert 0.1 <= loop.time() - begun_s < 5
        await good.wait_for(200)
        begun_s = loop.time()
        await made.stop(0.1)
        assert loop.time() - begun_s < 5
        lost = made.statistics().upstreams["hung"].lost
        assert lost == {"queue full": 196, "stopped": 4}
        assert made.statistics().upstreams["good"].lost == {}

    run(main())
    assert numbers(good) == list(range(1, 201))


def test_a_message_reaches_those_with_room_before_it_waits_for_one_without() -> None:
    gate = asyncio.Event()
    slow, good = TroubledUpstream(gate, name="slow"), CollectingUpstream("good")

    async def main() -> None:
        made, _ = publisher(slow, good, when="every", delivery={"queue": 1})
        await made.start()
        await made.publish(result())
        waiting = asyncio.ensure_future(made.publish(result(sequence=2)))
        await good.wait_for(2)
        assert not waiting.done()
        gate.set()
        await waiting
        await made.stop()

    run(main())
    assert numbers(slow) == numbers(good) == [1, 2]


def test_back_pressure_reaches_the_caller_and_nothing_is_lost() -> None:
    class Slow(CollectingUpstream):
        async def send(self, message: Message) -> None:
            await asyncio.sleep(0)
            await super().send(message)

    upstream = Slow()

    async def main() -> None:
        made, _ = publisher(upstream, when="every", delivery={"queue": 2})
        await made.start()

        async def play(camera: str) -> None:
            for sequence in range(1, 101):
                await made.publish(result("person", camera=camera, sequence=sequence))
                assert made.statistics().upstreams["collecting"].waiting <= 2 + 3

        await asyncio.gather(*(play(camera) for camera in "abc"))
        await made.stop()

    run(main())
    for camera in "abc":
        assert numbers(upstream, camera) == list(range(1, 101))


def test_concurrent_results_of_a_camera_keep_their_order() -> None:
    gate = asyncio.Event()
    upstream = TroubledUpstream(gate)

    async def main() -> None:
        made, clock = publisher(upstream, when="every", heartbeat_s=1, delivery={"queue": 1})
        await made.start()
        sending = [
            asyncio.ensure_future(made.publish(result(sequence=sequence)))
            for sequence in range(1, 21)
        ]
        await asyncio.sleep(0)
        clock.now_s = 100.0
        await made.tick()  # finds the camera busy
        gate.set()
        await asyncio.gather(*sending)
        await made.stop()

    run(main())
    assert numbers(upstream) == list(range(1, 21))
    assert [message.sequence for message in upstream.messages] == list(range(1, 21))


def test_a_start_that_fails_stops_what_was_started(tmp_path: Path) -> None:
    good = TroubledUpstream()
    bad = JsonlUpstream(JsonlSettings(path=str(tmp_path)))

    async def main() -> None:
        made, _ = publisher(good, bad)
        with pytest.raises(ConfigurationError, match="Is a directory"):
            await made.start()

    run(main())
    assert (good.starts_made, good.stops_made) == (1, 1)


def test_says_when_nobody_reads_any_more() -> None:
    async def main() -> None:
        gone = asyncio.Event()
        first, second = TroubledUpstream(name="first"), TroubledUpstream(name="second")
        settings = PublishSettings(when="every")
        made = Publisher("vision", settings, [first, second], on_gone=gone.set)
        await made.start()
        for upstream in (first, second):
            upstream.troubles.append(UpstreamError("no reader", retryable=False))
            upstream.left = True
            await made.publish(result())
            if upstream is first:
                await second.wait_for(1)
                assert not gone.is_set()
        await gone.wait()
        await made.stop()
        lost = [lane.lost for lane in made.statistics().upstreams.values()]
        assert lost == [{"gone": 2}, {"gone": 1}]

    run(main())


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
