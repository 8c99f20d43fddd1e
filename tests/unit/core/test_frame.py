"""The frame: its picture, what stages add, and its end."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Detections, Frame
from edgevision.errors import FrameReleasedError


def picture(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def test_it_has_a_size_and_a_place() -> None:
    frame = Frame(picture(64, 48), camera="door", sequence=3, captured_at_s=12.5)
    assert frame.size_wh == (64, 48)
    assert frame.host is frame.image
    assert (frame.camera, frame.sequence, frame.captured_at_s) == ("door", 3, 12.5)
    assert repr(frame) == "Frame('door', 3, 48x64x3, Detections(none))"


def test_by_default_it_was_captured_now() -> None:
    before = time.time()
    frame = Frame(picture())
    assert before <= frame.captured_at_s <= time.time()
    assert 0 <= frame.age_s() < 60
    assert Frame(picture(), captured_ns=time.monotonic_ns() - 2_000_000_000).age_s() > 1.9


@pytest.mark.parametrize(
    "image", [picture(32, 8), np.zeros((8, 32), np.uint8), picture(32, 16)[::2, ::2], picture(1, 1)]
)
def test_the_picture_can_be_replaced(image: NDArray[np.uint8]) -> None:
    frame = Frame(picture())
    frame.image = image
    assert frame.image is image
    assert frame.size_wh == (image.shape[1], image.shape[0])


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (None, "NoneType"),
        ([[1, 2]], "list"),
        (np.zeros((8, 32), np.float32), "float32 of shape (8, 32)"),
        (np.zeros((8, 32), bool), "bool of shape (8, 32)"),
        (np.zeros((8, 32, 4), np.uint8), "uint8 of shape (8, 32, 4)"),
        (np.zeros((8, 32, 1), np.uint8), "uint8 of shape (8, 32, 1)"),
        (np.zeros(8, np.uint8), "uint8 of shape (8,)"),
        (np.zeros((0, 32, 3), np.uint8), "uint8 of shape (0, 32, 3)"),
    ],
)
def test_what_is_no_picture_is_refused(image: Any, got: str) -> None:
    frame = Frame(picture(), camera="door")
    before = frame.image
    with pytest.raises(TypeError) as caught:
        frame.image = image
    assert str(caught.value) == (
        "frame.image of camera 'door' must be uint8 of shape (H, W, 3), BGR, or (H, W), gray; "
        f"got {got}"
    )
    assert frame.image is before


def test_a_released_frame_keeps_what_was_found_and_nothing_else() -> None:
    frame = Frame(picture(), camera="door", sequence=4)
    frame.detections = Detections([[1, 2, 3, 4]])
    frame.values["x"] = 1
    frame.release()
    frame.release()
    wanted = "frame 4 of camera 'door' was used after its pipeline had finished with it; copy"
    for use in (
        lambda: frame.image,
        lambda: frame.host,
        lambda: frame.size_wh,
        lambda: setattr(frame, "image", picture()),
        lambda: frame.detect_blobs(np.zeros((4, 4), np.uint8)),
    ):
        with pytest.raises(FrameReleasedError, match=wanted):
            use()
    assert len(frame.detections) == 1
    assert frame.values == {"x": 1}
    assert "released" in repr(frame)


def test_detections_can_be_set_and_added_to() -> None:
    frame = Frame(picture())
    assert len(frame.detections) == 0
    frame.add(Detections.empty())
    frame.add(Detections([[1, 2, 3, 4]], label="a"))
    frame.add(Detections([[5, 6, 7, 8]], label="b"))
    assert frame.detections.label.tolist() == ["a", "b"]
    frame.detections = Detections.empty()
    assert len(frame.detections) == 0


def test_adding_does_not_change_what_was_handed_on() -> None:
    frame = Frame(picture())
    frame.add(Detections([[1, 2, 3, 4]]))
    handed_on = frame.detections
    frame.add(Detections([[5, 6, 7, 8]]))
    assert len(handed_on) == 1


def test_other_detections_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must be edgevision\.Detections, got list"):
        Frame(picture()).detections = [[1, 2, 3, 4]]  # type: ignore[assignment]


def test_there_is_no_attribute_for_a_typing_error() -> None:
    with pytest.raises(AttributeError):
        Frame(picture()).detection = Detections.empty()  # type: ignore[attr-defined]


def blobs() -> NDArray[np.uint8]:
    """Return a mask of 40 x 20 with blobs of 12, 1 and 2 pixels, the last two joined diagonally."""
    mask = np.zeros((20, 40), np.uint8)
    mask[2:5, 10:14] = 255
    mask[10, 39] = 1
    mask[18, 0] = mask[19, 1] = 128
    return mask


def test_blobs_are_boxed() -> None:
    frame = Frame(picture(40, 20))
    found = frame.detect_blobs(blobs(), label="it")
    assert found.box_xyxy.tolist() == [[10, 2, 14, 5], [39, 10, 40, 11], [0, 18, 2, 20]]
    assert found.data["area_px"].tolist() == [12, 1, 2]
    assert found.label.tolist() == ["it"] * 3
    assert found.confidence.tolist() == [1] * 3
    assert frame.detections == found
    frame.detect_blobs(blobs(), min_area=2)
    assert len(frame.detections) == 5


def test_blobs_of_a_smaller_mask_are_scaled() -> None:
    found = Frame(picture(80, 60)).detect_blobs(blobs(), min_area=7)
    assert found.box_xyxy.tolist() == [[20, 6, 28, 15], [0, 54, 4, 60]]
    assert found.data["area_px"].tolist() == [72, 12]


def test_the_largest_blobs_are_kept_in_their_order() -> None:
    found = Frame(picture(40, 20)).detect_blobs(blobs(), max_blobs=2)
    assert found.data["area_px"].tolist() == [12, 2]


@pytest.mark.parametrize(
    "mask", [blobs() > 0, np.asfortranarray(blobs()), np.repeat(blobs(), 2, axis=1)[:, ::2]]
)
def test_masks_of_any_layout_are_taken(mask: NDArray[Any]) -> None:
    assert len(Frame(picture(40, 20)).detect_blobs(mask)) == 3


def test_a_mask_without_blobs_finds_none() -> None:
    frame = Frame(picture(40, 20))
    assert len(frame.detect_blobs(np.zeros((20, 40), np.uint8))) == 0
    assert len(frame.detect_blobs(np.full((20, 40), 255, np.uint8))) == 1


@pytest.mark.parametrize(
    "mask",
    [picture(), np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)],
)
def test_what_is_no_mask_is_refused(mask: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"wants an \(H, W\) uint8 or bool mask, got .* of shape"):
        Frame(picture()).detect_blobs(mask)


def test_an_event_is_copied_when_it_is_published() -> None:
    frame = Frame(picture())
    body = {"zones": [{"name": "till", "count": np.int64(3)}], "mean": np.float32(0.5)}
    frame.publish("alarm", body)
    body["zones"].append({})  # type: ignore[attr-defined]
    (event,) = frame.events
    assert event.output == "alarm"
    assert json.loads(json.dumps(event.body)) == {
        "zones": [{"name": "till", "count": 3}],
        "mean": 0.5,
    }


@pytest.mark.parametrize("output", ["", "a b", "a.b", "é", "a" * 65, "a\n"])
def test_a_bad_name_of_an_output_is_refused(output: str) -> None:
    frame = Frame(picture())
    with pytest.raises(ValueError, match="up to 64 ASCII letters, digits, '-' and '_', got"):
        frame.publish(output, {})
    assert frame.events == []


def test_a_body_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match=r"publish\('alarm', body\) wants a mapping, got list"):
        Frame(picture()).publish("alarm", [1])  # type: ignore[arg-type]


def test_a_body_that_is_no_json_is_refused_with_the_place() -> None:
    frame = Frame(picture())
    with pytest.raises(ValueError, match=r"body\['a'\]\[1\]: bytes; send text"):
        frame.publish("alarm", {"a": [1, b"x"]})
    frame.publish("alarm", {"path": Path("x"), "nan": math.nan})
    assert frame.events[0].body == {"path": "x", "nan": None}
