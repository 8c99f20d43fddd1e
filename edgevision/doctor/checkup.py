"""The checks by name, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from edgevision.doctor import (
    cameras,
    clock,
    cuda,
    disk,
    edge,
    gstreamer,
    libraries,
    memory,
    nodes,
    power,
    release,
)
from edgevision.doctor.finding import Finding, warning
from edgevision.doctor.machine import Machine
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["CHECKS", "Check", "examine"]

Check = Callable[[Machine], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "platform": release.check_platform,
    "l4t": release.check_l4t,
    "nodes": nodes.check,
    "driver": libraries.check,
    "cuda": cuda.check_driver,
    "opencv": cuda.check_opencv,
    "cameras": cameras.check,
    "gstreamer": gstreamer.check,
    "memory": memory.check,
    "power": power.check,
    "disk": disk.check,
    "edge": edge.check,
    "clock": clock.check,
}
"""The checks in the order in which they run: what others build on comes first."""


def examine(
    machine: Machine, names: Sequence[str] = (), checks: dict[str, Check] | None = None
) -> Iterator[tuple[str, Finding]]:
    """Run checks, and yield what each finds with its name, at once.

    A check that fails itself says so, and the next one runs.

    Args:
        machine: what is looked at.
        names: which checks; default all.
        checks: the checks there are; default `CHECKS`.

    Raises:
        ConfigurationError: there is no check of that name; the message names the nearest.
    """
    known = CHECKS if checks is None else checks
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            raise ConfigurationError(
                f"no such check: {name!r}{near} (there are: {', '.join(known)})"
            )
    return _run(machine, {name: known[name] for name in (names or known)})


def _run(machine: Machine, checks: dict[str, Check]) -> Iterator[tuple[str, Finding]]:
    for name, check in checks.items():
        try:
            for finding in check(machine):
                yield name, finding
        except Exception as error:
            what = f"this check failed: {type(error).__name__}: {error}"
            yield name, warning(what, "report it, with this line, as a mistake in edgevision")
