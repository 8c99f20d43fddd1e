"""The commands of whoever deploys: their options and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevision.cli.options import AsJson, Quiet
from edgevision.cli.output import Output

__all__ = ["add_fleet_commands"]


def add_fleet_commands(application: typer.Typer, new: typer.Typer) -> None:
    """Add the commands to the command line, and what `edgevision new` can write."""
    new.command("module")(new_module)
    application.command()(manifest)
    application.command()(deploy)
    application.command()(fleet)


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
    strict: Annotated[
        bool, typer.Option("--strict", help="With --check: warnings are errors, too.")
    ] = False,
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
        return check_file(check, platform, output, strict=strict)
    request = ManifestRequest(folder, platform, form, gpu, name, out)
    return make(request, output)


def deploy(
    file: Annotated[Path, typer.Argument(help="The manifest.")],
    hub: Annotated[str, typer.Option(metavar="NAME", help="The IoT Hub.")],
    device: Annotated[str, typer.Option(metavar="ID", help="One device.")] = "",
    target: Annotated[
        str, typer.Option(metavar="CONDITION", help="All devices such as tags.site='north'.")
    ] = "",
    name: Annotated[str, typer.Option(help="Of the deployment, with --target.")] = "",
    priority: Annotated[int, typer.Option(min=0, help="With --target; higher wins.")] = 10,
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="Check the manifest for this platform, too.")
    ] = "",
    rollback: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="File for what was deployed before; default rollback-....json."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the command and what would change.")
    ] = False,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Set a manifest on a device, or create a deployment at scale, with az.

    For example:

    edgevision deploy deployment.json --hub myhub --device edge-1 --dry-run
    """
    from edgevision.cli.deploy import DeployRequest
    from edgevision.cli.deploy import deploy as deploy_it

    output = Output(as_json, quiet)
    output.start_logging()
    request = DeployRequest(file, hub, device, target, name, priority, platform, rollback, dry_run)
    return deploy_it(request, output)


def fleet(
    file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(help="Answer of az iot hub query, in place of --hub."),
    ] = None,
    hub: Annotated[str, typer.Option(metavar="NAME", help="The IoT Hub.")] = "",
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="Tell which devices its image does not fit.")
    ] = "",
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Show devices, cameras and versions as the modules report them."""
    from edgevision.cli.deploy import fleet as show

    return show(file, hub, platform, Output(as_json, quiet))


def new_module(
    name: Annotated[str, typer.Argument(help="Such as people.")],
    folder: Annotated[Path, typer.Option(help="Where to.")] = Path(),
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="What deployment.template.json is for.")
    ] = "orin-r36",
    as_json: AsJson = None,
) -> None:
    """Write a module's folder: a stage, tests, an image, a deployment."""
    from edgevision.cli.new_module import new_module as write

    write(name, folder, platform, Output(as_json))
