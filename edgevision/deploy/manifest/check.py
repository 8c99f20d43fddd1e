"""Every check of a manifest, in one call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from edgevision.deploy.manifest.container_rules import container_findings
from edgevision.deploy.manifest.finding import Finding
from edgevision.deploy.manifest.message_rules import message_findings
from edgevision.deploy.manifest.reading import Manifest, read_manifest
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError
from edgevision.redaction import redact

__all__ = ["check_manifest", "device_schema"]

_NO_HUB = {"properties.desired": {"schemaVersion": "1.1", "routes": {}}}


def check_manifest(document: Any, platform: Platform | None = None) -> list[Finding]:
    """Return what is wrong with a manifest, in the order of its parts; [] if nothing is.

    Args:
        document: decoded JSON: for one device, layered, or a template.
        platform: what it is to run on, for checks of the processor and of the way to the GPU.
    """
    try:
        manifest = read_manifest(document)
    except ConfigurationError as error:
        return [
            Finding(
                "no-manifest",
                error.path or "$",
                str(error).partition(": ")[2] or str(error),
                "See docs/manifest.md for the form of a manifest.",
            )
        ]
    found = [
        *_structure(manifest),
        *container_findings(manifest, platform),
        *message_findings(manifest),
    ]
    # The schema and a rule may see the same thing; the rule says more.
    told = {finding.path for finding in found if finding.rule != "schema"}
    return [
        finding
        for finding in dict.fromkeys(found)
        if finding.rule != "schema" or finding.path not in told
    ]


@cache
def device_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a manifest for one device."""
    text = files("edgevision.deploy.manifest").joinpath("device.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _structure(manifest: Manifest) -> Iterator[Finding]:
    """Check shapes and names against the schema; those of a layer part by part."""
    if manifest.kind == "layered":
        yield from _layer(manifest)
        return
    content = {key: value for key, value in manifest.content.items() if key != "$schema-template"}
    schema = device_schema()
    if manifest.template:
        content = _as_text(content)
        if "$edgeHub" not in content["modulesContent"]:
            # Tools take a template without it.
            content["modulesContent"] = {**content["modulesContent"], "$edgeHub": _NO_HUB}
    yield from _errors(manifest, content, schema, manifest.prefix.removesuffix("modulesContent"))


def _layer(manifest: Manifest) -> Iterator[Finding]:
    for path in manifest.strays:
        yield Finding(
            "schema",
            path,
            "this key of a layer leads nowhere",
            "Keys of a layer are paths such as properties.desired.modules.NAME or "
            "properties.desired.routes.NAME.",
        )
    for module in manifest.modules:
        body = _as_text(module.body) if manifest.template else module.body
        part = "systemModulesOfLayer" if module.system else "modules"
        place = module.path.removesuffix(module.name)
        yield from _errors(manifest, {module.name: body}, _part(part), place)
    for path, registry in manifest.credentials.values():
        yield from _errors(manifest, registry, _part("registry"), f"{path}.")
    for name, (path, route) in manifest.routes.items():
        place = path.removesuffix(name)
        yield from _errors(manifest, {name: route}, _part("routes"), place)


def _part(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", "$defs": device_schema()["$defs"]}


def _errors(
    manifest: Manifest, value: Any, schema: Mapping[str, Any], prefix: str
) -> Iterator[Finding]:
    """Yield what the schema finds; ``prefix`` goes before the place in ``value``."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema).iter_errors(value):
        if manifest.is_placeholder(error.instance):
            continue
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path)
        yield Finding(
            "schema",
            f"{prefix}{place.lstrip('.')}".rstrip(".") or "$",
            redact(_words(error)),
            "IoT Edge's tools refuse what their schema does not know; correct or remove it.",
        )


def _as_text(value: Any) -> Any:
    """Return a part of a template as a manifest has it: options are objects there."""
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: json.dumps(part)
        if isinstance(part, Mapping) and str(key).lower() == "createoptions"
        else _as_text(part)
        for key, part in value.items()
    }


def _words(error: Any) -> str:
    value = repr(error.instance)
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if error.validator == "additionalProperties":
        known = {*error.schema.get("properties", ())}
        patterns = [*error.schema.get("patternProperties", ())]
        extra = [
            name
            for name in error.instance
            if name not in known and not any(re.search(pattern, name) for pattern in patterns)
        ]
        return f"nobody knows {', '.join(extra)} here (known: {', '.join(sorted(known))})"
    if error.validator == "enum":
        return f"wanted one of {', '.join(map(str, error.validator_value))}, got {shown}"
    if error.validator == "const":
        return f"wanted {error.validator_value!r}, got {shown}"
    if error.validator == "type":
        wanted = error.validator_value
        return f"wanted {wanted if isinstance(wanted, str) else ' or '.join(wanted)}, got {shown}"
    if error.validator == "pattern":
        return f"wanted text like {error.validator_value}, got {shown}"
    return str(error.message)
