"""The types that a stage's parameter may have, and the values that they take.

The rules are those of JSON: 3 is a number and "3" is not, true is no number, a list serves for a
tuple. So a value means the same from Python, YAML and the module twin. NumPy's scalars and arrays
count as the numbers and lists that they hold.
"""

from __future__ import annotations

import enum
import math
import re
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import numpy as np

from edgevision.param_rules import Rules, UnsupportedTypeError

__all__ = ["MismatchError", "ParamType", "parse", "type_text"]


class MismatchError(Exception):
    """A value does not fit.

    Attributes:
        wanted: what would, for people.
        got: the innermost value that does not fit.
        place: keys and indices that lead to it.
    """

    def __init__(self, wanted: str, got: Any) -> None:
        self.wanted = wanted
        self.got = got
        self.place: list[int | str] = []
        super().__init__(wanted)


class ParamType(ABC):
    """One type with its rules."""

    uses: ClassVar[frozenset[str]] = frozenset()
    """The kinds of rules that it takes: ``bounds``, ``length``, ``pattern``."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The type and its rules for people, such as ``int >= 1``."""

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return ``value`` as this type.

        Raises:
            MismatchError: it does not fit.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema, without references."""

    def parts(self) -> Iterable[ParamType]:
        """Return the types that it is made of."""
        return ()

    def all_uses(self) -> frozenset[str]:
        """Return the kinds of rules that it or a part of it takes."""
        return self.uses.union(*(part.all_uses() for part in self.parts()))


class _Nothing(ParamType):
    text = "null"

    def check(self, value: Any) -> Any:
        if value is not None:
            raise MismatchError(self.text, value)

    def schema(self) -> dict[str, Any]:
        return {"type": "null"}


class _Bool(ParamType):
    text = "bool"

    def check(self, value: Any) -> Any:
        plain = _plain(value)
        if not isinstance(plain, bool):
            raise MismatchError("true or false", value)
        return plain

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class _Number(ParamType):
    uses = frozenset({"bounds"})

    def __init__(self, rules: Rules, *, whole: bool) -> None:
        self._rules = rules
        self._whole = whole

    @property
    def text(self) -> str:
        return ("int" if self._whole else "float") + self._rules.bounds_text()

    def check(self, value: Any) -> Any:
        number = _plain(value)
        wanted = int if self._whole else (int, float)
        if isinstance(number, bool) or not isinstance(number, wanted):
            raise MismatchError(self.text, value)
        try:
            number = int(number) if self._whole else float(number)
        except OverflowError:
            number = math.inf
        if not self._whole and not math.isfinite(number):
            raise MismatchError(f"a finite {self.text}", value)
        if not self._rules.allow_number(number):
            raise MismatchError(self.text, value)
        return number

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self._whole else "number", **self._rules.bounds_schema()}


class _Text(ParamType):
    uses = frozenset({"length", "pattern"})

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def text(self) -> str:
        pattern = self._rules.pattern
        matching = f" that matches {pattern!r}" if pattern is not None else ""
        return f"str{self._rules.length_text('character')}{matching}"

    def check(self, value: Any) -> Any:
        text = _plain(value)
        if not isinstance(text, str):
            raise MismatchError(self.text, value)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise MismatchError("text that UTF-8 can hold", value) from None
        pattern = self._rules.pattern
        matches = pattern is None or re.search(pattern, text)
        if not matches or not self._rules.allow_length(len(text)):
            raise MismatchError(self.text, value)
        return str(text)

    def schema(self) -> dict[str, Any]:
        pattern = self._rules.pattern
        matching = {"pattern": pattern} if pattern is not None else {}
        return {"type": "string", **self._rules.length_schema("Length"), **matching}


class _Path(ParamType):
    text = "path"

    def check(self, value: Any) -> Any:
        # An empty text would silently be the current folder.
        if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
            raise MismatchError("a path", value)
        return Path(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}


class _Choice(ParamType):
    """One of fixed values: a Literal, or the members of an Enum by their values."""

    def __init__(self, results: list[Any]) -> None:
        self._results = results
        self._values = [r.value if isinstance(r, enum.Enum) else r for r in results]
        for value in self._values:
            if value is not None and type(value) not in (bool, int, float, str):
                raise UnsupportedTypeError(
                    f"a Param's choice {value!r} is neither text, number, true, false nor null"
                )

    @property
    def text(self) -> str:
        return " | ".join("null" if value is None else repr(value) for value in self._values)

    def check(self, value: Any) -> Any:
        plain = _plain(value)
        for known, result in zip(self._values, self._results, strict=True):
            # True == 1, but they are different words in YAML and JSON.
            if isinstance(known, bool) == isinstance(plain, bool) and known == plain:
                return result
        raise MismatchError(self.text, value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self._values)}


class _List(ParamType):
    """A list, or a tuple of any length."""

    uses = frozenset({"length"})

    def __init__(self, item: ParamType, rules: Rules, make: type[Any]) -> None:
        self._item = item
        self._rules = rules
        self._make = make

    @property
    def text(self) -> str:
        inside = f"{self._item.text}, ..." if self._make is tuple else self._item.text
        return f"{self._make.__name__}[{inside}]{self._rules.length_text('item')}"

    def check(self, value: Any) -> Any:
        items = _items(value, self.text)
        if not self._rules.allow_length(len(items)):
            raise MismatchError(self.text, value)
        return self._make(_check_each(self._item, enumerate(items)))

    def schema(self) -> dict[str, Any]:
        limits = self._rules.length_schema("Items")
        return {"type": "array", "items": self._item.schema(), **limits}

    def parts(self) -> Iterable[ParamType]:
        return (self._item,)


class _Tuple(ParamType):
    """A tuple of a fixed length."""

    def __init__(self, items: list[ParamType]) -> None:
        self._items = items

    @property
    def text(self) -> str:
        return f"tuple[{', '.join(item.text for item in self._items)}]"

    def check(self, value: Any) -> Any:
        values = _items(value, self.text)
        if len(values) != len(self._items):
            raise MismatchError(self.text, value)
        pairs = zip(self._items, enumerate(values), strict=True)
        return tuple(_check_each(item, [pair])[0] for item, pair in pairs)

    def schema(self) -> dict[str, Any]:
        schemas = [item.schema() for item in self._items]
        size = {"minItems": len(schemas), "maxItems": len(schemas)}
        if all(schema == schemas[0] for schema in schemas):
            # Editors that know only the older drafts understand this form.
            return {"type": "array", "items": schemas[0], **size}
        return {"type": "array", "prefixItems": schemas, **size}

    def parts(self) -> Iterable[ParamType]:
        return self._items


class _Map(ParamType):
    uses = frozenset({"length"})

    def __init__(self, item: ParamType, rules: Rules) -> None:
        self._item = item
        self._rules = rules

    @property
    def text(self) -> str:
        return f"dict[str, {self._item.text}]{self._rules.length_text('key')}"

    def check(self, value: Any) -> Any:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise MismatchError(self.text, value)
        if not self._rules.allow_length(len(value)):
            raise MismatchError(self.text, value)
        return dict(zip(value, _check_each(self._item, value.items()), strict=True))

    def schema(self) -> dict[str, Any]:
        limits = self._rules.length_schema("Properties")
        return {"type": "object", "additionalProperties": self._item.schema(), **limits}

    def parts(self) -> Iterable[ParamType]:
        return (self._item,)


class _Union(ParamType):
    """The first of several types that fits."""

    def __init__(self, options: list[ParamType]) -> None:
        self._options = options

    @property
    def text(self) -> str:
        return " | ".join(option.text for option in self._options)

    def check(self, value: Any) -> Any:
        deepest: MismatchError | None = None
        for option in self._options:
            try:
                return option.check(value)
            except MismatchError as error:
                if error.place and (deepest is None or len(error.place) > len(deepest.place)):
                    deepest = error
        # Where the mistake is deep inside one of them, that one was meant.
        raise deepest or MismatchError(self.text, value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [option.schema() for option in self._options]}

    def parts(self) -> Iterable[ParamType]:
        return self._options


def parse(kind: Any, rules: Rules) -> ParamType:
    """Return what the annotation ``kind`` means.

    Raises:
        UnsupportedTypeError: no value of this type can come from YAML, or a rule fits no part of
            the type.
    """
    found = _parse(kind, rules)
    uses = found.all_uses()
    lacking = {
        "bounds": "there is no number in it",
        "length": "it has no length",
        "pattern": "there is no text in it",
    }
    for rule, names in rules.given().items():
        if rule not in uses:
            raise UnsupportedTypeError(f"{type_text(kind)} takes no {names}: {lacking[rule]}")
    return found


def type_text(kind: Any) -> str:
    """Return the name of a type for people."""
    if get_origin(kind) is not None:
        return str(kind).replace("typing.", "")
    return str(getattr(kind, "__name__", kind))


def _parse(kind: Any, rules: Rules) -> ParamType:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _parse(arguments[0], rules)
    if hasattr(kind, "__supertype__"):  # typing.NewType
        return _parse(kind.__supertype__, rules)
    if origin is Literal:
        return _Choice(list(arguments))
    if origin in (Union, types.UnionType):
        return _Union([_parse(argument, rules) for argument in arguments])
    inner = rules.inner()
    if origin is list and len(arguments) == 1:
        return _List(_parse(arguments[0], inner), rules, list)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _List(_parse(arguments[0], inner), rules, tuple)
    if origin is tuple and arguments and Ellipsis not in arguments:
        return _Tuple([_parse(argument, inner) for argument in arguments])
    if origin is dict and arguments[0] is str:
        return _Map(_parse(arguments[1], inner), rules)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _Choice(list(kind))
    return _parse_scalar(kind, rules)


def _parse_scalar(kind: Any, rules: Rules) -> ParamType:
    scalars: list[tuple[Any, Callable[[], ParamType]]] = [
        (None, _Nothing),
        (type(None), _Nothing),
        (bool, _Bool),
        (int, lambda: _Number(rules, whole=True)),
        (float, lambda: _Number(rules, whole=False)),
        (str, lambda: _Text(rules)),
        (Path, _Path),
    ]
    for known, make in scalars:
        if kind is known:
            return make()
    raise UnsupportedTypeError(
        f"a Param cannot be of type {type_text(kind)}, since it must come from YAML and the module "
        "twin; use bool, int, float, str, Path, Literal, an Enum, or list[...], tuple[...], "
        "dict[str, ...] and unions of them"
    )


def _plain(value: Any) -> Any:
    """Return a NumPy scalar or an Enum member as the Python value that it stands for."""
    if isinstance(value, np.generic):
        return value.item()
    return value.value if isinstance(value, enum.Enum) else value


def _items(value: Any, wanted: str) -> list[Any]:
    if isinstance(value, np.ndarray) and value.ndim:
        return list(value)
    if not isinstance(value, (list, tuple)):
        raise MismatchError(wanted, value)
    return list(value)


def _check_each(kind: ParamType, items: Iterable[tuple[int | str, Any]]) -> list[Any]:
    results = []
    for key, item in items:
        try:
            results.append(kind.check(item))
        except MismatchError as error:
            error.place.insert(0, key)
            raise
    return results
