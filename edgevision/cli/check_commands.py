"""The commands that look at the machine: their options and help."""

from __future__ import annotations

from typing import Annotated

import typer

from edgevision.cli.output import Output

__all__ = ["add_check_commands"]


def add_check_commands(application: typer.Typer) -> None:
    """Add the commands to the command line."""
    application.command("devicequery")(device_query)


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
