"""How long to wait before trying again."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Exponential back-off with jitter, so that cameras which died together do not return together.

    Args:
        first_s: upper bound of the first wait.
        longest_s: upper bound of every wait.
        random_source: gives numbers in [0, 1); default `random.random`.
    """

    def __init__(
        self, first_s: float, longest_s: float, *, random_source: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._random = random_source or random.Random()
        self.attempts = 0

    def next_s(self) -> float:
        """Return the next wait in seconds: half to all of first, twice, four times first, ..."""
        # The exponent is bounded because 2.0 ** 1024 overflows after days without a camera.
        bound = min(self._longest_s, self._first_s * 2.0 ** min(self.attempts, 60))
        self.attempts += 1
        return bound * (0.5 + 0.5 * self._random.random())

    def reset(self) -> None:
        """Start again at the first wait."""
        self.attempts = 0
