"""Where messages go: edgeHub's routes, followed.

`edgevision.routing` reads them. Something of a message that is not there is undefined, and so is
what is made of it; a message follows a route only if its condition is true. What the stand-in does
not follow is a `RouteError`: notifications, and functions and properties that `_FUNCTIONS` and
`_SYSTEM` do not hold.

Source: Microsoft's documents "Declare routes in IoT Edge" and "IoT Hub message routing query
syntax".
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgevision.routing import (
    UPSTREAM,
    Call,
    Compare,
    Condition,
    Constant,
    Logic,
    Name,
    Negation,
    Route,
    RouteError,
    Sink,
    parse_route,
)
from edgevision.testing.hub.message import HubMessage

__all__ = ["UPSTREAM", "FollowedRoute", "RouteError", "Sink", "parse_routes"]

_ROUTE_NAME = re.compile(r"[^.$# ]+")
_ENCODINGS = ("utf-8", "utf-16", "utf-32")
_UNDEFINED: Any = object()
_SYSTEM: Mapping[str, Callable[[HubMessage], str]] = {
    "$connectiondeviceid": lambda message: message.device,
    "$connectionmoduleid": lambda message: message.module,
    "$contentencoding": lambda message: message.content_encoding,
    "$contenttype": lambda message: message.content_type,
    "$correlationid": lambda message: message.system.get("$.cid", ""),
    "$messageid": lambda message: message.id,
    "$outputname": lambda message: message.output,
    "$userid": lambda message: message.system.get("$.uid", ""),
}
_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# One that cannot do with its arguments, such as with undefined ones, raises and is undefined then.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "*": operator.mul,
    "+": operator.add,
    "-": lambda a, b=None: -a if b is None else a - b,
    "/": operator.truediv,
    "abs": abs,
    "as_number": float,
    "ceiling": lambda a: float(math.ceil(a)),
    "contains": lambda a, b: b in a,
    "ends_with": str.endswith,
    "floor": lambda a: float(math.floor(a)),
    "is_bool": lambda a: isinstance(a, bool),
    "is_null": lambda a: a is None,
    "is_number": lambda a: isinstance(a, float),
    "is_string": lambda a: isinstance(a, str),
    "length": lambda a: float(len(a)),
    "lower": str.lower,
    "starts_with": str.startswith,
    "upper": str.upper,
    "||": lambda a, b: _text(a) + _text(b),
}


@dataclass(frozen=True, slots=True)
class FollowedRoute:
    """A route with its name.

    Attributes:
        name: its key among the routes.
        route: as it was read.
    """

    name: str
    route: Route

    def takes(self, message: HubMessage) -> bool:
        """Tell whether a message follows this route."""
        if not self.route.begins_at(message.module, message.output):
            return False
        condition = self.route.condition
        return condition is None or _value(condition, message) is True


def parse_routes(routes: Mapping[str, str]) -> tuple[FollowedRoute, ...]:
    """Return the routes of a mapping from name to text.

    Raises:
        RouteError: one makes no sense, or is beyond the stand-in; with its name.
    """
    return tuple(_parse(name, text) for name, text in routes.items())


def _parse(name: str, text: str) -> FollowedRoute:
    path = f"routes.{name}"
    if not _ROUTE_NAME.fullmatch(name):
        raise RouteError("a route's name has no '.', '$', '#' or space", path=path)
    route = parse_route(text, path)
    if not route.takes_messages:
        raise RouteError(f"FROM {route.source}: the stand-in sends no notifications", path=path)
    if route.condition is not None:
        for what in _unknown(route.condition):
            raise RouteError(f"the stand-in does not know {what}", path=path)
    return FollowedRoute(name, route)


def _unknown(condition: Condition) -> list[str]:
    """Return what of a condition cannot be computed here."""
    if isinstance(condition, Constant):
        return []
    if isinstance(condition, Name):
        strange = condition.name.startswith("$") and not condition.in_body
        return [condition.name] if strange and condition.name.lower() not in _SYSTEM else []
    if isinstance(condition, Negation):
        return _unknown(condition.part)
    if isinstance(condition, Compare):
        return _unknown(condition.left) + _unknown(condition.right)
    if isinstance(condition, Logic):
        return [what for part in condition.parts for what in _unknown(part)]
    known = condition.function in _FUNCTIONS or condition.function == "is_defined"
    inside = [what for part in condition.arguments for what in _unknown(part)]
    return inside if known else [f"{condition.function}()", *inside]


def _value(condition: Condition, message: HubMessage) -> Any:
    if isinstance(condition, Constant):
        return condition.value
    if isinstance(condition, Name):
        return _of_message(condition, message)
    if isinstance(condition, Negation):
        value = _value(condition.part, message)
        return not value if isinstance(value, bool) else _UNDEFINED
    if isinstance(condition, Compare):
        left, right = _value(condition.left, message), _value(condition.right, message)
        return _compared(condition.sign, left, right)
    if isinstance(condition, Logic):
        return _joined(condition.word, [_value(part, message) for part in condition.parts])
    return _called(condition, message)


def _of_message(name: Name, message: HubMessage) -> Any:
    lower = name.name.lower()
    if name.in_body:
        return _in_body(name.name, message)
    if lower in _SYSTEM:
        return _SYSTEM[lower](message) or _UNDEFINED
    # IoT Hub does not tell names apart that differ in capitals only.
    found = (value for key, value in message.properties.items() if key.lower() == lower)
    return next(found, _UNDEFINED)


def _in_body(name: str, message: HubMessage) -> Any:
    # edgeHub looks into a body only if its type and its encoding are given.
    encoding = message.content_encoding.lower()
    if message.content_type.lower() != "application/json" or encoding not in _ENCODINGS:
        return _UNDEFINED
    try:
        value = json.loads(message.body.decode(encoding))
    except ValueError:
        return _UNDEFINED
    for key, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", name):
        if key and isinstance(value, dict) and key in value:
            value = value[key]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return _UNDEFINED
    return float(value) if type(value) is int else value


def _compared(sign: str, left: Any, right: Any) -> Any:
    if left is _UNDEFINED or right is _UNDEFINED:
        return _UNDEFINED
    alike = type(left) is type(right)
    if sign in _ORDER:
        comparable = alike and isinstance(left, (str, float))
        return _ORDER[sign](left, right) if comparable else _UNDEFINED
    return (alike and left == right) is (sign == "=")


def _joined(word: str, values: list[Any]) -> Any:
    deciding = word == "or"
    if any(value is deciding for value in values):
        return deciding
    return (not deciding) if all(value is (not deciding) for value in values) else _UNDEFINED


def _called(call: Call, message: HubMessage) -> Any:
    arguments = [_value(argument, message) for argument in call.arguments]
    if call.function == "is_defined":
        return arguments[0] is not _UNDEFINED
    try:
        return _FUNCTIONS[call.function](*arguments)
    except (TypeError, ValueError, ArithmeticError):
        return _UNDEFINED


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
