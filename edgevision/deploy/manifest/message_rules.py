"""Rules of a manifest's messages: schema versions, routes, twins, variables, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgevision.deploy.manifest.finding import Finding
from edgevision.deploy.manifest.reading import Manifest
from edgevision.deploy.manifest.twin_limits import twin_faults
from edgevision.routing import RouteError, parse_route
from edgevision.suggestion import did_you_mean

__all__ = ["message_findings"]

_SYSTEM_MODULES = ("$edgeAgent", "$edgeHub", "edgeAgent", "edgeHub")
_SECRET = re.compile(r"SharedAccessKey=|SharedAccessSignature=|AccountKey=|://[^/\s:@]+:[^/\s@$]+@")
_AGENT_VERSION = re.compile(r"1\.0(\.\d+)?|1\.1(\.0)?")
_HUB_VERSION = re.compile(r"1\.[0-3](\.\d+)?")
_SHOWN = 20
_PLACEHOLDER = re.compile(r"\$\{?[A-Za-z_]")


def message_findings(manifest: Manifest) -> Iterator[Finding]:
    """Yield what is wrong with routes, twins and variables."""
    yield from _versions(manifest)
    yield from _routes(manifest)
    yield from _twins(manifest)
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
    for name, desired, accepted, newest in (
        ("$edgeAgent", manifest.agent, _AGENT_VERSION, "1.1"),
        ("$edgeHub", manifest.hub, _HUB_VERSION, "1.3"),
    ):
        version = desired.get("schemaVersion") if desired is not None else None
        if not isinstance(version, str) or manifest.is_placeholder(version):
            continue
        if not accepted.fullmatch(version):
            yield Finding(
                "schema-version",
                f"{manifest.prefix}.{name}.properties.desired.schemaVersion",
                f"{name[1:]} knows schemas 1.0 to {newest}, and refuses {version!r}",
                'Write "1.1".',
            )
    if manifest.hub is None:
        return
    path = f"{manifest.prefix}.$edgeHub.properties.desired"
    version = manifest.hub.get("schemaVersion")
    storing = manifest.hub.get("storeAndForwardConfiguration")
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
    elif isinstance(version, str) and storing is None:
        yield Finding(
            "store-and-forward",
            path,
            "storeAndForwardConfiguration is missing; edgeHub refuses schema 1.1 without it, "
            "though Microsoft's schema does not ask for it",
            'Add "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}.',
        )
    if isinstance(storing, Mapping) and "storeLimits" in storing:
        yield Finding(
            "store-and-forward",
            f"{path}.storeAndForwardConfiguration.storeLimits",
            "edgeHub reads storeLimits, but Microsoft's schema does not have it, and the az "
            "command refuses what its schema does not have",
            "Leave it out, or set it in the portal.",
            "warning",
        )


def _twins(manifest: Manifest) -> Iterator[Finding]:
    known = [module.name for module in manifest.modules if not module.system]
    names = set(known)
    for name, (path, twin) in manifest.twins.items():
        # A layer may change modules of the deployments below it.
        if name not in names and manifest.kind == "device":
            yield Finding(
                "unknown-module",
                path,
                f"these desired properties belong to no module of the manifest{_hint(name, known)}",
                "Name the module as it stands under modules.",
                "warning",
            )
        for place, words in twin_faults(twin, path):
            if not manifest.is_placeholder(place.rpartition(".")[2]):
                yield Finding("twin", place, words, "IoT Hub refuses such desired properties.")


def _routes(manifest: Manifest) -> Iterator[Finding]:
    known = [module.name for module in manifest.modules if not module.system]
    names = {*known, *_SYSTEM_MODULES}
    heard, told = set(), set()
    everything = False
    for path, value in manifest.routes.values():
        text = value.get("route") if isinstance(value, Mapping) else value
        if not isinstance(text, str) or manifest.is_placeholder(text.replace("$upstream", "")):
            continue
        try:
            route = parse_route(text)
        except RouteError as error:
            yield Finding("route", path, str(error), "edgeHub refuses the whole configuration.")
            continue
        for name in filter(None, (route.module, route.sink.module)):
            # A layer may name modules of the deployments below it.
            if name not in names and manifest.kind == "device":
                yield Finding(
                    "unknown-module",
                    path,
                    f"no module of the manifest is called {name!r}{_hint(name, known)}",
                    "Messages of this route go nowhere; correct the name.",
                    "warning",
                )
        told.add(route.sink.module)
        if route.takes_messages:
            heard.add(route.module)
            everything = everything or not route.module
    if everything or (manifest.kind == "layered" and not manifest.routes):
        return
    for module in manifest.modules:
        # A module that is only sent to, such as one that writes to disk, is left alone.
        if not module.system and module.name not in heard | told:
            yield Finding(
                "no-route",
                module.path,
                f"no route takes what {module.name!r} sends; edgeHub drops it, acknowledged",
                f'Add a route: "FROM /messages/modules/{module.name}/outputs/* INTO $upstream".',
                "warning",
            )


def _hint(name: str, known: Sequence[str]) -> str:
    alike = [other for other in known if other.lower() == name.lower()]
    if alike:
        return f", did you mean {alike[0]!r}? Capitals count"
    shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    return did_you_mean(name, known) or f" (there are: {shown or 'none'})"


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
