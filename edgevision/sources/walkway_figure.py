"""Walking figures of the synthetic walkway: a body of round cones, posed and shaded.

A figure is modelled in units of its own height, with three axes: forward, to the left and up. Each
limb is a round cone (two spheres and what lies between them). A pose is projected parallel to the
camera's view, nearest surface first, and lit by one lamp. What is kept of a pose is no picture but
which part of the body shows at each pixel and how bright it is, so that people in different clothes
share their poses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BAG",
    "BOTTOM",
    "HAIR",
    "HEADINGS",
    "INNER",
    "PARTS",
    "PHASES",
    "SHOE",
    "SKIN",
    "STRIDE",
    "TOP",
    "Pose",
    "Shape",
    "render_pose",
]

PHASES = 20
"""Pictures of one full cycle of two steps."""

HEADINGS = 16
"""Directions that a figure may face: 0 walks to the right, 4 comes towards the camera."""

STRIDE = 0.80
"""Length of one cycle in body heights: the feet do not slide at this speed of the legs."""

# Parts of the body, as numbered in Pose.part; 0 is outside.
SKIN, HAIR, TOP, BOTTOM, SHOE, INNER, BAG = range(1, 8)
PARTS = 8
# A head is skin and hair, told apart pixel by pixel.
_HEAD = PARTS

# The camera looks down on people by about this angle.
_PITCH = math.radians(9)
# Direction to the lamp: to the left, up, towards the camera.
_LAMP = np.array([-0.45, 0.72, 0.53], np.float32)
_AMBIENT = 0.50
_DIFFUSE = 0.62


class Shape(NamedTuple):
    """Build and outfit as far as they change the outline.

    Attributes:
        legs: "trousers", "skirt" or "coat".
        long_hair: hair down to the shoulders.
        bag: a backpack.
        stout: factor on all thicknesses, 1 is slim.
    """

    legs: str = "trousers"
    long_hair: bool = False
    bag: bool = False
    stout: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One rendered pose.

    Attributes:
        part: (h, w) uint8, number of the body part at each pixel, 0 outside.
        shade: (h, w) uint8, brightness, 128 leaves a colour as it is.
        alpha: (h, w) uint8, how much of the pixel is covered.
        origin_xy: pixel at which the figure stands on the ground.
        height_px: pixels of one body height.
    """

    part: NDArray[Any]
    shade: NDArray[Any]
    alpha: NDArray[Any]
    origin_xy: tuple[float, float]
    height_px: int


class _Cone(NamedTuple):
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    part: int
    hem: bool = False
    """Cut straight at its end."""


_Point = tuple[float, float, float]


def render_pose(shape: Shape, heading: int, phase: int, height_px: int) -> Pose:
    """Render a figure.

    Args:
        shape: build and outfit.
        heading: 0 to `HEADINGS` - 1, counted from walking right over coming nearer to walking left.
        phase: 0 to `PHASES` - 1.
        height_px: pixels of one body height, at least 16.
    """
    cones = _body(shape, phase)
    angle = 2 * math.pi * heading / HEADINGS
    cos, sin = math.cos(angle), math.sin(angle)
    cos_pitch, sin_pitch = math.cos(_PITCH), math.sin(_PITCH)
    width = round(0.78 * height_px)
    height = round(1.06 * height_px) + 2
    origin_xy = (width / 2, height - 0.035 * height_px)

    def project(point: _Point) -> tuple[float, float, float]:
        forward, left, up = point
        across = forward * cos + left * sin
        near = forward * sin - left * cos
        return (
            origin_xy[0] + across * height_px,
            origin_xy[1] - (up * cos_pitch - near * sin_pitch) * height_px,
            (near * cos_pitch + up * sin_pitch) * height_px,
        )

    canvas = _Canvas(width, height, (cos, sin))
    for cone in cones:
        canvas.draw(
            project(cone.start),
            project(cone.end),
            cone.start_radius * height_px,
            cone.end_radius * height_px,
            cone.part,
            cone.hem,
        )
    return canvas.finish(origin_xy, height_px)


