"""Routes of messages in edgeHub's words, read and checked.

`parse_route` reads ``FROM source [WHERE condition] INTO sink``; `parse_condition` reads the
condition alone. The checks of deployment manifests use it, and so does the hub stand-in.

Source of the grammar: Microsoft's "Deploy modules and establish routes in IoT Edge" and "IoT Hub
message routing query syntax".
"""

from __future__ import annotations

from edgevision.routing.condition import (
    FUNCTIONS,
    Call,
    Compare,
    Condition,
    ConditionError,
    Constant,
    Logic,
    Name,
    Negation,
    parse_condition,
)
from edgevision.routing.route import UPSTREAM, Route, RouteError, Sink, parse_route

__all__ = [
    "FUNCTIONS",
    "UPSTREAM",
    "Call",
    "Compare",
    "Condition",
    "ConditionError",
    "Constant",
    "Logic",
    "Name",
    "Negation",
    "Route",
    "RouteError",
    "Sink",
    "parse_condition",
    "parse_route",
]
