"""What a check says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from edgevision.redaction import redact

__all__ = ["Finding", "Level", "ok", "problem", "warning"]

Level = Literal["ok", "warning", "problem"]
"""``ok``: as it should be. ``warning``: it works, but something may be missed. ``problem``:
something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: how it is.
        seen: what was seen; credentials are hidden.
        fix: the one thing to do; empty if all is well.
    """

    level: Level
    seen: str
    fix: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seen", redact(self.seen))
        object.__setattr__(self, "fix", redact(self.fix))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable values."""
        return asdict(self)


def ok(seen: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", seen)


def warning(seen: str, fix: str) -> Finding:
    """Return that something may be missed."""
    return Finding("warning", seen, fix)


def problem(seen: str, fix: str) -> Finding:
    """Return that something does not work."""
    return Finding("problem", seen, fix)
