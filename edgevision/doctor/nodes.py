"""Device nodes: which ones are here, and which this user cannot open."""

from __future__ import annotations

from collections.abc import Iterator

from edgevision.cuda.driver import DriverError
from edgevision.deploy import platforms
from edgevision.doctor.expectation import expect
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check"]

_SHOWN = 6


def check(machine: Machine) -> Iterator[Finding]:
    """Compare the nodes with the platform's row, and try each one that is there."""
    expected = expect(machine)
    if not expected.nodes:
        known = {node for row in platforms.rows() for node in row.devices.nodes if "/nv" in node}
        found = [path for node in sorted(known) for path in machine.matches(node)]
        if not found:
            yield ok("no device nodes of a GPU, and no platform that asks for them")
            return
        yield from _opened(machine, found)
        return
    there = {node: machine.matches(node) for node in expected.nodes}
    found = [path for paths in there.values() for path in paths]
    missing = [node for node, paths in there.items() if not paths]
    row = expected.row.id if expected.row else ""
    if not found:
        yield problem(
            f"none of the {len(expected.nodes)} device nodes of {row} is here",
            "give the container the devices: edgevision manifest writes the options for "
            f"--platform {row}",
        )
        return
    yield from _opened(machine, found)
    if not missing:
        return
    names = _few(missing)
    if expected.superset:
        yield ok(f"not here, as hosts differ: {names}")
    elif _driver_answers(machine):
        yield ok(f"not here, and the driver works without: {names}")
    else:
        yield problem(
            f"missing of {row}: {names}",
            "map them into the container: edgevision manifest writes the options for "
            f"--platform {row}",
        )


def _opened(machine: Machine, paths: list[str]) -> Iterator[Finding]:
    opened = []
    closed: dict[str, list[tuple[str, str]]] = {}
    for path in paths:
        why, fix = machine.why_closed(path)
        if why:
            closed.setdefault(fix, []).append((path, why))
        else:
            opened.append(path)
    if opened:
        yield ok(f"{len(opened)} device nodes can be opened: {_few(opened)}")
    for fix, refused in closed.items():
        rest = [path for path, _ in refused[1:]]
        more = f"; the same for {_few(rest)}" if rest else ""
        # One that opens is no proof that the others are not needed, and none is that all are.
        if opened and _driver_answers(machine):
            yield warning(refused[0][1] + more, fix)
        else:
            yield problem(refused[0][1] + more, fix)


def _driver_answers(machine: Machine) -> bool:
    try:
        return machine.driver().count() > 0
    except DriverError:
        return False


def _few(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
