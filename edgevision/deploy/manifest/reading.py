"""Anyone's manifest in one form: what kind it is, its modules, routes and twins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgevision.errors import ConfigurationError

__all__ = ["Manifest", "ManifestModule", "read_manifest"]

Kind = Literal["device", "layered", "template"]
_MODULES = "properties.desired.modules."
_ROUTES = "properties.desired.routes."
_SYSTEM = "properties.desired.systemModules."


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
        kind: for one device, layered, or a template.
        document: as written.
        prefix: path of ``modulesContent``.
        modules: in order.
        routes: by name, with the place of each.
        twins: desired properties by module, with the place of each.
        credentials: registries by name, with the place of each.
        hub: desired properties of edgeHub of a manifest that is no layer; else None.
    """

    kind: Kind
    document: Mapping[str, Any]
    prefix: str
    modules: list[ManifestModule] = field(default_factory=list)
    routes: dict[str, tuple[str, Any]] = field(default_factory=dict)
    twins: dict[str, tuple[str, Any]] = field(default_factory=dict)
    credentials: dict[str, tuple[str, Any]] = field(default_factory=dict)
    hub: Mapping[str, Any] | None = None


def read_manifest(document: Any) -> Manifest:
    """Return what ``document`` holds.

    Raises:
        ConfigurationError: it is no manifest at all.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(
            f"a manifest is a JSON object, got {type(document).__name__}", path="$"
        )
    content: Any = document.get("modulesContent")
    prefix = "modulesContent"
    if content is None and isinstance(document.get("content"), Mapping):
        content = document["content"].get("modulesContent")
        prefix = "content.modulesContent"
    if content is None and "moduleContent" in document:
        raise ConfigurationError(
            "'moduleContent' is the key of an old preview; today's is 'modulesContent'",
            path="moduleContent",
        )
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            "wanted a manifest with modulesContent (or content.modulesContent for a layered one)",
            path="$",
        )
    agent = content.get("$edgeAgent")
    layered = isinstance(agent, Mapping) and "properties.desired" not in agent
    if "$schema-template" in document:
        found = Manifest("template", document, prefix)
    else:
        found = Manifest("layered" if layered else "device", document, prefix)
    if isinstance(agent, Mapping):
        _read_agent(found, agent, f"{prefix}.$edgeAgent")
    hub = content.get("$edgeHub")
    if isinstance(hub, Mapping):
        _read_hub(found, hub, f"{prefix}.$edgeHub")
    for name, value in content.items():
        if not str(name).startswith("$") and isinstance(value, Mapping):
            _read_twin(found, str(name), value, f"{prefix}.{name}")
    return found


def _read_agent(found: Manifest, agent: Mapping[str, Any], path: str) -> None:
    for key, value in agent.items():
        if key == "properties.desired" and isinstance(value, Mapping):
            place = f"{path}.properties.desired"
            for name, body in _entries(value.get("systemModules")):
                where = f"{place}.systemModules.{name}"
                found.modules.append(ManifestModule(name, where, body, system=True))
            for name, body in _entries(value.get("modules")):
                found.modules.append(ManifestModule(name, f"{place}.modules.{name}", body))
            runtime = value.get("runtime")
            settings = runtime.get("settings") if isinstance(runtime, Mapping) else None
            registries = (
                settings.get("registryCredentials") if isinstance(settings, Mapping) else None
            )
            for name, body in _entries(registries):
                where = f"{place}.runtime.settings.registryCredentials.{name}"
                found.credentials[name] = (where, body)
        elif key.startswith(_MODULES) and isinstance(value, Mapping):
            found.modules.append(ManifestModule(key[len(_MODULES) :], f"{path}.{key}", value))
        elif key.startswith(_SYSTEM) and isinstance(value, Mapping):
            name = key[len(_SYSTEM) :]
            found.modules.append(ManifestModule(name, f"{path}.{key}", value, system=True))
        elif ".registryCredentials." in key and isinstance(value, Mapping):
            found.credentials[key.rpartition(".")[2]] = (f"{path}.{key}", value)


def _read_hub(found: Manifest, hub: Mapping[str, Any], path: str) -> None:
    for key, value in hub.items():
        if key == "properties.desired" and isinstance(value, Mapping):
            found.hub = value
            routes = value.get("routes")
            if isinstance(routes, Mapping):
                for name, route in routes.items():
                    found.routes[name] = (f"{path}.properties.desired.routes.{name}", route)
        elif key.startswith(_ROUTES):
            found.routes[key[len(_ROUTES) :]] = (f"{path}.{key}", value)


def _read_twin(found: Manifest, name: str, value: Mapping[str, Any], path: str) -> None:
    if "properties.desired" in value:
        found.twins[name] = (f"{path}.properties.desired", value["properties.desired"])
        return
    twin: dict[str, Any] = {}
    for key, part in value.items():
        inner = twin
        steps = key.removeprefix("properties.desired.").split(".")
        for step in steps[:-1]:
            inner = inner.setdefault(step, {})
        inner[steps[-1]] = part
    found.twins[name] = (path, twin)


def _entries(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        for name, body in value.items():
            if isinstance(body, Mapping):
                yield str(name), body
