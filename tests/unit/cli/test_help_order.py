"""The help names every command once, in the order in which one meets them."""

from __future__ import annotations

import pytest
from typer.main import get_command

from edgevision.cli.application import application, run
from edgevision.cli.help_order import PANELS


def test_every_command_has_a_place() -> None:
    commands = get_command(application).commands  # type: ignore[attr-defined]
    shown = [name for name, command in commands.items() if not command.hidden]
    assert sorted(shown) == sorted(name for names in PANELS.values() for name in names)


def test_the_help_begins_at_the_desk_and_ends_on_devices(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["--help"]) == 0
    out = capfd.readouterr()[0]
    at = [out.index(f" {panel} ") for panel in PANELS]
    assert at == sorted(at)
    fleet = [out.index(f"│ {name} ") for name in ("build", "manifest", "deploy", "fleet")]
    assert fleet == sorted(fleet)
