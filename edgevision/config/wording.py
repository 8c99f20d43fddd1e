"""Say in words what a setting must be, what it is, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgevision.config.node import Node
from edgevision.config.scalar import AmbiguousNumberError, resolve
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

__all__ = ["explain", "follow", "shown", "wanted"]

Schema = Mapping[str, Any]

_LONGEST_SHOWN = 60
_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_WITH_UNIT = re.compile(r"[-+]?\d+(\.\d+)?\s*[a-zA-Z%/]+")


def follow(schema: Schema, way: tuple[int | str, ...]) -> Schema:
    """Return the part of a JSON Schema that describes what ``way`` leads to; {} if nothing does."""
    definitions = schema.get("$defs", {})
    part = _plain(schema, definitions)
    for step in way:
        if isinstance(step, int):
            part = part.get("items", {})
        elif step in part.get("properties", {}):
            part = part["properties"][step]
        else:
            additional = part.get("additionalProperties", {})
            patterns = list(part.get("patternProperties", {}).values())
            part = additional if isinstance(additional, dict) and additional else {}
            part = patterns[0] if not part and patterns else part
        part = _plain(part, definitions)
    return {**part, "$defs": definitions} if part else {}


def _plain(part: Schema, definitions: Schema) -> Schema:
    """Return a schema without a reference at its top, and without "or null"."""
    given = {key: part[key] for key in ("description", "default", "unit") if key in part}
    # Older versions of pydantic wrap a reference that has a description.
    if len(part.get("allOf", ())) == 1:
        part = part["allOf"][0]
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        part = {**_plain(definitions[name], definitions), **given}
    choices = [choice for choice in part.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        part = {**_plain(choices[0], definitions), **given, "nullable": True}
    return part


def wanted(schema: Schema) -> str:
    """Return what a value must be, such as ``a whole number >= 1 (frames)``."""
    if "const" in schema:
        return shown(schema["const"])
    if "enum" in schema:
        return _either([shown(choice) for choice in schema["enum"]])
    if "anyOf" in schema:
        return _either([wanted(choice) for choice in schema["anyOf"]])
    text = _TYPES.get(schema.get("type", ""), "something else")
    text += _bounds(schema)
    if schema.get("type") == "array" and isinstance(schema.get("items"), Mapping):
        inner = _TYPES.get(schema["items"].get("type", ""), "")
        text += f" of {inner.split(' ', 1)[1]}s" if inner.startswith("a ") else ""
    if schema.get("minProperties") == 1:
        text += " with at least one entry"
    if schema.get("minLength") == 1:
        text += " that is not empty"
    if "maxLength" in schema:
        text += f" of at most {schema['maxLength']} characters"
    if "pattern" in schema:
        text += f" matching {schema['pattern']}"
    if "unit" in schema:
        text += f" ({schema['unit']})"
    return text


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f" from {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    signs = [f"{sign} {_number(schema[key])}" for key, sign in _SIGNS.items() if key in schema]
    return f" {' and '.join(signs)}" if signs else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _either(choices: list[str]) -> str:
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


def shown(value: Any) -> str:
    """Return a value for a message: short, on one line, without credentials."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = redact(repr(value) if isinstance(value, str) else f"{value}")
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def explain(error: Mapping[str, Any], node: Node, rest: tuple[int | str, ...], part: Schema) -> str:
    """Return a message for one of pydantic's errors.

    Args:
        error: type, message and context of it.
        node: the deepest value on the way to the place of the error.
        rest: what of the way does not exist.
        part: JSON Schema of the place, or of the mapping that lacks or does not know a key.
    """
    kind = error["type"]
    name = str(rest[-1]) if rest else ""
    if kind == "missing":
        about = follow(part, (name,)).get("description", "").partition(". ")[0].partition(":")[0]
        return f"the key {name!r} is missing{f' ({about.rstrip(chr(46))})' if about else ''}"
    if kind == "extra_forbidden":
        known = list(part.get("properties", {}))
        near = did_you_mean(name, known)
        if name.partition(":")[0] in known:
            near = ": write a space after the colon"
        return f"there is no such key{near} (there are: {', '.join(known)})"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if name == "[key]":
        return "a name is 1 to 64 letters, digits, '-' and '_', and begins with no '-'"
    return f"must be {wanted(part)}, got {shown(_value(node))}{_hint(node, part)}"


def _value(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {}
    return [] if isinstance(node.value, list) else node.shown


def _hint(node: Node, part: Schema) -> str:
    text, kind = node.value, part.get("type")
    if node.written is not None:
        return ""
    if kind in ("array",) and not isinstance(text, (list, dict)) and text is not None:
        return f": write [{text}]"
    if not isinstance(text, str):
        return ""
    choices = [str(choice) for choice in part.get("enum", ())]
    if choices:
        return did_you_mean(text, choices)
    if kind == "boolean" and text.lower() in _TRUTH:
        return f": write {_TRUTH[text.lower()]}"
    if kind in ("integer", "number"):
        if _WITH_UNIT.fullmatch(text.strip()):
            unit = f", the unit is {part['unit']}" if "unit" in part else ""
            return f": write the number alone{unit}"
        if _is_number(text):
            return ": write it without quotes"
    return ""


def _is_number(text: str) -> bool:
    try:
        value = resolve(text)
    except AmbiguousNumberError:
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool)
