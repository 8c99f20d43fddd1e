"""The synthetic source: its options, its repeatability and its ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision.detections import Detections
from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources.synthetic import SyntheticSource


def read(source: SyntheticSource, index: int, slot: Slot | None = None) -> Slot:
    slot = slot or Slot()
    source.seek(index)
    assert source.read(slot)
    return slot


def overlap(one: Any, two: Any) -> float:
    return float(Detections([one]).iou(Detections([two]))[0, 0])


@pytest.fixture(scope="module")
def source() -> SyntheticSource:
    source = SyntheticSource(width=480, height=360, pace="fast", people=4)
    source.open()
    return source


def test_the_same_frame_is_the_same_after_any_way_to_it(source: SyntheticSource) -> None:
    first = [read(source, i) for i in (0, 7, 300)]
    other = SyntheticSource(width="480", height="360", pace="fast", people="4")
    other.open()
    for i, slot in zip((300, 7, 0), reversed(first), strict=True):
        again = read(other, i)
        assert np.array_equal(again.image, slot.image)
        assert again.truth == slot.truth


def test_another_seed_is_another_scene(source: SyntheticSource) -> None:
    other = SyntheticSource(width=480, height=360, pace="fast", people=4, seed=2)
    other.open()
    one, two = read(source, 0), read(other, 0)
    assert not np.array_equal(one.image, two.image)
    assert one.truth != two.truth


def test_it_draws_into_the_slots_own_image(source: SyntheticSource) -> None:
    slot = read(source, 0)
    image = slot.image
    assert image is not None
    assert image.shape == (360, 480, 3)
    assert image.dtype == np.uint8
    assert read(source, 1, slot).image is image
    slot.image = np.zeros((480, 360, 3), np.uint8)
    assert read(source, 1, slot).image is not image
    assert slot.image.shape == (360, 480, 3)


def test_a_finite_source_ends_and_starts_again_when_opened_again() -> None:
    source = SyntheticSource(width=96, height=64, frames=3, pace="fast")
    assert not source.live
    slot = Slot()
    for _ in range(2):
        source.open()
        assert [source.read(slot) for _ in range(5)] == [True] * 3 + [False] * 2
        source.close()
        source.close()
    with pytest.raises(SourceUnavailableError, match="not open"):
        source.read(slot)
    assert SyntheticSource().live


def test_the_uri_names_what_was_chosen() -> None:
    assert SyntheticSource().uri == "synthetic:"
    assert SyntheticSource(people=5, seed="3").uri == "synthetic:?people=5&seed=3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peple": 3}, "did you mean 'people'"),
        ({"people": "x"}, "people"),
        ({"people": -1}, "people"),
        ({"people": True}, "people"),
        ({"people": 2.5}, "people"),
        ({"fps": 0}, "fps"),
        ({"fps": "nan"}, "fps"),
        ({"noise": "inf"}, "noise"),
        ({"shadows": "maybe"}, "shadows"),
        ({"frames": 0}, "frames"),
        ({"width": 63}, "width"),
        ({"pace": "rael"}, "pace"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        SyntheticSource(**options)
    assert str(next(iter(options.values()))) in str(caught.value) or "peple" in str(caught.value)


def test_truth_boxes_hold_what_differs_from_the_empty_scene() -> None:
    options = {"pace": "fast", "noise": 0, "shadows": False, "lighting": False, "seed": 4}
    full, empty = (SyntheticSource(people=n, **options) for n in (3, 0))
    full.open()
    empty.open()
    slots = Slot(), Slot()
    rows = 0
    for i in range(0, 400, 40):
        one, two = (read(s, i, slot) for s, slot in zip((full, empty), slots, strict=True))
        assert one.image is not None
        assert one.truth is not None
        changed = np.abs(one.image.astype(int) - two.image).max(axis=2) > 12  # type: ignore[operator]
        for box in one.truth.objects.box_xyxy.astype(int):
            x0, y0, x1, y1 = box
            inside = changed[y0:y1, x0:x1]
            # Each side of the box is where something begins, and a body fills a good part of it.
            assert inside.mean() > 0.2
            assert inside[:, :4].any()
            assert inside[:, -4:].any()
            assert inside[:4].any()
            assert inside[-4:].any()
            rows += 1
    assert rows >= 15
    assert len(read(empty, 0).truth.objects) == 0  # type: ignore[union-attr]


def test_a_person_keeps_an_identity_and_moves_smoothly() -> None:
    source = SyntheticSource(pace="fast", people=4, fps=30)
    source.open()
    last: dict[int, Any] = {}
    slot = Slot()
    lives: dict[int, int] = {}
    overlaps = []
    for i in range(240):
        truth = read(source, i, slot).truth
        assert truth is not None
        assert set(truth.objects.label.tolist()) <= {"person"}
        assert len(set(truth.objects.track_id.tolist())) == len(truth.objects)
        for box, track in zip(truth.objects.box_xyxy, truth.objects.track_id, strict=True):
            if track in last and last[track][0] == i - 1:
                overlaps.append(overlap(last[track][1], box))
            last[int(track)] = (i, box)
            lives[int(track)] = lives.get(int(track), 0) + 1
    assert len(lives) >= 4
    assert max(lives.values()) > 100
    # Only where somebody comes out from behind something does a box jump.
    assert np.mean(np.array(overlaps) > 0.5) > 0.98
    assert np.median(overlaps) > 0.8


def test_light_drifts_and_jumps() -> None:
    source = SyntheticSource(width=128, height=96, pace="fast", people=0, noise=0)
    source.open()
    slot = Slot()
    levels, means = [], []
    for i in range(30 * 19):
        read(source, i, slot)
        levels.append(slot.truth.values["lighting"])  # type: ignore[union-attr]
        means.append(slot.image.mean())  # type: ignore[union-attr]
    steps = np.abs(np.diff(levels))
    assert steps.max() > 0.05
    assert np.median(steps) < 0.005
    assert np.corrcoef(levels, means)[0, 1] > 0.99


def test_real_pace_keeps_the_time_of_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []
    monkeypatch.setattr("edgevision.sources.synthetic.time.monotonic", lambda: now[0])

    def sleep(duration_s: float) -> None:
        slept.append(duration_s)
        now[0] += duration_s

    monkeypatch.setattr("edgevision.sources.synthetic.time.sleep", sleep)
    source = SyntheticSource(width=96, height=64, fps=20)
    source.open()
    slot = Slot()
    for _ in range(11):
        source.read(slot)
    assert now[0] == pytest.approx(100.5)
    now[0] += 0.07
    source.read(slot)
    source.read(slot)
    assert now[0] == pytest.approx(100.6)
    now[0] += 60
    before = len(slept)
    for _ in range(5):
        source.read(slot)
    assert len(slept) - before == 4
