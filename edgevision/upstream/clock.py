"""The time that a camera's publish policy lives in."""

from __future__ import annotations

__all__ = ["CameraClock"]


class CameraClock:
    """Seconds that pass at the pace of the capture times, and in real time while no frame comes.

    So a recording that is replayed in a hurry makes the messages that the camera itself made, and a
    camera that is dead still makes heartbeats. Never runs backwards: a capture time that does not
    advance (the wall clock was set back) counts as the real time that passed.

    Args:
        now_s: the monotonic clock's reading.
    """

    __slots__ = ("_captured_at_s", "_framed_s", "_real_s", "now_s")

    def __init__(self, now_s: float) -> None:
        self._captured_at_s: float | None = None
        self._real_s = now_s  # of the last frame
        self._framed_s = 0.0  # this clock at the last frame
        self.now_s = 0.0

    def frame(self, captured_at_s: float, now_s: float) -> float:
        """Return the time at a frame captured at ``captured_at_s`` and handled at ``now_s``."""
        step_s = 0.0
        if self._captured_at_s is not None:
            step_s = captured_at_s - self._captured_at_s
        if not step_s > 0:
            step_s = max(0.0, now_s - self._real_s)
        self._captured_at_s = captured_at_s
        self._real_s = now_s
        self._framed_s = self.now_s = max(self.now_s, self._framed_s + step_s)
        return self.now_s

    def tick(self, now_s: float) -> float:
        """Return the time at ``now_s``, with no frame since the last one."""
        self.now_s = max(self.now_s, self._framed_s + now_s - self._real_s)
        return self.now_s
