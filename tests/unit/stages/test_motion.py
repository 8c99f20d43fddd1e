"""The motion stage; how well it does is in test_quality.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.stages import Motion
from tests.unit.stages.scoring import frames

SCENE = np.random.default_rng(3).integers(60, 180, (120, 200, 3), np.uint8)


def still(count: int, image: Any = SCENE) -> Iterator[Frame]:
    for number in range(count):
        yield Frame(image.copy(), sequence=number)


def with_box(x: int, y: int = 40, size: int = 30) -> Any:
    image = SCENE.copy()
    image[y : y + size, x : x + size] = (250, 20, 20)
    return image


@pytest.mark.parametrize("method", ["mog2", "knn"])
def test_a_thing_that_comes_is_boxed(method: str) -> None:
    with Pipeline([Motion(method=method, min_area=200)]) as pipeline:
        for frame in still(30):
            pipeline.process(frame)
            assert len(frame.detections) == 0
        frame = Frame(with_box(100))
        pipeline.process(frame)
        assert frame.detections.label.tolist() == ["motion"]
        assert frame.detections.box_xyxy[0] == pytest.approx([100, 40, 130, 70], abs=5)
        assert frame.detections.data["area_px"][0] == pytest.approx(900, rel=0.6)


def test_a_small_thing_is_noise() -> None:
    with Pipeline([Motion(min_area=1500)]) as pipeline:
        for frame in [*still(20), Frame(with_box(100))]:
            pipeline.process(frame)
            assert len(frame.detections) == 0


def test_nothing_is_told_while_it_warms_up() -> None:
    found = {}
    for warm_up in (4, 8):
        with Pipeline([Motion(warm_up=warm_up, min_area=200)]) as pipeline:
            count = []
            for frame in [*still(5), *(Frame(with_box(20 + 35 * i)) for i in range(5))]:
                pipeline.process(frame)
                count.append(len(frame.detections))
        found[warm_up] = count
    assert found[4] == [0] * 5 + [1] * 5
    assert found[8][:8] == [0] * 8


def test_shadows_are_told_only_when_asked() -> None:
    shadow = SCENE.copy()
    shadow[20:90, 40:110] = (shadow[20:90, 40:110] * 0.7).astype(np.uint8)
    for shadows in (False, True):
        with Pipeline([Motion(shadows=shadows, even=False)]) as pipeline:
            for frame in still(30):
                pipeline.process(frame)
            frame = Frame(shadow)
            pipeline.process(frame)
            assert len(frame.detections) == int(shadows)


@pytest.mark.parametrize("gain", [0.6, 1.3])
def test_another_brightness_is_no_motion(gain: float) -> None:
    other = np.clip(SCENE * gain, 0, 255).astype(np.uint8)
    with Pipeline([Motion()]) as pipeline:
        for frame in [*still(30), *still(30, other)]:
            pipeline.process(frame)
            assert len(frame.detections) == 0
            assert frame.values["motion_relearns"] == 0


def test_another_scene_is_learnt_anew_and_not_told() -> None:
    other = np.random.default_rng(4).integers(60, 180, SCENE.shape, np.uint8)[:, ::-1]
    other[:, :150] = (20, 200, 40)
    with Pipeline([Motion(warm_up=5)]) as pipeline:
        for frame in [*still(20), *still(20, other)]:
            pipeline.process(frame)
            assert len(frame.detections) == 0
        assert frame.values["motion_relearns"] == 1
        other[40:70, 60:100] = 255
        frame = Frame(other)
        pipeline.process(frame)
        assert len(frame.detections) == 1


def test_what_stays_becomes_scenery_unless_the_rate_is_zero() -> None:
    for rate, expected in ((0.05, 0), (0.0, 1)):
        with Pipeline([Motion(learning_rate=rate, min_area=200)]) as pipeline:
            for frame in [*still(20), *still(120, with_box(100))]:
                pipeline.process(frame)
            assert len(frame.detections) == expected


def test_gaps_are_closed_as_far_as_asked() -> None:
    image = SCENE.copy()
    image[30:90, 60:80] = image[30:90, 92:112] = (250, 20, 20)
    for close, expected in ((4, 2), (24, 1)):
        with Pipeline([Motion(close=close, scale=1)]) as pipeline:
            for frame in [*still(20), Frame(image)]:
                pipeline.process(frame)
            assert len(frame.detections) == expected


def test_it_works_on_the_walkway_in_gray() -> None:
    with Pipeline([Motion(shadows=True)]) as pipeline:
        found = 0
        for frame in frames({"people": 3, "shadows": False}, range(60)):
            frame.image = frame.image[:, :, 1].copy()
            pipeline.process(frame)
            found += len(frame.detections)
    assert found > 40
