"""What a check of a manifest finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake.

    Attributes:
        rule: name of the rule, for looking it up.
        path: place in the document.
        message: what is wrong: what was wanted and what came.
        fix: the one thing to do.
        severity: ``error``: IoT Edge refuses it or the module cannot work; ``warning``: it works,
            but hardly as meant.
    """

    rule: str
    path: str
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message} [{self.rule}]. {self.fix}"
