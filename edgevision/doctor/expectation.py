"""Which row of the table of platforms this machine is, as far as one can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgevision.cuda.probe import l4t_release
from edgevision.deploy import platforms
from edgevision.deploy.platforms import Platform
from edgevision.doctor.machine import Machine
from edgevision.errors import ConfigurationError

__all__ = [
    "HOST_RELEASE_FILES",
    "RELEASE_FILE",
    "VARIABLE",
    "Expectation",
    "expect",
    "on_jetson",
    "soc",
]

VARIABLE = "EDGEVISION_PLATFORM"
"""The variable in which an image carries its row."""

RELEASE_FILE = "/etc/nv_tegra_release"
HOST_RELEASE_FILES = ("/host/etc/nv_tegra_release", "/run/host/etc/nv_tegra_release")
"""Where a container may have the host's file; `RELEASE_FILE` is the image's there."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should be here.

    Attributes:
        row: the row, or the first of several that differ in nothing that is looked for; None if
            nobody knows.
        how: how it is known.
        nodes: device nodes.
        superset: some of the nodes may be missing.
        mistake: what is wrong with the name that was said; empty if nothing is.
    """

    row: Platform | None = None
    how: str = ""
    nodes: tuple[str, ...] = ()
    superset: bool = True
    mistake: str = ""


def expect(machine: Machine) -> Expectation:
    """Return the row that is said, or that L4T's release and the chip leave over."""
    for name, how in (
        (machine.platform, "as --platform says"),
        (machine.environment.get(VARIABLE, ""), f"as {VARIABLE} says"),
    ):
        if not name:
            continue
        try:
            return _of([platforms.platform(name)], how)
        except ConfigurationError as error:
            return Expectation(mistake=f"{error}; so it was said, {how}")
    release = l4t_release(machine.at(RELEASE_FILE))
    if not release:
        return Expectation()
    rows = [row for row in platforms.rows() if row.l4t]
    line = release.split(".")[:2]
    same = [row for row in rows if (row.l4t or "").split(".")[:2] == line]
    same = same or [row for row in rows if (row.l4t or "").split(".")[:1] == line[:1]]
    chip = soc(machine)
    same = [row for row in same if row.soc == chip] or same
    return _of(same, f"as L4T {release}" + (f" on {chip}" if chip else "") + " suggests")


def on_jetson(machine: Machine) -> bool:
    """Tell whether the host is a Jetson: by its kernel, its chip, or what the image is for."""
    row = expect(machine).row
    return "tegra" in machine.kernel or bool(soc(machine)) or (row is not None and row.is_jetson)


def soc(machine: Machine) -> str:
    """Return the chip's name, such as ``tegra234``; empty where the device tree is hidden."""
    for path in ("/proc/device-tree/compatible", "/sys/firmware/devicetree/base/compatible"):
        found = re.findall(r"nvidia,(tegra\d+)", machine.text(path))
        if found:
            return str(found[-1])
    return ""


def _of(rows: list[Platform], how: str) -> Expectation:
    if not rows:
        return Expectation()
    common = [node for node in rows[0].devices.nodes if all(node in r.devices.nodes for r in rows)]
    superset = any(row.devices.superset for row in rows)
    return Expectation(rows[0], how, tuple(common), superset)
