"""Suppression against a slow one, and its rule for ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.inference.head import Candidates
from edgevision.inference.suppression import MOST_CANDIDATES, suppress_by_class


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared) if sum(areas) > shared else 0


def slowly(found: Candidates, limit: float) -> list[int]:
    boxes = found.box_xyxy.astype(float).tolist()
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-found.confidence[i], i)):
        others = (k for k in kept if found.class_index[k] == found.class_index[i])
        if all(iou(boxes[i], boxes[k]) <= limit for k in others):
            kept.append(i)
    return kept


def candidates(box: list[list[float]], confidence: list[float], index: list[int]) -> Candidates:
    return Candidates(
        np.array(box, np.float32).reshape(-1, 4),
        np.array(confidence, np.float32),
        np.array(index, np.int64),
    )


corner = st.integers(-30, 40)  # a network's boxes may begin outside of the picture
row = st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20))


@given(
    st.lists(st.tuples(row, st.sampled_from([0.3, 0.5, 0.9]), st.integers(0, 2)), max_size=25),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_it_agrees_with_a_slow_one(
    rows: list[tuple[tuple[int, ...], float, int]], limit: float
) -> None:
    found = candidates(
        [[x, y, x + w, y + h] for (x, y, w, h), _, _ in rows],
        [confidence for _, confidence, _ in rows],
        [index for _, _, index in rows],
    )
    kept = suppress_by_class(found, iou=limit, most=1000)
    wanted = slowly(found, limit)
    assert kept.box_xyxy.tolist() == found.box_xyxy[wanted].tolist()
    assert kept.confidence.tolist() == found.confidence[wanted].tolist()
    assert kept.class_index.tolist() == found.class_index[wanted].tolist()


def test_the_surest_comes_first_and_of_equals_the_first() -> None:
    box: list[list[float]] = [[0, 0, 10, 10], [1, 0, 11, 10], [100, 0, 110, 10], [0, 0, 10, 10]]
    kept = suppress_by_class(candidates(box, [0.5, 0.5, 0.9, 0.4], [0, 0, 0, 1]), iou=0.5, most=9)
    assert kept.box_xyxy.tolist() == [box[2], box[0], box[3]]
    assert kept.confidence.tolist() == pytest.approx([0.9, 0.5, 0.4])


def test_classes_leave_each_other_alone_wherever_their_boxes_are() -> None:
    box: list[list[float]] = [[-90, -90, -10, -10], [-90, -90, -10, -10], [0, 0, 5, 5]]
    kept = suppress_by_class(candidates(box, [0.5, 0.6, 0.7], [1, 0, 0]), iou=0.1, most=9)
    assert len(kept) == 3


def test_no_more_than_asked_for_are_kept() -> None:
    box = [[20.0 * i, 0, 20 * i + 10, 10] for i in range(9)]
    found = candidates(box, [0.1 * (i + 1) for i in range(9)], [0] * 9)
    assert suppress_by_class(found, iou=0.5, most=3).box_xyxy.tolist() == box[:5:-1]
    assert len(suppress_by_class(candidates([], [], []), iou=0.5, most=3)) == 0


def test_of_very_many_the_surest_are_looked_at() -> None:
    count = MOST_CANDIDATES + 50
    box = [[20.0 * i, 0, 20 * i + 10, 10] for i in range(count)]
    found = candidates(box, [(i + 1) / count for i in range(count)], [0] * count)
    kept = suppress_by_class(found, iou=0.5, most=count)
    assert len(kept) == MOST_CANDIDATES
    assert kept.confidence.min() > 50 / count
