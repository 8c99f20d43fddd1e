"""What a camera is doing, and since when."""

from __future__ import annotations

import logging
import threading
import time
from typing import Literal

__all__ = ["CameraState", "StateName"]

StateName = Literal[
    "connecting", "live", "stalled", "backing off", "paused", "ended", "failed", "stopped"
]

_log = logging.getLogger("edgevision.camera")
_REPEAT_S = 60.0


class CameraState:
    """The state of one camera's source; set by its threads, read by anyone.

    A change is logged. A camera that is away for hours repeats its reason once a minute, not at
    each attempt.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._lock = threading.Lock()
        self._logged: dict[tuple[str, str], float] = {}
        self.name: StateName = "connecting"
        self.detail = ""
        self.since_s = time.time()

    def set(self, name: StateName, detail: str = "") -> None:
        """Change the state; ``detail`` says why, without credentials.

        A failed camera stays failed: what its other thread still says does not hide the reason.
        """
        with self._lock:
            if self.name == "failed" or (name, detail) == (self.name, self.detail):
                return
            if name != self.name:
                self.since_s = time.time()
            self.name = name
            self.detail = detail
            now = time.monotonic()
            fresh = now - self._logged.get((name, detail), -_REPEAT_S) >= _REPEAT_S
            if fresh:
                if len(self._logged) > 100:
                    self._logged.clear()
                self._logged[name, detail] = now
        if fresh:
            bad = name in ("stalled", "backing off", "failed")
            level = logging.WARNING if bad else logging.INFO
            why = f": {detail}" if detail else ""
            _log.log(level, "camera %s is %s%s", self._camera, name, why)
