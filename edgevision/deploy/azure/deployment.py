"""Setting a manifest on a device, or creating a deployment at scale."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevision.deploy.azure.command import Az, AzError
from edgevision.deploy.manifest.create_options import joined
from edgevision.errors import ConfigurationError

__all__ = ["Target", "apply", "command", "deployed", "differences"]

_SYSTEM = ("$edgeAgent", "$edgeHub")
_SECRET_KEYS = ("password", "sharedaccesskey", "connectionstring")


@dataclass(frozen=True)
class Target:
    """Where a manifest goes.

    Attributes:
        hub: name of the IoT Hub.
        device: one device; "" for a deployment at scale.
        condition: which devices, in IoT Hub's words: ``tags.site='north'``.
        name: of the deployment at scale.
        priority: of the deployment at scale; higher wins.
        layered: True for a layered deployment.
    """

    hub: str
    device: str = ""
    condition: str = ""
    name: str = ""
    priority: int = 10
    layered: bool = False


def command(target: Target, content: str) -> list[str]:
    """Return the arguments of ``az`` that apply the file ``content``."""
    if target.device:
        return [
            "iot",
            "edge",
            "set-modules",
            "--hub-name",
            target.hub,
            "--device-id",
            target.device,
            "--content",
            content,
        ]
    arguments = [
        "iot",
        "edge",
        "deployment",
        "create",
        "--hub-name",
        target.hub,
        "--deployment-id",
        target.name,
        "--content",
        content,
        "--target-condition",
        target.condition,
        "--priority",
        str(target.priority),
    ]
    return [*arguments, "--layered"] if target.layered else arguments


def deployed(az: Az, target: Target, modules: Sequence[str]) -> dict[str, Any] | None:
    """Return what is deployed now, as a manifest; None if nothing is.

    Args:
        az: runs the command.
        target: where.
        modules: further modules whose desired properties are asked for.

    Raises:
        AzError: ``az`` does not work.
    """
    if not target.device:
        show = ["iot", "edge", "deployment", "show", "--hub-name", target.hub]
        try:
            found = az.run([*show, "--deployment-id", target.name])
        except AzError as error:
            if error.missing:
                return None
            raise
        content = found.get("content") if isinstance(found, dict) else None
        return {"content": content} if content else None
    agent = _desired(az, target, "$edgeAgent")
    if not agent or "modules" not in agent:
        return None
    content = {"$edgeAgent": {"properties.desired": agent}}
    names = ["$edgeHub", *dict.fromkeys([*agent["modules"], *modules])]
    for name in names:
        twin = _desired(az, target, name)
        if twin:
            content[name] = {"properties.desired": twin}
    return {"modulesContent": content}


def apply(az: Az, target: Target, content: Mapping[str, Any], rollback: Path | None) -> None:
    """Apply a manifest, and keep what was there before once that has worked.

    Args:
        az: runs the command.
        target: where.
        content: the manifest.
        rollback: where what was deployed before is written, readable for its owner only, since it
            holds registries' passwords; None for nowhere. A file that is there is not touched when
            ``az`` fails.

    Raises:
        AzError: ``az`` does not work; nothing was written.
        ConfigurationError: the roll-back file cannot be written; nothing was applied.
    """
    before = deployed(az, target, _names(content)) if rollback is not None else None
    with _private_file(rollback.parent if rollback else None, before) as kept:
        with _private_file(None, content) as file:
            az.run(command(target, str(file)))
        if rollback is not None and before is not None:
            os.replace(kept, rollback)


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Return one line for each value that comes, goes or changes; no secrets.

    createOptions are compared as what they mean, not as pieces of text.
    """
    old = dict(_leaves(_comparable(before or {}), ""))
    new = dict(_leaves(_comparable(after), ""))
    lines = []
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            lines.append(f"- {path}: {_shown(path, old[path])}")
        elif path not in old:
            lines.append(f"+ {path}: {_shown(path, new[path])}")
        elif old[path] != new[path]:
            lines.append(f"~ {path}: {_shown(path, old[path])} -> {_shown(path, new[path])}")
    return lines


def _names(content: Mapping[str, Any]) -> list[str]:
    inner = content.get("modulesContent", {})
    return [name for name in inner if name not in _SYSTEM]


def _desired(az: Az, target: Target, module: str) -> dict[str, Any]:
    show = ["iot", "hub", "module-twin", "show", "--hub-name", target.hub]
    try:
        twin = az.run([*show, "--device-id", target.device, "--module-id", module])
    except AzError as error:
        if error.missing:
            return {}
        raise
    desired = twin.get("properties", {}).get("desired", {}) if isinstance(twin, dict) else {}
    return {key: value for key, value in desired.items() if not key.startswith("$")}


@contextmanager
def _private_file(folder: Path | None, content: Mapping[str, Any] | None) -> Iterator[Path]:
    """Write ``content`` to a file that its owner alone can read; it is gone afterwards."""
    try:
        number, name = tempfile.mkstemp(".json", "edgevision-", folder)
    except OSError as error:
        raise ConfigurationError(
            f"{folder or tempfile.gettempdir()} cannot be written: {error.strerror}"
        ) from error
    path = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _comparable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    content = manifest.get("content", manifest)
    content = content.get("modulesContent", {}) if isinstance(content, Mapping) else {}
    return {name: _readable(part) for name, part in content.items()}


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    if "createOptions" in value:
        try:
            options = joined(value)
        except ConfigurationError:
            return dict(value)
        kept = {k: v for k, v in value.items() if not k.startswith("createOptions")}
        return {**kept, "createOptions": options}
    return {key: _readable(part) for key, part in value.items()}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _leaves(part, f"{path}[{number}]")
    else:
        yield path, value


def _shown(path: str, value: Any) -> str:
    from edgevision.redaction import HIDDEN, redact

    key = path.rpartition(".")[2].lower()
    if any(word in key for word in _SECRET_KEYS):
        return HIDDEN
    return redact(json.dumps(value, ensure_ascii=False))
