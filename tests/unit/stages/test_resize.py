"""The resize stage."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Detections, Frame, Pipeline
from edgevision.errors import ParamError
from edgevision.stages import Resize

NOISE = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)


@pytest.mark.parametrize(
    ("settings", "size_wh"),
    [
        ({}, (80, 45)),
        ({"scale": 2}, (320, 180)),
        ({"scale": 0.001}, (1, 1)),
        ({"width": 53}, (53, 30)),
        ({"height": 31}, (55, 31)),
        ({"width": 1}, (1, 1)),
        ({"width": 100, "height": 100}, (100, 100)),
        ({"width": 40, "scale": 3}, (40, 22)),
    ],
)
def test_sizes(settings: dict[str, Any], size_wh: tuple[int, int]) -> None:
    for image in (NOISE, NOISE[:, :, 0]):
        frame = Frame(image)
        with Pipeline([Resize(**settings)]) as pipeline:
            pipeline.process(frame)
            assert frame.size_wh == size_wh
            assert frame.image.ndim == image.ndim


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"scale": 0.5}, cv2.INTER_AREA),
        ({"scale": 2}, cv2.INTER_LINEAR),
        # One side grows: averaging would leave holes to be seen.
        ({"width": 200, "height": 50}, cv2.INTER_LINEAR),
        ({"scale": 0.5, "method": "nearest"}, cv2.INTER_NEAREST),
        ({"scale": 2, "method": "cubic"}, cv2.INTER_CUBIC),
    ],
)
def test_pixels(settings: dict[str, Any], method: int) -> None:
    frame = Frame(NOISE)
    with Pipeline([Resize(**settings)]) as pipeline:
        pipeline.process(frame)
        assert np.array_equal(frame.image, cv2.resize(NOISE, frame.size_wh, interpolation=method))


def test_detections_keep_their_place() -> None:
    frame = Frame(NOISE)
    corners = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    frame.detections = Detections(
        [(16, 9, 32, 18)], 0.5, "code", 3, {"corners_xy": corners, "speed": [7.0]}
    )
    with Pipeline([Resize(width=80, height=90)]) as pipeline:
        pipeline.process(frame)
    assert frame.detections.box_xyxy.tolist() == [[8, 9, 16, 18]]
    assert frame.detections.track_id.tolist() == [3]
    assert frame.detections.data["speed"].tolist() == [7.0]
    assert np.array_equal(frame.detections.data["corners_xy"], corners * [0.5, 1])


def test_the_same_size_is_left_alone() -> None:
    frame = Frame(NOISE)
    with Pipeline([Resize(width=160)]) as pipeline:
        pipeline.process(frame)
        assert frame.image is NOISE


def test_the_size_follows_a_live_change() -> None:
    with Pipeline([Resize()]) as pipeline:
        pipeline.configure({"resize": {"width": 40}})
        frame = Frame(NOISE)
        pipeline.process(frame)
        assert frame.size_wh == (40, 22)
        with pytest.raises(ParamError, match="scale"):
            pipeline.configure({"resize": {"scale": 0}})
