"""The search for people at many sizes."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgevision import cv
from edgevision.stages.pyramid import Pyramid
from tests.unit.stages.scoring import frames

pytestmark = pytest.mark.needs("opencv-4")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("one_thread")
def test_it_finds_what_opencv_finds_on_one_thread() -> None:
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(np.array(cv.HOGDescriptor_getDefaultPeopleDetector(), np.float32))
    hits = 0
    cv2.setNumThreads(4)
    pyramid = Pyramid(detector)
    cv2.setNumThreads(1)
    try:
        for frame in frames({"people": 3, "seed": 1}, range(0, 240, 24)):
            wanted, distances = detector.detectMultiScale(
                frame.image,
                hitThreshold=0.2,
                winStride=(8, 8),
                padding=(16, 16),
                scale=1.07,
                groupThreshold=0,
            )
            window, distance = pyramid.search(
                frame.image,
                hit_threshold=0.2,
                stride_px=8,
                padding_wh=(16, 16),
                scale_step=1.07,
            )
            hits += len(window)
            np.testing.assert_array_equal(window, np.reshape(wanted, (-1, 4)))
            np.testing.assert_array_equal(distance, np.float32(np.ravel(distances)))
    finally:
        pyramid.close()
    assert hits > 10
