"""Deliver frames at the times at which they were taken."""

from __future__ import annotations

import time

__all__ = ["Pace"]

_LONGEST_GAP_S = 60.0


class Pace:
    """Waits until a frame is due.

    Every frame is due at its own time after the first one, so waiting a little too long for one
    does not delay the next. A reader that is late gets the frames that are due at once.

    Timestamps that stand still or go back (a raw stream has none, joined files start again) are
    replaced by the nominal interval, and so are jumps ahead of more than a minute and ten
    intervals, which are damage rather than pauses.

    Args:
        interval_s: nominal time from frame to frame in seconds.
        real: False to wait for nothing, and only keep the timeline.
    """

    def __init__(self, interval_s: float, *, real: bool) -> None:
        self._interval_s = interval_s
        self._real = real
        self._longest_gap_s = max(_LONGEST_GAP_S, 10 * interval_s)
        self._started_s: float | None = None
        self._offset_s = 0.0
        self.position_s = 0.0
        """Time of the last frame on a timeline that begins with 0 and never goes back."""

    @property
    def end_s(self) -> float:
        """Time at which the last frame ends."""
        return self.position_s + self._interval_s

    def wait(self, timestamp_s: float) -> None:
        """Return when the frame with this time in its file is due."""
        if self._started_s is None:
            self._offset_s = timestamp_s
            self._started_s = time.monotonic()
            return
        position_s = timestamp_s - self._offset_s
        if not 0 < position_s - self.position_s <= self._longest_gap_s:
            position_s = self.position_s + self._interval_s
        self.position_s = position_s
        if self._real:
            time.sleep(max(0.0, self._started_s + position_s - time.monotonic()))

    def restart(self, timestamp_s: float) -> None:
        """Say that the next frame, of this time in its file, follows one interval after the last.

        Called before `wait` when a file begins again.
        """
        self._offset_s = timestamp_s - self.end_s
