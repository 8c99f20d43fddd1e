"""People close to the camera of the synthetic walkway, who look into it: head and shoulders."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.sources.walkway_canvas import Thing, place
from edgevision.sources.walkway_ground import noise
from edgevision.sources.walkway_traffic import HAIRS, SKINS, TOPS
from edgevision.sources.walkway_view import View

__all__ = ["Visitor", "visitors"]

_TRACK_ID = 100_000
# The drawing in units of the head's height, from chin to crown: left and right, above and below.
_SIDE = 1.05
_ABOVE = 0.12
_BELOW = 2.3
# The face: a box from the brows to the chin, ear to ear, as shares of the head's height.
_FACE_TOP, _FACE_BOTTOM, _FACE_HALF = 0.26, 0.96, 0.35


class Visitor(NamedTuple):
    """Somebody who stands close to the camera.

    Attributes:
        track_id: identity.
        image: (h, w, 3) uint8 BGR, already multiplied by ``alpha``.
        alpha: (h, w) uint8.
        mask: (h, w) uint8, 255 on the face.
        head_px: pixels of the head's height in ``image``.
        middle_x: where the visitor stands, in pixels of the picture.
        sway_px: how far to either side.
        turn: start of the sway, in radians.
    """

    track_id: int
    image: NDArray[Any]
    alpha: NDArray[Any]
    mask: NDArray[Any]
    head_px: float
    middle_x: float
    sway_px: float
    turn: float

    def at(self, time_s: float, view: View) -> Thing:
        """Return the visitor at a moment."""
        at = time_s + 3 * self.turn
        x = self.middle_x + self.sway_px * math.sin(0.55 * at) + view.offset_xy[0]
        y = 0.69 * view.height + 0.015 * view.height * math.sin(1.3 * at) + view.offset_xy[1]
        scale = 1 + 0.10 * math.sin(0.37 * at + 1)
        roll = math.radians(4) * math.sin(0.8 * at)
        cos, sin = scale * math.cos(roll), scale * math.sin(roll)
        # The middle of the head stays where it is put.
        cx, cy = self.alpha.shape[1] / 2, (_ABOVE + 0.5) * self.head_px
        matrix = np.array(
            [[cos, -sin, x - cos * cx + sin * cy], [sin, cos, y - sin * cx - cos * cy]]
        )
        paint = place(self.image, self.alpha, self.mask, matrix, (view.width, view.height))
        surface = float(cv2.countNonZero(self.mask)) * scale * scale
        return Thing(1.0 - 1e-3 * self.turn, paint, "face", self.track_id, "", surface)


def visitors(count: int, view: View, seed: int) -> list[Visitor]:
    """Return ``count`` visitors side by side."""
    made = []
    for number in range(count):
        random = np.random.default_rng([seed, 6, number])
        column = view.width / count
        head = min(0.25 * view.height, 0.85 * column) * random.uniform(0.9, 1.0)
        top = np.array(TOPS[(seed + 3 * number) % len(TOPS)], np.float32)
        image, alpha, mask = _bust(head, top, random)
        middle = (number + 0.5) * column
        sway = max(0.5 * column - 0.5 * head, 0) * 0.7
        turn = random.uniform(0, 2 * math.pi)
        made.append(Visitor(_TRACK_ID + number, image, alpha, mask, head, middle, sway, turn))
    return made


def _bust(
    head_px: float, top: NDArray[Any], random: np.random.Generator
) -> tuple[NDArray[Any], ...]:
    """Return image, alpha and face mask of somebody in a ``top`` with a head of ``head_px``."""
    width, height = round(2 * _SIDE * head_px), round((_ABOVE + _BELOW) * head_px)
    u = (np.arange(width, dtype=np.float32)[None] + 0.5) / head_px - width / head_px / 2
    v = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / head_px - _ABOVE
    skin, hair = (
        np.array(colours[int(random.integers(len(colours)))], np.float32)
        for colours in (SKINS, HAIRS)
    )
    image = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)

    def put(cover: NDArray[Any], colour: NDArray[Any], light: NDArray[Any]) -> None:
        """Lay a coloured shape over what is there."""
        soft = np.clip(cover * head_px, 0, 1)[..., None]
        image[:] = image * (1 - soft) + colour * light[..., None] * soft
        np.maximum(alpha, soft[..., 0], out=alpha)

    long_hair = random.random() < 0.45
    strands = noise(height, width, (head_px / 5, head_px / 24), random)
    if long_hair:
        back = 0.465 - np.hypot(u, 0.72 * (v - 0.58))
        put(back, hair, 0.62 + 0.12 * strands - 0.1 * u)
    # Neck, in the chin's shadow.
    neck = np.minimum(0.205 - np.abs(u) + 0.10 * np.clip(v - 1.05, 0, 1), 1.32 - v)
    neck = np.minimum(neck, v - 0.6)
    put(neck, skin, 0.78 - 0.5 * u - 0.34 * np.exp(-(((v - 0.98) / 0.10) ** 2)))
    # Shoulders and chest, with a round neckline.
    arm = np.clip(np.abs(u) / 0.98, 0, 1)
    drop = 1.10 + 0.10 * np.exp(-((u / 0.20) ** 4)) + 0.62 * (1 - np.sqrt(1 - arm**2.4))
    chest = np.minimum(v - drop, 0.98 - np.abs(u))
    folds = noise(height, width, (head_px / 2, head_px / 5), random)
    light = 0.88 - 0.20 * u - 0.14 * (np.abs(u) / 0.9) ** 2 - 0.08 * (v - 1.2) + 0.06 * folds
    light -= 0.16 * np.exp(-(((v - drop) / 0.035) ** 2)) * (np.abs(u) < 0.3)
    put(chest, top, light)
    # Ears.
    for side in (-1, 1):
        ear = 0.07 - np.hypot(u - side * 0.375, 0.55 * (v - 0.55))
        put(ear, skin, 0.80 - 0.35 * u + 0 * v)
    # Head.
    half = 0.375 * (1 - 0.20 * np.clip((v - 0.55) / 0.45, 0, 1) ** 2)
    nx, ny = u / half, (v - 0.5) / 0.5
    square = nx * nx + ny * ny
    nz = np.sqrt(np.clip(1 - square, 0, 1))
    light = 0.62 + 0.50 * np.clip(-0.40 * nx - 0.35 * ny + 0.85 * nz, 0, 1)
    put((1 - np.sqrt(square)) * 0.4, skin, light * _features(u, v))
    _eyes(put, u, v, random)
    lips = np.minimum(0.11 - np.abs(u), 0.026 - np.abs(v - 0.782 + 0.9 * u * u))
    put(lips, skin * np.array([0.62, 0.60, 0.86], np.float32), 0.86 + 0 * u * v)
    line = np.minimum(0.115 - np.abs(u), 0.007 - np.abs(v - 0.784 + 1.3 * u * u))
    put(line, skin * np.float32(0.36), 1 + 0 * u * v)
    # Hair over the forehead and the temples.
    fringe = 0.185 + 0.30 * np.clip(np.abs(u) / 0.375, 0, 1) ** 3 + 0.03 * random.normal()
    cap = np.minimum(0.425 - np.hypot(u * 1.03, 0.80 * (v - 0.46)), fringe - v + 0.02 * strands)
    put(cap, hair, 0.92 + 0.16 * strands - 0.35 * u - 0.25 * v)
    face = (np.abs(u) < _FACE_HALF) & (v > _FACE_TOP) & (v < _FACE_BOTTOM) & (square < 1.15)
    return (
        np.clip(image, 0, 255).astype(np.uint8),
        np.round(alpha * 255).astype(np.uint8),
        face.astype(np.uint8) * 255,
    )


def _features(u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """(h, w): light and dark of a face, 1 where there is neither."""

    def spot(x: float, y: float, wide: float, tall: float) -> NDArray[Any]:
        falloff: NDArray[Any] = np.exp(-(((np.abs(u) - x) / wide) ** 2) - ((v - y) / tall) ** 2)
        return falloff

    marks: NDArray[Any] = (
        1
        - 0.40 * spot(0.155, 0.455, 0.095, 0.055)
        + 0.10 * spot(0.20, 0.64, 0.09, 0.08)
        + 0.13 * spot(0, 0.54, 0.030, 0.13)
        - 0.16 * spot(0.075, 0.58, 0.025, 0.09)
        - 0.34 * spot(0.035, 0.685, 0.035, 0.016)
        - 0.12 * spot(0, 0.70, 0.09, 0.022)
        - 0.16 * spot(0, 0.845, 0.12, 0.03)
        + 0.08 * spot(0, 0.90, 0.10, 0.04)
        + 0.07 * spot(0, 0.30, 0.16, 0.07)
    )
    return marks


def _eyes(put: Any, u: NDArray[Any], v: NDArray[Any], random: np.random.Generator) -> None:
    iris = np.array(((52, 62, 76), (90, 74, 52), (40, 44, 52))[int(random.integers(3))], np.float32)
    flat = 1 + 0 * u * v
    for side in (-1, 1):
        x = u - side * 0.155
        lids = np.minimum(0.030 - 3.2 * x * x - np.abs(v - 0.468), 0.075 - np.abs(x))
        put(lids, np.array([196, 198, 204], np.float32), flat)
        ball = np.minimum(0.030 - np.hypot(x, v - 0.466), lids)
        put(ball, iris, flat)
        put(np.minimum(0.014 - np.hypot(x, v - 0.466), lids), iris * np.float32(0.3), flat)
        lash = np.minimum(0.008 - np.abs(v - 0.438 - 3.0 * x * x), 0.085 - np.abs(x))
        put(lash, np.array([30, 32, 38], np.float32), flat)
        brow = np.minimum(
            0.017 - np.abs(v - 0.385 - 1.4 * x * x - 0.10 * side * x), 0.105 - np.abs(x)
        )
        put(brow, np.array([36, 44, 58], np.float32), flat)
