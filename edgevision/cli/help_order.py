"""The order of the commands in ``edgevision --help``: from a first look to a fleet."""

from __future__ import annotations

import typer
from typer.models import CommandInfo, TyperInfo

__all__ = ["PANELS", "arrange"]

PANELS = {
    "At your desk": ("demo", "new", "run", "stages", "schema", "record", "replay"),
    "As a module of IoT Edge, without Azure": ("simulate", "twin", "method", "input", "fault"),
    "On devices": ("build", "manifest", "deploy", "fleet", "doctor", "devicequery"),
}
"""The commands by the heading under which the help has them."""

_PLACES = {name: (panel, at) for panel in PANELS for at, name in enumerate(PANELS[panel])}
_ORDER = list(PANELS)


def arrange(application: typer.Typer) -> None:
    """Put the commands of a command line in order; what has no place comes last."""
    registered: list[CommandInfo | TyperInfo] = [*application.registered_commands]
    registered += application.registered_groups
    for info in registered:
        if _name(info) in _PLACES:
            info.rich_help_panel = _PLACES[_name(info)][0]
    application.registered_commands.sort(key=_key)
    application.registered_groups.sort(key=_key)


def _name(info: CommandInfo | TyperInfo) -> str:
    return str(info.name or getattr(info.callback, "__name__", ""))


def _key(info: CommandInfo | TyperInfo) -> tuple[int, int]:
    panel, at = _PLACES.get(_name(info), ("", 0))
    return (_ORDER.index(panel) if panel else len(_ORDER)), at
