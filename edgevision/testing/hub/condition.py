"""The condition of a route: comparisons of properties and of parts of the body.

Something that is not there is undefined, and a comparison with it is undefined too; a message
follows a route only if its condition is true. There are ``AND``, ``OR``, ``NOT``, brackets,
``= != <> < <= > >=``, texts in single or double quotes, numbers, ``true``, ``false``, ``null``,
application properties by name, ``$body.a.b[0]``, the system properties of `_SYSTEM`, and the
functions ``is_defined`` and ``as_number``.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from typing import Any

from edgevision.suggestion import did_you_mean
from edgevision.testing.hub.message import HubMessage

__all__ = ["Condition", "ConditionError", "parse_condition"]

_ENCODINGS = ("utf-8", "utf-16", "utf-32")
_SYSTEM: dict[str, Callable[[HubMessage], str]] = {
    "$connectiondeviceid": lambda message: message.device,
    "$connectionmoduleid": lambda message: message.module,
    "$messageid": lambda message: message.id,
    "$correlationid": lambda message: message.system.get("$.cid", ""),
    "$userid": lambda message: message.system.get("$.uid", ""),
    "$contenttype": lambda message: message.content_type,
    "$contentencoding": lambda message: message.content_encoding,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<sign><=|>=|<>|!=|[=<>(),])|(?P<name>\$?[A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])*))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONSTANTS = {"true": True, "false": False, "null": None}
_FUNCTIONS = ("is_defined", "as_number")
_UNDEFINED = object()
_Value = Callable[[HubMessage], Any]


class ConditionError(ValueError):
    """A condition that makes no sense, or that the stand-in does not understand."""


class Condition:
    """What a message must be like.

    Args:
        value: computes it; true, false or undefined.
    """

    def __init__(self, value: _Value) -> None:
        self._value = value

    def holds(self, message: HubMessage) -> bool:
        """Tell whether it is true of a message."""
        return self._value(message) is True


def parse_condition(text: str) -> Condition:
    """Return the condition that a text means.

    Raises:
        ConditionError: see there.
    """
    parser = _Parser(_tokens(text))
    value = parser.alternatives()
    parser.end()
    return Condition(value)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise ConditionError(f"not understood from {text[at:].strip()!r} on")
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def alternatives(self) -> _Value:
        parts = [self._conjunction()]
        while self._word("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionError(f"not understood from {self._tokens[self._at][1]!r} on")

    def _conjunction(self) -> _Value:
        parts = [self._negation()]
        while self._word("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _negation(self) -> _Value:
        if not self._word("not"):
            return self._comparison()
        inner = self._negation()
        return lambda message: _not(inner(message))

    def _comparison(self) -> _Value:
        left = self._operand()
        kind, sign = self._peek()
        if kind != "sign" or sign in "(),":
            return left
        self._at += 1
        return _comparison(sign, left, self._operand())

    def _operand(self) -> _Value:
        kind, text = self._peek()
        self._at += 1
        if kind == "text":
            return _constant(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "number":
            return _constant(float(text))
        if kind == "sign" and text == "(":
            inner = self.alternatives()
            self._sign(")")
            return inner
        if kind != "name":
            raise ConditionError(f"a value is missing before {text!r}" if text else "it ends early")
        if self._peek() == ("sign", "("):
            return self._function(text)
        if text.lower() in _CONSTANTS:
            return _constant(_CONSTANTS[text.lower()])
        return _named(text)

    def _function(self, name: str) -> _Value:
        if name.lower() not in _FUNCTIONS:
            hint = did_you_mean(name.lower(), _FUNCTIONS) or f"; it knows {', '.join(_FUNCTIONS)}"
            raise ConditionError(f"the stand-in does not know the function {name}(){hint}")
        self._sign("(")
        argument = self.alternatives()
        self._sign(")")
        if name.lower() == "is_defined":
            return lambda message: argument(message) is not _UNDEFINED
        return lambda message: _number(argument(message))

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _word(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "name" and text.lower() == word
        self._at += found
        return found

    def _sign(self, sign: str) -> None:
        if self._peek() != ("sign", sign):
            raise ConditionError(f"{sign!r} is missing")
        self._at += 1


def _constant(value: Any) -> _Value:
    return lambda message: value


def _named(name: str) -> _Value:
    lower = name.lower()
    if lower == "$body" or lower.startswith(("$body.", "$body[")):
        steps = re.findall(r"\.([\w-]+)|\[(\d+)\]", name)
        return lambda message: _in_body(message, steps)
    if name.startswith("$"):
        if lower not in _SYSTEM:
            hint = did_you_mean(lower, [*_SYSTEM, "$body"])
            raise ConditionError(f"the stand-in does not know {name}{hint}")
        read = _SYSTEM[lower]
        return lambda message: read(message) or _UNDEFINED
    return lambda message: _property(message, lower)


def _property(message: HubMessage, lower: str) -> Any:
    for name, value in message.properties.items():
        if name.lower() == lower:
            return value
    return _UNDEFINED


def _in_body(message: HubMessage, steps: list[tuple[str, str]]) -> Any:
    # edgeHub looks into a body only if its type and its encoding are given.
    encoding = message.content_encoding.lower()
    if message.content_type.lower() != "application/json" or encoding not in _ENCODINGS:
        return _UNDEFINED
    try:
        value = json.loads(message.body.decode(encoding))
    except ValueError:
        return _UNDEFINED
    for name, index in steps:
        if name and isinstance(value, dict) and name in value:
            value = value[name]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return _UNDEFINED
    return float(value) if type(value) is int else value


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return _UNDEFINED


def _comparison(sign: str, left: _Value, right: _Value) -> _Value:
    def compare(message: HubMessage) -> Any:
        a, b = left(message), right(message)
        if a is _UNDEFINED or b is _UNDEFINED:
            return _UNDEFINED
        if sign in _COMPARE:
            comparable = type(a) is type(b) and isinstance(a, (str, float))
            return _COMPARE[sign](a, b) if comparable else _UNDEFINED
        same = type(a) is type(b) and a == b
        return same if sign == "=" else not same

    return compare


def _not(value: Any) -> Any:
    return not value if isinstance(value, bool) else _UNDEFINED


def _all_of(parts: list[_Value]) -> _Value:
    def decide(message: HubMessage) -> Any:
        values = [part(message) for part in parts]
        if any(value is False for value in values):
            return False
        return True if all(value is True for value in values) else _UNDEFINED

    return decide


def _any_of(parts: list[_Value]) -> _Value:
    def decide(message: HubMessage) -> Any:
        values = [part(message) for part in parts]
        if any(value is True for value in values):
            return True
        return False if all(value is False for value in values) else _UNDEFINED

    return decide
