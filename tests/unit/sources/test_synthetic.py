"""The synthetic source: its options, its repeatability and its ground truth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision.detections import Detections
from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.slot import Image, Slot
from edgevision.sources import open_source
from edgevision.sources.synthetic import SyntheticSource
from edgevision.truth import Truth


def opened(**options: Any) -> SyntheticSource:
    source = SyntheticSource(**{"pace": "fast", **options})
    source.open()
    return source


def read(source: SyntheticSource, index: int, slot: Slot | None = None) -> tuple[Image, Truth]:
    slot = slot or Slot()
    source.seek(index)
    assert source.read(slot)
    assert slot.image is not None
    assert slot.truth is not None
    return slot.image, slot.truth


def overlap(one: Any, two: Any) -> float:
    return float(Detections([one]).iou(Detections([two]))[0, 0])


def bounds(points: Any) -> Any:
    corners = np.asarray(points).reshape(-1, 2)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def sharpness(image: Image) -> float:
    return float(cv2.Laplacian(cv2.blur(image, (3, 3)), cv2.CV_32F).var())


def test_the_same_frame_is_the_same_after_any_way_to_it() -> None:
    options = {"width": 480, "height": 360, "people": 4}
    source, other = opened(**options), opened(**{n: str(v) for n, v in options.items()})
    first = {i: read(source, i) for i in (0, 7, 300)}
    for i in (300, 7, 0):
        image, truth = read(other, i)
        assert np.array_equal(image, first[i][0])
        assert truth == first[i][1]


def test_another_seed_is_another_scene() -> None:
    (image, truth), (other_image, other_truth) = (read(opened(seed=seed), 0) for seed in (1, 2))
    assert not np.array_equal(image, other_image)
    assert truth != other_truth


def test_it_draws_into_the_slots_own_image() -> None:
    source = opened(width=480, height=360)
    slot = Slot()
    image, _ = read(source, 0, slot)
    assert image.shape == (360, 480, 3)
    assert image.dtype == np.uint8
    assert read(source, 1, slot)[0] is image
    slot.image = np.zeros((480, 360, 3), np.uint8)
    assert read(source, 1, slot)[0].shape == (360, 480, 3)


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
    assert open_source("synthetic:", people=5, seed="3").uri == "synthetic:?people=5&seed=3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("people", "x"),
        ("people", -1),
        ("people", True),
        ("people", 2.5),
        ("fps", 0),
        ("fps", "nan"),
        ("noise", "inf"),
        ("shadows", "maybe"),
        ("frames", 0),
        ("width", 63),
        ("pace", "rael"),
        ("cover_at_s", -1),
    ],
)
def test_a_bad_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"option '{name}' must be") as caught:
        opened(**{name: value})
    assert repr(value) in str(caught.value)


def test_a_misspelt_option_is_named() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'people'"):
        open_source("synthetic:?peple=3")


def test_options_come_from_the_uri_too() -> None:
    source = open_source("synthetic:?people=5&noise=1.5&shadows=no&frames=7", seed=2)
    assert isinstance(source, SyntheticSource)
    chosen = {name: source.options[name] for name in ("people", "noise", "shadows", "seed")}
    assert chosen == {"people": 5, "noise": 1.5, "shadows": False, "seed": 2}
    assert not source.live


def test_truth_boxes_hold_what_differs_from_the_empty_scene() -> None:
    options: dict[str, Any] = {"noise": 0, "shadows": False, "lighting": False, "seed": 4}
    full, empty = opened(people=3, **options), opened(people=0, **options)
    slots = Slot(), Slot()
    rows = 0
    for i in range(0, 400, 40):
        image, truth = read(full, i, slots[0])
        scene, nothing = read(empty, i, slots[1])
        assert len(nothing.objects) == 0
        changed = np.abs(image.astype(int) - scene).max(axis=2) > 12
        for x0, y0, x1, y1 in truth.objects.box_xyxy.astype(int):
            inside = changed[y0:y1, x0:x1]
            # Each side of the box is where something begins, and a body fills a good part of it.
            assert inside.mean() > 0.2
            assert inside[:, :4].any()
            assert inside[:, -4:].any()
            assert inside[:4].any()
            assert inside[-4:].any()
            rows += 1
    assert rows >= 15


def test_a_person_keeps_an_identity_and_moves_smoothly() -> None:
    source = opened(people=4, fps=30)
    slot = Slot()
    last: dict[int, Any] = {}
    lives: dict[int, int] = {}
    overlaps = []
    for i in range(240):
        _, truth = read(source, i, slot)
        assert set(truth.objects.label.tolist()) <= {"person"}
        assert len(set(truth.objects.track_id.tolist())) == len(truth.objects)
        for row in truth.objects:
            assert row.track_id is not None
            if row.track_id in last and last[row.track_id][0] == i - 1:
                overlaps.append(overlap(last[row.track_id][1], row.box_xyxy))
            last[row.track_id] = (i, row.box_xyxy)
            lives[row.track_id] = lives.get(row.track_id, 0) + 1
    assert len(lives) >= 4
    assert max(lives.values()) > 100
    # Only where somebody comes out from behind something does a box jump.
    assert np.mean(np.array(overlaps) > 0.5) > 0.98
    assert np.median(overlaps) > 0.8


def test_noise_changes_from_frame_to_frame() -> None:
    options: dict[str, Any] = {"width": 200, "height": 120, "people": 0, "lighting": False}
    clean, _ = read(opened(**options, noise=0), 0)
    source = opened(**options, noise=5)
    one, two = (read(source, i)[0].astype(float) for i in (0, 1))
    assert np.std(one - clean) == pytest.approx(5, rel=0.1)
    assert np.std(one - two) == pytest.approx(5 * 2**0.5, rel=0.1)
    assert np.mean(one - clean) == pytest.approx(0, abs=0.6)


def test_light_drifts_and_jumps() -> None:
    source = opened(width=128, height=96, people=0, noise=0)
    slot = Slot()
    levels, means = [], []
    for i in range(30 * 19):
        image, truth = read(source, i, slot)
        levels.append(truth.values["lighting"])
        means.append(image.mean())
    steps = np.abs(np.diff(levels))
    assert steps.max() > 0.05
    assert np.median(steps) < 0.005
    assert np.corrcoef(levels, means)[0, 1] > 0.99


def test_real_pace_keeps_the_time_of_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [100.0], []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(duration_s: float) -> None:
            slept.append(duration_s)
            now[0] += duration_s

    monkeypatch.setattr("edgevision.sources.synthetic.time", Clock)
    source = SyntheticSource(width=96, height=64, fps=20)
    source.open()
    slot = Slot()
    for _ in range(11):
        source.read(slot)
    assert now[0] == pytest.approx(100.5)
    # A little late: the next frame makes up for it.
    now[0] += 0.07
    source.read(slot)
    source.read(slot)
    assert now[0] == pytest.approx(100.6)
    # Very late: nothing is made up for.
    now[0] += 60
    before = len(slept)
    for _ in range(5):
        source.read(slot)
    assert len(slept) - before == 4


def test_faces_and_codes_have_their_rows() -> None:
    source = opened(people=2, faces=1, codes=4, seed=5)
    slot = Slot()
    seen: dict[str, set[str]] = {}
    for i in range(0, 600, 20):
        _, truth = read(source, i, slot)
        inside = truth.objects.clipped((640, 480))
        assert np.array_equal(inside.box_xyxy, truth.objects.box_xyxy)
        for row in truth.objects:
            seen.setdefault(row.label, set()).add(row.data["text"])
        faces = truth.objects[truth.objects.label == "face"]
        assert (faces.size_wh > 40).all()
        assert faces.track_id.tolist() == [100_000]
    assert seen["person"] == seen["face"] == {""}
    assert seen["qr"] == {"WALKWAY 1", "WALKWAY 2"}
    assert seen["aruco"] == {"1", "2"}


def test_what_shows_too_little_is_listed_apart() -> None:
    source = opened(people=6, seed=3)
    slot = Slot()
    smallest, listed = 1e9, 0
    for i in range(0, 300, 10):
        _, truth = read(source, i, slot)
        boxes = [row["box_xyxy"] for row in truth.values["partial"]]
        listed += len(boxes)
        rows = truth.objects.box_xyxy.tolist()
        assert not [box for box in boxes if box in rows]
        smallest = min([smallest, *((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in rows)])
    assert listed > 10
    assert smallest > 500


def test_codes_are_what_their_truth_says() -> None:
    image, truth = read(opened(people=0, codes=2), 0)
    rows = {row.label: row for row in truth.objects}
    text, points, _ = cv2.QRCodeDetector().detectAndDecode(image)
    assert text == rows["qr"].data["text"] == "WALKWAY 1"
    assert overlap(rows["qr"].box_xyxy, bounds(points)) > 0.9
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(image)
    assert ids.ravel().tolist() == [int(rows["aruco"].data["text"])]
    assert overlap(rows["aruco"].box_xyxy, bounds(corners[0])) > 0.9


@pytest.mark.parametrize("kind", ["covered", "defocused", "moved"])
def test_interference_with_the_camera(kind: str) -> None:
    option = {"covered": "cover_at_s", "defocused": "defocus_at_s", "moved": "move_at_s"}[kind]
    options: dict[str, Any] = {"fps": 10, "lighting": False, "people": 4, "noise": 1}
    plain, source = opened(**options), opened(**options, **{option: 2, "tamper_for_s": 3})
    for i, expected in ((15, False), (30, True), (55, False)):
        (image, truth), (usual, usual_truth) = read(source, i), read(plain, i)
        wanted = {"covered": False, "defocused": False, "moved": False, kind: expected}
        assert {name: truth.values[name] for name in wanted} == wanted
        assert np.array_equal(image, usual) is not expected
        if expected and kind == "covered":
            assert len(truth.objects) == 0
            assert image.max() < 120
        if expected and kind == "defocused":
            assert sharpness(image) < 0.2 * sharpness(usual)
        if expected and kind == "moved":
            before = {row.track_id: row.box_xyxy for row in usual_truth.objects}
            after = {row.track_id: row.box_xyxy for row in truth.objects}
            both = before.keys() & after.keys()
            assert both
            for track in both:
                # The feet: the sides may be cut by the picture's edge.
                assert after[track][3] - before[track][3] == pytest.approx(0.06 * 480, abs=2)


@pytest.mark.parametrize("size_wh", [(65, 64), (64, 201), (1281, 719)])
def test_odd_sizes(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    source = opened(width=width, height=height, people=5, faces=2, codes=5, move_at_s=0)
    for i in (0, 200):
        image, _ = read(source, i)
        assert image.shape == (height, width, 3)
