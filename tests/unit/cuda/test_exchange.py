"""What is refused before any device is asked; the exchange itself is in tests/gpu."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgevision.cuda import borrow
from edgevision.cuda.exchange import _layout
from edgevision.errors import ConfigurationError


def interface(shape: tuple[int, ...], code: str = "|u1", **more: Any) -> dict[str, Any]:
    return {"shape": shape, "typestr": code, "data": (4096, False), "version": 3, **more}


@pytest.mark.parametrize(
    ("shown", "kind", "step"),
    [
        (interface((7, 11)), cv2.CV_8UC1, 11),
        (interface((7, 11, 3)), cv2.CV_8UC3, 33),
        (interface((7, 11, 1), "<f4"), cv2.CV_32FC1, 44),
        (interface((7, 11, 2), "<i2", strides=None), cv2.CV_16SC2, 44),
        (interface((7, 11, 4), strides=(512, 4, 1)), cv2.CV_8UC4, 512),
        (interface((1, 11), "<f8", strides=(8, 8)), cv2.CV_64FC1, 88),
    ],
)
def test_layout(shown: dict[str, Any], kind: int, step: int) -> None:
    layout = _layout(shown)
    assert (layout.height, layout.width) == shown["shape"][:2]
    assert (layout.type, layout.step, layout.pointer) == (kind, step, 4096)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (interface((7,)), r"\(7,\)"),
        (interface((0, 5)), "not empty"),
        (interface((3, 7, 11)), "1 to 4 channels"),
        (interface((7, 11), ">u2"), "no element type >u2"),
        (interface((7, 11), "<i8"), "no element type <i8"),
        (interface((7, 11, 3), strides=(1, 7, 77)), "side by side"),
        (interface((7, 11), strides=(-11, 1)), "side by side"),
        (interface((7, 11), strides=(5, 1)), "rows overlap"),
    ],
)
def test_refused(shown: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        _layout(shown)


def test_an_array_on_the_host_is_refused() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"in device memory .* got ndarray"),
        borrow(np.zeros((3, 5), np.uint8)),
    ):
        pass
