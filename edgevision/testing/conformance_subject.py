"""What `check_stage` hands to each of its rules."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edgevision.testing.conformance_play import Player, Shot

__all__ = ["ProcessSettings", "Subject"]


@dataclass(frozen=True)
class ProcessSettings:
    """Settings that a stage shares with everything else in its process.

    Attributes:
        values: the settings by their name for people.
    """

    values: dict[str, Any]

    @classmethod
    def now(cls) -> ProcessSettings:
        """Look."""
        return cls(
            {
                "the current folder": os.getcwd(),
                "the environment": dict(os.environ),
                "cv2.setNumThreads": cv2.getNumThreads(),
                "cv2.setUseOptimized": cv2.useOptimized(),
                "the handler of SIGINT": signal.getsignal(signal.SIGINT),
                "the handler of SIGTERM": signal.getsignal(signal.SIGTERM),
                "numpy.seterr": dict(np.geterr()),
            }
        )

    def restore(self) -> None:
        """Put everything back, so that later tests are not disturbed."""
        now, values = ProcessSettings.now().values, self.values
        changed = {name for name, value in values.items() if now[name] != value}
        if "the current folder" in changed:
            os.chdir(values["the current folder"])
        if "the environment" in changed:
            os.environ.clear()
            os.environ.update(values["the environment"])
        if "cv2.setNumThreads" in changed:
            cv2.setNumThreads(values["cv2.setNumThreads"])
        if "cv2.setUseOptimized" in changed:
            cv2.setUseOptimized(values["cv2.setUseOptimized"])
        if "numpy.seterr" in changed:
            np.seterr(**values["numpy.seterr"])
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                name = f"the handler of {number.name}"
                if name in changed:
                    signal.signal(number, values[name])


@dataclass
class Subject:
    """What is checked, and with what.

    Attributes:
        player: makes and runs the stages.
        shots: the main sequence of pictures.
        other_shots: another one, as from a second camera.
        params: values to try instead of the bounds, by parameter.
        deterministic: True if the same frames must give the same results.
        settings: those of the process before the check.
    """

    player: Player
    shots: list[Shot]
    other_shots: list[Shot]
    params: dict[str, list[Any]]
    deterministic: bool
    settings: ProcessSettings
