"""The edges stage."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.stages import Edges
from tests.unit.stages.scoring import frames


def square() -> Any:
    image = np.full((60, 100, 3), 40, np.uint8)
    image[20:40, 30:70] = (200, 180, 220)
    return image


def run(image: Any, **settings: Any) -> Any:
    frame = Frame(image)
    with Pipeline([Edges(**settings)]) as pipeline:
        pipeline.process(frame)
        return frame.image.copy()


@pytest.mark.parametrize("gray", [False, True])
def test_the_outline_is_all_that_is_left(gray: bool) -> None:
    edges = run(square()[:, :, 0].copy() if gray else square())
    assert edges.shape == (60, 100)
    y, x = np.nonzero(edges)
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((29, 70, 19, 40), abs=2)
    assert edges[25:35, 35:65].max() == 0
    assert set(np.unique(edges)) == {0, 255}


def test_it_is_canny_of_the_blurred_picture() -> None:
    image = next(frames({"people": 2}, [50])).image.copy()
    gray = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (7, 7), 0)
    expected = cv2.Canny(gray, 40, 90)
    assert np.array_equal(run(image, blur=6, low=90, high=40), expected)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    assert np.array_equal(run(image, blur=0, low=40, high=90), cv2.Canny(gray, 40, 90))


def test_an_overlay_colours_the_edges_only() -> None:
    image = square()
    edges = run(image.copy())
    seen = run(image.copy(), mode="overlay", color=[10, 20, 250])
    assert (seen[edges > 0] == (10, 20, 250)).all()
    assert np.array_equal(seen[edges == 0], image[edges == 0])
    gray = image[:, :, 0].copy()
    assert run(gray.copy(), mode="overlay").shape == gray.shape
    assert (run(gray, mode="overlay")[run(image[:, :, 0].copy()) > 0] == 255).all()
