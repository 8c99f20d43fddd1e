"""The module's own stage: a start for yours."""

from __future__ import annotations

from typing import Any

from edgevision import Frame, Param, Stage, method


class Visits(Stage):
    """Count visits: something is in the picture after nothing was for a while.

    The module twin sets ``pause_s`` while it runs, and the direct method ``reset_visits`` begins
    to count again.
    """

    pause_s: float = Param(
        5.0, ge=0, le=3600, unit="s", help="so long nothing must be there before the next visit"
    )

    def start(self) -> None:
        self.visits = 0
        self.seen_at_s = float("-inf")

    def process(self, frame: Frame) -> None:
        if len(frame.detections):
            if frame.captured_at_s - self.seen_at_s > self.pause_s:
                self.visits += 1
                frame.publish("visits", {"visits": self.visits})
            self.seen_at_s = frame.captured_at_s
        frame.values["visits"] = self.visits

    @method
    def reset_visits(self, payload: Any) -> dict[str, int]:
        """Begin to count at 0; the caller gets what it was."""
        before, self.visits = self.visits, 0
        return {"before": before}
