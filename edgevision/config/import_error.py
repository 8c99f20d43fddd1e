"""Say what went wrong when a user's Python file was loaded: the line, and no traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

from edgevision.redaction import redact

__all__ = ["describe"]


def describe(error: BaseException, folder: Path) -> str:
    """Return the error's type and text, and the last line of the user's files that it went through.

    Args:
        error: what importing raised.
        folder: where the user's files are; lines elsewhere (OpenCV, importlib) are left out.
    """
    if isinstance(error, SyntaxError):
        return _describe_syntax(error)
    text = redact(f"{type(error).__name__}: {error}").removesuffix(": ")
    place = folder.resolve()
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if place in Path(frame.filename).parents
    ]
    if not own:
        return text
    frame = own[-1]
    source = f"\n      {redact(frame.line)}" if frame.line else ""
    hint = ""
    if isinstance(error, ImportError) and "relative import" in str(error):
        hint = "\n    a stage file is no package: write `import helpers`, without the dot"
    return f"{text}\n    {_short(frame.filename)}, line {frame.lineno}{source}{hint}"


def _describe_syntax(error: SyntaxError) -> str:
    name = type(error).__name__
    message = f"{name}: {error.msg}"
    if error.filename:
        message += f"\n    {_short(error.filename)}, line {error.lineno}"
    if not error.text:
        return message
    source = error.text.rstrip("\n")
    shown = source.lstrip()
    column = max(0, (error.offset or 1) - 1 - (len(source) - len(shown)))
    return f"{message}\n      {redact(shown)}\n      {' ' * column}^"


def _short(filename: str) -> str:
    """Return a path relative to the current folder when it is inside it."""
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename
