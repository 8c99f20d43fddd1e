"""Exact accounting of a camera's frames."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

__all__ = ["Accounts", "Ledger"]

_MAX_CAUSES = 64


@dataclass(slots=True, frozen=True)
class Accounts:
    """Where every captured frame is, at one moment.

    ``captured == processed + sum(dropped.values()) + in_flight`` holds at any moment, since each
    frame is moved from one place to the next under one lock.

    Attributes:
        captured: frames that the source delivered.
        processed: frames whose result was delivered.
        dropped: frames lost, by cause: ``overrun`` (a newer one came), ``stale`` (too old),
            ``upstream`` (results came faster than they were taken), ``stopped``, ``restart`` (its
            stages could not be started), ``error STAGE`` and ``STAGE: reason`` of a DropFrame.
        queued: frames that wait for the worker.
        working: frames that stages work on.
        delivering: results that wait to be delivered.
    """

    captured: int = 0
    processed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    working: int = 0
    delivering: int = 0

    @property
    def in_flight(self) -> int:
        """Frames between capture and delivery."""
        return self.queued + self.working + self.delivering


class Ledger:
    """Counts the frames of one camera; each method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captured = 0
        self._processed = 0
        self._dropped: dict[str, int] = {}
        self._queued = 0
        self._working = 0
        self._delivering = 0

    @property
    def waiting(self) -> int:
        """Frames that wait for the worker at this moment."""
        return self._queued

    def capture(self) -> None:
        """The source delivered a frame, which now waits for the worker."""
        with self._lock:
            self._captured += 1
            self._queued += 1

    def take(self) -> None:
        """The worker took a waiting frame."""
        with self._lock:
            self._queued -= 1
            self._working += 1

    def finish(self) -> None:
        """All stages are done with a frame; its result now waits to be delivered."""
        with self._lock:
            self._working -= 1
            self._delivering += 1

    def deliver(self) -> None:
        """A result was delivered."""
        with self._lock:
            self._delivering -= 1
            self._processed += 1

    def drop_queued(self, cause: str) -> None:
        """A frame that waited for the worker is lost."""
        with self._lock:
            self._queued -= 1
            self._count(cause)

    def drop_working(self, cause: str) -> None:
        """A frame that the worker had is lost."""
        with self._lock:
            self._working -= 1
            self._count(cause)

    def drop_delivering(self, cause: str) -> None:
        """A result that waited to be delivered is lost."""
        with self._lock:
            self._delivering -= 1
            self._count(cause)

    def snapshot(self) -> Accounts:
        """Return all counts as of one moment."""
        with self._lock:
            return Accounts(
                self._captured,
                self._processed,
                dict(self._dropped),
                self._queued,
                self._working,
                self._delivering,
            )

    def _count(self, cause: str) -> None:
        if cause not in self._dropped and len(self._dropped) >= _MAX_CAUSES:
            cause = "other"
        self._dropped[cause] = self._dropped.get(cause, 0) + 1
