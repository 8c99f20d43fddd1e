"""What all built-in stages have in common."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Detections, Frame, Pipeline, Stage, stages
from edgevision.errors import StageError
from tests.unit.stages.given import given
from tests.unit.stages.scoring import frames

needs_opencv_4 = pytest.mark.needs("opencv-4")
NAMES = [
    pytest.param(name, marks=needs_opencv_4 if name in ("people", "faces") else ())
    for name in stages.BUILT_IN
]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("motion", {"method": "knn"}),
    ("flow", {"method": "farneback", "draw": True}),
    ("edges", {"mode": "overlay"}),
    ("blur", {"method": "gaussian", "labels": []}),
    ("roi", {"polygon": [(10, 10), (50, 12), (30, 60)], "keep": "outside", "drop": "center"}),
    ("resize", {"width": 31, "method": "cubic"}),
]
EVERY = [
    *[pytest.param(p.values[0], {}, marks=p.marks, id=str(p.values[0])) for p in NAMES],
    *[
        pytest.param(name, options, id=f"{name}-{next(iter(options.values()))}")
        for name, options in VARIANTS
    ],
]
STEADY = [p for p in EVERY if "knn" not in str(p.id)]  # its model draws random numbers
ADDING = [p for p in EVERY if not str(p.id).startswith(("resize", "roi"))]
BOX = Detections([(5, 6, 25, 46)], 0.9, "face")


@cache
def walkway(width: int, height: int, count: int = 3, step: int = 1) -> list[NDArray[Any]]:
    options = {"width": width, "height": height, "people": 4, "faces": 1, "codes": 2}
    return [frame.image.copy() for frame in frames(options, range(40, 40 + count * step, step))]


def video() -> Iterator[Frame]:
    """Yield 2 s of the walkway."""
    for number, image in enumerate(walkway(320, 240, 30, 2)):
        yield Frame(image.copy(), sequence=number, captured_at_s=1e9 + number / 15)


def pictures() -> Iterator[NDArray[Any]]:
    """Yield a video that changes size and number of channels, as a camera may."""
    yield from walkway(161, 121)
    yield from (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in walkway(161, 121))
    yield from walkway(95, 240)
    yield from walkway(64, 65)
    yield from (np.full((h, w, 3), 90, np.uint8) for w, h in ((1, 1), (2, 7), (640, 3), (3, 200)))
    yield from walkway(161, 121)


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_any_picture_passes(name: str, options: dict[str, Any]) -> None:
    stage = stages.load(name)(**given(name), **options)
    with Pipeline([stage], poison=True) as pipeline:
        for number, image in enumerate(pictures()):
            frame = Frame(image.copy(), sequence=number, captured_at_s=1e9 + number / 30)
            if number % 2:
                frame.detections = BOX
            assert pipeline.process(frame) is None
            assert frame.image.size > 0
            assert frame.image.dtype == np.uint8
            assert np.isfinite(frame.detections.box_xyxy).all()
            pipeline.release(frame)


@pytest.mark.parametrize(("name", "options"), STEADY)
def test_the_same_frames_give_the_same_result_again(name: str, options: dict[str, Any]) -> None:
    """Nothing is shared by two cameras, and nothing is left from before a restart."""

    def run(stage: Stage, others: list[Stage]) -> list[Any]:
        seen = []
        with Pipeline([stage]) as pipeline, Pipeline(others) as other:
            for frame in video():
                other.process(Frame(255 - frame.image, captured_at_s=frame.captured_at_s))
                frame.detections = BOX
                pipeline.process(frame)
                seen.append((frame.detections, dict(frame.values), frame.image.copy()))
        return seen

    kind = stages.load(name)
    settings = {**given(name), **options}
    stage = kind(**settings)
    alone = run(stage, [])
    again = run(stage, [kind(**settings)])
    for one, two in zip(alone, again, strict=True):
        assert one[0] == two[0]
        assert one[1] == two[1]
        assert np.array_equal(one[2], two[2])


@pytest.mark.parametrize(("name", "options"), ADDING)
def test_what_was_found_before_stays(name: str, options: dict[str, Any]) -> None:
    earlier = Detections([(40, 50, 70, 90)], 0.5, "earlier", 7, {"note": ["kept"]})
    with Pipeline([stages.load(name)(**given(name), **options)]) as pipeline:
        for frame in video():
            frame.detections = earlier
            pipeline.process(frame)
            assert frame.detections[0].label.tolist() == ["earlier"]
            assert frame.detections[0].box_xyxy.tolist() == earlier.box_xyxy.tolist()
            assert frame.detections.track_id[0] == 7


@pytest.mark.parametrize("name", ["people", "faces"])
def test_an_opencv_without_the_detector_says_what_to_install(name: str) -> None:
    pipeline = Pipeline([stages.load(name)])
    if hasattr(cv2, "HOGDescriptor") and hasattr(cv2, "CascadeClassifier"):
        with pipeline:
            return
    with pytest.raises(StageError, match="install opencv-contrib-python"):
        pipeline.start()
