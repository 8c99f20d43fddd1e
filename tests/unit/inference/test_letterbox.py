"""How a picture comes into a network's input, and a box back out of it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevision.inference import Fit, Letterbox
from edgevision.inference.letterbox import PADDING


def by_hand(image: NDArray[np.uint8], input_wh: tuple[int, int]) -> NDArray[np.float64]:
    """The formulae of the module's docstring; only the scaling itself is cv2's."""
    width, height = input_wh
    h, w = image.shape[:2]
    r = min(width / w, height / h)
    sw, sh = max(round(w * r), 1), max(round(h * r), 1)
    scaled = cv2.resize(image, (sw, sh), interpolation=cv2.INTER_LINEAR)
    left, top = round((width - sw) / 2 - 0.1), round((height - sh) / 2 - 0.1)
    canvas = np.full((height, width, 3), PADDING, np.float64)
    for y in range(sh):
        for x in range(sw):
            pixel = scaled[y, x]
            canvas[top + y, left + x] = pixel if image.ndim == 3 else [pixel] * 3
    return canvas[:, :, ::-1].transpose(2, 0, 1) / 255


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


SIZES = [(96, 64), (192, 128), (200, 100), (50, 90), (31, 77), (1, 1), (300, 2), (2, 300), (97, 64)]


@pytest.mark.parametrize("size_wh", SIZES)
def test_the_blob_follows_its_formulae(size_wh: tuple[int, int]) -> None:
    image = picture(*size_wh)
    blob, (fit,) = Letterbox((96, 64), 1).blob([image])
    assert blob.shape == (1, 3, 64, 96)
    assert blob.dtype == np.float32
    np.testing.assert_allclose(blob[0], by_hand(image, (96, 64)), atol=1e-6)
    assert fit.image_wh == size_wh


def test_pictures_of_several_cameras_in_turn() -> None:
    """Sizes, grays and their order change from batch to batch; nothing of the one before shows."""
    letterbox = Letterbox((96, 64), 2)
    images: list[Any] = [picture(*size, seed) for seed, size in enumerate(SIZES)]
    images.append(cv2.cvtColor(images[2], cv2.COLOR_BGR2GRAY))
    images.append(picture(400, 300)[11:201, 7:301])  # a part of a larger picture
    order = np.random.default_rng(1)
    for _ in range(8):
        chosen = [images[i] for i in order.permutation(len(images))[: order.integers(1, 6)]]
        blob, _ = letterbox.blob(chosen)
        assert len(blob) == len(chosen)
        for one, image in zip(blob, chosen, strict=True):
            np.testing.assert_allclose(one, by_hand(image, (96, 64)), atol=1e-6)


@pytest.mark.parametrize(
    ("image_wh", "scaled_wh", "corner_xy"),
    [
        ((1920, 1080), (640, 360), (0, 140)),
        ((640, 640), (640, 640), (0, 0)),
        ((480, 640), (480, 640), (80, 0)),
        ((641, 479), (640, 478), (0, 81)),
        ((101, 640), (101, 640), (269, 0)),  # of an odd rest the smaller half is on the left
        ((3000, 1), (640, 1), (0, 319)),
    ],
)
def test_where_a_picture_lies(
    image_wh: tuple[int, int], scaled_wh: tuple[int, int], corner_xy: tuple[int, int]
) -> None:
    assert Fit.of(image_wh, (640, 640)) == Fit(image_wh, scaled_wh, corner_xy)


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.integers(32, 1280), st.integers(32, 1280)),
)
def test_every_picture_fits_and_its_corners_come_back(
    image_wh: tuple[int, int], input_wh: tuple[int, int]
) -> None:
    fit = Fit.of(image_wh, input_wh)
    (x, y), (w, h) = fit.corner_xy, fit.scaled_wh
    assert x >= 0
    assert y >= 0
    assert x + w <= input_wh[0]
    assert y + h <= input_wh[1]
    back = fit.to_image(np.array([[x, y, x + w, y + h], [-9, -9, 9999, 9999]], np.float32))
    np.testing.assert_allclose(back, [[0, 0, *image_wh]] * 2, atol=0.01)
    assert back.dtype == np.float32


def test_a_box_comes_back_from_the_middle() -> None:
    fit = Fit.of((1920, 1080), (640, 640))
    box = fit.to_image(np.array([[100, 150, 200, 250]], np.float32))
    assert box.tolist() == [[300, 30, 600, 330]]
