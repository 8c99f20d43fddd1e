"""Small pictures for tests, the same on every machine: moving bright shapes, and extremes.

They are quick to make and not square, so that a width taken for a height is noticed. What is in
them is known: ``frame.truth.objects`` has the boxes. The source ``synthetic:`` has the richer
scene, with people, shadows and noise.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.frame import Frame
from edgevision.truth import Truth

__all__ = ["black", "frames", "gray", "noise", "white"]

_SIZE_WH = (160, 120)
_FPS = 10.0
# 2026-01-01T00:00:00Z: the first frame's time, so that a test sees the same times on each run.
_BEGUN_S = 1767225600.0


class _Shape(NamedTuple):
    label: str
    color_bgr: tuple[int, int, int]
    size_wh: tuple[int, int]
    start_xy: tuple[int, int]
    step_xy: tuple[int, int]


def frames(
    count: int = 30, *, size_wh: tuple[int, int] = _SIZE_WH, seed: int = 0, camera: str = "camera"
) -> list[Frame]:
    """Return frames in which a bright ``box`` and a bright ``ball`` move before a dull background.

    Args:
        count: how many; they show one scene, 10 frames for each second.
        size_wh: width and height in pixels, at least 16 x 12.
        seed: another number is another scene.
        camera: name of the camera.

    Returns:
        Frames numbered from 1, (H, W, 3) uint8 BGR. ``truth.objects`` has the two boxes, labelled,
        with track_id 1 and 2, wholly inside the picture; the shapes may hide one another.

    Raises:
        ValueError: the size is too small.
    """
    width, height = size_wh
    if width < 16 or height < 12:
        raise ValueError(f"size_wh must be at least (16, 12), got {size_wh}")
    random = np.random.default_rng(seed)
    background = _background(size_wh, random)
    shapes = [
        _shape("box", (40, 200, 250), (width // 5, height // 4), size_wh, random),
        _shape("ball", (250, 230, 200), (height // 4, height // 4), size_wh, random),
    ]
    made = []
    for number in range(count):
        image = background.copy()
        boxes = [_draw(image, shape, number) for shape in shapes]
        truth = Truth(Detections(boxes, 1.0, [shape.label for shape in shapes], [1, 2]))
        made.append(
            Frame(
                image,
                camera=camera,
                sequence=number + 1,
                captured_at_s=_BEGUN_S + number / _FPS,
                truth=truth,
            )
        )
    return made


def black(size_wh: tuple[int, int] = _SIZE_WH) -> NDArray[np.uint8]:
    """Return a black picture, (H, W, 3) uint8 BGR."""
    return np.zeros((size_wh[1], size_wh[0], 3), np.uint8)


def white(size_wh: tuple[int, int] = _SIZE_WH) -> NDArray[np.uint8]:
    """Return a white picture, (H, W, 3) uint8 BGR."""
    return np.full((size_wh[1], size_wh[0], 3), 255, np.uint8)


def noise(size_wh: tuple[int, int] = _SIZE_WH, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture of which every value is random, (H, W, 3) uint8 BGR."""
    shape = (size_wh[1], size_wh[0], 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture, (H, W, 3) uint8 BGR, as (H, W) uint8 gray."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _background(size_wh: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    width, height = size_wh
    slope = np.linspace(40, 90, width)[None, :, None] + np.linspace(0, 20, height)[:, None, None]
    grain = random.integers(-6, 7, (height, width, 3))
    return (slope + grain).astype(np.uint8)


def _shape(
    label: str,
    color_bgr: tuple[int, int, int],
    wanted_wh: tuple[int, int],
    size_wh: tuple[int, int],
    random: np.random.Generator,
) -> _Shape:
    own_wh = (max(3, min(wanted_wh[0], size_wh[0] // 2)), max(3, wanted_wh[1]))
    start = [
        int(random.integers(0, side - own + 1)) for side, own in zip(size_wh, own_wh, strict=True)
    ]
    step = [int(random.integers(1, max(2, side // 24) + 1)) for side in size_wh]
    return _Shape(label, color_bgr, own_wh, (start[0], start[1]), (step[0], step[1]))


def _draw(image: NDArray[np.uint8], shape: _Shape, number: int) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    (w, h), (x0, y0), (dx, dy) = shape.size_wh, shape.start_xy, shape.step_xy
    x, y = _bounced(x0 + dx * number, width - w), _bounced(y0 + dy * number, height - h)
    if shape.label == "box":
        image[y : y + h, x : x + w] = shape.color_bgr
    else:
        ys, xs = np.ogrid[:h, :w]
        inside = ((xs - (w - 1) / 2) / (w / 2)) ** 2 + ((ys - (h - 1) / 2) / (h / 2)) ** 2 <= 1
        image[y : y + h, x : x + w][inside] = shape.color_bgr
    return x, y, x + w, y + h


def _bounced(way: int, limit: int) -> int:
    """Return where something is that goes back and forth between 0 and ``limit``."""
    if limit == 0:
        return 0
    place = way % (2 * limit)
    return place if place <= limit else 2 * limit - place
