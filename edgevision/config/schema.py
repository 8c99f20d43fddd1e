"""The JSON Schema of pipeline.yaml, with which editors complete and check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgevision.config.models import NAME_PATTERN, PipelineConfig

__all__ = ["SCHEMA_ID", "json_schema"]

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

_SUBSTITUTION = {
    "type": "string",
    "pattern": r"^\$\{[^}]+\}$",
    "description": "An environment variable ${NAME}, or a secret ${secret:NAME}.",
}
_CLASS = r"^([^:]+:[^\W\d]\w*|.*\.py)$"
_TYPED = frozenset({"integer", "number", "boolean", "null"})


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a pipeline.yaml.

    It holds the parameters of every built-in stage, which loads all of them. What it accepts may
    still be refused by `load`: it knows neither stages of your own nor the options of sources.
    """
    schema = PipelineConfig.model_json_schema(mode="validation")
    definitions = schema["$defs"]
    stages = _builtin_stages()
    for name, stage in stages.items():
        definitions[f"stage.{name}"] = _parameters(stage)
    definitions["StageConfig"] = _stage(definitions["StageConfig"], stages)
    definitions["CameraConfig"] = _camera(definitions["CameraConfig"])
    _allow_substitutions(schema)
    definitions["Substitution"] = _SUBSTITUTION
    schema["properties"]["upstream"] = _upstreams(schema["properties"]["upstream"], definitions)
    schema["properties"]["web"]["anyOf"] = [{"const": False}, {"$ref": "#/$defs/WebConfig"}]
    schema["properties"]["cameras"]["propertyNames"] = {"pattern": NAME_PATTERN}
    # Keys of the user's own, for anchors.
    schema["patternProperties"] = {"^x-": {}}
    _drop_titles(schema)
    return {"$schema": SCHEMA_ID, "title": "edgevision pipeline.yaml", **schema}


def _builtin_stages() -> dict[str, Any]:
    from edgevision.stages import BUILT_IN, load

    return {name: load(name) for name in sorted(BUILT_IN)}


def _summary(stage: Any) -> str:
    return (stage.__doc__ or "").strip().partition("\n")[0]


def _parameters(stage: Any) -> dict[str, Any]:
    from edgevision.param import REQUIRED

    specs = stage.parameters()
    schema: dict[str, Any] = {
        "description": _summary(stage),
        "type": ["object", "null"],
        "properties": {name: spec.json_schema() for name, spec in specs.items()},
        "additionalProperties": False,
    }
    required = [name for name, spec in specs.items() if spec.default is REQUIRED]
    if required:
        schema.update({"required": required, "type": "object"})
    return schema


def _stage(long_form: dict[str, Any], stages: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a stage in its three forms."""
    without_params = [name for name, stage in stages.items() if not _needs(stage)]
    names = [{"const": n, "description": _summary(stages[n])} for n in without_params]
    short = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: {"$ref": f"#/$defs/stage.{name}"} for name in stages},
        "patternProperties": {_CLASS: {"type": ["object", "null"]}},
        "additionalProperties": False,
    }
    use = {**long_form["properties"]["use"], "anyOf": [{"enum": list(stages)}, {"pattern": _CLASS}]}
    long_form = {
        **long_form,
        "properties": {**long_form["properties"], "use": use},
        "allOf": [
            {
                "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
                "then": {
                    "properties": {"params": {"$ref": f"#/$defs/stage.{name}"}},
                    **({"required": ["params"]} if _needs(stage) else {}),
                },
            }
            for name, stage in stages.items()
        ],
    }
    return {
        "description": long_form["description"],
        "anyOf": [*names, {"type": "string", "pattern": _CLASS}, short, long_form],
    }


def _needs(stage: Any) -> bool:
    return "required" in _parameters(stage)


def _camera(long_form: dict[str, Any]) -> dict[str, Any]:
    address = {"type": "string", "minLength": 1, "description": "The camera's source."}
    source = dict(long_form["properties"]["source"])
    source = {
        "description": source.pop("description", ""),
        "anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/SourceConfig"}],
    }
    long_form = {**long_form, "properties": {**long_form["properties"], "source": source}}
    return {"description": long_form["description"], "anyOf": [address, long_form]}


def _upstreams(listed: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of ``upstream``, and add that of each kind to ``definitions``."""
    from edgevision.upstream.registry import upstream_kinds

    long_forms = []
    settings: dict[str, Any] = {}
    for name, kind in upstream_kinds().items():
        model = kind.settings.model_json_schema()
        definitions.update(model.pop("$defs", {}))
        _allow_substitutions(model)
        kinds = {"type": {"const": name, "description": "Kind of upstream."}}
        required = ["type", *model.get("required", [])]
        properties = {**model["properties"], **kinds}
        long_forms.append({**model, "properties": properties, "required": required})
        inside = {key: value for key, value in model["properties"].items() if key != "type"}
        settings[name] = {**model, "properties": inside, "type": ["object", "null"]}
        if model.get("required"):
            settings[name]["type"] = "object"
    short = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": settings,
        "additionalProperties": False,
    }
    names = "|".join(upstream_kinds())
    text = {"type": "string", "pattern": f"^({names})(:.+)?$", "examples": list(upstream_kinds())}
    definitions.pop("UpstreamSettings", None)
    return {
        "description": listed["description"],
        "type": "array",
        "items": {"anyOf": [text, short, *long_forms]},
        "default": ["console"],
    }


def _allow_substitutions(schema: Any) -> None:
    """Let ``${NAME}`` stand wherever a number, a truth value or one of fixed words is asked for."""
    if isinstance(schema, list):
        for item in schema:
            _allow_substitutions(item)
    if not isinstance(schema, dict):
        return
    for key in ("properties", "$defs", "patternProperties"):
        for name, part in schema.get(key, {}).items():
            schema[key][name] = _with_substitution(part)
    for key in ("items", "additionalProperties", "prefixItems", "anyOf", "allOf", "then"):
        part = schema.get(key)
        if key in ("items", "additionalProperties") and isinstance(part, dict):
            schema[key] = _with_substitution(part)
        elif part is not None:
            _allow_substitutions(part)


def _with_substitution(part: Any) -> Any:
    _allow_substitutions(part)
    if not isinstance(part, dict):
        return part
    # A description stays outside, where editors look for it.
    outside = {key: part[key] for key in ("description", "default", "unit") if key in part}
    inside = {key: value for key, value in part.items() if key not in outside}
    alternatives = inside.get("anyOf", [])
    if not any(_is_typed(choice) for choice in [inside, *alternatives]):
        return part
    choices = alternatives or [inside]
    return {**outside, "anyOf": [*choices, {"$ref": "#/$defs/Substitution"}]}


def _is_typed(part: dict[str, Any]) -> bool:
    kinds = part.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    return "enum" in part or bool(kinds & _TYPED and not kinds & {"object", "array", "string"})


def _drop_titles(schema: Any) -> None:
    """Remove the titles that pydantic makes of names; editors show them instead of the names."""
    if isinstance(schema, list):
        for item in schema:
            _drop_titles(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for value in schema.values():
            _drop_titles(value)
