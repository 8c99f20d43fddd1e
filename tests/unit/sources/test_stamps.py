"""A stamp is read back after what a camera's encoder does to it, and never invented."""

import time

import cv2
import numpy as np
import pytest

from edgevision.testing.stamps import Stamp, read_stamp, stamp, stamped


@pytest.mark.parametrize("size_wh", [(128, 96), (320, 240), (641, 361), (360, 640), (1920, 1080)])
@pytest.mark.parametrize("counter", [0, 1, 0x5555, 0xFFFF])
def test_survives_jpeg(size_wh: tuple[int, int], counter: int) -> None:
    image = stamped(size_wh, counter, at_ms=0x12345678)
    assert image.shape == (size_wh[1], size_wh[0], 3)
    assert read_stamp(image) == Stamp(counter, 0x12345678)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    poor = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert poor is not None
    assert read_stamp(poor.astype(np.uint8)) == Stamp(counter, 0x12345678)


def test_gray_pictures() -> None:
    image = np.full((240, 320), 100, np.uint8)
    stamp(image, 7, at_ms=9)
    assert read_stamp(image) == Stamp(7, 9)
    assert (image[60:] == 100).all()


def test_survives_scaling() -> None:
    image = cv2.resize(stamped((640, 480), 300, at_ms=1), (320, 240))
    assert read_stamp(image.astype(np.uint8)) == Stamp(300, 1)


@pytest.mark.parametrize("value", [0, 255, 128])
def test_a_plain_picture_has_none(value: int) -> None:
    assert read_stamp(np.full((240, 320, 3), value, np.uint8)) is None
    assert read_stamp(np.full((24, 32, 3), value, np.uint8)) is None


def test_a_torn_picture_has_none() -> None:
    image = stamped((320, 240), 10, at_ms=1)
    image[20:] = stamped((320, 240), 5000, at_ms=77777)[20:]
    assert read_stamp(image) is None


def test_age() -> None:
    image = stamped((320, 240), 1, at_ms=int(time.monotonic() * 1000) - 1500)
    found = read_stamp(image)
    assert found is not None
    assert 1.5 <= found.age_s() < 30


def test_the_disc_moves() -> None:
    assert (stamped((320, 240), 1, at_ms=0)[60:] != stamped((320, 240), 2, at_ms=0)[60:]).any()
