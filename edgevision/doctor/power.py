"""Power mode and heat: what holds processor and GPU back.

nvpmodel and jetson_clocks run on a Jetson's host; what they set is seen in /sys everywhere: cores
taken off line, lower upper limits, and a lower limit that equals the upper one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check"]

_WARM, _HOT = 85.0, 95.0
_CPU = "/sys/devices/system/cpu"


def check(machine: Machine) -> Iterator[Finding]:
    """Read nvpmodel's files, the clocks and the temperatures."""
    mode = _mode(machine)
    if mode:
        yield ok(f"power mode {mode}")
    yield from _processors(machine)
    yield from _gpus(machine)
    yield from _heat(machine)


def _mode(machine: Machine) -> str:
    found = re.search(r"pmode:(\d+)", machine.text("/var/lib/nvpmodel/status"))
    if not found:
        return ""
    number = int(found[1])
    models = re.findall(r"POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", machine.text("/etc/nvpmodel.conf"))
    names = {int(identity): name for identity, name in models}
    return f"{number} ({names[number]})" if number in names else str(number)


def _processors(machine: Machine) -> Iterator[Finding]:
    offline = machine.text(f"{_CPU}/offline")
    present = machine.text(f"{_CPU}/present")
    if offline:
        yield warning(
            f"processors {offline} of {present or 'all'} are off line",
            "choose a power mode with all of them: sudo nvpmodel -m 0 on the host, if its supply "
            "and cooling allow it",
        )
    slow = []
    for path in machine.matches(f"{_CPU}/cpu[0-9]*/cpufreq"):
        most = machine.number(f"{path}/cpuinfo_max_freq")
        allowed = machine.number(f"{path}/scaling_max_freq")
        if most and allowed and allowed < most:
            slow.append((allowed, most))
    if slow:
        allowed, most = min(slow)
        yield warning(
            f"{len(slow)} processors may run at {allowed / 1e6:.2f} of {most / 1e6:.2f} GHz",
            "choose a faster power mode: sudo nvpmodel -m 0 on the host",
        )
    elif not offline:
        yield ok("no processor is held back")


def _gpus(machine: Machine) -> Iterator[Finding]:
    for path in machine.matches("/sys/class/devfreq/*"):
        name = machine.text(f"{path}/device/of_node/name") or path.rpartition("/")[2]
        if not re.search(r"gpu|g[vpab]\d+b", name):
            continue
        least, most = machine.number(f"{path}/min_freq"), machine.number(f"{path}/max_freq")
        rates = machine.text(f"{path}/available_frequencies").split()
        top = max((int(rate) for rate in rates if rate.isdecimal()), default=most)
        if not most or not top:
            continue
        if most < top:
            yield warning(
                f"the GPU ({name}) may run at {most / 1e6:.0f} of {top / 1e6:.0f} MHz",
                "choose a faster power mode: sudo nvpmodel -m 0 on the host",
            )
        elif least == most:
            yield ok(f"the GPU ({name}) is held at {most / 1e6:.0f} MHz")
        else:
            yield ok(f"the GPU ({name}) may run at up to {most / 1e6:.0f} MHz")


def _heat(machine: Machine) -> Iterator[Finding]:
    zones = []
    for path in machine.matches("/sys/class/thermal/thermal_zone*"):
        value = machine.number(f"{path}/temp")
        if value is not None and 0 < value < 200_000:
            zones.append((value / 1000, machine.text(f"{path}/type") or path.rpartition("/")[2]))
    if not zones:
        return
    temperature, name = max(zones)
    seen = f"the warmest zone is {name} with {temperature:.0f} degrees Celsius"
    if temperature >= _HOT:
        yield problem(seen, "cool the device: it slows down now, and switches off next")
    elif temperature >= _WARM:
        yield warning(seen, "cool the device: it slows down soon")
    else:
        yield ok(seen)
