"""Typed, bounded, documented settings of a stage."""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from edgevision.errors import ParamError
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["REQUIRED", "Param", "ParamSpec", "collect", "validate"]


class _Required(enum.Enum):
    REQUIRED = "required"

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required.REQUIRED
"""The default of a Param that has none: it must be given."""

_SCALARS: tuple[type, ...] = (bool, int, float, str, Path, type(None))


@dataclass(frozen=True, eq=False)
class ParamSpec:
    """What a class body's ``name: type = Param(...)`` declares.

    Attributes:
        name: attribute and YAML key.
        type: the annotation, resolved.
        default: the value without a setting, or REQUIRED.
        ge: smallest allowed value; ``gt`` excludes it.
        gt: see ``ge``.
        le: largest allowed value; ``lt`` excludes it.
        lt: see ``le``.
        min_length: fewest characters or items.
        max_length: most characters or items.
        pattern: regular expression that text must match.
        unit: physical unit, such as ``px``, ``s`` or ``1/s``.
        help: one line for people.
        live: True if it may change while the stage runs.
        owner: name of the stage class, for messages.
    """

    default: Any = REQUIRED
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
    name: str = ""
    type: Any = None
    owner: str = ""
    _adapters: list[TypeAdapter[Any]] = field(default_factory=list, repr=False)

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """The pydantic validator, made when first needed since pydantic takes long to load."""
        if not self._adapters:
            from pydantic import Field, TypeAdapter

            limits = {
                key: getattr(self, key)
                for key in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
                if getattr(self, key) is not None
            }
            extra: dict[str, Any] = {"unit": self.unit} if self.unit else {}
            rules = Field(description=self.help or None, json_schema_extra=extra or None, **limits)
            annotated: Any = Annotated
            annotation = annotated[self.type, rules]
            self._adapters.append(TypeAdapter(annotation, config={"allow_inf_nan": False}))
        return self._adapters[0]

    def check(self, value: Any) -> Any:
        """Return ``value`` as the declared type.

        The rules are those of JSON: 3 is a number and "3" is not, true is no number, a list serves
        for a tuple. So a value means the same from Python, YAML and the module twin.

        Raises:
            ParamError: names the stage, the parameter, the rule it broke and the value.
        """
        from pydantic import ValidationError
        from pydantic_core import PydanticSerializationError, to_json

        try:
            text = to_json(value, inf_nan_mode="constants")
            return self.adapter.validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"[{part!r}]" for part in first["loc"] if isinstance(part, (int, str)))
            raise ParamError(
                f"stage {self.owner}: parameter {self.name}{place} must be "
                f"{self.describe_type()}, got {value!r} ({first['msg']})"
            ) from error
        except (PydanticSerializationError, ValueError) as error:
            raise ParamError(
                f"stage {self.owner}: parameter {self.name} must be {self.describe_type()}, "
                f"got {value!r}"
            ) from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this parameter with its unit, help and default."""
        schema = self.adapter.json_schema()
        if self.default is not REQUIRED:
            from pydantic_core import to_jsonable_python

            schema["default"] = to_jsonable_python(self.default)
        return schema

    def describe_type(self) -> str:
        """Return the type and its bounds for people, such as ``int >= 1 px``."""
        return f"{_type_name(self.type)}{self._bounds()}{self._in_unit()}"

    def _bounds(self) -> str:
        signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
        parts = [
            f"{sign} {getattr(self, key):g}"
            for key, sign in signs.items()
            if getattr(self, key) is not None
        ]
        return f" {', '.join(parts)}" if parts else ""

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
) -> Any:
    """Declare a setting of a stage, in its class body.

    The value is set from pipeline.yaml, from the constructor and, while the stage runs, from the
    module twin. A bad value is refused and the old one stays. Types: bool, int, float, str, Path,
    Literal, Enum, and tuples, lists, unions and string-keyed dictionaries of them.

    Args:
        default: value without a setting; left out, the parameter must be given.
        ge: smallest allowed value; ``gt`` excludes it.
        gt: see ``ge``.
        le: largest allowed value; ``lt`` excludes it.
        lt: see ``le``.
        min_length: fewest characters or items.
        max_length: most characters or items.
        pattern: regular expression that text must match.
        unit: physical unit, such as ``px``, ``s`` or ``1/s``.
        help: one line for people; shown by ``edgevision stages`` and by editors.
        live: False if the stage must be restarted to change it; the runner does so.

    Returns:
        A declaration that the class body turns into an attribute; typed Any so that the annotation
        decides what a type checker sees.
    """
    return ParamSpec(default, ge, gt, le, lt, min_length, max_length, pattern, unit, help, live)


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
        TypeError: a Param without annotation or of a type that cannot come from YAML, a default
            outside its bounds; names class and parameter.
    """
    specs: dict[str, ParamSpec] = {}
    for name, value in namespace.items():
        if not isinstance(value, ParamSpec):
            continue
        if name not in annotations:
            raise TypeError(
                f"{owner}.{name} = Param(...) needs a type: write `{name}: int = Param(...)`"
            )
        kind = _resolve(owner, name, annotations[name], module)
        _check_type(owner, name, kind)
        spec = ParamSpec(
            **{
                key: getattr(value, key)
                for key in ParamSpec.__dataclass_fields__
                if key not in ("name", "type", "owner", "_adapters")
            },
            name=name,
            type=kind,
            owner=owner,
        )
        _check_default(spec)
        specs[name] = spec
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
            f"{did_you_mean(unknown[0], specs)} (it has: {known})"
        )
    return {name: specs[name].check(value) for name, value in values.items()}


def _resolve(owner: str, name: str, annotation: Any, module: str) -> Any:
    if not isinstance(annotation, str):
        return annotation
    scope = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return eval(annotation, dict(scope))
    except Exception as error:
        raise TypeError(
            f"{owner}.{name}: the type {annotation!r} is not known in module {module}: {error}"
        ) from error


def _check_type(owner: str, name: str, kind: Any) -> None:
    if not _supported(kind):
        raise TypeError(
            f"{owner}.{name}: a Param cannot be of type {_type_name(kind)}, since it must come from"
            " YAML and the module twin; use bool, int, float, str, Path, Literal, an Enum, or "
            "tuples, lists, unions and dict[str, ...] of them"
        )


def _supported(kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(_supported(a) for a in arguments)
    if origin in (tuple, list):
        return all(a is Ellipsis or _supported(a) for a in arguments)
    if origin is dict:
        return arguments[0] is str and _supported(arguments[1])
    if origin is not None:
        return False
    return kind is None or (
        isinstance(kind, type) and (kind in _SCALARS or issubclass(kind, enum.Enum))
    )


def _check_default(spec: ParamSpec) -> None:
    rules: dict[str, Callable[[Any, Any], bool]] = {
        "ge": lambda value, bound: value >= bound,
        "gt": lambda value, bound: value > bound,
        "le": lambda value, bound: value <= bound,
        "lt": lambda value, bound: value < bound,
    }
    for key, holds in rules.items():
        bound = getattr(spec, key)
        if bound is None:
            continue
        if isinstance(spec.default, (int, float)) and not holds(spec.default, bound):
            raise TypeError(
                f"{spec.owner}.{spec.name}: the default {spec.default!r} breaks its own bound "
                f"{key}={bound!r}"
            )


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(repr(value) for value in get_args(kind))
    if get_origin(kind) is not None:
        return str(kind).replace("typing.", "")
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " | ".join(repr(member.value) for member in kind)
    return getattr(kind, "__name__", str(kind))
