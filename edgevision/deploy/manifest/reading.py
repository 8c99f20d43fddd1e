"""Anyone's manifest in one form: what kind it is, its modules, routes and twins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgevision.errors import ConfigurationError

__all__ = ["Manifest", "ManifestModule", "read_manifest"]

Kind = Literal["device", "layered"]
_DESIRED = "properties.desired"
_PLACEHOLDER = re.compile(r"\$\{?[A-Za-z_]")
_MODULE_IMAGE = re.compile(r"\$\{MODULE(S\.|DIR<)")


@dataclass(frozen=True)
class ManifestModule:
    """A module of a manifest.

    Attributes:
        name: its name.
        path: where it stands.
        body: as written.
        system: True for edgeAgent and edgeHub.
    """

    name: str
    path: str
    body: Mapping[str, Any]
    system: bool = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """Image and options."""
        found = self.body.get("settings")
        return found if isinstance(found, Mapping) else {}


@dataclass
class Manifest:
    """A manifest that has been taken apart; what has a wrong shape is left out.

    Attributes:
        kind: for one device, or layered: its keys are paths, and it goes on top of others.
        template: True if VS Code's tools or iotedgedev make a manifest of it: options may be
            objects, and texts may hold placeholders.
        content: the part with ``modulesContent``.
        prefix: path of ``modulesContent``.
        modules: in order.
        routes: by name, with the place of each.
        twins: desired properties by module, with the place of each.
        credentials: registries by name, with the place of each.
        agent: desired properties of edgeAgent; None where they are none or those of a layer.
        hub: desired properties of edgeHub; None where they are none or those of a layer.
        strays: keys of a layer that lead nowhere.
    """

    kind: Kind
    template: bool
    content: Mapping[str, Any]
    prefix: str
    modules: list[ManifestModule] = field(default_factory=list)
    routes: dict[str, tuple[str, Any]] = field(default_factory=dict)
    twins: dict[str, tuple[str, Any]] = field(default_factory=dict)
    credentials: dict[str, tuple[str, Any]] = field(default_factory=dict)
    agent: Mapping[str, Any] | None = None
    hub: Mapping[str, Any] | None = None
    strays: list[str] = field(default_factory=list)

    def is_placeholder(self, value: Any) -> bool:
        """True for a text of a template that holds something to be put in later."""
        return self.template and isinstance(value, str) and bool(_PLACEHOLDER.search(value))


def read_manifest(document: Any) -> Manifest:
    """Return what ``document`` holds.

    Raises:
        ConfigurationError: it is no manifest at all.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(
            f"a manifest is a JSON object, got {type(document).__name__}", path="$"
        )
    outer, prefix = document, ""
    if "modulesContent" not in document and isinstance(document.get("content"), Mapping):
        outer, prefix = document["content"], "content."
    if "modulesContent" not in outer and "moduleContent" in outer:
        raise ConfigurationError(
            "'moduleContent' is the key of an old preview; today's is 'modulesContent'",
            path=f"{prefix}moduleContent",
        )
    content = outer.get("modulesContent")
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            "wanted a manifest with modulesContent (or content.modulesContent for a layered one)",
            path="$",
        )
    prefix += "modulesContent"
    parts = [part for part in content.values() if isinstance(part, Mapping)]
    agent = content.get("$edgeAgent")
    layered = any(_is_path(key) for part in parts for key in part) or (
        isinstance(agent, Mapping) and _DESIRED not in agent
    )
    found = Manifest("layered" if layered else "device", False, outer, prefix)
    for name, part in content.items():
        if isinstance(part, Mapping):
            _read_part(found, str(name), part, f"{prefix}.{name}")
    found.template = "$schema-template" in document or any(
        _MODULE_IMAGE.match(str(module.settings.get("image", ""))) for module in found.modules
    )
    return found


def _is_path(key: Any) -> bool:
    return str(key).startswith(f"{_DESIRED}.")


def _read_part(found: Manifest, name: str, part: Mapping[str, Any], path: str) -> None:
    """Read what stands beside ``$edgeAgent``, ``$edgeHub`` or the name of a module."""
    read = {"$edgeAgent": _read_agent, "$edgeHub": _read_hub}.get(name)
    desired = part.get(_DESIRED)
    if read is None and name.startswith("$"):
        return
    if _DESIRED in part:
        if read is None:
            found.twins[name] = (f"{path}.{_DESIRED}", desired)
        elif isinstance(desired, Mapping):
            if found.kind == "device":
                setattr(found, "agent" if name == "$edgeAgent" else "hub", desired)
            read(found, desired, f"{path}.{_DESIRED}")
    for key, value in part.items():
        if _is_path(key) and read is not None:
            _read_path(found, str(key), value, path)
        elif key != _DESIRED and not _is_path(key) and found.kind == "layered":
            found.strays.append(f"{path}.{key}")
    if read is None and _DESIRED not in part:
        found.twins[name] = (path, _nested(part))


def _read_agent(found: Manifest, desired: Mapping[str, Any], path: str) -> None:
    for key, system in (("systemModules", True), ("modules", False)):
        for name, body in _entries(desired.get(key)):
            found.modules.append(ManifestModule(name, f"{path}.{key}.{name}", body, system))
    runtime = desired.get("runtime")
    settings = runtime.get("settings") if isinstance(runtime, Mapping) else None
    registries = settings.get("registryCredentials") if isinstance(settings, Mapping) else None
    for name, body in _entries(registries):
        place = f"{path}.runtime.settings.registryCredentials.{name}"
        found.credentials[name] = (place, body)


def _read_hub(found: Manifest, desired: Mapping[str, Any], path: str) -> None:
    routes = desired.get("routes")
    for name, route in routes.items() if isinstance(routes, Mapping) else ():
        found.routes[str(name)] = (f"{path}.routes.{name}", route)


def _read_path(found: Manifest, key: str, value: Any, path: str) -> None:
    """Read one key of a layer's ``$edgeAgent`` or ``$edgeHub``."""
    place = f"{path}.{key}"
    steps = key.split(".")[2:]
    if path.endswith("$edgeHub"):
        if steps[0] == "routes" and len(steps) > 1:
            found.routes[".".join(steps[1:])] = (place, value)
        elif steps[0] not in ("routes", "storeAndForwardConfiguration", "schemaVersion"):
            found.strays.append(place)
        return
    if steps[0] in ("modules", "systemModules") and len(steps) == 2:
        if isinstance(value, Mapping):
            module = ManifestModule(steps[1], place, value, steps[0] == "systemModules")
            found.modules.append(module)
        else:
            found.strays.append(place)
    elif steps[:3] == ["runtime", "settings", "registryCredentials"] and len(steps) == 4:
        found.credentials[steps[3]] = (place, value)
    elif steps[0] not in ("modules", "systemModules", "runtime", "schemaVersion"):
        found.strays.append(place)


def _nested(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return desired properties whose keys are paths as one object.

    A path through something that is no object stays a key with dots, which is a mistake of its own.
    """
    twin: dict[str, Any] = {}
    for key, value in part.items():
        if not _is_path(key):
            continue
        steps = str(key).split(".")[2:]
        inner: Any = twin
        for step in steps[:-1]:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and steps[-1] not in inner:
            inner[steps[-1]] = value
        else:
            twin[".".join(steps)] = value
    return twin


def _entries(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        for name, body in value.items():
            if isinstance(body, Mapping):
                yield str(name), body
