"""Names of classes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from edgevision.errors import ConfigurationError

__all__ = ["class_labels", "read_labels"]


def read_labels(path: Path) -> list[str]:
    """Return the lines of a file, one class a line; empty lines at the end do not count.

    Raises:
        ConfigurationError: there is no such file, it is no UTF-8 text, or a line is empty; says
            which.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"the labels {str(path)!r} cannot be read: {error.strerror or error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the labels {str(path)!r} are no UTF-8 text") from error
    labels = [line.strip() for line in lines]
    for number, label in enumerate(labels, start=1):
        if not label:
            raise ConfigurationError(
                "a class has no name; write one on each line", file=str(path), line=number
            )
    return labels


def class_labels(
    given: Path | Sequence[str] | None, classes: int, metadata: dict[str, str]
) -> list[str]:
    """Return the name of each class.

    Args:
        given: a file with one a line, the names themselves, or None: those that the model file
            brings with it, else the classes' numbers.
        classes: how many the network tells apart.
        metadata: of the model file; Ultralytics' exports have the names as a Python dictionary.

    Raises:
        ConfigurationError: there are more or fewer names than classes.
    """
    if given is None:
        own = _names(metadata.get("names", ""))
        return own if len(own) == classes else [str(number) for number in range(classes)]
    labels = read_labels(given) if isinstance(given, Path) else [str(label) for label in given]
    if len(labels) != classes:
        file = str(given) if isinstance(given, Path) else None
        raise ConfigurationError(
            f"there must be a label for each of the model's {classes} classes, there are "
            f"{len(labels)}",
            file=file,
            line=len(labels) if file else None,
        )
    return labels


def _names(text: str) -> list[str]:
    """Read ``{0: 'person', 1: 'bicycle'}``; empty if it is something else."""
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(names, dict) and list(names) == list(range(len(names))):
        return [str(name) for name in names.values()]
    return []
