"""Run with: pytest"""

from pathlib import Path
from typing import Any

import numpy as np

from edgevision import Detections, Frame, Pipeline
from edgevision.config import load, load_stage
from edgevision.testing import check_stage

FOLDER = Path(__file__).parents[1]
VISITS: Any = load_stage("./stages.py:Visits", FOLDER)


def frame(at_s: float, boxes: int) -> Frame:
    picture = Frame(np.zeros((48, 64, 3), np.uint8), captured_at_s=at_s)
    picture.detections = Detections(
        np.array([[1, 2, 30, 40]] * boxes, np.float32).reshape(-1, 4),
        np.ones(boxes, np.float32),
        np.full(boxes, "motion"),
    )
    return picture


def test_the_pipeline_is_right() -> None:
    assert load(FOLDER / "pipeline.yaml", environment={}).cameras


def test_the_stage_keeps_the_rules() -> None:
    check_stage(VISITS)


def test_visits_are_counted() -> None:
    stage = VISITS(pause_s=2)
    with Pipeline([stage]) as pipeline:
        for at_s, boxes in [(0, 1), (1, 1), (2, 0), (9, 2)]:
            pipeline.process(frame(at_s, boxes))
        assert stage.visits == 2
        assert stage.reset_visits(None) == {"before": 2}
