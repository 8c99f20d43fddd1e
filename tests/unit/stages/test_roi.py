"""The roi stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevision import Detections, Frame, Pipeline
from edgevision.errors import ParamError
from edgevision.stages import Roi
from edgevision.stages.polygon import contains, fill, to_pixels

LEFT = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]


def white(width: int = 120, height: int = 80) -> Any:
    return np.full((height, width, 3), 255, np.uint8)


def run(frame: Frame, **settings: Any) -> Any:
    """Run the stage; return the picture that it leaves."""
    with Pipeline([Roi(**settings)]) as pipeline:
        pipeline.process(frame)
        return frame.image.copy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("keep", ["inside", "outside"])
def test_the_other_side_becomes_black(channels: int, keep: str) -> None:
    image = white() if channels == 3 else white()[:, :, 0].copy()
    seen = run(Frame(image), polygon=LEFT, keep=keep)
    light, dark = (seen[:, :60], seen[:, 60:])
    if keep == "outside":
        light, dark = dark, light
    assert light.min() == 255
    assert dark.max() == 0


def test_pixels_and_shares_mean_the_same() -> None:
    corners = [(0.25, 0.25), (0.75, 0.3), (0.5, 0.9)]
    in_pixels = [(x * 120, y * 80) for x, y in corners]
    assert np.array_equal(
        run(Frame(white()), polygon=corners), run(Frame(white()), polygon=in_pixels)
    )
    # A pixel polygon of a corner of the picture still is one.
    assert run(Frame(white()), polygon=[(0, 0), (2, 0), (2, 2), (0, 2)]).sum() == 4 * 765


def test_the_default_changes_nothing() -> None:
    frame = Frame(white())
    boxes = [(0, 0, 120, 80), (-9, -9, 200, 200), (110, 70, 120, 80), (30, 90, 40, 130)]
    frame.detections = Detections(boxes)
    assert run(frame).min() == 255
    assert len(frame.detections) == 4


@pytest.mark.parametrize(
    ("drop", "kept"),
    [("foot", ["foot inside", "inside"]), ("center", ["centre inside", "inside"])],
)
def test_boxes_are_dropped_by_foot_or_centre(drop: str, kept: list[str]) -> None:
    lower = [(0.0, 0.5), (1.0, 0.5), (1.0, 0.9), (0.0, 0.9)]
    boxes = {
        "foot inside": (10, 10, 20, 60),
        "centre inside": (30, 20, 40, 79),
        "inside": (50, 45, 60, 70),
        "above": (70, 5, 80, 20),
    }
    frame = Frame(white())
    frame.detections = Detections(list(boxes.values()), 1.0, list(boxes))
    run(frame, polygon=lower, drop=drop)
    assert sorted(frame.detections.label.tolist()) == kept
    other = Frame(white())
    other.detections = Detections(list(boxes.values()), 1.0, list(boxes))
    seen = run(other, polygon=lower, drop=drop, keep="outside", mask=False)
    assert sorted(other.detections.label.tolist()) == sorted(set(boxes) - set(kept))
    assert seen.min() == 255


def test_nothing_is_dropped_when_not_asked() -> None:
    frame = Frame(white())
    frame.detections = Detections([(100, 10, 110, 20)])
    run(frame, polygon=LEFT, drop="none")
    assert len(frame.detections) == 1


def test_the_mask_follows_size_and_live_changes() -> None:
    with Pipeline([Roi(polygon=LEFT)]) as pipeline:
        for width, height in ((120, 80), (33, 77)):
            frame = Frame(white(width, height))
            pipeline.process(frame)
            assert frame.image[:, : width // 2].min() == 255
            assert frame.image[:, width // 2 + 1 :].max() == 0
        pipeline.configure({"roi": {"keep": "outside"}})
        frame = Frame(white(33, 77))
        pipeline.process(frame)
        assert frame.image[:, :16].max() == 0
        with pytest.raises(ParamError, match="polygon"):
            pipeline.configure({"roi": {"polygon": [[0, 0], [1, 1]]}})


def test_mask_and_points_agree() -> None:
    """A point is inside where the mask is white, for a polygon whose edges cross."""
    polygon = [(5.0, 5.0), (110.0, 60.0), (100.0, 8.0), (12.0, 70.0), (60.0, 20.0)]
    corners = to_pixels(polygon, (120, 80))
    mask = fill(corners, (120, 80)) > 0
    y, x = np.mgrid[:80, :120]
    points = np.column_stack([x.ravel() + 0.5, y.ravel() + 0.5])
    inside = contains(corners, points).reshape(80, 120)
    assert np.array_equal(mask, inside)
    assert 500 < mask.sum() < 5000
