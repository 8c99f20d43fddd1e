"""The blur stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision import Detections, Frame, Pipeline
from edgevision.stages import Blur, Faces
from tests.unit.stages.scoring import frames

NOISE = np.random.default_rng(7).integers(0, 256, (90, 140, 3), np.uint8)
FACE = Detections([(40, 30, 70, 66)], 0.9, "face")


def run(frame: Frame, **settings: Any) -> Any:
    with Pipeline([Blur(**settings)]) as pipeline:
        pipeline.process(frame)
        return frame.image.copy()


def detail(image: Any) -> float:
    return float(np.abs(np.diff(image.astype(int), axis=1)).mean())


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("method", ["pixelate", "gaussian"])
def test_the_box_is_unrecognisable_and_the_rest_untouched(method: str, gray: bool) -> None:
    image = NOISE[:, :, 0].copy() if gray else NOISE.copy()
    before = image.copy()
    frame = Frame(image)
    frame.detections = FACE
    seen = run(frame, method=method, margin=0)
    assert detail(seen[30:66, 40:70]) < 0.2 * detail(before[30:66, 40:70])
    outside = np.ones(seen.shape[:2], bool)
    outside[30:67, 40:71] = False
    assert np.array_equal(seen[outside], before[outside])
    assert frame.detections == FACE


def test_fewer_blocks_hide_more_and_the_margin_widens() -> None:
    def cover(**settings: Any) -> Any:
        frame = Frame(NOISE.copy())
        frame.detections = FACE
        return run(frame, **settings)

    assert len(np.unique(cover(blocks=2, margin=0)[30:66, 40:70].reshape(-1, 3), axis=0)) <= 6
    assert len(np.unique(cover(blocks=8, margin=0)[30:66, 40:70].reshape(-1, 3), axis=0)) > 30
    changed = (cover(margin=0.5) != NOISE).any(axis=2)
    y, x = np.nonzero(changed)
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((32, 77, 21, 75), abs=1)


def test_only_the_labels_asked_for() -> None:
    both = Detections([(5, 5, 35, 45), (80, 20, 120, 70)], 1.0, ["face", "person"])
    for labels, covered in (
        (["face"], [1, 0]),
        (["person"], [0, 1]),
        ([], [1, 1]),
        (["x"], [0, 0]),
    ):
        frame = Frame(NOISE.copy())
        frame.detections = both
        seen = run(frame, labels=labels, margin=0)
        for (x0, y0, x1, y1), expected in zip(both.box_xyxy.astype(int), covered, strict=True):
            assert (seen[y0:y1, x0:x1] != NOISE[y0:y1, x0:x1]).any() == bool(expected)


def test_a_lost_box_stays_covered_for_a_while() -> None:
    hidden = []
    with Pipeline([Blur(hold=3)]) as pipeline:
        for number in range(8):
            frame = Frame(NOISE.copy())
            if number == 1:
                frame.detections = FACE
            pipeline.process(frame)
            hidden.append(bool((frame.image[30:66, 40:70] != NOISE[30:66, 40:70]).any()))
    assert hidden == [False, True, True, True, True, False, False, False]


def test_a_box_found_again_leaves_no_second_cover() -> None:
    with Pipeline([Blur(hold=30, margin=0)]) as pipeline:
        for number in range(12):
            frame = Frame(NOISE.copy())
            frame.detections = FACE.moved((5 * number, 0))
            pipeline.process(frame)
            left = FACE.box_xyxy[0, 0] + 5 * number
            assert np.array_equal(frame.image[:, : int(left)], NOISE[:, : int(left)])


def test_boxes_at_and_beyond_the_edge() -> None:
    edges = [(-20, -20, 10, 10), (130, 80, 200, 200), (300, 300, 320, 320), (50, 50, 50, 50)]
    frame = Frame(NOISE.copy())
    frame.detections = Detections(edges, 1.0, "face")
    seen = run(frame, margin=0, method="gaussian")
    assert (seen[:9, :9] != NOISE[:9, :9]).any()
    assert (seen[81:, 131:] != NOISE[81:, 131:]).any()


def test_nothing_is_held_over_a_change_of_resolution() -> None:
    with Pipeline([Blur(hold=10)]) as pipeline:
        first = Frame(NOISE.copy())
        first.detections = FACE
        pipeline.process(first)
        second = Frame(NOISE[:70, :100].copy())
        pipeline.process(second)
        assert np.array_equal(second.image, NOISE[:70, :100])


@pytest.mark.needs("opencv-4")
def test_no_face_is_found_behind_it() -> None:
    with Pipeline([Faces(), Blur(), Faces(label="after")]) as pipeline:
        for frame in frames({"faces": 2, "people": 0, "seed": 4}, range(0, 60, 6)):
            pipeline.process(frame)
            labels = frame.detections.label.tolist()
            assert labels.count("face") >= 1
            assert "after" not in labels
