"""A route: where messages come from, which of them, and where they go."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgevision.errors import ConfigurationError
from edgevision.routing.condition import Condition, ConditionError, parse_condition

__all__ = ["UPSTREAM", "Route", "RouteError", "Sink", "parse_route"]

_PART = r"[^\s/\"'*()]+"
_ROUTE = re.compile(
    r"\s*FROM\s+(?P<source>\S+)(?:\s+WHERE\s+(?P<where>.+?))?\s+INTO\s+(?P<sink>.+?)\s*",
    re.IGNORECASE | re.DOTALL,
)
_SOURCE = re.compile(
    rf"/\*|/messages/\*|/messages/modules/(?:\*|(?P<module>{_PART})/"
    rf"(?:\*|outputs/(?:\*|(?P<output>{_PART}))))|/twinChangeNotifications(?:/\*)?"
    r"|/deviceLifecycleEvents(?:/\*)?|/moduleLifecycleEvents(?:/\*)?",
    re.IGNORECASE,
)
_ENDPOINT = re.compile(
    rf"BrokeredEndpoint\(\s*(?P<quote>[\"'])/modules/(?P<module>{_PART})/inputs/(?P<input>{_PART})"
    r"(?P=quote)\s*\)",
    re.IGNORECASE,
)
_KNOWN_SOURCES = (
    "/messages/*, /messages/modules/MODULE/*, /messages/modules/MODULE/outputs/OUTPUT, "
    "/twinChangeNotifications or /*"
)


class RouteError(ConfigurationError):
    """A route that edgeHub refuses."""


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
        source: as written.
        module: whose messages; "" for everybody's.
        output: of which output; "" for all.
        condition: None for all messages of the source.
        sink: where it leads.
    """

    source: str
    module: str
    output: str
    condition: Condition | None
    sink: Sink

    @property
    def takes_messages(self) -> bool:
        """False for a route of notifications alone."""
        return self.source == "/*" or self.source.lower().startswith("/messages/")

    def begins_at(self, module: str, output: str) -> bool:
        """Tell whether a message of this module on this output comes into question."""
        return (
            self.takes_messages
            and self.module in ("", module)
            and (not self.output or self.output == output)
        )


def parse_route(text: str, path: str = "") -> Route:
    """Return the route that ``text`` means.

    Args:
        text: ``FROM source [WHERE condition] INTO sink``.
        path: place of the route in its document, for messages.

    Raises:
        RouteError: it means none.
    """
    found = _ROUTE.fullmatch(text)
    if found is None:
        raise RouteError(
            f"wanted FROM source [WHERE condition] INTO sink, got {text!r}", path=path or None
        )
    source = _SOURCE.fullmatch(found["source"])
    if source is None:
        raise RouteError(
            f"FROM {found['source']}: there is no such source; wanted {_KNOWN_SOURCES}",
            path=path or None,
        )
    try:
        condition = parse_condition(found["where"]) if found["where"] else None
    except ConditionError as error:
        raise RouteError(f"WHERE {found['where']}: {error}", path=path or None) from error
    return Route(
        found["source"],
        source["module"] or "",
        source["output"] or "",
        condition,
        _sink(found["sink"], path),
    )


def _sink(text: str, path: str) -> Sink:
    if text.lower() == "$upstream":
        return UPSTREAM
    endpoint = _ENDPOINT.fullmatch(text)
    if endpoint is None:
        raise RouteError(
            f'INTO {text}: wanted $upstream or BrokeredEndpoint("/modules/MODULE/inputs/INPUT")',
            path=path or None,
        )
    return Sink(endpoint["module"], endpoint["input"])
