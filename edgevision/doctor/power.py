"""Power mode and heat: what holds processor and GPU back.

nvpmodel and jetson_clocks run on a Jetson's host; what they set is seen in /sys everywhere: cores
taken off line, lower upper limits, and a lower limit that equals the upper one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgevision.doctor.expectation import on_jetson
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
    present = _numbers(machine.text(f"{_CPU}/present"))
    # What a board could have and has not is off line as well.
    offline = sorted(present & _numbers(machine.text(f"{_CPU}/offline")))
    fix = (
        "choose a faster power mode, if supply and cooling allow it: sudo nvpmodel -m 0 on the host"
        if on_jetson(machine)
        else "look at what limits the processors on the host: cpupower frequency-info, lscpu -e"
    )
    if offline:
        shown = ", ".join(map(str, offline))
        yield warning(f"processors {shown} of {len(present)} are off line", fix)
    slow = []
    for path in machine.matches(f"{_CPU}/cpu[0-9]*/cpufreq"):
        most = machine.number(f"{path}/cpuinfo_max_freq")
        allowed = machine.number(f"{path}/scaling_max_freq")
        if most and allowed and allowed < most:
            slow.append((allowed, most))
    if slow:
        allowed, most = min(slow)
        yield warning(
            f"{len(slow)} processors may run at {allowed / 1e6:.2f} of {most / 1e6:.2f} GHz", fix
        )
    elif not offline:
        yield ok("no processor is held back")


def _numbers(text: str) -> set[int]:
    """Read the kernel's lists of processors: ``0-3,6``."""
    found = re.findall(r"(\d+)(?:-(\d+))?", text)
    return {n for first, last in found for n in range(int(first), int(last or first) + 1)}


def _gpus(machine: Machine) -> Iterator[Finding]:
    for path in machine.matches("/sys/class/devfreq/*"):
        name = machine.text(f"{path}/device/of_node/name") or path.rpartition("/")[2]
        if not re.search(r"gpu|g[a-z]\d+b", name):
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
