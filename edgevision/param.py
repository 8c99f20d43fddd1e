"""Typed, bounded, documented settings of a stage."""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edgevision.errors import ParamError
from edgevision.param_rules import Rules, UnsupportedTypeError
from edgevision.param_type import MismatchError, ParamType, parse
from edgevision.redaction import HIDDEN, redact
from edgevision.suggestion import did_you_mean
from edgevision.type_hint import resolve

__all__ = ["REQUIRED", "Param", "ParamSpec", "collect", "json_of", "validate"]

_LONGEST_SHOWN = 100


class _Required(enum.Enum):
    REQUIRED = "required"

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required.REQUIRED
"""The default of a Param that has none: it must be given."""


@dataclass(frozen=True, eq=False)
class ParamSpec:
    """What a class body's ``name: type = Param(...)`` declares.

    Attributes:
        default: the value without a setting, or REQUIRED.
        ge: smallest allowed value; ``gt`` excludes it.
        gt: see ``ge``.
        le: largest allowed value; ``lt`` excludes it.
        lt: see ``le``.
        min_length: fewest characters, items or keys.
        max_length: the most of them.
        pattern: regular expression that text must match.
        unit: physical unit, such as ``px``, ``s`` or ``1/s``.
        help: one line for people.
        live: True if it may change while the stage runs; else a change restarts the stage.
        secret: True if its value is never shown.
        name: attribute and YAML key.
        type: the annotation, resolved.
        owner: name of the stage class, for messages.
    """

    default: Any = field(default=REQUIRED, repr=False)
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    unit: str = ""
    help: str = ""
    live: bool = True
    secret: bool = False
    name: str = ""
    type: Any = None
    owner: str = ""
    _kind: ParamType | None = field(default=None, repr=False)

    def bind(self, owner: str, name: str, kind: Any) -> ParamSpec:
        """Return the declaration as that of ``owner.name: kind``.

        Raises:
            UnsupportedTypeError: values of this type cannot come from YAML, or a rule does not fit.
            MismatchError: the default breaks the declaration's own rules.
        """
        limits = {rule.name: getattr(self, rule.name) for rule in fields(Rules)}
        parsed = parse(kind, Rules(**limits))
        default = REQUIRED if self.default is REQUIRED else parsed.check(self.default)
        return replace(self, default=default, owner=owner, name=name, type=kind, _kind=parsed)

    @property
    def kind(self) -> ParamType:
        """The type with its rules."""
        if self._kind is None:
            raise TypeError("Param(...) belongs into the body of a Stage, behind `name: type =`")
        return self._kind

    def check(self, value: Any) -> Any:
        """Return ``value`` as the declared type.

        The rules are those of JSON: 3 is a number and "3" is not, true is no number, a list serves
        for a tuple. So a value means the same from Python, YAML and the module twin.

        Raises:
            ParamError: names the stage, the parameter, the rule it broke and the value.
        """
        try:
            return self.kind.check(value)
        except MismatchError as error:
            place = "".join(f"[{part!r}]" for part in error.place)
            got = "another value" if self.secret else _shown(error.got)
            raise ParamError(
                f"stage {self.owner}: parameter {self.name}{place} must be "
                f"{error.wanted}{self._in_unit()}, got {got}"
            ) from None

    def fresh_default(self) -> Any:
        """Return the default, copied where it could be changed in place."""
        return copy.deepcopy(self.default)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this parameter with its unit, help and default."""
        schema = self.kind.schema()
        if self.help:
            schema["description"] = self.help
        if self.unit:
            schema["unit"] = self.unit
        if self.secret:
            schema["writeOnly"] = True
        elif self.default is not REQUIRED:
            schema["default"] = json_of(self.default)
        return schema

    def describe_type(self) -> str:
        """Return the type and its bounds for people, such as ``int >= 1 px``."""
        return f"{self.kind.text}{self._in_unit()}"

    def describe_default(self) -> str:
        """Return the default for people, as YAML would have it; ``required`` without one."""
        if self.default is REQUIRED:
            return "required"
        if self.secret:
            return HIDDEN
        value = json_of(self.default)
        words = {None: "null", True: "true", False: "false"}
        return words[value] if value is None or isinstance(value, bool) else repr(value)

    def _in_unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def Param(  # noqa: N802  # reads as the declaration that it is, beside pydantic's Field
    default: Any = REQUIRED,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    unit: str = "",
    help: str = "",
    live: bool = True,
    secret: bool = False,
) -> Any:
    """Declare a setting of a stage, in its class body.

    The value is set from pipeline.yaml, from the constructor and, while the stage runs, from the
    module twin. A bad value is refused and the old one stays. Types: bool, int, float, str, Path,
    Literal, Enum, and tuples, lists, unions and string-keyed dictionaries of them.

    Args:
        default: value without a setting; left out, the parameter must be given. Each instance has
            a copy of its own.
        ge: smallest allowed number; ``gt`` excludes it. Bounds hold for every number in the value,
            so that ``list[tuple[float, float]]`` may hold coordinates between 0 and 1.
        gt: see ``ge``.
        le: largest allowed number; ``lt`` excludes it.
        lt: see ``le``.
        min_length: fewest characters, items or keys of the text, list or dictionary as a whole.
        max_length: the most of them.
        pattern: regular expression that every text in the value must match somewhere.
        unit: physical unit, such as ``px``, ``s`` or ``1/s``.
        help: one line for people; shown by ``edgevision stages`` and by editors.
        live: False if the stage must be restarted to change it; the pipeline then calls ``stop``
            and ``start`` instead of ``changed``.
        secret: True for a password or a key: its value never appears in messages or reports.

    Returns:
        A declaration that the class body turns into an attribute; typed Any so that the annotation
        decides what a type checker sees.
    """
    return ParamSpec(
        default, ge, gt, le, lt, min_length, max_length, pattern, unit, help, live, secret
    )


def collect(
    owner: str, namespace: Mapping[str, Any], annotations: Mapping[str, Any], module: str
) -> dict[str, ParamSpec]:
    """Return the finished specs of a class body or a signature, checked.

    Args:
        owner: name of the stage, for messages.
        namespace: attribute or argument names with their values; those that are ParamSpec count.
        annotations: name to annotation, which may be text.
        module: name of the module that text annotations are evaluated in.

    Raises:
        TypeError: a Param without annotation, of a type that cannot come from YAML, with a rule
            that fits no part of its type, or with a default that breaks its own rules; names class
            and parameter.
    """
    specs: dict[str, ParamSpec] = {}
    for name, value in namespace.items():
        if not isinstance(value, ParamSpec):
            continue
        where = f"{owner}.{name}"
        if name not in annotations:
            raise TypeError(f"{where} = Param(...) needs a type: write `{name}: int = Param(...)`")
        try:
            specs[name] = value.bind(owner, name, resolve(annotations[name], module))
        except UnsupportedTypeError as error:
            raise TypeError(f"{where}: {error}") from None
        except MismatchError as error:
            place = "".join(f"[{part!r}]" for part in error.place)
            raise TypeError(
                f"{where}: the default{place} must be {error.wanted} like any other value, "
                f"got {_shown(error.got)}"
            ) from None
        except Exception as error:
            raise TypeError(
                f"{where}: the type {annotations[name]!r} is not known in module {module}: {error} "
                "(a Param's type must be imported when the program runs, not for type checkers "
                "only)"
            ) from error
    return specs


def validate(
    owner: str, specs: Mapping[str, ParamSpec], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all ``values`` as their declared types, or raise without having changed anything.

    Raises:
        ParamError: an unknown name (with the nearest known one) or a bad value.
    """
    unknown = [name for name in values if name not in specs]
    if unknown:
        known = ", ".join(specs) or "none"
        raise ParamError(
            f"stage {owner} has no parameter {unknown[0]!r}"
            f"{did_you_mean(str(unknown[0]), specs)} (it has: {known})"
        )
    return {name: specs[name].check(value) for name, value in values.items()}


def _shown(value: Any) -> str:
    """Return a value for a message: short, on one line and without credentials."""
    try:
        text = redact(repr(value)).replace("\n", " ")
    except ValueError:  # Python refuses to write out an integer of thousands of digits
        return "<a number too long to be shown>"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def json_of(value: Any) -> Any:
    """Return a parameter's value as JSON has it, such as a path as text and a tuple as a list."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [json_of(item) for item in value]
    if isinstance(value, dict):
        return {key: json_of(item) for key, item in value.items()}
    return value
