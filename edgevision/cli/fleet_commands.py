"""The commands of whoever deploys: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevision.cli.options import AsJson, Quiet
from edgevision.cli.output import Output

__all__ = ["add_fleet_commands"]


def add_fleet_commands(application: typer.Typer) -> None:
    """Add the commands to the command line."""
    application.command()(manifest)


def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of the module.")] = Path(),
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="Such as orin-r36; edgevision build --list.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="device, layered, template, compose, kubernetes or docker.",
        ),
    ] = "device",
    gpu: Annotated[
        str, typer.Option(metavar="MODE", help="devices, runtime, cdi, gpus or none.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the module; default the folder's.")] = "",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="File to write; default standard output."),
    ] = None,
    check: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--check", metavar="FILE", help="Check anyone's manifest instead."),
    ] = None,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Write a deployment manifest, or check one.

    For example:

    edgevision manifest --platform orin-r36 --out deployment.json

    edgevision manifest --platform orin-r36 --format layered --out layer.json

    edgevision manifest --check deployment.json
    """
    from edgevision.cli.manifest import ManifestRequest, make
    from edgevision.cli.manifest import check as check_file

    output = Output(as_json, quiet)
    output.start_logging()
    if check is not None:
        return check_file(check, platform, output)
    request = ManifestRequest(folder, platform, form, gpu, name, out)
    return make(request, output)
