"""When results become messages: every frame, intervals, heartbeats, and the camera's clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.upstream.clock import CameraClock
from edgevision.upstream.policy import Policy, Report, open_policy
from edgevision.upstream.presence import Presence
from edgevision.upstream.settings import PublishSettings
from tests.unit.upstream.helpers import detections, result


def policy(**settings: Any) -> Policy:
    return open_policy(PublishSettings(**settings), 0.0)


def told(report: Report | None) -> tuple[str, str, int] | None:
    return None if report is None else (report.kind, report.reason, report.frames)


def test_every_tells_each_frame() -> None:
    every = policy(when="every")
    first = every.update(result("person car person"), 0.0)
    assert first is not None
    assert (first.kind, first.reason) == ("frame", "every")
    assert first.counts == {"person": 2, "car": 1}
    assert told(every.update(result(), 0.0)) == ("frame", "every", 1)


@pytest.mark.parametrize("when", ["every", "change"])
def test_a_silent_camera_beats(when: str) -> None:
    quiet = policy(when=when, heartbeat_s=10)
    assert quiet.tick(9.75) is None
    assert told(quiet.tick(10.0)) == ("heartbeat", "quiet", 0)
    assert quiet.tick(19.75) is None
    beat = quiet.tick(20.0)
    assert beat is not None
    assert beat.result is None
    assert beat.counts == {}


def test_a_heartbeat_brings_the_newest_frame_once() -> None:
    change = policy(heartbeat_s=10)
    change.update(result("person"), 0.0)
    newest = result("person", sequence=3)
    assert change.update(result("person", sequence=2), 4.0) is None
    assert change.update(newest, 8.0) is None
    beat = change.tick(10.0)
    assert beat is not None
    assert (beat.result, beat.counts, beat.frames) == (newest, {"person": 1}, 2)
    empty = change.tick(20.0)
    assert empty is not None
    assert (empty.result, empty.frames) == (None, 0)


def test_a_heartbeat_comes_with_the_frame_that_finds_it_due() -> None:
    change = policy(heartbeat_s=10)
    change.update(result(), 0.0)
    due = result(sequence=2)
    beat = change.update(due, 10.0)
    assert beat is not None
    assert (beat.kind, beat.result, beat.frames) == ("heartbeat", due, 1)


def test_heartbeats_can_be_switched_off() -> None:
    assert policy(heartbeat_s=0).tick(1e9) is None


def test_a_message_puts_the_heartbeat_off() -> None:
    every = policy(when="every", heartbeat_s=10)
    every.update(result(), 8.0)
    assert every.tick(12.0) is None
    assert told(every.tick(18.0)) == ("heartbeat", "quiet", 0)


@pytest.mark.parametrize("when", ["every", "change", "interval"])
def test_a_camera_that_goes_comes_back_and_ends_is_told_at_once(when: str) -> None:
    camera = policy(when=when, heartbeat_s=0, interval_s=1000)
    states = [
        *("connecting", "live", "live", "stalled", "backing off", "connecting", "backing off"),
        *("live", "", "ended", "ended"),
    ]
    news = [state for at_s, state in enumerate(states) if told(camera.tick(float(at_s), state))]
    assert news == ["stalled", "live", "ended"]


def test_a_camera_that_never_was_there_is_told_once() -> None:
    camera = policy(heartbeat_s=0)
    states = ["connecting", "backing off", "connecting", "backing off"]
    reports = [camera.tick(float(at_s), state) for at_s, state in enumerate(states)]
    assert [told(report) for report in reports] == [None, ("heartbeat", "state", 0), None, None]


def test_a_state_neither_carries_a_frame_nor_delays_the_next_message() -> None:
    camera = policy(heartbeat_s=10, min_interval_s=2)
    camera.tick(0.0, "live")
    camera.update(result("person"), 1.0)
    kept = result("person", sequence=2)
    camera.update(kept, 2.0)
    gone = camera.tick(2.5, "stalled")
    assert gone is not None
    assert (gone.kind, gone.reason, gone.result, gone.frames) == ("heartbeat", "state", None, 1)
    assert told(camera.update(result("person person", sequence=3), 3.0)) == ("frame", "change", 1)


def test_intervals_keep_their_beat() -> None:
    interval = policy(when="interval", interval_s=10)
    for sequence, at_s in enumerate((0.5, 9.5), 1):
        assert interval.update(result("person", sequence=sequence), at_s) is None
    late = interval.update(result(sequence=3), 12.0)
    assert late is not None
    assert late.aggregate is not None
    assert (late.kind, late.reason, late.frames) == ("aggregate", "interval", 2)
    assert (late.aggregate.started_s, late.aggregate.length_s) == (0.0, 10.0)
    second = interval.tick(20.0)
    assert second is not None
    assert second.aggregate is not None
    assert (second.frames, second.aggregate.started_s) == (1, 10.0)
    assert second.aggregate.labels == {}


def test_intervals_that_nobody_looked_at_become_one() -> None:
    interval = policy(when="interval", interval_s=10)
    report = interval.tick(45.0)
    assert report is not None
    assert report.aggregate is not None
    assert (report.frames, report.aggregate.length_s) == (0, 40.0)
    assert interval.tick(49.0) is None
    assert told(interval.tick(50.0)) == ("aggregate", "interval", 0)


def test_an_interval_is_its_own_heartbeat() -> None:
    interval = policy(when="interval", interval_s=100, heartbeat_s=10)
    assert interval.tick(99.0) is None


def test_the_last_interval_is_flushed_with_its_length() -> None:
    interval = policy(when="interval", interval_s=10)
    assert interval.flush(1.0) == []
    interval.update(result("person", latency_s=0.25, values={"t": 2.0}), 12.5)
    interval.update(result(latency_s=0.75, values={"t": None, "m": "a"}), 13.0)
    [report] = interval.flush(14.0)
    summary = report.aggregate
    assert summary is not None
    assert (report.reason, summary.frames, summary.length_s) == ("stop", 2, 4.0)
    assert (summary.latency.min, summary.latency.mean, summary.latency.max) == (0.25, 0.5, 0.75)
    assert (summary.numbers["t"].last, summary.numbers["t"].count) == (2.0, 1)
    assert summary.others == {"m": "a"}
    assert summary.labels["person"].min(summary.frames) == 0
    assert interval.flush(15.0) == []


def test_an_interval_counts_tracks_by_label() -> None:
    interval = policy(when="interval", interval_s=10)
    for sequence, ids in enumerate(([1, 2], [2, 3], [2, -1]), 1):
        found = detections("person car", track_ids=ids)
        interval.update(result(found, sequence=sequence), float(sequence))
    report = interval.tick(10.0)
    assert report is not None
    assert report.aggregate is not None
    labels = report.aggregate.labels
    assert labels["person"].track_ids == {1, 2}
    assert labels["car"].track_ids == {2, 3}
    assert labels["car"].min(3) == 1


@pytest.mark.parametrize("when", ["every", "change"])
def test_nothing_is_left_to_flush(when: str) -> None:
    assert policy(when=when).flush(1.0) == []


def test_the_last_word_is_the_state() -> None:
    change = policy(min_interval_s=1)
    change.tick(0.0, "live")
    change.update(result(), 0.0)
    change.update(result("person", sequence=2), 0.5)
    reports = change.flush(0.75, "ended")
    assert [told(report) for report in reports] == [
        ("frame", "change", 1),
        ("heartbeat", "state", 0),
    ]
    assert change.flush(1.0, "ended") == []


# --- the camera's clock ---------------------------------------------------------------------------


def test_the_clock_follows_a_recording_played_in_a_hurry() -> None:
    clock = CameraClock(100.0)
    times = [clock.frame(1000.0 + 0.5 * i, 100.0 + 0.001 * i) for i in range(5)]
    assert [at_s - times[0] for at_s in times] == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])


def test_the_clock_runs_on_without_frames() -> None:
    clock = CameraClock(100.0)
    assert clock.tick(103.0) == 3.0
    assert clock.frame(1000.0, 104.0) == 4.0
    assert clock.tick(110.0) == 10.0
    assert clock.frame(1000.5, 110.5) == 10.0
    assert clock.frame(1001.5, 111.5) == 11.0


@pytest.mark.parametrize("captured_at_s", [1000.0, 5.0, float("nan")])
def test_a_wall_clock_that_does_not_advance_is_replaced(captured_at_s: float) -> None:
    clock = CameraClock(100.0)
    clock.frame(1000.0, 100.0)
    assert clock.frame(captured_at_s, 100.25) == 0.25
    assert clock.frame(captured_at_s, 100.5) == 0.5


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(-1e9, 1e9), st.floats(0, 100)),
        max_size=50,
    )
)
def test_the_clock_never_runs_backwards(steps: list[tuple[bool, float, float]]) -> None:
    clock, real_s, last_s = CameraClock(0.0), 0.0, 0.0
    for is_frame, captured_at_s, step_s in steps:
        real_s += step_s
        now_s = clock.frame(captured_at_s, real_s) if is_frame else clock.tick(real_s)
        assert now_s >= last_s
        last_s = now_s


# --- presence -------------------------------------------------------------------------------------


def follow(presence: Presence, counts: list[int], step_s: float = 0.25) -> list[int]:
    """What counts as there after each frame that shows so many."""
    after = []
    for i, count in enumerate(counts, 1):
        presence.update({"a": count} if count else {}, i * step_s)
        after.append(presence.counts.get("a", 0))
    return after


def test_rises_at_once_and_falls_after_the_hold() -> None:
    presence = Presence(0.0, 0.5)
    assert follow(presence, [1, 0, 0, 1, 0, 0, 0, 0]) == [1, 1, 1, 1, 1, 1, 0, 0]


def test_falls_to_the_most_seen_while_it_held() -> None:
    assert follow(Presence(0.0, 0.5), [3, 0, 2, 1, 0, 0, 0]) == [3, 3, 3, 2, 2, 2, 0]


def test_rises_to_the_fewest_seen_while_it_was_confirmed() -> None:
    assert follow(Presence(0.5, 0.0), [1, 3, 2, 2, 2]) == [0, 0, 1, 1, 1]
    assert follow(Presence(0.5, 0.0), [1, 0, 1, 1, 1]) == [0, 0, 0, 0, 1]


def test_a_fall_after_a_rise_begins_anew() -> None:
    assert follow(Presence(0.5, 0.5), [2, 2, 2, 3, 1, 1, 1]) == [0, 0, 2, 2, 2, 2, 1]


def test_without_delays_it_is_what_is_seen() -> None:
    counts = [0, 3, 1, 0, 2]
    assert follow(Presence(0.0, 0.0), counts) == counts


@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(1, 4), max_size=2), max_size=40),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_never_counts_what_was_not_seen_lately(
    frames: list[dict[str, int]], appear_s: float, hold_s: float
) -> None:
    presence = Presence(appear_s, hold_s)
    for i, seen in enumerate(frames):
        presence.update(seen, i * 0.25)
        since = max(0, i - int(max(hold_s, appear_s) / 0.25) - int(hold_s / 0.25))
        for label, count in presence.counts.items():
            assert 0 < count <= max(frame.get(label, 0) for frame in frames[since : i + 1])
    for i in range(len(frames), len(frames) + 20):
        presence.update({}, i * 0.25)
    assert presence.counts == {}
    assert not presence._drifts
