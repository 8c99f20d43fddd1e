"""``edgevision manifest``: deployment manifests, made and checked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.deploy.manifest.finding import Finding
    from edgevision.deploy.manifest.module_folder import ModuleFolder
    from edgevision.deploy.platforms import Platform

__all__ = ["FORMATS", "ManifestRequest", "check", "make"]

FORMATS = ("device", "layered", "template", "compose", "kubernetes", "docker")
"""What a manifest can be written as."""

_NEXT = {
    "device": "az iot edge set-modules --hub-name HUB --device-id DEVICE --content {file}",
    "layered": "edgevision deploy {file} --hub HUB --target \"tags.edgevision='yes'\"",
    "template": "open {file} in VS Code, or: iotedgedev solution genconfig --file {file}",
    "compose": "docker compose --file {file} up --detach",
    "kubernetes": "kubectl apply --filename {file}",
    "docker": "sh {file}",
}
# In anyone's manifest a warning; in one that is made here a mistake in deployment.yaml.
_REFUSED = ("image-tag", "unknown-module")


@dataclass(frozen=True)
class ManifestRequest:
    """What the command line asks for.

    Attributes:
        folder: the module's folder.
        platform: row of the table of platforms.
        form: one of `FORMATS`.
        gpu: way to the GPU, "" for what deployment.yaml says.
        name: of the module, "" for the folder's.
        out: file to write; None for standard output.
    """

    folder: Path = field(default=Path())
    platform: str = ""
    form: str = "device"
    gpu: str = ""
    name: str = ""
    out: Path | None = None


def make(request: ManifestRequest, output: Output) -> int:
    """Write a manifest, after checking it.

    Raises:
        ConfigurationError: something is missing or wrong; nothing was written.
    """
    from edgevision.deploy.manifest.check import check_manifest
    from edgevision.deploy.manifest.module_folder import read_module_folder
    from edgevision.deploy.platforms import names, platform

    if request.form not in FORMATS:
        raise ConfigurationError(
            f"there is no format {request.form!r}{did_you_mean(request.form, FORMATS)} "
            f"(there are: {', '.join(FORMATS)})"
        )
    if not request.platform:
        raise ConfigurationError(
            f"for which platform? --platform NAME (there are: {', '.join(names())})"
        )
    row = platform(request.platform)
    folder = read_module_folder(request.folder, request.name or None)
    document, text = _written(request, folder, row)
    if request.form in ("device", "layered", "template"):
        found = check_manifest(document, row)
        if refused := [f for f in found if f.severity == "error" or f.rule in _REFUSED]:
            raise ConfigurationError("\n".join(str(finding) for finding in refused))
        for finding in found:
            output.notice(f"warning: {finding}", finding=_fields(finding))
    if _guesses_render(request, folder, row):
        output.notice(
            "the group render has another number on each host, and the image's own is taken; see "
            "the device's with 'getent group render' and set groups: {render: NUMBER} in "
            "deployment.yaml",
            group="render",
        )
    if request.out is None:
        print(text, end="")
        return 0
    try:
        request.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{request.out}: cannot be written: {error.strerror}") from error
    follow = _NEXT[request.form].format(file=request.out)
    output.notice(f"wrote {request.out} for {row.id}; next: {follow}", file=str(request.out))
    return 0


def check(path: Path, platform_name: str, output: Output, *, strict: bool = False) -> int:
    """Check anyone's manifest and explain each finding; 1 if there is an error.

    Args:
        path: the file.
        platform_name: row of the table that it is meant for, or "".
        output: where findings go.
        strict: a warning counts as an error.

    Raises:
        ConfigurationError: the file cannot be read or is no JSON.
    """
    from edgevision.deploy.json_file import read_json
    from edgevision.deploy.manifest.check import check_manifest
    from edgevision.deploy.platforms import platform

    found = check_manifest(read_json(path), platform(platform_name) if platform_name else None)
    if output.data_is_json:
        for finding in found:
            output.data(_fields(finding))
    else:
        _table(found, path, output)
    return 1 if any(strict or finding.severity == "error" for finding in found) else 0


def _written(
    request: ManifestRequest, folder: ModuleFolder, row: Platform
) -> tuple[Mapping[str, Any], str]:
    import yaml

    from edgevision.deploy.manifest import document as documents
    from edgevision.deploy.manifest.compose import compose_file, docker_run
    from edgevision.deploy.manifest.kubernetes import kubernetes_objects

    gpu = request.gpu or None
    if request.form in ("device", "layered", "template"):
        if request.form == "device":
            made = documents.device_manifest(folder, row, gpu=gpu)
        elif request.form == "layered":
            made = documents.layered(folder, row, gpu=gpu)
        else:
            home = Path() if request.out is None else request.out.parent
            place = Path(os.path.relpath(folder.path, home)).as_posix()
            made = documents.template(folder, row, gpu=gpu, place=place)
        return made, json.dumps(made, indent=2) + "\n"
    containers = documents.containers(folder, row, gpu)
    if request.form == "compose":
        made = compose_file(containers)
        return made, yaml.safe_dump(made, sort_keys=False)
    if request.form == "docker":
        return {}, "".join(f"{docker_run(container)}\n" for container in containers.values())
    pipeline = (folder.path / "pipeline.yaml").read_text("utf-8")
    objects = kubernetes_objects(containers, pipeline)
    return {}, yaml.safe_dump_all(objects, sort_keys=False)


def _guesses_render(request: ManifestRequest, folder: ModuleFolder, row: Platform) -> bool:
    used = (request.gpu or folder.settings.gpu) != "none"
    return used and "render" in row.groups and "render" not in folder.settings.groups


def _table(found: list[Finding], path: Path, output: Output) -> None:
    from rich.text import Text

    console = output.console()
    if not found:
        console.print(f"{path}: nothing to complain about")
        return
    for finding in found:
        color = "bold red" if finding.severity == "error" else "yellow"
        console.print(Text.assemble((finding.severity, color), f" {finding.path} [{finding.rule}]"))
        console.print(f"  {finding.message}", markup=False)
        console.print(f"  fix: {finding.fix}", markup=False)
    errors = sum(finding.severity == "error" for finding in found)
    console.print(f"{path}: {errors} errors, {len(found) - errors} warnings")


def _fields(finding: Finding) -> dict[str, str]:
    return {
        "severity": finding.severity,
        "rule": finding.rule,
        "path": finding.path,
        "message": finding.message,
        "fix": finding.fix,
    }
