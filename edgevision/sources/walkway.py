"""The synthetic walkway: one picture with its ground truth for each moment."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.sources.walkway_figure import Pose, Shape, render_pose
from edgevision.sources.walkway_ground import Obstacle, render_ground, render_obstacles
from edgevision.sources.walkway_traffic import Traffic, Walker
from edgevision.sources.walkway_view import View
from edgevision.truth import Truth

__all__ = ["Walkway"]

Picture = NDArray[Any]

# A row of truth is given for what shows at least this share of its surface.
_VISIBLE = 0.5
# Poses of this size in all are kept; a walk in one direction takes about 1 MB.
_POSE_BYTES = 24_000_000
# Where the shadow of one metre of height falls, in metres of the picture plane: right and away.
_SHADOW_XY = (0.60, -0.20)
_SHADOW = 0.42
# A cloud passes with this period; its edge takes a tenth of a second.
_CLOUD_PERIOD_S = 19.0
_CLOUD_EDGE_S = 0.1


class _Paint(NamedTuple):
    """A coloured shape ready to be laid onto the picture."""

    left: int
    top: int
    image: Picture
    """(h, w, 3) BGR, already multiplied by alpha."""
    alpha: Picture


class Walkway:
    """Draws the scene at any moment; the same arguments give the same pixels.

    Used by one thread at a time.

    Args:
        size_wh: of the picture in pixels.
        seed: chooses the scene, the people and the noise.
        people: how many walk at a time.
        noise_sigma: standard deviation of the sensor's noise, in grey levels.
        shadows: people cast shadows.
        lighting: brightness drifts slowly, and drops and rises at once when a cloud passes.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        *,
        seed: int,
        people: int,
        noise_sigma: float,
        shadows: bool,
        lighting: bool,
    ) -> None:
        self.size_wh = size_wh
        self._seed = seed
        self._shadows = shadows
        self._lighting = lighting
        self._view = View(*size_wh)
        self._ground = render_ground(self._view, seed)
        self._obstacles = render_obstacles(self._view, seed)
        self._traffic = Traffic(self._view, people, seed)
        self._poses: OrderedDict[tuple[Shape, int, int], Pose] = OrderedDict()
        self._pose_bytes = 0
        self._pose_height_px = min(max(round(0.42 * size_wh[1]), 48), 300)
        self._noise = _noise_tile(size_wh, noise_sigma, seed) if noise_sigma > 0 else None
        self._owner = np.zeros((size_wh[1], size_wh[0]), np.uint8)

    def draw(self, index: int, time_s: float, image: Picture) -> Truth:
        """Draw the picture of ``time_s`` into ``image`` and return what is in it.

        Args:
            index: number of the frame, which chooses its noise.
            time_s: seconds since the scene's start.
            image: (H, W, 3) uint8, overwritten.
        """
        gain, sun = self._light(time_s)
        walkers = sorted(self._traffic.at(time_s), key=lambda w: -w.z)
        poses = [self._pose(w) for w in walkers]
        np.copyto(image, self._ground)
        if self._shadows and sun > 0:
            for walker, pose in zip(walkers, poses, strict=True):
                self._shadow(image, walker, pose, _SHADOW * sun)
        truth = self._people(image, walkers, poses)
        if self._noise is not None:
            tile, spare_wh = self._noise
            x, y = _scatter(self._seed, index, spare_wh)
            width, height = self.size_wh
            cv2.addWeighted(image, gain, tile[y : y + height, x : x + width], 1.0, -128, dst=image)
        elif gain != 1:
            cv2.convertScaleAbs(image, dst=image, alpha=gain)
        values = {"lighting": round(gain, 4), "covered": False, "defocused": False, "moved": False}
        return Truth(truth, values)

    def _light(self, time_s: float) -> tuple[float, float]:
        """Return the brightness, 1 is normal, and how much the sun shines, 0 to 1."""
        if not self._lighting:
            return 1.0, 1.0
        period, within = divmod(time_s, _CLOUD_PERIOD_S)
        random = np.random.default_rng([self._seed, 4, int(period)])
        start = _CLOUD_PERIOD_S * random.uniform(0.55, 0.70)
        length = random.uniform(2.5, 5.0)
        sun = min(max(abs(within - start - length / 2) - length / 2, 0.0) / _CLOUD_EDGE_S, 1.0)
        turn = self._seed % 17
        slow = 0.06 * math.sin(time_s / 3.7 + turn) + 0.03 * math.sin(time_s / 1.3 + 2 * turn)
        return (0.72 + 0.28 * sun) * (1 + slow), sun

    def _pose(self, walker: Walker) -> Pose:
        key = (walker.shape, walker.heading, walker.phase)
        pose = self._poses.get(key)
        if pose is None:
            pose = self._poses[key] = render_pose(*key, self._pose_height_px)
            self._pose_bytes += 3 * pose.part.nbytes
            while self._pose_bytes > _POSE_BYTES:
                self._pose_bytes -= 3 * self._poses.popitem(last=False)[1].part.nbytes
        else:
            self._poses.move_to_end(key)
        return pose

    def _people(self, image: Picture, walkers: list[Walker], poses: list[Pose]) -> Detections:
        """Draw people and obstacles from far to near; return the boxes of the people seen."""
        owner = self._owner
        owner.fill(0)
        obstacles = list(self._obstacles)
        boxes: list[tuple[int, int, int, int]] = []
        surface: list[float] = []
        for number, (walker, pose) in enumerate(zip(walkers, poses, strict=True), 1):
            while obstacles and obstacles[0].z > walker.z:
                self._obstacle(image, obstacles.pop(0))
            scale = walker.height_m * self._view.px_per_m(walker.z) / pose.height_px
            surface.append(float(cv2.countNonZero(pose.part)) * scale * scale)
            paint = self._figure(walker, pose, scale)
            if paint is None:
                boxes.append((0, 0, 0, 0))
                continue
            _lay(image, paint)
            x0, y0 = paint.left, paint.top
            x1, y1 = x0 + paint.alpha.shape[1], y0 + paint.alpha.shape[0]
            owner[y0:y1, x0:x1][paint.alpha > 127] = number
            boxes.append((x0, y0, x1, y1))
        for obstacle in obstacles:
            self._obstacle(image, obstacle)
        rows: list[tuple[float, float, float, float]] = []
        tracks: list[int] = []
        for number, (walker, (x0, y0, x1, y1)) in enumerate(zip(walkers, boxes, strict=True), 1):
            if x1 <= x0:
                continue
            seen = cv2.inRange(owner[y0:y1, x0:x1], (number,), (number,))
            if cv2.countNonZero(seen) < _VISIBLE * surface[number - 1]:
                continue
            x, y, width, height = cv2.boundingRect(seen)
            rows.append((x0 + x, y0 + y, x0 + x + width, y0 + y + height))
            tracks.append(walker.track_id)
        if not rows:
            return Detections.empty()
        return Detections(rows, 1.0, "person", tracks)

    def _figure(self, walker: Walker, pose: Pose, scale: float) -> _Paint | None:
        """Return a walker in colour and at its size, cut to the picture; None if outside."""
        foot_x, foot_y = self._view.ground_xy(walker.x, walker.z)
        left = foot_x - pose.origin_xy[0] * scale
        top = foot_y - pose.origin_xy[1] * scale
        height, width = pose.part.shape
        x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
        x1 = min(math.ceil(left + width * scale) + 1, self.size_wh[0])
        y1 = min(math.ceil(top + height * scale) + 1, self.size_wh[1])
        if x1 <= x0 or y1 <= y0:
            return None
        shade = cv2.multiply(pose.shade, pose.alpha, scale=1 / 255)
        colour = cv2.multiply(
            walker.palette[pose.part], cv2.cvtColor(shade, cv2.COLOR_GRAY2BGR), scale=1 / 128
        )
        matrix = np.array([[scale, 0, left - x0], [0, scale, top - y0]])
        size_wh = (x1 - x0, y1 - y0)
        return _Paint(
            x0,
            y0,
            cv2.warpAffine(colour, matrix, size_wh, flags=cv2.INTER_LINEAR),
            cv2.warpAffine(pose.alpha, matrix, size_wh, flags=cv2.INTER_LINEAR),
        )

    def _obstacle(self, image: Picture, obstacle: Obstacle) -> None:
        _lay(image, _Paint(obstacle.left, obstacle.top, obstacle.image, obstacle.alpha))
        height, width = obstacle.alpha.shape
        where = (
            slice(obstacle.top, obstacle.top + height),
            slice(obstacle.left, obstacle.left + width),
        )
        self._owner[where][obstacle.alpha > 127] = 0

    def _shadow(self, image: Picture, walker: Walker, pose: Pose, strength: float) -> None:
        """Darken the ground by the figure's outline, laid down and blurred at a quarter size."""
        foot_x, foot_y = self._view.ground_xy(walker.x, walker.z)
        tall = walker.height_m * self._view.px_per_m(walker.z)
        x0, y0 = math.floor(foot_x - 0.35 * tall), math.floor(foot_y - 0.30 * tall)
        x1, y1 = math.ceil(foot_x + 1.05 * tall), math.ceil(foot_y + 0.08 * tall)
        x0, y0 = max(x0, 0) & ~3, max(y0, 0) & ~3
        x1, y1 = min(x1, self.size_wh[0]), min(y1, self.size_wh[1])
        if x1 - x0 < 4 or y1 - y0 < 4:
            return
        scale = tall / pose.height_px
        ox, oy = pose.origin_xy
        # Column and row of the pose to the picture: height above the ground becomes a way along it.
        shear_x, shear_y = -_SHADOW_XY[0] * scale, -_SHADOW_XY[1] * scale
        matrix = np.array(
            [
                [scale, shear_x, foot_x - x0 - ox * scale - oy * shear_x],
                [0.0, shear_y, foot_y - y0 - oy * shear_y],
            ]
        )
        small_wh = (-(-(x1 - x0) // 4), -(-(y1 - y0) // 4))
        dark = cv2.warpAffine(pose.alpha, matrix / 4, small_wh, flags=cv2.INTER_LINEAR)
        dark = cv2.blur(dark, (3, 3))
        light = cv2.convertScaleAbs(cv2.resize(dark, (x1 - x0, y1 - y0)), alpha=-strength, beta=255)
        place = image[y0:y1, x0:x1]
        cv2.multiply(place, cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), dst=place, scale=1 / 255)


def _lay(image: Picture, paint: _Paint) -> None:
    height, width = paint.alpha.shape
    place = image[paint.top : paint.top + height, paint.left : paint.left + width]
    through = cv2.cvtColor(cv2.bitwise_not(paint.alpha), cv2.COLOR_GRAY2BGR)
    cv2.multiply(place, through, dst=place, scale=1 / 255)
    cv2.add(place, paint.image, dst=place)


def _noise_tile(
    size_wh: tuple[int, int], sigma: float, seed: int
) -> tuple[Picture, tuple[int, int]]:
    """Return noise around 128, larger than the picture, and by how much."""
    width, height = size_wh
    spare_wh = (96, 64)
    random = np.random.default_rng([seed, 5])
    tile = random.standard_normal((height + spare_wh[1], width + spare_wh[0], 3), np.float32)
    tile *= np.float32(sigma)
    tile += np.float32(128.5)
    return np.clip(tile, 0, 255).astype(np.uint8), spare_wh


def _scatter(seed: int, index: int, limit_xy: tuple[int, int]) -> tuple[int, int]:
    """Return a position that looks random, from 0 to ``limit_xy``, by one round of SplitMix64."""
    value = (seed * 0x9E3779B97F4A7C15 + (index + 1) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    value ^= value >> 31
    return value % (limit_xy[0] + 1), (value >> 32) % (limit_xy[1] + 1)
