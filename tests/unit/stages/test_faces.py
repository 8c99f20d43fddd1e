"""The faces stage; how well it does is in test_quality.py."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.errors import StageError
from edgevision.stages import Faces
from tests.unit.stages.scoring import frames

pytestmark = pytest.mark.needs("opencv-4")
OPTIONS = {"people": 0, "faces": 2, "seed": 4}


@pytest.mark.parametrize("gray", [False, True])
def test_faces_are_found(gray: bool) -> None:
    with Pipeline([Faces()]) as pipeline:
        for frame in frames(OPTIONS, range(0, 200, 40)):
            if gray:
                frame.image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
            pipeline.process(frame)
            assert frame.truth is not None
            assert (frame.truth.objects.iou(frame.detections).max(axis=1) > 0.5).all()
            assert set(frame.detections.label.tolist()) == {"face"}
            assert ((frame.detections.confidence > 0.4) & (frame.detections.confidence < 1)).all()


def test_faces_smaller_than_asked_for_are_left_out() -> None:
    frame = next(frames(OPTIONS, [0]))
    assert frame.truth is not None
    with Pipeline([Faces(min_size=40)]) as pipeline:
        pipeline.process(frame)
        largest = float(frame.detections.size_wh.max())
        assert len(frame.detections) == 2
    for size, expected in ((1.5 * largest, 0), (0.5 * largest, 2)):
        other = next(frames(OPTIONS, [0]))
        with Pipeline([Faces(min_size=round(size))]) as pipeline:
            pipeline.process(other)
            assert len(other.detections) == expected


def test_a_dim_picture_is_helped_by_equalizing() -> None:
    dim = (next(frames(OPTIONS, [0])).image // 12).astype(np.uint8)
    found = {}
    for equalize in (False, True):
        frame = Frame(dim.copy())
        with Pipeline([Faces(equalize=equalize)]) as pipeline:
            pipeline.process(frame)
        found[equalize] = len(frame.detections)
    assert found[True] == 2 > found[False]


def test_another_cascade() -> None:
    path = Path(import_module("cv2.data").haarcascades) / "haarcascade_eye.xml"
    frame = next(frames(OPTIONS, [0]))
    with Pipeline([Faces(cascade=path, min_size=20, label="eye")]) as pipeline:
        pipeline.process(frame)
    assert set(frame.detections.label.tolist()) == {"eye"}


@pytest.mark.parametrize("content", [None, "<a/>", ""])
def test_a_wrong_cascade_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "wrong.xml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StageError, match=r"wrong\.xml"):
        Pipeline([Faces(cascade=path)]).start()
