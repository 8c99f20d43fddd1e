"""``edgevision stages``: the built-in stages and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgevision.cli.output import Output
from edgevision.param import REQUIRED

if TYPE_CHECKING:
    from edgevision.stage import Stage

__all__ = ["show_stage", "show_stages"]


def show_stages(output: Output) -> None:
    """Print every built-in stage with a line about it."""
    from edgevision.stages import BUILT_IN, load

    stages = {name: load(name) for name in BUILT_IN}
    if output.data_is_json:
        for name, stage in stages.items():
            output.data(_described(name, stage))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    for name, stage in stages.items():
        table.add_row(name, _summary(stage), f"[dim]{', '.join(stage.parameters())}[/dim]")
    output.console().print(table)
    print("\nedgevision stages NAME tells more about one.")


def show_stage(use: str, output: Output) -> None:
    """Print one stage with its parameters; ``use`` is what a pipeline would call it.

    Raises:
        ConfigurationError: there is no such stage, or its file does not load.
    """
    from edgevision.config import load_stage

    stage = load_stage(use)
    if output.data_is_json:
        output.data(_described(use, stage))
        return
    import inspect

    from rich.markup import escape
    from rich.table import Table

    console = output.console()
    console.print(f"[bold]{escape(use)}[/bold]")
    console.print(escape(inspect.cleandoc(stage.__doc__ or "")))
    specs = stage.parameters()
    if not specs:
        console.print("\nIt has no parameters.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("parameter", "value", "default", ""):
        table.add_column(heading, overflow="fold")
    for name, spec in specs.items():
        restarts = "" if spec.live else " [dim](a change restarts the stage)[/dim]"
        table.add_row(
            f"[bold]{escape(name)}[/bold]",
            escape(spec.describe_type()),
            escape(spec.describe_default()),
            escape(spec.help) + restarts,
        )
    console.print()
    console.print(table)


def _summary(stage: type[Stage]) -> str:
    return (stage.__doc__ or "").strip().partition("\n")[0]


def _described(use: str, stage: type[Stage]) -> Mapping[str, Any]:
    return {
        "name": use,
        "description": _summary(stage),
        "parameters": [
            {
                "name": name,
                "type": spec.kind.text,
                "unit": spec.unit,
                "required": spec.default is REQUIRED,
                "help": spec.help,
                "live": spec.live,
                "schema": spec.json_schema(),
            }
            for name, spec in stage.parameters().items()
        ],
    }
