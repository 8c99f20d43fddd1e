"""What an outbox may take, and what it does at its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.packet import WhenFull

__all__ = ["Bounds"]


@dataclass(slots=True, frozen=True)
class Bounds:
    """The arguments of `edgevision.upstream.outbox.outbox.Outbox` that its parts share."""

    path: Path
    max_bytes: int
    max_age_s: float
    when_full: WhenFull
    fsync: bool
    batching: Batching
    max_wire_bytes: int
    keep_corrupt: int
