"""Collect the mistakes of a document, so that all of them are reported at once."""

from __future__ import annotations

from typing import NoReturn

from edgevision.config.node import Node, locate
from edgevision.errors import ConfigurationError

__all__ = ["Problems"]

_SHOWN = 10


class Problems:
    """The mistakes found so far in one document.

    Args:
        file: path of the document for messages, or None.
    """

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self._found: list[ConfigurationError] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, message: str, *, line: int | None = None, path: str | None = None) -> None:
        """Note a mistake at a line or a path."""
        self._found.append(
            ConfigurationError(message, file=self.file, line=line, path=path or None)
        )

    def add_at(self, root: Node, way: tuple[int | str, ...], message: str) -> None:
        """Note a mistake at the place to which ``way`` leads, unless one was found there."""
        place = locate(root, way)
        if place.refused:
            return
        rest = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place.rest)
        self.add(message, line=place.line, path=f"{place.path}{rest}".lstrip("."))

    def fail(self, message: str, *, line: int | None = None) -> NoReturn:
        """Note a mistake after which nothing else can be checked.

        Raises:
            ConfigurationError: everything found until now.
        """
        self.add(message, line=line)
        raise self.error()

    def raise_if_any(self) -> None:
        """Raise what `error` gives, if there is anything."""
        if self._found:
            raise self.error()

    def error(self) -> ConfigurationError:
        """Return one error with everything found, in the order of the lines.

        It has one line for each mistake, ten at most; its ``problems`` has them all.
        """
        last = float("inf")
        found = sorted(self._found, key=lambda p: last if p.line is None else p.line)
        lines = [str(problem) for problem in found[:_SHOWN]]
        if len(found) > _SHOWN:
            more = len(found) - _SHOWN
            lines.append(f"... and {more} more mistake{'s' if more > 1 else ''}")
        error = found[0] if len(found) == 1 else ConfigurationError("\n".join(lines))
        error.problems = tuple(found)
        error.file = self.file
        return error
