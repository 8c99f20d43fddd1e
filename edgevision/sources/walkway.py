"""The synthetic walkway: one picture with its ground truth for each moment."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.sources.walkway_canvas import Thing, lay, place, visible
from edgevision.sources.walkway_code import board, carried, standing
from edgevision.sources.walkway_face import visitors
from edgevision.sources.walkway_figure import Pose, Shape, render_pose
from edgevision.sources.walkway_ground import render_ground, render_obstacles
from edgevision.sources.walkway_tamper import Tamper
from edgevision.sources.walkway_traffic import Traffic, Walker
from edgevision.sources.walkway_view import View
from edgevision.truth import Truth

__all__ = ["Walkway"]

# Poses of this size in all are kept; a walk in one direction takes about 1 MB.
_POSE_BYTES = 24_000_000
# Where the shadow of one metre of height falls, in metres of the picture plane: right and away.
_SHADOW_XY = (0.60, -0.20)
_SHADOW = 0.42
# A cloud passes with this period; its edge takes a tenth of a second.
_CLOUD_PERIOD_S = 19.0
_CLOUD_EDGE_S = 0.1
# Of four boards the third and the fourth are carried, where there is somebody to carry them.
_CARRIED = (2, 3)


class _Backdrop(NamedTuple):
    """What one position of the camera sees of everything that stands still."""

    view: View
    ground: NDArray[Any]
    things: list[Thing]


class Walkway:
    """Draws the scene at any moment; the same arguments give the same pixels.

    Used by one thread at a time.

    Args:
        size_wh: of the picture in pixels.
        seed: chooses the scene, the people and the noise.
        people: how many walk at a time.
        faces: how many stand close to the camera and look into it.
        codes: how many boards with a code there are.
        noise_sigma: standard deviation of the sensor's noise, in grey levels.
        shadows: people cast shadows.
        lighting: brightness drifts slowly, and drops and rises at once when a cloud passes.
        tamper: what is done to the camera.
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        *,
        seed: int,
        people: int,
        faces: int,
        codes: int,
        noise_sigma: float,
        shadows: bool,
        lighting: bool,
        tamper: Tamper,
    ) -> None:
        self.size_wh = size_wh
        self._seed = seed
        self._shadows = shadows
        self._lighting = lighting
        self._tamper = tamper
        view = View(*size_wh)
        held = [n for n in range(codes) if people and n % 4 in _CARRIED]
        stood = [n for n in range(codes) if n not in held]
        self._still = _backdrop(view, seed, stood)
        turned = View(*size_wh, tamper.offset_xy)
        self._turned = _backdrop(turned, seed, stood) if tamper.moves else self._still
        self._traffic = Traffic(view, people, seed)
        self._carried = (
            {i % people: board(n, pole=True) for i, n in enumerate(held)} if people else {}
        )
        self._visitors = visitors(faces, view, seed)
        self._codes = codes
        self._poses: OrderedDict[tuple[Shape, int, int], Pose] = OrderedDict()
        self._pose_bytes = 0
        self._pose_height_px = min(max(round(0.46 * size_wh[1]), 48), 320)
        self._noise = _noise_tile(size_wh, noise_sigma, seed) if noise_sigma > 0 else None
        self._owner = np.zeros((size_wh[1], size_wh[0]), np.uint8)

    def draw(self, index: int, time_s: float, image: NDArray[Any]) -> Truth:
        """Draw the picture of ``time_s`` into ``image`` and return what is in it.

        Args:
            index: number of the frame, which chooses its noise.
            time_s: seconds since the scene's start.
            image: (H, W, 3) uint8 BGR, overwritten.
        """
        tamper = self._tamper
        gain, sun = self._light(time_s)
        moved = tamper.moved(time_s)
        view, ground, things = self._turned if moved else self._still
        walkers = self._traffic.at(time_s)
        poses = [self._pose(walker) for walker in walkers]
        np.copyto(image, ground)
        if self._shadows and sun > 0:
            for walker, pose in zip(walkers, poses, strict=True):
                self._shadow(image, view, walker, pose, _SHADOW * sun)
        things = list(things)
        for lane, (walker, pose) in enumerate(zip(walkers, poses, strict=True)):
            things.append(self._person(view, walker, pose))
            if lane in self._carried:
                things.append(carried(self._carried[lane], walker.x, walker.z, view))
        things += [visitor.at(time_s, view) for visitor in self._visitors]
        things.sort(key=lambda thing: -thing.z)
        self._owner.fill(0)
        for number, thing in enumerate(things, 1):
            if thing.paint is not None:
                lay(image, self._owner, thing.paint, number if thing.label else 0)
        objects, partial = visible(self._owner, things, with_text=self._codes > 0)
        tamper.apply(image, time_s)
        self._expose(image, index, gain)
        covered = tamper.covered(time_s) > 0.5
        if covered:
            objects, partial = Detections.empty(), []
        values = {
            "partial": partial,
            "lighting": round(gain, 4),
            "covered": covered,
            "defocused": tamper.defocused(time_s),
            "moved": moved,
        }
        return Truth(objects, values)

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

    def _expose(self, image: NDArray[Any], index: int, gain: float) -> None:
        """Apply brightness and noise in place."""
        if self._noise is not None:
            tile, spare_wh = self._noise
            x, y = _scatter(self._seed, index, spare_wh)
            width, height = self.size_wh
            noise = tile[y : y + height, x : x + width]
            cv2.addWeighted(image, gain, noise, 1.0, -128, dst=image)
        elif gain != 1:
            cv2.convertScaleAbs(image, dst=image, alpha=gain)

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

    def _person(self, view: View, walker: Walker, pose: Pose) -> Thing:
        """Return a walker in colour, at the right place and size."""
        scale = walker.height_m * view.px_per_m(walker.z) / pose.height_px
        foot_x, foot_y = view.ground_xy(walker.x, walker.z)
        ox, oy = pose.origin_xy
        matrix = np.array([[scale, 0, foot_x - ox * scale], [0, scale, foot_y - oy * scale]])
        shade = cv2.cvtColor(cv2.multiply(pose.shade, pose.alpha, scale=1 / 255), _TO_BGR)
        colour = cv2.multiply(walker.palette[pose.part], shade, scale=1 / 128)
        paint = place(colour, pose.alpha, None, matrix, self.size_wh)
        surface = float(cv2.countNonZero(pose.part)) * scale * scale
        return Thing(walker.z, paint, "person", walker.track_id, "", surface)

    def _shadow(
        self, image: NDArray[Any], view: View, walker: Walker, pose: Pose, strength: float
    ) -> None:
        """Darken the ground by the figure's outline, laid down and blurred at a quarter size."""
        foot_x, foot_y = view.ground_xy(walker.x, walker.z)
        tall = walker.height_m * view.px_per_m(walker.z)
        x0, y0 = math.floor(foot_x - 0.35 * tall), math.floor(foot_y - 0.30 * tall)
        x1, y1 = math.ceil(foot_x + 1.05 * tall), math.ceil(foot_y + 0.08 * tall)
        x0, y0 = max(x0, 0) & ~3, max(y0, 0) & ~3
        x1, y1 = min(x1, self.size_wh[0]), min(y1, self.size_wh[1])
        if x1 - x0 < 4 or y1 - y0 < 4:
            return
        scale = tall / pose.height_px
        ox, oy = pose.origin_xy
        # Height above the ground becomes a way along it.
        shear_x, shear_y = -_SHADOW_XY[0] * scale, -_SHADOW_XY[1] * scale
        matrix = np.array(
            [
                [scale, shear_x, foot_x - x0 - ox * scale - oy * shear_x],
                [0.0, shear_y, foot_y - y0 - oy * shear_y],
            ]
        )
        small_wh = (-(-(x1 - x0) // 4), -(-(y1 - y0) // 4))
        dark = cv2.warpAffine(pose.alpha, matrix / 4, small_wh, flags=cv2.INTER_LINEAR)
        dark = cv2.resize(cv2.blur(dark, (3, 3)), (x1 - x0, y1 - y0))
        light = cv2.cvtColor(cv2.bitwise_not(cv2.convertScaleAbs(dark, alpha=strength)), _TO_BGR)
        part = image[y0:y1, x0:x1]
        cv2.multiply(part, light, dst=part, scale=1 / 255)


_TO_BGR = cv2.COLOR_GRAY2BGR


def _backdrop(view: View, seed: int, boards: list[int]) -> _Backdrop:
    things = [*render_obstacles(view, seed), *(standing(n, view) for n in boards)]
    return _Backdrop(view, render_ground(view, seed), things)


def _noise_tile(
    size_wh: tuple[int, int], sigma: float, seed: int
) -> tuple[NDArray[Any], tuple[int, int]]:
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
