"""The flow stage; how well it finds what moves is in test_quality.py."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.stages import Flow

RNG = np.random.default_rng(6)
TEXTURE = cv2.GaussianBlur(RNG.integers(0, 256, (400, 500, 3), np.uint8), (0, 0), 3)
TEXTURE = cv2.normalize(TEXTURE, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]


def shifted(x: float, y: float) -> Any:
    """Return (180, 240, 3) of a texture that has moved by x, y pixels."""
    matrix = np.array([[1, 0, x - 100], [0, 1, y - 100]], np.float64)
    return cv2.warpAffine(TEXTURE, matrix, (240, 180))


def last_of(images: list[Any], step_s: float = 0.04, **settings: Any) -> Frame:
    """Return the last of these frames with what the stage said of it."""
    frame = Frame(images[0])
    with Pipeline([Flow(**settings)]) as pipeline:
        for number, image in enumerate(images):
            frame = Frame(image, captured_at_s=1e9 + number * step_s)
            pipeline.process(frame)
        picture = frame.image.copy()
    last = Frame(picture)
    last.values, last.detections = frame.values, frame.detections
    return last


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize(
    ("x", "y", "direction"), [(3, 0, 0), (0, -3, 90), (-3, 0, 180), (0, 3, 270), (2, -2, 45)]
)
def test_speed_and_direction(method: str, x: int, y: int, direction: float) -> None:
    frame = last_of([shifted(i * x, i * y) for i in range(3)], method=method)
    assert frame.values["flow_speed"] == pytest.approx(np.hypot(x, y) * 25, rel=0.2)
    off = (frame.values["flow_direction"] - direction + 180) % 360 - 180
    assert abs(off) < 6
    assert frame.values["flow_share"] > 0.7
    assert frame.detections.label.tolist() == ["moving"]
    assert frame.detections.data["speed"][0] == pytest.approx(np.hypot(x, y) * 25, rel=0.2)


def test_nothing_moves_in_a_still_scene_with_noise() -> None:
    with Pipeline([Flow()]) as pipeline:
        for number in range(4):
            noise = RNG.normal(0, 3, (180, 240, 3))
            image = np.clip(shifted(0, 0) + noise, 0, 255).astype(np.uint8)
            frame = Frame(image, captured_at_s=1e9 + number / 25)
            pipeline.process(frame)
            assert frame.values["flow_share"] < 0.002
            assert len(frame.detections) == 0
    first = Frame(shifted(0, 0))
    with Pipeline([Flow()]) as pipeline:
        pipeline.process(first)
    assert first.values == {"flow_speed": 0.0, "flow_direction": None, "flow_share": 0.0}


def test_what_is_slow_does_not_move() -> None:
    images = [shifted(2 * i, 0) for i in range(3)]
    slow = last_of(images, min_speed=80, method="farneback")
    assert slow.values["flow_share"] < 0.02
    assert len(slow.detections) == 0
    assert last_of(images, min_speed=30, method="farneback").values["flow_share"] > 0.7


def test_what_hardly_changes_does_not_move() -> None:
    images = [cv2.convertScaleAbs(shifted(2 * i, 0), alpha=0.1, beta=100) for i in range(3)]
    assert last_of(images, min_change=8).values["flow_share"] == 0
    assert last_of(images, min_change=0).values["flow_share"] > 0.3


def test_speed_counts_in_the_frames_own_pixels_and_time() -> None:
    speeds = {}
    for scale, fps, step_s in ((1.0, 0.0, 0.04), (0.5, 0.0, 0.08), (0.5, 10.0, 0.0)):
        images = [shifted(4 * i, 0) for i in range(3)]
        frame = last_of(images, step_s, scale=scale, fps=fps, method="farneback")
        speeds[scale, fps] = frame.values["flow_speed"]
    assert speeds[1.0, 0.0] == pytest.approx(100, rel=0.15)
    assert speeds[0.5, 0.0] == pytest.approx(50, rel=0.15)
    assert speeds[0.5, 10.0] == pytest.approx(40, rel=0.15)


def test_each_area_has_its_own_direction() -> None:
    def scene(number: int) -> Any:
        image = np.full((180, 240, 3), 90, np.uint8)
        for x, y, row in ((20 + 4 * number, 20, 0), (180 - 4 * number, 110, 200)):
            image[y : y + 40, x : x + 40] = TEXTURE[row : row + 40, :40]
        return image

    frame = last_of([scene(number) for number in range(4)], scale=1)
    assert len(frame.detections) == 2
    upper, lower = frame.detections.data["direction"]
    assert min(upper, 360 - upper) < 15
    assert lower == pytest.approx(180, abs=15)


def test_a_gap_or_a_standing_clock_measures_nothing() -> None:
    with Pipeline([Flow()]) as pipeline:
        for number, at_s in enumerate((0.0, 0.0, 10.0, 9.0)):
            frame = Frame(shifted(4 * number, 0), captured_at_s=1e9 + at_s)
            pipeline.process(frame)
            assert frame.values["flow_speed"] == 0.0


def test_the_drawing_has_the_frames_size_and_shows_direction() -> None:
    hues = []
    for x in (3, -3):
        frame = last_of([shifted(i * x, 0) for i in range(3)], draw=True, detect=False)
        assert frame.size_wh == (240, 180)
        assert len(frame.detections) == 0
        middle = frame.image[60:120, 80:160]
        hues.append(np.median(cv2.cvtColor(middle, cv2.COLOR_BGR2HSV)[..., 0]))
    assert min(hues[0], 180 - hues[0]) < 6
    assert hues[1] == pytest.approx(90, abs=6)
