"""What a parameter asks of its value beyond the type: bounds, lengths, a pattern."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Rules", "UnsupportedTypeError"]

_BOUNDS: dict[str, tuple[str, str, Callable[[Any, Any], bool]]] = {
    "ge": (">=", "minimum", lambda value, bound: value >= bound),
    "gt": (">", "exclusiveMinimum", lambda value, bound: value > bound),
    "le": ("<=", "maximum", lambda value, bound: value <= bound),
    "lt": ("<", "exclusiveMaximum", lambda value, bound: value < bound),
}


class UnsupportedTypeError(TypeError):
    """No value of a type can come from YAML, or its rules fit no part of it."""


@dataclass(frozen=True)
class Rules:
    """What a declaration asks beyond the type.

    Attributes:
        ge: smallest number; ``gt`` excludes it. Bounds hold for every number in the value.
        gt: see ``ge``.
        le: largest number; ``lt`` excludes it.
        lt: see ``le``.
        min_length: fewest characters, items or keys of the outermost text, list or dictionary.
        max_length: the most of them.
        pattern: regular expression that every text in the value must match somewhere.

    Raises:
        UnsupportedTypeError: a rule is none, or the rules leave no value.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def __post_init__(self) -> None:
        for key, bound in self.bounds.items():
            if isinstance(bound, bool) or not isinstance(bound, (int, float)):
                raise UnsupportedTypeError(f"{key} must be a number, got {bound!r}")
            if not math.isfinite(bound):
                raise UnsupportedTypeError(f"{key} must be finite, got {bound!r}; leave it out")
        lowest = max((b for b in (self.ge, self.gt) if b is not None), default=-math.inf)
        highest = min((b for b in (self.le, self.lt) if b is not None), default=math.inf)
        excluded = self.gt == lowest or self.lt == highest
        if lowest > highest or (lowest == highest and excluded):
            shown = ", ".join(f"{key}={bound}" for key, bound in self.bounds.items())
            raise UnsupportedTypeError(f"the bounds {shown} leave no number")
        fewest, most = self.min_length, self.max_length
        if (fewest is not None and fewest < 0) or (most is not None and most < (fewest or 0)):
            raise UnsupportedTypeError(f"min_length={fewest}, max_length={most} leave nothing")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, TypeError) as error:
                raise UnsupportedTypeError(
                    f"the pattern {self.pattern!r} is no regular expression: {error}"
                ) from None

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are given, by name."""
        return {key: getattr(self, key) for key in _BOUNDS if getattr(self, key) is not None}

    def given(self) -> dict[str, str]:
        """Return the kinds of rules that are given, each with the names to show for it."""
        lengths = [k for k in ("min_length", "max_length") if getattr(self, k) is not None]
        kinds = {
            "bounds": ", ".join(self.bounds),
            "length": ", ".join(lengths),
            "pattern": "pattern" if self.pattern is not None else "",
        }
        return {kind: names for kind, names in kinds.items() if names}

    def inner(self) -> Rules:
        """Return the rules for the parts of a value."""
        return Rules(self.ge, self.gt, self.le, self.lt, pattern=self.pattern)

    def allow_number(self, number: float) -> bool:
        """Say whether ``number`` is within the bounds."""
        return all(_BOUNDS[key][2](number, bound) for key, bound in self.bounds.items())

    def allow_length(self, length: int) -> bool:
        """Say whether ``length`` is within the lengths."""
        fewest, most = self.min_length, self.max_length
        return (fewest is None or length >= fewest) and (most is None or length <= most)

    def bounds_text(self) -> str:
        """Return the bounds for people, such as `` >= 1, < 9``; "" without any."""
        shown = ", ".join(f"{_BOUNDS[key][0]} {bound}" for key, bound in self.bounds.items())
        return shown and f" {shown}"

    def length_text(self, unit: str) -> str:
        """Return the lengths for people, such as `` of at least 3 items``; "" without any."""
        fewest, most = self.min_length, self.max_length
        if fewest is None and most is None:
            return ""
        if most is None:
            size = f"at least {fewest}"
        elif not fewest:
            size = f"at most {most}"
        else:
            size = str(most) if fewest == most else f"{fewest} to {most}"
        plural = "" if size.split()[-1] == "1" else "s"
        return f" of {size} {unit}{plural}"

    def bounds_schema(self) -> dict[str, Any]:
        """Return the bounds as keywords of JSON Schema."""
        return {_BOUNDS[key][1]: bound for key, bound in self.bounds.items()}

    def length_schema(self, name: str) -> dict[str, Any]:
        """Return the lengths as keywords of JSON Schema: ``min<name>`` and ``max<name>``."""
        limits = {f"min{name}": self.min_length, f"max{name}": self.max_length}
        return {key: limit for key, limit in limits.items() if limit is not None}
