"""Lay things onto the picture of the synthetic walkway, and tell what of each still shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections

__all__ = ["Paint", "Thing", "lay", "place", "visible"]

# A row of truth is given for what shows at least this share of its surface. Half a code says
# nothing.
_VISIBLE = {"person": 0.5, "face": 0.5, "qr": 0.95, "aruco": 0.95}


class Paint(NamedTuple):
    """A coloured shape at its place in the picture, cut to the picture.

    Attributes:
        left: column of its first pixel; ``top`` the row.
        top: see ``left``.
        image: (h, w, 3) uint8 BGR, already multiplied by ``alpha``.
        alpha: (h, w) uint8.
        mask: (h, w) uint8, what of it counts as the thing; None for all of ``alpha``.
    """

    left: int
    top: int
    image: NDArray[Any]
    alpha: NDArray[Any]
    mask: NDArray[Any] | None = None


class Thing(NamedTuple):
    """Something in the scene.

    Attributes:
        z: distance in metres; what is nearer hides what is farther away.
        paint: what it looks like; None when it is outside the picture.
        label: its label in the ground truth, "" for scenery.
        track_id: its identity.
        text: what is written on it.
        surface_px: its surface in pixels if nothing hid it.
    """

    z: float
    paint: Paint | None
    label: str = ""
    track_id: int = -1
    text: str = ""
    surface_px: float = 0.0


def place(
    image: NDArray[Any],
    alpha: NDArray[Any],
    mask: NDArray[Any] | None,
    matrix: NDArray[Any],
    size_wh: tuple[int, int],
) -> Paint | None:
    """Put a picture to its place; None if it is outside.

    Args:
        image: (h, w, 3) uint8 BGR, already multiplied by ``alpha``.
        alpha: (h, w) uint8.
        mask: see `Paint`.
        matrix: (2, 3), from pixels of ``image`` to pixels of the whole picture.
        size_wh: of the whole picture.
    """
    height, width = alpha.shape
    corners = matrix[:, :2] @ np.array([[0, width, 0, width], [0, 0, height, height]])
    corners += matrix[:, 2:]
    left, top = corners.min(axis=1)
    right, bottom = corners.max(axis=1)
    x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
    x1, y1 = min(math.ceil(right) + 1, size_wh[0]), min(math.ceil(bottom) + 1, size_wh[1])
    if x1 <= x0 or y1 <= y0:
        return None
    shifted = matrix - np.array([[0, 0, x0], [0, 0, y0]])
    wide = (x1 - x0, y1 - y0)
    return Paint(
        x0,
        y0,
        cv2.warpAffine(image, shifted, wide, flags=cv2.INTER_LINEAR),
        cv2.warpAffine(alpha, shifted, wide, flags=cv2.INTER_LINEAR),
        None if mask is None else cv2.warpAffine(mask, shifted, wide, flags=cv2.INTER_LINEAR),
    )


def lay(image: NDArray[Any], owner: NDArray[Any], paint: Paint, number: int) -> None:
    """Lay ``paint`` over ``image`` and write ``number`` where it now shows.

    Args:
        image: (H, W, 3) uint8 BGR, changed.
        owner: (H, W) uint8, changed: whose thing is nearest at each pixel, 0 is scenery.
        paint: what to lay.
        number: 0 for scenery.
    """
    height, width = paint.alpha.shape
    where = (slice(paint.top, paint.top + height), slice(paint.left, paint.left + width))
    place = image[where]
    through = cv2.cvtColor(cv2.bitwise_not(paint.alpha), cv2.COLOR_GRAY2BGR)
    cv2.multiply(place, through, dst=place, scale=1 / 255)
    cv2.add(place, paint.image, dst=place)
    if paint.mask is None:
        owner[where][paint.alpha > 127] = number
    else:
        owner[where][paint.alpha > 127] = 0
        owner[where][paint.mask > 127] = number


def visible(
    owner: NDArray[Any], things: Sequence[Thing], with_text: bool
) -> tuple[Detections, list[dict[str, Any]]]:
    """Return the boxes of what shows of each thing that has a label.

    Args:
        owner: as `lay` left it, each thing's number being its index plus 1.
        things: in the order of their numbers.
        with_text: add the column ``text``.

    Returns:
        The rows of what shows enough of itself; label and box of what shows less.
    """
    rows: list[tuple[int, int, int, int]] = []
    seen: list[Thing] = []
    partial: list[dict[str, Any]] = []
    for number, thing in enumerate(things, 1):
        paint = thing.paint
        if not thing.label or paint is None:
            continue
        height, width = paint.alpha.shape
        part = owner[paint.top : paint.top + height, paint.left : paint.left + width]
        shows = cv2.inRange(part, (number,), (number,))
        surface = cv2.countNonZero(shows)
        if not surface:
            continue
        x, y, width, height = cv2.boundingRect(shows)
        x, y = x + paint.left, y + paint.top
        box = (x, y, x + width, y + height)
        if surface < _VISIBLE[thing.label] * thing.surface_px:
            partial.append({"label": thing.label, "box_xyxy": list(box)})
            continue
        rows.append(box)
        seen.append(thing)
    if not rows:
        return Detections.empty(), partial
    found = Detections(
        rows,
        1.0,
        [thing.label for thing in seen],
        [thing.track_id for thing in seen],
        {"text": [thing.text for thing in seen]} if with_text else None,
    )
    return found, partial
