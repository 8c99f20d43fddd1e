"""The people stage; how well it does is in test_quality.py."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.stages import People
from edgevision.stages.suppression import suppress
from tests.unit.stages.scoring import frames


def clear(count: int, shortest: float, tallest: float = 400) -> Iterator[Frame]:
    """Yield frames in which the only person has a height between these."""
    for frame in frames({"people": 1, "seed": 1, "noise": 1}, range(0, 2400, 12)):
        assert frame.truth is not None
        tall = frame.truth.objects.size_wh[:, 1]
        if count and len(tall) == 1 and shortest <= tall[0] <= tallest:
            count -= 1
            yield frame
    assert not count


@pytest.mark.needs("opencv-4")
@pytest.mark.parametrize("gray", [False, True])
def test_somebody_is_found(gray: bool) -> None:
    hits = 0
    with Pipeline([People()]) as pipeline:
        for frame in clear(12, 120):
            if gray:
                frame.image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
            pipeline.process(frame)
            assert frame.truth is not None
            assert set(frame.detections.label.tolist()) <= {"person"}
            assert ((frame.detections.confidence > 0) & (frame.detections.confidence <= 1)).all()
            assert frame.detections.clipped(frame.size_wh) == frame.detections
            hits += int((frame.truth.objects.iou(frame.detections) > 0.5).any())
    assert hits >= 8


@pytest.mark.needs("opencv-4")
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6])
def test_the_picture_is_scaled_to_the_smallest_person(factor: float) -> None:
    hits = 0
    with Pipeline([People(min_height=round(120 * factor))]) as pipeline:
        for frame in clear(10, 125, 160):
            image = cv2.resize(frame.image, None, fx=factor, fy=factor)
            other = Frame(image)
            pipeline.process(other)
            assert frame.truth is not None
            truth = frame.truth.objects.scaled((factor, factor))
            hits += int((truth.iou(other.detections) > 0.5).any())
    assert hits >= 6


@pytest.mark.needs("opencv-4")
def test_no_box_reaches_beyond_the_picture() -> None:
    with Pipeline([People(hit_threshold=-2, overlap=1, inside=1)]) as pipeline:
        for frame in clear(2, 120):
            pipeline.process(frame)
            width, height = frame.size_wh
            limits = np.array([width, height, width, height])
            boxes = frame.detections.box_xyxy
            assert (boxes >= 0).all()
            assert (boxes <= limits).all()


@pytest.mark.needs("opencv-4")
def test_a_picture_smaller_than_a_person_holds_none() -> None:
    for shape in ((3, 3, 3), (30, 400), (400, 20, 3)):
        frame = Frame(np.zeros(shape, np.uint8))
        with Pipeline([People()]) as pipeline:
            pipeline.process(frame)
        assert len(frame.detections) == 0


def test_one_of_several_boxes_is_kept() -> None:
    boxes = np.array(
        [
            (0, 0, 50, 100),
            (3, 2, 52, 101),  # nearly the first
            (10, 50, 40, 100),  # a part of the first
            (45, 0, 95, 100),  # a neighbour
            (0, 0, 50, 100),  # the first again
        ]
    )
    score = np.array([0.8, 0.9, 0.7, 0.3, 0.1])
    assert suppress(boxes, score, overlap=0.4, inside=0.6).tolist() == [1, 3]
    assert suppress(boxes, score, overlap=1, inside=1).tolist() == [1, 0, 2, 3, 4]
    assert suppress(boxes[:0], score[:0], overlap=0.4, inside=0.6).tolist() == []
