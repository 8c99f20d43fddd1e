"""Who walks where and when on the synthetic walkway; a closed function of seed and time."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.sources.walkway_figure import (
    BAG,
    BOTTOM,
    HAIR,
    HEADINGS,
    INNER,
    PARTS,
    PHASES,
    SHOE,
    SKIN,
    STRIDE,
    TOP,
    Shape,
)
from edgevision.sources.walkway_view import FAR_M, NEAR_M, View

__all__ = ["HAIRS", "SKINS", "TOPS", "Traffic", "Walker"]

# Trips of one walker until they repeat, with other identities: some six minutes.
_TRIPS = 48
# Points at which the length of a path is measured.
_POINTS = 24
# Metres beyond the picture's edge at which a trip starts and ends.
_OUTSIDE_M = 0.75

SHAPES = (
    Shape("trousers"),
    Shape("trousers", bag=True, stout=1.06),
    Shape("skirt", long_hair=True, stout=0.94),
    Shape("coat", stout=1.08),
)
TOPS = (
    (52, 44, 40),
    (60, 60, 176),
    (150, 92, 44),
    (58, 108, 62),
    (200, 202, 205),
    (52, 146, 196),
    (110, 60, 92),
    (44, 40, 96),
)
_BOTTOMS = ((78, 58, 44), (40, 40, 42), (104, 78, 56), (84, 104, 122), (52, 48, 70))
HAIRS = ((24, 30, 40), (34, 58, 92), (20, 20, 22), (120, 124, 128), (70, 120, 160))
SKINS = ((150, 176, 222), (118, 148, 200), (84, 112, 160), (56, 78, 116))
_BAGS = ((40, 40, 150), (50, 50, 50), (40, 110, 60))


class Walker(NamedTuple):
    """One person at one moment.

    Attributes:
        track_id: identity, from 1; each trip over the walkway has its own.
        shape: build and outfit.
        palette: (PARTS, 3) uint8 BGR, colour of each part of the body.
        height_m: body height.
        x: metres to the right of the picture's middle.
        z: metres away from the camera.
        heading: as in `render_pose`.
        phase: as in `render_pose`.
    """

    track_id: int
    shape: Shape
    palette: NDArray[Any]
    height_m: float
    x: float
    z: float
    heading: int
    phase: int


class _Trip(NamedTuple):
    shape: Shape
    palette: NDArray[Any]
    height_m: float
    speed_m_s: float
    first_phase: float
    path: NDArray[Any]
    """(_POINTS, 2): x and z in metres."""
    length: NDArray[Any]
    """(_POINTS,): metres from the start."""


class Traffic:
    """The walkers of one scene.

    Args:
        view: the scene's camera, not turned.
        people: how many walk at a time.
        seed: chooses everything.
    """

    def __init__(self, view: View, people: int, seed: int) -> None:
        self._view = view
        self._trips: list[list[_Trip]] = []
        self._ends: list[list[float]] = []
        self._starts: list[float] = []
        for lane in range(people):
            random = np.random.default_rng([seed, 3, lane])
            trips = [self._trip(random, lane, number) for number in range(_TRIPS)]
            durations = [float(trip.length[-1]) / trip.speed_m_s for trip in trips]
            self._trips.append(trips)
            self._ends.append(list(itertools.accumulate(durations)))
            # In the first picture the people are spread over their first trips.
            self._starts.append(durations[0] * (0.30 + 0.45 * ((lane * 0.618) % 1)))

    def at(self, time_s: float) -> list[Walker]:
        """Return who is on the walkway, in the order of their lanes."""
        return [self._walker(lane, time_s) for lane in range(len(self._trips))]

    def _walker(self, lane: int, time_s: float) -> Walker:
        ends: Sequence[float] = self._ends[lane]
        lap, within = divmod(time_s + self._starts[lane], ends[-1])
        number = min(bisect.bisect_right(ends, within), _TRIPS - 1)
        trip = self._trips[lane][number]
        walked = (within - (ends[number - 1] if number else 0.0)) * trip.speed_m_s
        index = int(np.searchsorted(trip.length, walked, "right")) - 1
        index = min(max(index, 0), _POINTS - 2)
        span = float(trip.length[index + 1] - trip.length[index])
        share = (walked - float(trip.length[index])) / span
        (x0, z0), (x1, z1) = trip.path[index].tolist(), trip.path[index + 1].tolist()
        x, z = x0 + share * (x1 - x0), z0 + share * (z1 - z0)
        # Seen from the camera: the direction is relative to the ray that leads to the person.
        angle = math.atan2(z0 - z1, x1 - x0) + math.atan2(x, z)
        cycle = walked / (STRIDE * trip.height_m) + trip.first_phase
        return Walker(
            1 + lane + len(self._trips) * (int(lap) * _TRIPS + number),
            trip.shape,
            trip.palette,
            trip.height_m,
            x,
            z,
            round(angle / (2 * math.pi) * HEADINGS) % HEADINGS,
            int(cycle * PHASES) % PHASES,
        )

    def _trip(self, random: np.random.Generator, lane: int, number: int) -> _Trip:
        side = 1 if (number + lane) % 2 else -1
        kind = random.random()
        # Lanes prefer distances of their own, so that few walk through one another.
        depth = ((lane * 0.38 + 0.15 + 0.25 * random.random()) % 1) ** 1.15
        z0 = NEAR_M + 0.5 + depth * (FAR_M - NEAR_M - 2.5)
        if kind < 0.55:
            z1 = min(max(z0 + random.normal(0, 0.9), NEAR_M), FAR_M)
            middle = 0.0
        else:
            z0, z1 = FAR_M - 1.5 * random.random(), NEAR_M + 0.9 * random.random()
            if kind > 0.85:
                z0, z1 = z1, z0
            middle = random.normal(0, 1.0)
        start = np.array([side * (self._view.half_width_m(z0) + _OUTSIDE_M), z0])
        end = np.array([-side * (self._view.half_width_m(z1) + _OUTSIDE_M), z1])
        control = np.array([middle, (z0 + z1) / 2 + 0.15 * (z0 - z1)])
        t = np.linspace(0, 1, _POINTS)[:, None]
        path = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        steps = np.hypot(*np.diff(path, axis=0).T)
        return _Trip(
            SHAPES[int(random.integers(len(SHAPES)))],
            _palette(random),
            float(random.uniform(1.60, 1.88)),
            float(random.uniform(1.05, 1.5)),
            float(random.random()),
            path,
            np.concatenate([[0.0], np.cumsum(steps)]),
        )


def _palette(random: np.random.Generator) -> NDArray[Any]:
    palette = np.zeros((PARTS, 3), np.uint8)
    skin = SKINS[int(random.integers(len(SKINS)))]
    choices = {HAIR: HAIRS, TOP: TOPS, BOTTOM: _BOTTOMS, BAG: _BAGS}
    for part, colours in choices.items():
        palette[part] = colours[int(random.integers(len(colours)))]
    palette[SKIN] = skin
    palette[INNER] = [round(0.9 * c) for c in skin]
    palette[SHOE] = (30, 30, 34)
    return palette