class _Canvas:
    """Nearest surface, its part and its shade at each pixel."""

    def __init__(self, width: int, height: int, facing: tuple[float, float]) -> None:
        self.facing = facing
        self.depth = np.full((height, width), -1e9, np.float32)
        self.part = np.zeros((height, width), np.uint8)
        self.shade = np.zeros((height, width), np.float32)
        self.alpha = np.zeros((height, width), np.float32)

    def draw(
        self,
        start: _Point,
        end: _Point,
        start_radius: float,
        end_radius: float,
        part: int,
        hem: bool,
    ) -> None:
        """Draw one round cone; points are x, y and nearness in pixels."""
        height, width = self.depth.shape
        x0 = max(int(min(start[0] - start_radius, end[0] - end_radius)) - 2, 0)
        x1 = min(int(max(start[0] + start_radius, end[0] + end_radius)) + 3, width)
        y0 = max(int(min(start[1] - start_radius, end[1] - end_radius)) - 2, 0)
        y1 = min(int(max(start[1] + start_radius, end[1] + end_radius)) + 3, height)
        if x0 >= x1 or y0 >= y1:
            return
        x = np.arange(x0, x1, dtype=np.float32)[None] + np.float32(0.5 - start[0])
        y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
        ax, ay, az = (end[i] - start[i] for i in range(3))
        length = ax * ax + ay * ay
        along = (x * ax + y * ay) / max(length, 1e-3)
        t = np.clip(along, 0, 1)
        radius = start_radius + t * (end_radius - start_radius)
        nx, ny = (x - t * ax) / radius, (y - t * ay) / radius
        away = np.sqrt(nx * nx + ny * ny)
        cover = np.clip(radius * (1 - away) + 0.5, 0, 1)
        if hem:
            cover *= np.clip((1 - along) * math.sqrt(length) + 0.5, 0, 1)
        nz = np.sqrt(np.clip(1 - away * away, 0, 1))
        depth = start[2] + t * az + nz * radius
        where = (slice(y0, y1), slice(x0, x1))
        wins = (cover > 0) & (depth > self.depth[where])
        light = nx * _LAMP[0] - ny * _LAMP[1] + nz * _LAMP[2]
        shade = _AMBIENT + _DIFFUSE * np.clip(light, 0, 1)
        parts: NDArray[Any] | int = part
        if part == _HEAD:
            parts, marks = self._face(nx, -ny, nz)
            shade *= marks
        np.copyto(self.depth[where], depth, where=wins)
        np.copyto(self.shade[where], shade, where=wins)
        np.copyto(self.part[where], parts, where=wins, casting="unsafe")
        np.maximum(self.alpha[where], cover, out=self.alpha[where])

    def _face(
        self, across: NDArray[Any], up: NDArray[Any], near: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return which part of the head is hair and the shade of eyes, nose and mouth."""
        cos, sin = self.facing
        forward = across * cos + near * sin
        left = across * sin - near * cos
        hair = (up > 0.42 + 0.25 * np.abs(left)) | (forward < 0.12 - 0.3 * np.clip(-up, 0, 1))
        hair &= (up > -0.55) | (forward < -0.3)
        front = forward > 0.2
        eyes = np.exp(-(((np.abs(left) - 0.36) / 0.15) ** 2) - ((up - 0.12) / 0.10) ** 2)
        brows = np.exp(-(((np.abs(left) - 0.36) / 0.22) ** 2) - ((up - 0.30) / 0.07) ** 2)
        mouth = np.exp(-((left / 0.26) ** 2) - ((up + 0.52) / 0.08) ** 2)
        nose = np.exp(-((left / 0.12) ** 2) - ((up + 0.18) / 0.10) ** 2)
        marks = 1 - front * np.clip(0.62 * eyes + 0.4 * brows + 0.42 * mouth + 0.12 * nose, 0, 0.7)
        return np.where(hair, HAIR, SKIN).astype(np.uint8), np.where(hair, 1, marks)

    def finish(self, origin_xy: tuple[float, float], height_px: int) -> Pose:
        shade = self.shade
        # What is farther away than the body's middle gets less light.
        inside = self.alpha > 0
        shade *= 1 + np.clip(self.depth / height_px - 0.08, -0.2, 0.1) * inside
        height, width = shade.shape
        # Limbs run into one another softly.
        reach = max(height // 80, 1) * 2 + 1
        cover = np.maximum(cv2.blur(self.alpha, (reach, reach)), np.float32(1e-3))
        smooth = cv2.blur(shade * self.alpha, (reach, reach)) / cover
        cloth = (self.part == TOP) | (self.part == BOTTOM)
        np.copyto(shade, smooth, where=cloth)
        np.multiply(shade, _folds(height, width), out=shade, where=cloth)
        return Pose(
            self.part,
            np.clip(shade * 128 + 0.5, 0, 255).astype(np.uint8),
            (self.alpha * 255 + 0.5).astype(np.uint8),
            origin_xy,
            height_px,
        )


@cache
def _folds(height: int, width: int) -> NDArray[Any]:
    """(height, width) float32 around 1: the folds of cloth, longer than wide."""
    random = np.random.default_rng(7)
    coarse = random.normal(0, 1, (max(height // 9, 2), max(width // 4, 2))).astype(np.float32)
    folds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return 1 + np.float32(0.07) * folds


def _body(shape: Shape, phase: int) -> list[_Cone]:
    """Return the cones of a pose; the lower foot stands at height 0."""
    turn = 2 * math.pi * phase / PHASES
    k = shape.stout
    bob = 0.010 * math.cos(2 * turn)
    hip_up = 0.505 + bob
    cones: list[_Cone] = []

    def add(start: _Point, end: _Point, r0: float, r1: float, part: int, hem: bool = False) -> None:
        cones.append(_Cone(start, end, r0, r1, part, hem))

    # Legs. The right one is half a cycle behind the left one.
    legs = BOTTOM if shape.legs != "skirt" else INNER
    over = BOTTOM if shape.legs == "skirt" else TOP
    soles = []
    for side, at in ((1, turn), (-1, turn + math.pi)):
        thigh = 0.40 * math.cos(at) + 0.06
        # The knee bends while the leg swings forward.
        bend = 0.10 + 0.95 * max(0.0, math.sin(-at - 0.35)) ** 1.5
        shin = thigh - bend
        foot = max(-0.55, min(0.45, 0.8 * shin + 0.15))
        hip = (0.0, side * 0.050 * k, hip_up)
        knee = (0.245 * math.sin(thigh), side * 0.052 * k, hip_up - 0.245 * math.cos(thigh))
        ankle = (
            knee[0] + 0.235 * math.sin(shin),
            side * 0.048 * k,
            knee[2] - 0.235 * math.cos(shin),
        )
        toe = (ankle[0] + 0.088 * math.cos(foot), side * 0.060 * k, 0.0)
        toe = (toe[0], toe[1], ankle[2] - 0.018 + 0.088 * math.sin(foot) * 0.9)
        heel = (ankle[0] - 0.018, side * 0.048 * k, ankle[2] - 0.014)
        width = 1.0 if shape.legs != "skirt" else 0.72
        add(hip, knee, 0.066 * k, 0.050 * k * width, legs)
        add(knee, ankle, 0.047 * k * width, 0.034 * k * width, legs)
        add(heel, toe, 0.026, 0.019, SHOE)
        soles.append(min(heel[2] - 0.026, toe[2] - 0.019))
        if shape.legs != "trousers":
            # A skirt or the tails of a coat hang over the thighs.
            share = 0.95 if shape.legs == "skirt" else 0.62
            hem = (share * knee[0], side * 0.046 * k, hip[2] + share * (knee[2] - hip[2]))
            add(hip, hem, 0.074 * k, 0.084 * k, over, True)
            add((0.0, 0.0, hip_up), (0.3 * hem[0], 0.0, hem[2]), 0.076 * k, 0.080 * k, over, True)
    # Trunk: wide at the shoulders, narrow at the waist.
    lean = 0.02
    seat = TOP if shape.legs == "coat" else BOTTOM
    add((lean, 0.0, 0.775 + bob), (0.006, 0.0, 0.515 + bob), 0.066 * k, 0.073 * k, TOP, True)
    for side in (1, -1):
        chest = (lean, side * 0.060 * k, 0.765 + bob)
        waist = (0.004, side * 0.036 * k, 0.510 + bob)
        add(chest, waist, 0.062 * k, 0.071 * k, TOP, True)
        hip = (0.0, side * 0.036 * k, 0.520 + bob)
        add((0.0, side * 0.034 * k, 0.560 + bob), hip, 0.060 * k, 0.064 * k, seat)
        tip = (lean, side * 0.102 * k, 0.788 + bob)
        add(tip, (lean, side * 0.010, 0.822 + bob), 0.043 * k, 0.046, TOP)
    if shape.bag:
        add((-0.105, 0.0, 0.745 + bob), (-0.115, 0.0, 0.625 + bob), 0.062, 0.072, BAG)
    # Arms swing against the legs.
    for side, at in ((1, turn + math.pi), (-1, turn)):
        upper = 0.42 * math.cos(at) - 0.05
        lower = upper + 0.30 + 0.18 * math.cos(at)
        shoulder = (lean, side * 0.124 * k, 0.785 + bob)
        elbow = (
            shoulder[0] + 0.165 * math.sin(upper),
            side * 0.142 * k,
            shoulder[2] - 0.165 * math.cos(upper),
        )
        wrist = (
            elbow[0] + 0.135 * math.sin(lower),
            side * 0.132 * k,
            elbow[2] - 0.135 * math.cos(lower),
        )
        hand = (
            wrist[0] + 0.03 * math.sin(lower),
            side * 0.132 * k,
            wrist[2] - 0.03 * math.cos(lower),
        )
        add(shoulder, elbow, 0.041 * k, 0.034 * k, TOP)
        add(elbow, wrist, 0.033 * k, 0.026 * k, TOP)
        add(wrist, hand, 0.020, 0.022, SKIN)
    # Neck, head, nose, hair.
    add((0.015, 0.0, 0.830 + bob), (0.025, 0.0, 0.890 + bob), 0.032, 0.030, SKIN)
    if shape.long_hair:
        add((-0.012, 0.0, 0.945 + bob), (-0.030, 0.0, 0.850 + bob), 0.060, 0.048, HAIR)
    add((0.036, 0.0, 0.903 + bob), (0.022, 0.0, 0.945 + bob), 0.042, 0.056, _HEAD)
    add((0.082, 0.0, 0.912 + bob), (0.076, 0.0, 0.934 + bob), 0.011, 0.006, SKIN)
    # Stand on the ground.
    down = min(soles)
    return [
        c._replace(
            start=(c.start[0], c.start[1], c.start[2] - down),
            end=(c.end[0], c.end[1], c.end[2] - down),
        )
        for c in cones
    ]
