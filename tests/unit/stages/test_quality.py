"""Precision and recall of the built-in stages on the synthetic walkway."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevision import stages
from tests.unit.stages.cases import CASES, Case
from tests.unit.stages.scoring import score

# Of the measured seeds, so many; the benchmark runs them all.
SEEDS = 2


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.needs("opencv-4")] if case.needs_opencv_4 else [],
        )
        for case in CASES
    ],
)
def test_it_finds_what_is_there_and_little_else(case: Case) -> None:
    kind = stages.load(case.stage)
    scene = replace(case.scene, seeds=case.scene.seeds[:SEEDS])
    result = score(lambda: kind(**case.settings), scene, case.judge)
    assert result.hits + result.misses > 40, "the scene is too empty to tell"
    assert result.precision >= case.precision, result
    assert result.recall >= case.recall, result
