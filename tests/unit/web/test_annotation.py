"""Drawing: where it goes, what it survives, and that it is the same every time."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevision import Detections
from edgevision.annotation import (
    MAX_BOXES,
    bgr8,
    caption,
    color_of,
    draw,
    draw_values,
    hex_of,
)

PERSON = color_of("person")


def blank(width: int = 320, height: int = 200) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def drawn_area(image: NDArray[Any], color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom (exclusive) of the pixels of exactly ``color``."""
    rows, columns = np.nonzero((image == color).all(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_the_box_is_drawn_where_it_is() -> None:
    image = blank()
    assert draw(image, Detections([[100, 60, 180, 150]], label="")) is image
    color = color_of("")
    assert drawn_area(image, color) == (100, 60, 180, 150)
    assert tuple(image[105, 100]) == color
    assert tuple(image[149, 140]) == color
    assert tuple(image[105, 140]) == (128, 128, 128), "the inside stays as it was"


def test_the_scale_may_differ_in_x_and_y() -> None:
    image = blank()
    draw(image, Detections([[100, 60, 180, 150]], label=""), scale=(0.5, 1.2))
    assert drawn_area(image, color_of("")) == (50, 72, 90, 180)


def test_a_label_stands_on_its_colour_above_the_box_and_inside_at_the_top() -> None:
    image = blank()
    draw(image, Detections([[100, 60, 140, 150]], 0.5, "person"))
    left, top, right, _ = drawn_area(image, PERSON)
    assert left == 100
    assert top < 58
    assert right > 140, "the text is wider than the box"
    ink = (image[top:59, left:right] != PERSON).any(axis=2)
    assert ink.any(), "there are letters"

    image = blank()
    draw(image, Detections([[290, 0, 315, 150]], 0.5, "person"))
    left, top, right, bottom = drawn_area(image, PERSON)
    assert (top, right, bottom) == (0, 320, 150)
    assert left < 290, "a label at the right edge moves to the left"


def test_boxes_that_cannot_be_drawn_are_left_out() -> None:
    image = blank()
    nan, inf = float("nan"), float("inf")
    rows: list[list[float]] = [
        [nan, 1, 2, 3],
        [1, 1, inf, 50],
        [400, 10, 500, 50],
        [-90, 10, -20, 50],
        [10, 500, 50, 600],
    ]
    draw(image, Detections(rows, label="person"))
    assert (image == 128).all()


def test_a_box_partly_outside_shows_the_edges_that_are_inside() -> None:
    image = blank()
    draw(image, Detections([[-1e9, 50, 60, 1e9]], label=""))
    color = color_of("")
    assert drawn_area(image, color) == (0, 50, 60, 200)
    assert tuple(image[100, 0]) == (128, 128, 128), "its left edge is not in the picture"


def test_corners_in_the_wrong_order_and_boxes_without_an_area() -> None:
    image = blank()
    draw(image, Detections([[180, 150, 100, 60]], label=""))
    assert drawn_area(image, color_of("")) == (100, 60, 180, 150)
    image = blank()
    draw(image, Detections([[50, 60, 50, 60]], label=""))
    assert tuple(image[60, 50]) == color_of("")


def test_of_thousands_of_boxes_the_largest_are_drawn() -> None:
    image = blank(960, 540)
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 500, (5000, 2))
    boxes = np.hstack([low, low + 2]).astype(np.float32)
    boxes[4321] = [600, 300, 900, 500]
    draw(image, Detections(boxes, label="person"))
    assert tuple(image[400, 600]) == PERSON, "the large one is among them"
    note = image[:20, -200:]
    assert (note > 200).all(axis=2).any(), "a note says that there are more"
    assert MAX_BOXES < 5000


@pytest.mark.parametrize(
    "label", ["Straße", "人", "", "\n\t", "a" * 5000, "\x00\x1b[31m", "é", "🚶"]
)
def test_any_label_can_be_drawn(label: str) -> None:
    image = blank()
    draw(image, Detections([[100, 60, 180, 150]], 0.5, label))
    assert tuple(image[149, 140]) == color_of(label)


def test_accents_are_left_out_and_other_letters_become_one_question_mark() -> None:
    def tag(label: str) -> bytes:
        image = blank()
        draw(image, Detections([[100, 60, 180, 150]], 0.5, label))
        return bytes(np.all(image == color_of(label), axis=2).tobytes())

    assert tag("Café 人々\nÆon Straße") == tag("Cafe ? AEon Strasse")
    assert tag("Cafe") != tag("Cofe")


def test_text_of_a_code_track_and_confidence_are_in_the_label() -> None:
    def width(**columns: Any) -> int:
        image = blank(640, 200)
        detections = Detections([[10, 60, 20, 150]], **columns)
        draw(image, detections)
        color = color_of(str(detections.label[0]), int(detections.track_id[0]))
        left, _, right, _ = drawn_area(image, color)
        return int(right - left)

    plain = width(label="qr")
    assert width(label="qr", confidence=0.5) > plain
    assert width(label="qr", track_id=7) > plain
    assert width(label="qr", data={"text": ["https://example.org"]}) > width(
        label="qr", data={"text": ["x"]}
    )
    assert width(label="qr", confidence=1.0) == plain, "a confidence of 1 says nothing"
    assert width(label="qr", confidence=float("nan")) == plain


def test_a_track_keeps_its_colour_and_so_does_a_label_in_another_process() -> None:
    assert color_of("person", 3) == color_of("dog", 3) != color_of("dog", 4)
    code = "from edgevision.annotation import *; print(hex_of(color_of('person')))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hex_of(PERSON)


def test_colour_as_hex_is_red_green_blue() -> None:
    assert hex_of((1, 2, 255)) == "#ff0201"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (np.full((20, 30), 7, np.uint8), 7),
        (np.full((20, 30, 1), 7, np.uint8), 7),
        (np.full((20, 30, 4), 7, np.uint8), 7),
        (np.full((20, 30), 7 << 8, np.uint16), 7),
        (np.ones((20, 30), np.bool_), 255),
        (np.full((20, 30, 3), 0.5, np.float32), 0),
        (np.full((20, 30), np.nan, np.float64), 0),
        (np.full((20, 30), -4, np.int32), 0),
    ],
)
def test_other_pictures_become_bgr(image: NDArray[Any], wanted: int) -> None:
    converted = bgr8(image)
    assert converted.shape == (20, 30, 3)
    assert converted.dtype == np.uint8
    assert (converted == wanted).all()


