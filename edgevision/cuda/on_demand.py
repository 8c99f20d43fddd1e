"""The lane of a thread that asks for a device without running on one.

A stage of a CPU pipeline may still want one operation on the GPU: ``frame.gpu``. Each thread gets a
lane of its own for that, made with the first question.
"""

from __future__ import annotations

import threading

from edgevision.cuda.lane import Lane
from edgevision.cuda.probe import require

__all__ = ["lane"]


class _Own(threading.local):
    def __init__(self) -> None:
        self.lane: Lane | None = None


_own = _Own()


def lane() -> Lane:
    """Return this thread's lane on the first device.

    Raises:
        CudaUnavailableError: there is no CUDA device that OpenCV can use; the message says why.
    """
    found = _own.lane
    if found is None:
        found = _own.lane = Lane(require().index, camera="a CPU pipeline")
    return found
