"""Routes in edgeHub's words: ``FROM source [WHERE condition] INTO sink``.

Sources are ``/*``, ``/messages/*``, ``/messages/modules/*``, ``/messages/modules/M/*`` and
``/messages/modules/M/outputs/O`` or ``.../outputs/*``; sinks are ``$upstream`` and
``BrokeredEndpoint("/modules/M/inputs/I")``. Whatever else edgeHub takes is a `RouteError` here.

Source of the grammar: Microsoft's documents "Declare routes in IoT Edge" and "IoT Hub message
routing query syntax".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgevision.errors import ConfigurationError
from edgevision.testing.hub.condition import Condition, ConditionError, parse_condition
from edgevision.testing.hub.message import HubMessage

__all__ = ["UPSTREAM", "Route", "RouteError", "Sink", "parse_routes"]

_NAME = r"[A-Za-z0-9_.:-]+"
_ROUTE = re.compile(
    r"\s*FROM\s+(?P<source>\S+)\s+(?:WHERE\s+(?P<where>.+?)\s+)?INTO\s+(?P<sink>.+?)\s*",
    re.IGNORECASE | re.DOTALL,
)
_SOURCE = re.compile(
    rf"/\*|/messages/\*|/messages/modules/(?:\*|{_NAME}/\*|{_NAME}/outputs/(?:\*|{_NAME}))"
)
_ENDPOINT = re.compile(
    rf"BrokeredEndpoint\(\s*(?P<quote>[\"'])/modules/(?P<module>{_NAME})/inputs/(?P<input>{_NAME})"
    r"(?P=quote)\s*\)",
    re.IGNORECASE,
)
_ROUTE_NAME = re.compile(r"[^.$# ]+")


class RouteError(ConfigurationError):
    """A route that edgeHub refuses, or that the stand-in does not understand."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a route leads.

    Attributes:
        module: "" for the cloud.
        input: of that module.
    """

    module: str = ""
    input: str = ""


UPSTREAM = Sink()
"""The sink ``$upstream``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Attributes:
        name: its key among the routes.
        source: as written.
        condition: None for all messages of the source.
        sink: where it leads.
    """

    name: str
    source: str
    condition: Condition | None
    sink: Sink

    def takes(self, message: HubMessage) -> bool:
        """Tell whether a message follows this route."""
        if self.source == "/*" or self.source == "/messages/*":
            fits = True
        else:
            origin = f"/messages/modules/{message.module}/"
            if message.output:
                origin += f"outputs/{message.output}"
            prefix, star, _ = self.source.partition("*")
            fits = origin.startswith(prefix) if star else origin == self.source
        return fits and (self.condition is None or self.condition.holds(message))


def parse_routes(routes: Mapping[str, str]) -> tuple[Route, ...]:
    """Return the routes of a mapping from name to text.

    Raises:
        RouteError: one makes no sense, or is beyond the stand-in; with its name.
    """
    return tuple(_parse(name, text) for name, text in routes.items())


def _parse(name: str, text: str) -> Route:
    if not _ROUTE_NAME.fullmatch(name):
        raise RouteError("a route's name has no '.', '$', '#' or space", path=f"routes.{name}")
    path = f"routes.{name}"
    found = _ROUTE.fullmatch(text)
    if found is None:
        raise RouteError(f"wanted FROM source [WHERE condition] INTO sink, got {text!r}", path=path)
    source = found["source"]
    if not _SOURCE.fullmatch(source):
        raise RouteError(
            f"FROM {source}: the stand-in knows /messages/*, /messages/modules/M/* and "
            "/messages/modules/M/outputs/O",
            path=path,
        )
    try:
        condition = parse_condition(found["where"]) if found["where"] else None
    except ConditionError as error:
        raise RouteError(f"WHERE {found['where']}: {error}", path=path) from error
    return Route(name, source, condition, _sink(found["sink"], path))


def _sink(text: str, path: str) -> Sink:
    if text.lower() == "$upstream":
        return UPSTREAM
    endpoint = _ENDPOINT.fullmatch(text)
    if endpoint is None:
        raise RouteError(
            f'INTO {text}: wanted $upstream or BrokeredEndpoint("/modules/M/inputs/I")', path=path
        )
    return Sink(endpoint["module"], endpoint["input"])
