"""What counts as a change, what does not, and which frame is sent for it."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.detections import Detections
from edgevision.result import Result
from edgevision.upstream.policy import Report, open_policy
from edgevision.upstream.settings import PublishSettings
from tests.unit.upstream.helpers import detections, result


class Camera:
    """Feeds a policy with frames a quarter of a second apart and keeps what it wants sent."""

    def __init__(self, **settings: Any) -> None:
        defaults = {"min_interval_s": 0, "hold_s": 0, "heartbeat_s": 0}
        self.policy = open_policy(PublishSettings(**{**defaults, **settings}), 0.0)
        self.now_s = 0.0
        self.sequence = 0
        self.sent: list[Report] = []

    def see(self, found: Detections | str = "", values: dict[str, Any] | None = None) -> Report:
        """Show one frame; return the report that it made, which must be there."""
        report = self.show(found, values)
        assert report is not None
        return report

    def show(
        self, found: Detections | str = "", values: dict[str, Any] | None = None
    ) -> Report | None:
        self.now_s += 0.25
        self.sequence += 1
        frame: Result = result(found, sequence=self.sequence, values=values)
        report = self.policy.update(frame, self.now_s)
        if report is not None:
            self.sent.append(report)
        return report

    @property
    def counts(self) -> list[dict[str, int]]:
        return [dict(report.counts) for report in self.sent]


def test_the_first_frame_is_told_even_if_empty() -> None:
    camera = Camera()
    report = camera.see()
    assert (report.kind, report.reason, report.counts, report.changed) == ("frame", "first", {}, ())


def test_appearance_and_disappearance_are_told_and_nothing_between() -> None:
    camera = Camera()
    for found in ("", "", "person", "person", "person person", "person", "", ""):
        camera.show(found)
    assert camera.counts == [{}, {"person": 1}, {"person": 2}, {"person": 1}, {}]
    assert [report.changed for report in camera.sent[1:]] == [("counts.person",)] * 4


def test_jitter_of_boxes_and_confidence_is_no_change() -> None:
    camera = Camera()
    rng = np.random.default_rng(7)
    camera.see(detections("person person"))
    for _ in range(100):
        boxes = detections("person person").box_xyxy + rng.normal(0, 3, (2, 4))
        assert camera.show(Detections(boxes, rng.random(2), "person")) is None


def test_labels_are_a_multiset() -> None:
    camera = Camera()
    camera.see("person car")
    assert camera.show("car person") is None
    assert camera.see("car car").changed == ("counts.car", "counts.person")


def test_a_flickering_detector_makes_one_message() -> None:
    camera = Camera(hold_s=1)
    camera.see()
    for found in ("person", "", "person", "", "", "person", "", "", "", ""):
        camera.show(found)
    assert camera.counts == [{}, {"person": 1}]
    assert camera.see("").counts == {}


def test_a_single_false_frame_is_ignored_with_appear_s() -> None:
    camera = Camera(appear_s=0.5)
    for found in ("", "person", "", "person", "person", ""):
        camera.show(found)
    assert camera.counts == [{}]
    for _ in range(3):
        camera.show("person")
    assert camera.counts == [{}, {"person": 1}]


# --- at most one message in min_interval_s --------------------------------------------------------


def test_changes_wait_for_the_end_of_the_interval() -> None:
    camera = Camera(min_interval_s=1)
    camera.see()
    assert camera.show("a") is None
    assert camera.show("a b") is None
    assert camera.show("a b c") is None
    report = camera.see("a b c")
    assert report.counts == {"a": 1, "b": 1, "c": 1}
    assert report.result is not None
    assert report.result.sequence == 5


def test_an_appearance_that_is_over_is_told_with_its_frame_and_so_is_its_end() -> None:
    camera = Camera(min_interval_s=1)
    for found in ("", "person", "", "", "", "", "", "", "", ""):
        camera.show(found)
    assert camera.counts == [{}, {"person": 1}, {}]
    shown = camera.sent[1].result
    assert shown is not None
    assert shown.sequence == 2
    assert len(shown.detections) == 1


def test_an_appearance_is_not_forgotten_over_a_later_change() -> None:
    camera = Camera(min_interval_s=1)
    camera.see()
    camera.show("person")
    for _ in range(8):
        camera.show("", {"mode": "night"})
    assert camera.counts == [{}, {"person": 1}, {}]
    assert camera.sent[2].changed == ("counts.person", "values.mode")


def test_a_disappearance_that_is_over_is_not_told() -> None:
    camera = Camera(min_interval_s=1)
    for found in ("person", "", "person", "person", "person", "person"):
        camera.show(found)
    assert camera.counts == [{"person": 1}]


def test_what_waits_is_sent_in_time_although_no_frame_comes() -> None:
    camera = Camera(min_interval_s=1)
    camera.see()
    camera.show("person")
    assert camera.policy.tick(1.0) is None
    report = camera.policy.tick(1.25)
    assert report is not None
    assert (report.reason, report.counts) == ("change", {"person": 1})
    assert camera.policy.tick(9.0) is None


def test_what_waits_is_sent_at_the_end() -> None:
    camera = Camera(min_interval_s=1)
    camera.see()
    camera.show("person")
    [report] = camera.policy.flush(0.5)
    assert report.counts == {"person": 1}
    assert camera.policy.flush(0.5) == []


def test_the_frame_sent_shows_all_that_counts_as_there() -> None:
    camera = Camera(min_interval_s=1, hold_s=2)
    camera.see("car")
    camera.show("person")  # the car is missed in the frame that brings the person
    camera.show("car person")
    camera.show("person")
    camera.show("person")
    report = camera.sent[-1]
    assert report.counts == {"car": 1, "person": 1}
    assert report.result is not None
    assert report.result.sequence == 3


# --- tracks and texts -----------------------------------------------------------------------------


def test_a_new_track_is_a_change_and_its_flicker_is_not() -> None:
    camera = Camera(hold_s=1)
    camera.see(detections("person", track_ids=[1]))
    assert camera.see(detections("person", track_ids=[2])).changed == ("track_id",)
    for ids in ([1], [2], [2], [1]):
        assert camera.show(detections("person", track_ids=ids)) is None


def test_a_new_text_is_a_change() -> None:
    camera = Camera(hold_s=1)
    camera.see(detections("qr", text=["A"]))
    assert camera.show(detections("qr", text=["A"])) is None
    assert camera.see(detections("qr", text=["B"])).changed == ("data.text",)
    assert camera.show(detections("qr", text=np.array(["A"], object))) is None
    for _ in range(5):
        assert camera.show(detections("qr", text=["B"])) is None
    assert camera.see(detections("qr", text=["A"])).changed == ("data.text",)


def test_numbers_in_data_are_no_change() -> None:
    camera = Camera()
    camera.see(detections("blob", area_px=np.array([1.0]), points=[[["a", "b"]]]))
    assert camera.show(detections("blob", area_px=np.array([2.0]), points=[[["c", "d"]]])) is None
    assert camera.show(detections("blob", area_px=np.array([None]))) is None


def test_ignored_columns_are_no_change() -> None:
    camera = Camera(ignore=["text", "track_id", "mode"])
    camera.see(detections("qr", text=["A"], track_ids=[1]), {"mode": "day"})
    assert camera.show(detections("qr", text=["B"], track_ids=[2]), {"mode": "night"}) is None


def test_a_code_seen_for_one_frame_while_waiting_is_told() -> None:
    camera = Camera(min_interval_s=1, hold_s=1)
    camera.see(detections("qr", text=["A"]))
    camera.show(detections("qr", text=["B"]))
    for _ in range(3):
        camera.show(detections("qr", text=["A"]))
    shown = [report.result for report in camera.sent]
    texts = [str(frame.detections.data["text"][0]) for frame in shown if frame is not None]
    assert texts == ["A", "B"]


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (3, 4),
        (True, False),
        ("day", "night"),
        (None, "day"),
        (1, "1"),
        (1, True),
        ({"till": 1}, {"till": 2}),
        ({"till": 1}, {"till": 1, "door": 1}),
        ([1, 2], [1]),
        ([1, 2], [1, 3]),
        ("a", 0.5),
    ],
)
def test_a_value_that_changes_is_told(old: Any, new: Any) -> None:
    camera = Camera()
    camera.see("", {"it": old})
    assert camera.show("", {"it": old}) is None
    assert camera.see("", {"it": new}).changed == ("values.it",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (0.5, 0.7),
        (1, 1.5),
        (0.5, None),
        ({"mean": 0.5, "n": 1}, {"mean": 9.5, "n": 1}),
        ([0.5, 1], [0.25, 1]),
    ],
)
def test_floats_are_told_only_with_a_dead_band(old: Any, new: Any) -> None:
    camera = Camera()
    camera.see("", {"it": old})
    assert camera.show("", {"it": new}) is None
    banded = Camera(deadband={"it": 0.1})
    banded.see("", {"it": old})
    assert banded.see("", {"it": new}).changed == ("values.it",)


def test_a_value_creeps_out_of_its_band_from_where_it_was_sent() -> None:
    camera = Camera(deadband={"speed": 1, "count": 2})
    camera.see("", {"speed": 5.0, "count": 0})
    for speed in (5.5, 6.0):
        assert camera.show("", {"speed": speed, "count": 2}) is None
    assert camera.see("", {"speed": 6.25, "count": 2}).changed == ("values.speed",)
    assert camera.show("", {"speed": 5.25, "count": 0}) is None
    assert camera.see("", {"speed": 6.0, "count": 5}).changed == ("values.count",)


def test_a_value_that_comes_or_goes_is_told() -> None:
    camera = Camera()
    camera.see()
    assert camera.see("", {"code": "A"}).changed == ("values.code",)
    assert camera.see("").changed == ("values.code",)


# --- boxes ----------------------------------------------------------------------------------------


def test_boxes_that_move_are_told_when_asked_for() -> None:
    camera = Camera(box_iou=0.5)
    camera.see(detections("a", left=10))
    assert camera.show(detections("a", left=13)) is None
    assert camera.see(detections("a", left=18)).changed == ("box_xyxy",)
    assert camera.show(detections("a", left=21)) is None


def test_boxes_are_matched_by_label_and_track() -> None:
    camera = Camera(box_iou=0.5, ignore=["track_id"], hold_s=1)
    camera.see(detections("a b", track_ids=[1, 2]))
    assert camera.show(detections("a b", track_ids=[1, 2])[[1, 0]]) is None
    swapped = detections("b a", track_ids=[2, 1])
    assert camera.see(swapped).changed == ("box_xyxy",)
    assert camera.see(detections("b a", track_ids=[1, 2])).changed == ("box_xyxy",)
    assert camera.show(detections("b a")) is None
    assert camera.show(detections("b")) is None  # missed for one frame: not a move


# --- as a whole -----------------------------------------------------------------------------------


def test_a_heartbeat_counts_as_the_last_message() -> None:
    camera = Camera(heartbeat_s=1, box_iou=0.5)
    camera.see(detections("a", left=10))
    for left in (11, 12, 14):
        assert camera.show(detections("a", left=left)) is None
    assert camera.see(detections("a", left=14)).kind == "heartbeat"
    assert camera.show(detections("a", left=18)) is None


def test_a_walk_with_a_bad_detector_costs_few_messages() -> None:
    """Two people for a minute at 16 frames/s, each missed in a third of the frames."""
    rng = random.Random(3)
    settings = PublishSettings(heartbeat_s=0)
    policy = open_policy(settings, 0.0)
    reports = []
    for sequence in range(1, 16 * 60):
        labels = [label for label in ("person", "person") if rng.random() > 1 / 3]
        report = policy.update(result(detections(labels), sequence=sequence), sequence / 16)
        reports += [report] if report is not None else []
    assert len(reports) <= 5
    assert reports[-1].counts == {"person": 2}


frames = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "b"]), max_size=3),
        st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 2), max_size=2),
    ),
    max_size=60,
)


@given(frames, st.sampled_from([0, 0.5, 1]), st.sampled_from([0, 0.5, 2]))
def test_what_was_said_last_is_what_is_there(
    shown: list[tuple[list[str], dict[str, int]]], min_interval_s: float, hold_s: float
) -> None:
    """Whoever only reads the messages knows, a little later, what the camera sees."""
    camera = Camera(min_interval_s=min_interval_s, hold_s=hold_s)
    for labels, values in shown:
        camera.show(detections(labels), values)
    labels, values = shown[-1] if shown else ([], {})
    for _ in range(30):
        camera.show(detections(labels), values)
    last = camera.sent[-1]
    assert last.counts == {label: labels.count(label) for label in set(labels)}
    assert last.result is not None
    assert last.result.values == values
    sequences = [report.result.sequence for report in camera.sent if report.result is not None]
    assert sequences == sorted(set(sequences))


@given(frames, st.sampled_from([0.5, 1]), st.sampled_from([0, 0.5, 2]))
def test_messages_keep_their_distance_and_no_appearance_is_missed(
    shown: list[tuple[list[str], dict[str, int]]], min_interval_s: float, longer_s: float
) -> None:
    hold_s = min_interval_s + longer_s
    camera = Camera(min_interval_s=min_interval_s, hold_s=hold_s, ignore=["x", "y"])
    at_s = []
    for labels, values in shown:
        if camera.show(detections(labels), values) is not None:
            at_s.append(camera.now_s)
    for _ in range(20):
        if camera.show() is not None:
            at_s.append(camera.now_s)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at_s)]
    assert all(gap >= min_interval_s for gap in gaps)
    seen = {label for labels, _ in shown for label in labels}
    told = {label for report in camera.sent for label in report.counts}
    assert told == seen
