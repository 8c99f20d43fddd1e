"""Scenes in which each stage is measured, and what it must at least reach.

The tests run them with a few seeds; ``tests/benchmarks/stages_quality.py`` runs them with more and
writes what comes out into docs/stages.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgevision import Frame
from tests.unit.stages.scoring import Judge, Scene, Score, by_cover, by_overlap

# Every fortieth frame of 40 s: enough to be different from one another.
APART = range(0, 1200, 40)
# 10 s in a row, with a cloud that comes and goes.
IN_A_ROW = range(270, 570)


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes:
        stage: name of the built-in stage.
        what: the scene in words.
        scene: what it sees.
        judge: makes the judge.
        precision: reached at least, with every choice of seeds.
        recall: reached at least.
        settings: parameters of the stage.
        needs_opencv_4: OpenCV 5's own package lacks the detector.
    """

    stage: str
    what: str
    scene: Scene
    judge: Callable[[], Judge]
    precision: float
    recall: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs_opencv_4: bool = False

    @property
    def name(self) -> str:
        """Short, for a test's name."""
        changed = "-".join(f"{key}={value}" for key, value in self.settings.items())
        return "-".join(part for part in (self.stage, *self.what.split(" ")[:2], changed) if part)


class TamperJudge:
    """Looks at the state once a second and a half have passed since it changed."""

    GRACE_S = 1.5

    def __init__(self, fps: float) -> None:
        self._grace = round(self.GRACE_S * fps)
        self._actual = ""
        self._for = 0

    def __call__(self, frame: Frame) -> Score:
        assert frame.truth is not None
        kinds = ("covered", "defocused", "moved")
        actual = next((kind for kind in kinds if frame.truth.values[kind]), "")
        self._for = self._for + 1 if actual == self._actual else 0
        self._actual = actual
        if self._for < self._grace:
            return Score()
        told = next((kind for kind in kinds if frame.values["tamper"][kind]), "")
        return Score(
            hits=int(bool(actual) and told == actual),
            misses=int(bool(actual) and told != actual),
            right=int(bool(told) and told == actual),
            wrong=int(bool(told) and told != actual),
        )


def _tampered(option: str) -> Scene:
    times = {option: 8, "tamper_for_s": 6}
    return Scene({"people": 4, "fps": 10, "width": 320, "height": 240, **times}, range(160))


CASES = (
    Case(
        "motion",
        "people, shadows, a cloud",
        Scene({"people": 3}, IN_A_ROW),
        lambda: by_cover("person", "motion", min_area=600),
        0.98,
        0.80,
    ),
    Case(
        "motion",
        "people, shadows, a cloud",
        Scene({"people": 3}, IN_A_ROW),
        lambda: by_cover("person", "motion", min_area=600),
        0.96,
        0.88,
        {"method": "knn"},
    ),
    Case(
        "people",
        "people from 105 px on",
        Scene({"people": 3}, APART),
        lambda: by_overlap("person", min_height=105),
        0.80,
        0.68,
        needs_opencv_4=True,
    ),
    Case(
        "people",
        "people from 145 px on",
        Scene({"people": 3}, APART),
        lambda: by_overlap("person", min_height=145),
        0.82,
        0.70,
        {"min_height": 130},
        needs_opencv_4=True,
    ),
    Case(
        "faces",
        "two faces, people behind",
        Scene({"people": 3, "faces": 2}, APART),
        lambda: by_overlap("face"),
        0.95,
        0.90,
        needs_opencv_4=True,
    ),
    Case(
        "codes",
        "QR codes, two carried",
        Scene({"people": 3, "codes": 4}, APART),
        lambda: by_overlap("qr", text=True),
        0.99,
        0.90,
    ),
    Case(
        "codes",
        "ArUco markers, two carried",
        Scene({"people": 3, "codes": 4}, APART),
        lambda: by_overlap("aruco", text=True),
        0.99,
        0.90,
    ),
    Case(
        "flow",
        "people without shadows",
        Scene({"people": 3, "shadows": False}, range(120)),
        lambda: by_cover("person", "moving", min_area=600),
        0.94,
        0.84,
    ),
    Case(
        "flow",
        "people without shadows",
        Scene({"people": 3, "shadows": False}, range(120)),
        lambda: by_cover("person", "moving", min_area=600),
        0.90,
        0.94,
        {"method": "farneback"},
    ),
    Case("tamper", "covered lens", _tampered("cover_at_s"), lambda: TamperJudge(10), 0.99, 0.99),
    Case(
        "tamper", "defocused lens", _tampered("defocus_at_s"), lambda: TamperJudge(10), 0.99, 0.99
    ),
    Case("tamper", "turned camera", _tampered("move_at_s"), lambda: TamperJudge(10), 0.99, 0.99),
)
