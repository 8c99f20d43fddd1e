"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["AsJson", "Quiet"]

# Optional[...] rather than a union: typer reads the annotations when Python 3.10 runs, too.
AsJson = Annotated[
    Optional[bool],  # noqa: UP045
    typer.Option("--json/--text", help="JSON lines, or text for people, whatever the output is."),
]
"""JSON lines or text; as the output is if neither is said."""

Quiet = Annotated[bool, typer.Option("--quiet", help="Only warnings and errors.")]
"""Leave notices out."""
