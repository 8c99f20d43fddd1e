"""Upstreams by name: what pipeline.yaml and ``--upstream`` may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean
from edgevision.upstream.settings import (
    ConsoleSettings,
    IotEdgeSettings,
    JsonlSettings,
    UpstreamSettings,
    validated,
)
from edgevision.upstream.upstream import Upstream

__all__ = [
    "UpstreamKind",
    "open_upstream",
    "read_upstream",
    "register_upstream",
    "upstream_kinds",
]


@dataclass(frozen=True, slots=True)
class UpstreamKind:
    """One entry of the registry.

    Attributes:
        settings: the model of what may be said about it; its field ``type`` is the name.
        open: makes the upstream of such settings; imports what it needs only then.
        argument: field that the text after ``name:`` sets, as in ``jsonl:out.jsonl``; "" for none.
    """

    settings: type[UpstreamSettings]
    open: Callable[[Any], Upstream]
    argument: str = ""


def _open_console(settings: ConsoleSettings) -> Upstream:
    from edgevision.upstream.console import ConsoleUpstream

    return ConsoleUpstream(settings)


def _open_jsonl(settings: JsonlSettings) -> Upstream:
    from edgevision.upstream.jsonl import JsonlUpstream

    return JsonlUpstream(settings)


def _open_iotedge(settings: IotEdgeSettings) -> Upstream:
    from edgevision.upstream.iotedge import IotEdgeUpstream

    return IotEdgeUpstream(settings)


_kinds: dict[str, UpstreamKind] = {
    "console": UpstreamKind(ConsoleSettings, _open_console, "format"),
    "jsonl": UpstreamKind(JsonlSettings, _open_jsonl, "path"),
    "iotedge": UpstreamKind(IotEdgeSettings, _open_iotedge, "outbox"),
}


def register_upstream(name: str, kind: UpstreamKind) -> None:
    """Add an upstream.

    Raises:
        ValueError: the name is taken by another.
    """
    if _kinds.setdefault(name, kind) != kind:
        raise ValueError(f"there is an upstream {name!r} already")


def upstream_kinds() -> Mapping[str, UpstreamKind]:
    """Return the known upstreams by name, in the order of their registration."""
    return dict(_kinds)


def read_upstream(value: str | Mapping[str, Any], path: str = "upstream") -> UpstreamSettings:
    """Return the settings that ``value`` means.

    Args:
        value: a name (``console``), a name and its argument (``jsonl:results.jsonl``), or a mapping
            with ``type`` and the settings of that type.
        path: the place of ``value`` in its document, for messages.

    Raises:
        ConfigurationError: there is no such upstream, or a setting is wrong.
    """
    if isinstance(value, str):
        name, colon, argument = value.partition(":")
        values: dict[str, Any] = {"type": name}
        if colon:
            field = _kind(name, path).argument
            if not field:
                raise ConfigurationError(f"{name} takes no argument, got {value!r}", path=path)
            values[field] = argument
    elif isinstance(value, Mapping):
        values = dict(value)
    else:
        raise ConfigurationError(
            f"must be the name of an upstream or a mapping, got {value!r}", path=path
        )
    if "type" not in values:
        raise ConfigurationError(f"needs a type: {', '.join(_kinds)}", path=path)
    settings: UpstreamSettings = validated(_kind(values["type"], path).settings, values, path)
    return settings


def open_upstream(settings: UpstreamSettings | str | Mapping[str, Any]) -> Upstream:
    """Return the upstream that ``settings`` describe, not started yet.

    Raises:
        ConfigurationError: see `read_upstream`.
    """
    if not isinstance(settings, UpstreamSettings):
        settings = read_upstream(settings)
    return _kind(settings.type, "upstream").open(settings)


def _kind(name: object, path: str) -> UpstreamKind:
    kind = _kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        hint = did_you_mean(str(name), _kinds) or f"; there are {', '.join(_kinds)}"
        raise ConfigurationError(f"there is no upstream {name!r}{hint}", path=path)
    return kind
