"""``edgevision deploy`` and ``edgevision fleet``: through the ``az`` command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError

if TYPE_CHECKING:
    from edgevision.deploy.azure.deployment import Target
    from edgevision.deploy.azure.fleet import DeviceReport

__all__ = ["DeployRequest", "deploy", "fleet"]
_MAX_FLEET_BYTES = 500_000_000


@dataclass(frozen=True)
class DeployRequest:
    """What the command line asks for.

    Attributes:
        file: the manifest.
        hub: name of the IoT Hub.
        device: one device, or "".
        condition: devices of a deployment at scale, or "".
        name: of the deployment at scale.
        priority: of the deployment at scale.
        platform: row that the manifest is checked for, or "".
        rollback: file for what was deployed before, or None for a name of our own.
        dry_run: show, and change nothing.
    """

    file: Path
    hub: str
    device: str = ""
    condition: str = ""
    name: str = ""
    priority: int = 10
    platform: str = ""
    rollback: Path | None = None
    dry_run: bool = False


def deploy(request: DeployRequest, output: Output) -> int:
    """Check a manifest, show the command and what changes, and apply it.

    Raises:
        ConfigurationError: the manifest has errors, or the request does.
        AzError: ``az`` does not work; nothing was changed.
    """
    from edgevision.deploy.azure import Az
    from edgevision.deploy.azure.deployment import apply, command, deployed, differences
    from edgevision.deploy.json_file import read_json

    content = read_json(request.file)
    target = _target(request, content, output)
    az = Az()
    print(az.shown(command(target, str(request.file))), flush=True)
    modules = [name for name in _content(content) if not name.startswith("$")]
    before = deployed(az, target, modules)
    for line in differences(before, content):
        print(line)
    if request.dry_run:
        return 0
    rollback = request.rollback
    if rollback is None:
        rollback = Path(f"rollback-{request.device or target.name}.json")
    had_one = before is not None
    apply(az, target, content, rollback if had_one else None)
    where = request.device or f"devices with {request.condition}"
    if had_one:
        output.notice(
            f"deployed to {where}; to go back: edgevision deploy {rollback} --hub {request.hub}"
            f"{f' --device {request.device}' if request.device else ' --name NEW_NAME ...'}",
            rollback=str(rollback),
        )
    else:
        output.notice(f"deployed to {where}; nothing was deployed before")
    output.notice(f"next: edgevision fleet --hub {request.hub}")
    return 0


def fleet(file: Path | None, hub: str, platform_name: str, output: Output) -> int:
    """Show the devices as they report themselves; 1 if ``platform_name`` does not fit one.

    Raises:
        ConfigurationError: neither a file nor a hub is named, or the file is no query's answer.
        AzError: ``az`` does not work.
    """
    from edgevision.deploy.azure import Az
    from edgevision.deploy.azure.fleet import QUERY, fit_faults, read_fleet
    from edgevision.deploy.json_file import read_json
    from edgevision.deploy.platforms import platform

    if file is None and not hub:
        raise ConfigurationError(
            "which fleet? --hub NAME asks az; or name a file with the answer of: "
            f'az iot hub query --hub-name HUB --query-command "{QUERY}"'
        )
    if file is not None:
        answer = read_json(file, _MAX_FLEET_BYTES)
    else:
        query = ["iot", "hub", "query", "--hub-name", hub, "--query-command", QUERY]
        answer = Az().run(query)
    reports = read_fleet(answer)
    row = platform(platform_name) if platform_name else None
    faults = {id(report): fit_faults(report, row) if row else [] for report in reports}
    if output.data_is_json:
        for report in reports:
            fits = {"fits": not faults[id(report)], "why_not": faults[id(report)]} if row else {}
            output.data({**_fields(report), **fits})
    else:
        _table(reports, [faults[id(report)] for report in reports], platform_name, output)
    return 1 if any(faults.values()) else 0


def _target(request: DeployRequest, content: Any, output: Output) -> Target:
    from edgevision.deploy.azure.deployment import Target
    from edgevision.deploy.manifest.check import check_manifest
    from edgevision.deploy.manifest.reading import read_manifest
    from edgevision.deploy.platforms import platform

    if bool(request.device) == bool(request.condition):
        raise ConfigurationError(
            "where to? --device ID for one device, or --target CONDITION with --name NAME for all "
            "that fit, such as --target \"tags.site='north'\""
        )
    if request.condition and not request.name:
        raise ConfigurationError("a deployment at scale needs a name: --name NAME")
    row = platform(request.platform) if request.platform else None
    found = check_manifest(content, row)
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        raise ConfigurationError("\n".join(f"{request.file}: {finding}" for finding in errors))
    for finding in found:
        output.notice(f"warning: {finding}", rule=finding.rule)
    manifest = read_manifest(content)
    kind = manifest.kind
    if manifest.template:
        raise ConfigurationError(
            f"{request.file} is a template; edgevision manifest writes what can be deployed"
        )
    if kind == "layered" and request.device:
        raise ConfigurationError(
            f"{request.file} is a layer, which goes on top of other deployments: use --target"
        )
    return Target(
        hub=request.hub,
        device=request.device,
        condition=request.condition,
        name=request.name,
        priority=request.priority,
        layered=kind == "layered",
    )


def _content(document: Any) -> Any:
    return document.get("content", document).get("modulesContent", {})


def _fields(report: DeviceReport) -> dict[str, Any]:
    return {
        "device": report.device,
        "module": report.module,
        "connected": report.connected,
        "model": report.model,
        "arch": report.arch,
        "l4t": report.l4t,
        "sm": list(report.sm),
        "edgevision": report.edgevision,
        "image": report.image,
        "cameras": report.cameras,
        "live": report.live,
        "desired": report.desired,
        "applied": report.applied,
        "current": report.current,
        "reason": report.reason,
    }


def _table(
    reports: Sequence[DeviceReport],
    faults: Sequence[Sequence[str]],
    platform_name: str,
    output: Output,
) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    columns = ["device", "module", "connected", "L4T", "sm", "edgevision", "cameras live", "twin"]
    for column in [*columns, *(["fits"] if platform_name else [])]:
        table.add_column(column)
    for report, why_not in zip(reports, faults, strict=True):
        twin = f"{report.applied} of {report.desired}"
        row = [
            report.device,
            report.module,
            "yes" if report.connected else "no",
            report.l4t or "-",
            ", ".join(report.sm) or "-",
            report.edgevision,
            f"{report.live} of {len(report.cameras)}",
            "current" if report.current else report.reason or twin,
        ]
        if platform_name:
            row.append("no" if why_not else "yes")
        table.add_row(*row)
    console = output.console()
    console.print(table)
    for report, why_not in zip(reports, faults, strict=True):
        for reason in why_not:
            console.print(f"{report.device}: {reason}", markup=False)
    live = sum(report.live for report in reports)
    console.print(f"{len(reports)} modules, {live} cameras live")
