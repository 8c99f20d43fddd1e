"""The codes stage; how well it does is in test_quality.py."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import Frame, Pipeline
from edgevision.stages import Codes


def picture(modules: Any, side: int, at_xy: tuple[int, int] = (60, 40)) -> Any:
    """Return a gray scene with a code, (240, 320, 3), of ``side`` px."""
    image = np.full((240, 320, 3), 235, np.uint8)
    x, y = at_xy
    code = cv2.resize(modules, (side, side), interpolation=cv2.INTER_NEAREST)
    image[y : y + side, x : x + side] = code[..., None]
    return image


def qr(text: str) -> Any:
    modules = cv2.QRCodeEncoder.create().encode(text)
    return modules[2:-2, 2:-2]


def marker(number: int, dictionary: int = cv2.aruco.DICT_4X4_50) -> Any:
    size = {cv2.aruco.DICT_4X4_50: 6}.get(dictionary, 8)
    found = cv2.aruco.getPredefinedDictionary(dictionary)
    return cv2.aruco.generateImageMarker(found, number, size)


def read(image: Any, **settings: Any) -> Any:
    frame = Frame(image)
    with Pipeline([Codes(**settings)]) as pipeline:
        pipeline.process(frame)
    return frame.detections


@pytest.mark.parametrize("gray", [False, True])
def test_a_qr_code_is_read(gray: bool) -> None:
    image = picture(qr("gate 7, Zürich"), 110)
    found = read(image[:, :, 0].copy() if gray else image)
    assert found.label.tolist() == ["qr"]
    assert found.data["text"].tolist() == ["gate 7, Zürich"]
    assert found.box_xyxy[0] == pytest.approx([60, 40, 170, 150], abs=3)
    corners = found.data["corners_xy"]
    assert corners.shape == (1, 4, 2)
    assert corners[0] == pytest.approx(
        np.array([(60, 40), (170, 40), (170, 150), (60, 150)]), abs=3
    )


def test_a_turned_marker_keeps_its_own_corners() -> None:
    image = np.rot90(picture(marker(23), 90), 2).copy()
    found = read(image)
    assert found.label.tolist() == ["aruco"]
    assert found.data["text"].tolist() == ["23"]
    # Its own top left is now at the bottom right.
    assert found.data["corners_xy"][0][0] == pytest.approx([320 - 60, 240 - 40], abs=3)


def test_another_dictionary() -> None:
    image = picture(marker(11, cv2.aruco.DICT_APRILTAG_36h11), 90)
    assert read(image, dictionary="apriltag_36h11").data["text"].tolist() == ["11"]
    assert len(read(image)) == 0


def test_every_dictionary_is_there() -> None:
    kinds = Codes.parameters()["dictionary"].type.__args__
    for dictionary in kinds:
        with Pipeline([Codes(dictionary=dictionary)]):
            pass
    assert len(kinds) == 21


def test_both_kinds_or_one() -> None:
    image = picture(qr("A"), 100, (10, 20))
    image[100:180, 200:280] = cv2.resize(marker(3), (80, 80), interpolation=0)[..., None]
    assert sorted(read(image).label.tolist()) == ["aruco", "qr"]
    assert read(image, qr=False).label.tolist() == ["aruco"]
    assert read(image, aruco=False).label.tolist() == ["qr"]
    assert len(read(image, qr=False, aruco=False)) == 0


def test_a_damaged_code_is_told_only_when_asked() -> None:
    image = picture(qr("some longer text to be damaged"), 150)
    noise = np.random.default_rng(2).integers(0, 2, (9, 9)) * 255
    damage = cv2.resize(noise.astype(np.uint8), (80, 80), interpolation=cv2.INTER_NEAREST)
    image[95:175, 115:195] = damage[..., None]
    assert len(read(image)) == 0
    found = read(image, unread=True)
    assert found.label.tolist() == ["qr"]
    assert found.data["text"].tolist() == [""]
    assert found.confidence.tolist() == [0.5]


def test_nothing_is_read_where_nothing_is() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (240, 320, 3), np.uint8)
    assert len(read(noise)) == 0
    assert len(read(np.zeros((240, 320), np.uint8))) == 0
