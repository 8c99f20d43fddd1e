"""The synthetic walkway without people: paving, lawn, hedge, a house, and what stands around."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.sources.walkway_canvas import Paint, Thing
from edgevision.sources.walkway_view import WALL_M, View

__all__ = ["noise", "render_ground", "render_obstacles"]

# Metres of paving per pixel of its texture.
_TEXEL_M = 0.016
_LAWN_M = 12.4
_HEDGE_M = 13.6
_HEDGE_HEIGHT_M = 1.15


def render_ground(view: View, seed: int) -> NDArray[Any]:
    """Return the empty scene, (height, width, 3) uint8 BGR."""
    random = np.random.default_rng([seed, 1])
    # Twice the size and reduced at the end, so that far joints do not flicker along their length.
    size_wh = (2 * view.width, 2 * view.height)
    double = View(*size_wh, (2 * view.offset_xy[0], 2 * view.offset_xy[1]))
    picture = _house(double, random)
    _cover(picture, _paving(random), double, -26.0, 26.0, 2.2, _LAWN_M)
    _cover(picture, _lawn(random), double, -32.0, 32.0, _LAWN_M, WALL_M)
    _hedge(picture, double, random)
    for x, z, radius in ((*_LAMP_XZ, 0.16), (*_PLANTER_XZ, 0.62)):
        _spot(picture, double, x, z, radius)
    small = cv2.resize(picture, (view.width, view.height), interpolation=cv2.INTER_AREA)
    small *= _vignette(view.width, view.height)[..., None]
    return cv2.convertScaleAbs(small)


def render_obstacles(view: View, seed: int) -> list[Thing]:
    """Return what hides those who walk behind it."""
    random = np.random.default_rng([seed, 2])
    return [_planter(view, random), _lamp(view)]


_LAMP_XZ = (2.9, 6.4)
_PLANTER_XZ = (-3.3, 7.6)


def noise(
    height: int, width: int, cells: tuple[float, ...], random: np.random.Generator
) -> NDArray[Any]:
    """(height, width) float32, mean 0, about -1 to 1: smooth noise, one octave per cell size."""
    total = np.zeros((height, width), np.float32)
    for octave, cell in enumerate(cells):
        shape = (max(int(height / cell), 2), max(int(width / cell), 2))
        coarse = random.normal(0, 1, shape).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total / np.float32(max(float(total.std()) * 2.2, 1e-6))


def _tint(value: NDArray[Any], bgr: tuple[float, float, float]) -> NDArray[Any]:
    return value[..., None] * np.array(bgr, np.float32)


def _cover(
    picture: NDArray[Any],
    texture: NDArray[Any],
    view: View,
    x0: float,
    x1: float,
    z0: float,
    z1: float,
) -> None:
    """Lay a texture onto the ground between the given corners."""
    height, width = texture.shape[:2]
    corners = [(0, height), (width, height), (width, 0), (0, 0)]
    ground = [view.ground_xy(x, z) for x, z in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))]
    matrix = cv2.getPerspectiveTransform(
        np.array(corners, np.float32), np.array(ground, np.float32)
    )
    size_wh = (view.width, view.height)
    laid = cv2.warpPerspective(texture, matrix, size_wh, flags=cv2.INTER_LINEAR)
    shape = np.zeros((view.height, view.width), np.uint8)
    cv2.fillConvexPoly(shape, np.round(ground).astype(np.int32), 255)
    np.copyto(picture, laid, where=(shape > 0)[..., None])


def _paving(random: np.random.Generator) -> NDArray[Any]:
    """Slabs of 0.6 m by 0.4 m, laid in half bond, over 52 m by 10.2 m."""
    height, width = round(10.2 / _TEXEL_M), round(52 / _TEXEL_M)
    row_px, column_px = 25, 38
    rows = np.arange(height) // row_px
    columns = (np.arange(width)[None] + (rows % 2 * (column_px // 2))[:, None]) // column_px
    slab = random.normal(0, 1, (int(rows.max()) + 1, int(columns.max()) + 1)).astype(np.float32)
    value = 1 + 0.045 * slab[rows[:, None], columns]
    in_row = np.arange(height) % row_px
    in_column = (np.arange(width)[None] + (rows % 2 * (column_px // 2))[:, None]) % column_px
    joint = (in_row < 2)[:, None] | (in_column < 2)
    value -= 0.20 * joint
    value += 0.05 * noise(height, width, (160, 50, 12), random)
    value += 0.035 * random.normal(0, 1, (height, width)).astype(np.float32)
    return _tint(value.astype(np.float32), (150, 159, 164))


def _lawn(random: np.random.Generator) -> NDArray[Any]:
    value = 1 + 0.22 * noise(220, 1400, (60, 14, 4), random)
    value += 0.12 * random.normal(0, 1, value.shape).astype(np.float32)
    return _tint(value.astype(np.float32), (62, 118, 96))


def _house(view: View, random: np.random.Generator) -> NDArray[Any]:
    """Brick courses with a band of wide windows: nothing in it stands upright like a person."""
    value = np.ones((view.height, view.width), np.float32)
    scale = view.px_per_m(WALL_M)
    course = max(0.16 * scale, 2.0)
    y = np.arange(view.height, dtype=np.float32)[:, None]
    x = np.arange(view.width, dtype=np.float32)[None]
    row = np.floor(y / course)
    value -= 0.07 * ((y % course) < 0.16 * course)
    value -= 0.06 * (((x + (row % 2) * course) % (2 * course)) < 0.12 * course)
    bricks = random.normal(0, 1, (int(view.height / course) + 2, int(view.width / course) + 2))
    value += 0.035 * bricks[row.astype(int), (x / (2 * course)).astype(int)].astype(np.float32)
    value += 0.05 * noise(view.height, view.width, (220, 60), random)
    picture = _tint(value.astype(np.float32), (104, 134, 168))
    # A band of windows in the upper part.
    base = view.ground_xy(0, WALL_M)[1]
    bottom, top = base - 1.55 * scale, base - 3.1 * scale
    wide = 4.4 * scale
    start = view.offset_xy[0] - (view.offset_xy[0] // wide + 1) * wide - 0.4 * wide
    for left in np.arange(start, view.width, wide):
        _window(picture, left, left + 0.86 * wide, top, bottom, scale, random)
    picture[max(round(base - 0.5 * scale), 0) :] *= np.float32(0.82)
    return picture


def _window(
    picture: NDArray[Any],
    left: float,
    right: float,
    top: float,
    bottom: float,
    scale: float,
    random: np.random.Generator,
) -> None:
    height, width = picture.shape[:2]
    x0, x1 = (round(min(max(v, 0), width)) for v in (left, right))
    y0, y1 = (round(min(max(v, 0), height)) for v in (top, bottom))
    if x1 - x0 < 4 or y1 - y0 < 4:
        return
    frame = max(round(0.07 * scale), 1)
    picture[max(y0 - frame, 0) : y1 + 2 * frame, max(x0 - frame, 0) : x1 + frame] = (188, 196, 200)
    rows = np.linspace(1.0, 0.62, y1 - y0, dtype=np.float32)[:, None]
    glass = rows + 0.10 * noise(y1 - y0, x1 - x0, (60, 25), random)
    picture[y0:y1, x0:x1] = _tint(glass.astype(np.float32), (128, 112, 96))
    middle = (y0 + y1) // 2
    picture[middle : middle + frame, x0:x1] = (170, 178, 184)


def _hedge(picture: NDArray[Any], view: View, random: np.random.Generator) -> None:
    scale = view.px_per_m(_HEDGE_M)
    base = view.ground_xy(0, _HEDGE_M)[1]
    leaves = noise(view.height, view.width, (18, 7, 3), random)
    ragged = noise(4, view.width, (30, 9), random)[0] * 0.07 * scale
    y = np.arange(view.height, dtype=np.float32)[:, None]
    top = base - _HEDGE_HEIGHT_M * scale + ragged[None]
    inside = (y > top) & (y < base)
    depth = np.clip((y - top) / (_HEDGE_HEIGHT_M * scale), 0, 1)
    value = (1.12 - 0.55 * depth) * (1 + 0.30 * leaves)
    np.copyto(picture, _tint(value.astype(np.float32), (44, 92, 66)), where=inside[..., None])
    shadow = (y >= base) & (y < base + 0.14 * scale)
    np.copyto(picture, picture * np.float32(0.7), where=shadow[..., None])


def _spot(picture: NDArray[Any], view: View, x: float, z: float, radius: float) -> None:
    """Darken the ground under and behind something that stands there."""
    scale = view.px_per_m(z)
    cx, cy = view.ground_xy(x, z)
    shade = np.zeros(picture.shape[:2], np.float32)
    axes = (round(1.5 * radius * scale), max(round(0.42 * radius * scale), 1))
    centre = (round(cx + 0.5 * radius * scale), round(cy))
    cv2.ellipse(shade, centre, axes, 0, 0, 360, 0.45, -1)
    soft = cv2.GaussianBlur(shade, (0, 0), max(0.12 * radius * scale, 1.0))
    picture *= 1 - soft[..., None]


def _vignette(width: int, height: int) -> NDArray[Any]:
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return 1.03 - 0.10 * (x * x + y * y)


def _lamp(view: View) -> Thing:
    """A lamp post."""
    x, z = _LAMP_XZ
    scale = view.px_per_m(z)
    foot_x, foot_y = view.ground_xy(x, z)
    half = max(round(0.065 * scale), 2)
    bottom = min(round(foot_y), view.height)
    height = max(bottom, 1)
    across = np.linspace(-1, 1, 4 * half + 1, dtype=np.float32)[None]
    rows = np.arange(height)[:, None]
    wide = np.where(rows > foot_y - 0.55 * scale, 1.0, 0.55)
    alpha = np.clip((wide - np.abs(across)) * half * 2 + 0.5, 0, 1)
    light = 0.55 + 0.5 * np.sqrt(np.clip(1 - (across / wide + 0.35) ** 2, 0, 1))
    image = _tint(light.astype(np.float32), (92, 88, 82))
    return _obstacle(z, round(foot_x) - 2 * half, bottom - height, image, alpha, view)


def _planter(view: View, random: np.random.Generator) -> Thing:
    """A round tub with a shrub."""
    x, z = _PLANTER_XZ
    scale = view.px_per_m(z)
    foot_x, foot_y = view.ground_xy(x, z)
    width, height = round(1.5 * scale), round(1.45 * scale)
    u = np.linspace(-0.75, 0.75, width, dtype=np.float32)[None]
    v = np.linspace(1.45, 0, height, dtype=np.float32)[:, None]
    leaves = noise(height, width, (scale / 5, scale / 12, 3), random)
    rim = 0.42 + 0.06 * v
    base = 0.05 * np.sqrt(np.clip(1 - (u / 0.45) ** 2, 0, 1))
    tub = (np.abs(u) < rim) & (v < 0.55) & (v > 0.06 - base)
    shrub = ((u / 0.62) ** 2 + ((v - 0.88) / 0.48) ** 2) < 1 + 0.22 * leaves
    light_tub = 0.62 + 0.45 * np.sqrt(np.clip(1 - (u / rim + 0.35) ** 2, 0, 1))
    light_tub = light_tub * np.where(np.abs(v - 0.52) < 0.05, 1.12, 1.0)
    light_shrub = (0.72 + 0.40 * (v - 0.88) / 0.48 - 0.2 * u) * (1 + 0.38 * leaves)
    image = np.where(
        (shrub & ((v > 0.5) | ~tub))[..., None],
        _tint(light_shrub.astype(np.float32), (58, 112, 84)),
        _tint(light_tub.astype(np.float32), (112, 122, 134)),
    )
    alpha = cv2.blur((tub | shrub).astype(np.float32), (3, 3))
    left, top = round(foot_x - width / 2), round(foot_y) - height + round(0.02 * scale)
    return _obstacle(z, left, top, image, alpha, view)


def _obstacle(
    z: float,
    left: int,
    top: int,
    image: NDArray[Any],
    alpha: NDArray[Any],
    view: View,
) -> Thing:
    """Cut to the picture."""
    height, width = alpha.shape
    x0, y0 = max(-left, 0), max(-top, 0)
    x1, y1 = min(width, view.width - left), min(height, view.height - top)
    if x1 <= x0 or y1 <= y0:
        return Thing(z, None)
    cover = np.clip(alpha[y0:y1, x0:x1], 0, 1)
    seen = np.clip(image[y0:y1, x0:x1], 0, 255) * cover[..., None]
    opaque = np.round(cover * 255).astype(np.uint8)
    return Thing(z, Paint(left + x0, top + y0, seen.astype(np.uint8), opaque))
