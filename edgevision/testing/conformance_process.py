"""The rules of `check_stage` about the process that a stage shares with others."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

from edgevision.testing.conformance_subject import ProcessSettings, Subject

__all__ = ["leave_nothing", "leave_the_process"]

_GRACE_S = 1.0


def leave_nothing(subject: Subject) -> None:
    """Look for threads and open files after ``stop``."""
    player, shots = subject.player, subject.shots[:3]
    player.play(shots)  # what is loaded once for all stays open
    threads, files = set(threading.enumerate()), _open_files()
    for _ in range(3):
        player.play(shots)
    gc.collect()
    deadline_s = time.monotonic() + _GRACE_S
    left = set(threading.enumerate()) - threads
    for thread in left:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    alive = [thread for thread in left if thread.is_alive()]
    if alive:
        player.fail(
            "leftovers",
            f"after stop its thread {alive[0].name!r} is still there",
            "end and join in stop every thread that start or process began",
        )
    more = _open_files() - files
    if len(more) >= 3:
        player.fail(
            "leftovers",
            f"three starts and stops left {len(more)} files open, such as {sorted(more)[0][1]}",
            "close in stop what start opened",
        )


def leave_the_process(subject: Subject) -> None:
    """Look for settings of the whole process that are not as they were before the check."""
    after = ProcessSettings.now().values
    for name, value in subject.settings.values.items():
        if after[name] != value:
            subject.player.fail(
                "process",
                f"it changed {name} from {value!r} to {after[name]!r}",
                "a stage shares its process with other cameras: leave such settings to the program",
            )


def _open_files() -> set[tuple[int, str]]:
    """Return the open files of this process, with their names where the system shows them."""
    found = set()
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.exists() else ():
        try:
            found.add((int(entry.name), os.readlink(entry)))
        except OSError:  # the one that lists the folder
            continue
    return found
