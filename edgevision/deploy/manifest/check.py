"""Every check of a manifest, in one call."""

from __future__ import annotations

import json
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
    from jsonschema import Draft202012Validator

    schema = device_schema()

    def errors(value: Any, part: str, path: str) -> Iterator[Finding]:
        chosen = schema if not part else {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]}
        for error in Draft202012Validator(chosen).iter_errors(value):
            place = path + "".join(
                f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.path
            )
            yield Finding(
                "schema",
                place.lstrip(".") or "$",
                redact(_words(error)),
                "IoT Edge's tools refuse what their schema does not know; correct or remove it.",
            )

    if manifest.kind == "device":
        document = manifest.document
        if manifest.prefix.startswith("content."):
            document = document["content"]
            yield from errors(document, "", "content")
        else:
            yield from errors(document, "", "")
        return
    for module in manifest.modules:
        body = module.body
        if manifest.kind == "template":
            body = _as_text(body)
        if not module.system:
            yield from errors(body, "module", module.path)
    for path, registry in manifest.credentials.values():
        yield from errors(registry, "registry", path)
    for path, route in manifest.routes.values():
        yield from errors(route, "route", path)


def _as_text(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template's module as a manifest has it: options are objects there."""
    settings = body.get("settings")
    if not isinstance(settings, Mapping):
        return dict(body)
    options = settings.get("createOptions")
    if isinstance(options, Mapping):
        settings = {**settings, "createOptions": json.dumps(options)}
    return {**body, "settings": settings}


def _words(error: Any) -> str:
    value = repr(error.instance)
    shown = value if len(value) <= 80 else f"{value[:77]}..."
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if error.validator == "additionalProperties":
        known = {*error.schema.get("properties", ())}
        extra = [name for name in error.instance if name not in known]
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
