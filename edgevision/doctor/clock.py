"""The clock: tokens and certificates are refused by whoever has another time."""

from __future__ import annotations

from collections.abc import Iterator

from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine
from edgevision.json_value import utc_text

__all__ = ["check"]

# 1 November 2026: no edgevision is older. A Jetson whose clock has no battery starts far before.
_EARLIEST_S = 1793491200.0
_FIX = "let the host set its clock: sudo timedatectl set-ntp true"


def check(machine: Machine) -> Iterator[Finding]:
    """Compare the time with the package's own age, and ask the kernel who sets the clock."""
    now_s = machine.now_s()
    if now_s < _EARLIEST_S:
        yield problem(
            f"it is {utc_text(now_s)} here, which is before this program was written; the hub "
            "refuses tokens of another time",
            _FIX,
        )
        return
    synchronised = machine.synchronised()
    if synchronised is None:
        yield ok(f"it is {utc_text(now_s)}; whether a server sets the clock is not known")
    elif synchronised:
        yield ok(f"it is {utc_text(now_s)}, set by a time server")
    else:
        yield warning(f"it is {utc_text(now_s)}, and no time server sets the clock", _FIX)