def test_other_ranges_are_stretched() -> None:
    depth = np.array([[-1.0, 0.0, 1.0, np.nan]], np.float32)
    assert bgr8(depth)[0, :, 0].tolist() == [0, 127, 255, 127]


@pytest.mark.parametrize("shape", [(0, 5, 3), (5,), (5, 5, 2), (2, 2, 2, 2)])
def test_what_is_no_picture_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"wanted an \(H, W\).*" + str(shape[0])):
        bgr8(np.zeros(shape, np.uint8))


def test_gray_is_drawn_on_a_copy_in_colour() -> None:
    gray = np.full((200, 320), 128, np.uint8)
    image = draw(gray, Detections([[100, 60, 180, 150]], label=""))
    assert (gray == 128).all()
    assert drawn_area(image, color_of("")) == (100, 60, 180, 150)


def test_values_and_caption_stand_in_their_corners() -> None:
    image = blank(960, 540)
    draw_values(image, {"people": 3, "speed": 1.23456, "note": "ok"})
    changed = (image != 128).any(axis=2)
    assert changed[:40, :60].any()
    assert not changed[:, 480:].any()
    assert not changed[270:].any()
    image = blank(960, 540)
    caption(image, 12, 1_700_000_000.25)
    changed = (image != 128).any(axis=2)
    assert changed[520:, :100].any()
    assert not changed[:500].any()
    assert (image[500:] > 200).all(axis=2).any()


@pytest.mark.parametrize("time_s", [float("nan"), float("inf"), 1e300, -1e18])
def test_a_time_that_no_calendar_has_leaves_the_number(time_s: float) -> None:
    image, plain = blank(960, 540), blank(960, 540)
    caption(image, 12, time_s)
    caption(plain, 12, 0.0)
    assert (image[520:] > 200).any()
    assert (image[520:] > 200).sum() < (plain[520:] > 200).sum()


@settings(max_examples=60, deadline=None)
@given(
    size_wh=st.tuples(st.integers(1, 70), st.integers(1, 50)),
    boxes=st.lists(st.lists(st.floats(width=32), min_size=4, max_size=4), min_size=0, max_size=5),
    label=st.text(max_size=60),
)
def test_nothing_makes_drawing_fail(
    size_wh: tuple[int, int], boxes: list[list[float]], label: str
) -> None:
    image = blank(*size_wh)
    draw(image, Detections(boxes, 0.5, label))
    draw_values(image, {label: boxes})
    caption(image, 10**12, 0.0)
    assert image.shape == (size_wh[1], size_wh[0], 3)
