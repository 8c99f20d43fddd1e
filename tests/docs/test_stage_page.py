"""docs/stages.md and its pictures are what the stages are."""

from __future__ import annotations

import inspect
import re

import cv2
import numpy as np
import pytest

from edgevision import stages
from edgevision.sources.synthetic import SyntheticSource
from tests.docs import stage_pictures, walkway_options
from tests.docs.stage_page import EXAMPLES, MEASURED, PAGE, page, with_measured
from tests.unit.stages.cases import CASES


def test_the_page_is_made_from_the_stages() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python -m tests.docs.stage_page"


def test_every_case_that_is_tested_is_listed_with_its_numbers() -> None:
    table = MEASURED.search(PAGE.read_text(encoding="utf-8"))
    assert table
    rows = [row.split("|")[1:-1] for row in table[0].splitlines() if row.startswith("| `")]
    assert len(rows) == len(CASES), "run: python3 dev.py bench stages_quality"
    for case, (stage, scene, _, _, precision, recall, ms) in zip(CASES, rows, strict=True):
        assert stage.strip().startswith(f"`{case.stage}")
        assert scene.strip() == case.what
        assert case.precision <= float(precision) <= 1
        assert case.recall <= float(recall) <= 1
        assert float(ms) > 0


def test_writing_the_numbers_leaves_the_rest() -> None:
    text = PAGE.read_text(encoding="utf-8")
    other = with_measured(text, "| `x` |\n")
    assert "| `x` |\n<!-- end -->" in other
    table = MEASURED.search(text)
    assert table
    assert with_measured(other, table[0].partition("\n")[2]) == text


def test_each_stage_has_a_small_picture() -> None:
    assert list(EXAMPLES) == list(stages.BUILT_IN) == list(stage_pictures.PICTURES)
    named = re.findall(r"\]\(images/stages/(\w+)\.jpg\)", PAGE.read_text(encoding="utf-8"))
    assert named == list(stages.BUILT_IN)
    for name in stages.BUILT_IN:
        path = stage_pictures.FOLDER / f"{name}.jpg"
        assert 5_000 < path.stat().st_size < 60_000


@pytest.mark.needs("opencv-4")
@pytest.mark.parametrize("name", stage_pictures.PICTURES)
def test_the_picture_shows_what_the_stage_does_today(name: str) -> None:
    kept = cv2.imread(str(stage_pictures.FOLDER / f"{name}.jpg"))
    assert kept is not None
    made = stage_pictures.reduced(stage_pictures.PICTURES[name]())
    assert made.shape == kept.shape
    # What the compression takes away, and what builds of OpenCV round differently.
    assert np.abs(made.astype(int) - kept).mean() < 8, "run: python -m tests.docs.stage_pictures"


def test_the_synthetic_cameras_options_are_those_of_its_class() -> None:
    text = walkway_options.PAGE.read_text(encoding="utf-8")
    assert walkway_options.with_options(text) == text, "run: python -m tests.docs.walkway_options"
    for option in inspect.signature(SyntheticSource).parameters:
        assert re.search(rf"^\| `{option}` \| .+ \| .* \| .{{10,}} \|$", text, re.M), option
