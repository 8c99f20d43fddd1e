"""How far a camera's messages have come."""

from __future__ import annotations

from dataclasses import dataclass

from edgevision.upstream.outbox.batch import OpenBatch

__all__ = ["ALL", "CameraQueue"]

ALL = 1 << 62
"""A number above that of every packet."""


@dataclass(slots=True)
class CameraQueue:
    """How far one camera's messages have come.

    Attributes:
        count: messages in the file.
        last: number of its newest packet.
        cursor: number of the packet handed out last, of the backlog where the two are parted.
        open: the newest packet while messages may join it.
        parted_at: number of the backlog's last packet; what comes after it is live.
        live: number of the live packet handed out last.
    """

    count: int = 0
    last: int = 0
    cursor: int = 0
    open: OpenBatch | None = None
    parted_at: int = ALL
    live: int = ALL

    def cursor_of(self, live: bool) -> int:
        """Return where the backlog or the live part has come to."""
        return self.live if live else self.cursor

    def move(self, live: bool, cursor: int) -> None:
        """Note where the backlog or the live part has come to."""
        if live:
            self.live = cursor
        else:
            self.cursor = cursor
