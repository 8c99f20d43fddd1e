"""A clock for the age of messages that a wrong date does not fool."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["AgeClock"]

# Before this the date was never set (2024-01-01): a device without a battery starts in 1970, or at
# the date of its image.
_PLAUSIBLE_S = 1_704_067_200.0


class AgeClock:
    """Seconds that go on while the module runs, and over its restarts.

    Within a run it follows the monotonic clock alone, so that a date that is set (a device without
    a battery gets it from the network minutes after its start) makes nothing old. The time between
    two runs counts when the date at both ends looks set and did not go backwards.

    Args:
        age_s: what the clock showed when it was last kept; 0 for a new one.
        wall_s: UTC seconds since 1970 at that moment.
        monotonic: monotonic seconds.
        wall: UTC seconds since 1970.
    """

    def __init__(
        self,
        age_s: float = 0.0,
        wall_s: float = 0.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        away_s = wall() - wall_s if wall_s >= _PLAUSIBLE_S else 0.0
        self._base_s = age_s + max(0.0, away_s) - monotonic()

    def now_s(self) -> float:
        """Return the seconds at this moment; only differences mean something."""
        return self._base_s + self._monotonic()

    def kept(self) -> tuple[float, float]:
        """Return what to keep for the next run: ``age_s`` and ``wall_s``."""
        return self.now_s(), self._wall()
