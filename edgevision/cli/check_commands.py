"""The commands that look at the machine: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevision.cli.options import AsJson
from edgevision.cli.output import Output

__all__ = ["add_check_commands"]


def add_check_commands(application: typer.Typer) -> None:
    """Add the commands to the command line."""
    application.command("devicequery")(device_query)
    application.command()(doctor)


def device_query(
    as_json: Annotated[
        bool, typer.Option("--json/--text", help="One JSON line; text otherwise, on pipes, too.")
    ] = False,
) -> int:
    """Print what NVIDIA's deviceQuery prints, without a compiler.

    It ends in "Result = PASS", or in "Result = FAIL" and exit status 1.
    """
    from edgevision.cli.device_query import device_query as ask

    return ask(Output(as_json))


def doctor(
    checks: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[CHECK]...", help="Only these; --list shows them."),
    ] = None,
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="What this is; default the image's, or a guess.")
    ] = "",
    outbox: Annotated[
        Path, typer.Option(help="Where the outbox is, as pipeline.yaml has it.")
    ] = Path("outbox.sqlite"),
    show: Annotated[bool, typer.Option("--list", help="Show the names of the checks.")] = False,
    as_json: AsJson = None,
) -> int:
    """Look for what keeps this machine from working, and say what to do about it.

    For example:

    edgevision doctor

    edgevision doctor nodes driver --platform orin-r36
    """
    from edgevision.cli.doctor import doctor as look

    return look(checks or [], platform, outbox, show, Output(as_json))
