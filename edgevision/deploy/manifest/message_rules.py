"""Rules of a manifest's messages: schema versions, routes, twins, variables, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgevision.deploy.manifest.finding import Finding
from edgevision.deploy.manifest.reading import Manifest
from edgevision.deploy.manifest.twin_limits import twin_faults
from edgevision.routing import RouteError, parse_route
from edgevision.suggestion import did_you_mean

__all__ = ["message_findings"]

_SYSTEM_MODULES = ("$edgeAgent", "$edgeHub", "edgeAgent", "edgeHub")
_SECRET = re.compile(r"SharedAccessKey=|SharedAccessSignature=|AccountKey=|://[^/\s:@]+:[^/\s@$]+@")
_PLACEHOLDER = re.compile(r"\$\{?[A-Za-z_]")


def message_findings(manifest: Manifest) -> Iterator[Finding]:
    """Yield what is wrong with routes, twins and variables."""
    yield from _versions(manifest)
    yield from _routes(manifest)
    for name, (path, twin) in manifest.twins.items():
        if not any(module.name == name for module in manifest.modules):
            if manifest.kind == "layered":
                continue
            known = [module.name for module in manifest.modules if not module.system]
            yield Finding(
                "unknown-module",
                path,
                f"these desired properties belong to no module of the manifest"
                f"{did_you_mean(name, known)}",
                "Name the module as it stands under modules.",
            )
        for place, words in twin_faults(twin, path):
            yield Finding("twin", place, words, "IoT Hub refuses such desired properties.")
    for module in manifest.modules:
        for key, value in _items(module.body.get("env")):
            text = value.get("value") if isinstance(value, Mapping) else None
            if isinstance(text, str) and _SECRET.search(text) and not _PLACEHOLDER.search(text):
                yield Finding(
                    "secret",
                    f"{module.path}.env.{key}",
                    "this looks like a secret in clear, which everyone who reads the manifest has",
                    "Put it in a secret store or a file on the device, and name that.",
                    "warning",
                )


def _versions(manifest: Manifest) -> Iterator[Finding]:
    if manifest.hub is None:
        return
    path = f"{manifest.prefix}.$edgeHub.properties.desired"
    version = manifest.hub.get("schemaVersion")
    if not isinstance(version, str):
        return
    if version == "1.0":
        for name, (place, route) in manifest.routes.items():
            if isinstance(route, Mapping):
                yield Finding(
                    "schema-version",
                    place,
                    f"route {name!r} has a priority or a time to live, and schema 1.0 knows texts "
                    "only",
                    'Set $edgeHub\'s schemaVersion to "1.1".',
                )
    elif "storeAndForwardConfiguration" not in manifest.hub:
        yield Finding(
            "store-and-forward",
            path,
            "storeAndForwardConfiguration is missing; edgeHub refuses schema 1.1 without it, "
            "though Microsoft's schema does not ask for it",
            'Add "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}.',
        )


def _routes(manifest: Manifest) -> Iterator[Finding]:
    known = [module.name for module in manifest.modules if not module.system]
    read = set()
    everything = False
    for path, value in manifest.routes.values():
        text = value.get("route") if isinstance(value, Mapping) else value
        if not isinstance(text, str):
            continue
        try:
            route = parse_route(text)
        except RouteError as error:
            yield Finding("route", path, str(error), "edgeHub refuses the whole configuration.")
            continue
        for name in filter(None, (route.module, route.sink.module)):
            # A layer may name modules of the deployments below it.
            if name not in known and name not in _SYSTEM_MODULES and manifest.kind != "layered":
                hint = did_you_mean(name, known) or f" (there are: {', '.join(known) or 'none'})"
                yield Finding(
                    "unknown-module",
                    path,
                    f"no module of the manifest is called {name!r}{hint}",
                    "Messages of this route go nowhere; correct the name.",
                )
        if route.takes_messages:
            read.add(route.module)
            everything = everything or not route.module
    if manifest.kind == "layered" and not manifest.routes:
        return
    for module in manifest.modules:
        if module.system or everything or module.name in read or module.name in _quiet(manifest):
            continue
        yield Finding(
            "no-route",
            module.path,
            f"no route takes what {module.name!r} sends; edgeHub drops it, acknowledged",
            f'Add a route: "FROM /messages/modules/{module.name}/outputs/* INTO $upstream".',
            "warning",
        )


def _quiet(manifest: Manifest) -> set[str]:
    """Return modules that only take messages."""
    names = set()
    for _, value in manifest.routes.values():
        text = value.get("route") if isinstance(value, Mapping) else value
        try:
            names.add(parse_route(text).sink.module if isinstance(text, str) else "")
        except RouteError:
            continue
    return names


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
