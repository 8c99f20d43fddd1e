"""Memory: what is free, what the container may take, swap, shared memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check"]

_MIB, _GIB = 2**20, 2**30
# CUDA's context and one pipeline need about this much.
_NEEDED_BYTES = 512 * _MIB
# Below, building a TensorRT engine or loading a large network ends without swap.
_SMALL_BYTES = 6 * _GIB
_SHM_BYTES = 16 * _MIB


def check(machine: Machine) -> Iterator[Finding]:
    """Read /proc/meminfo, the control group's limit, and the size of /dev/shm."""
    pairs = re.findall(r"^(\w+):\s+(\d+) kB$", machine.text("/proc/meminfo"), re.MULTILINE)
    sizes = {name: int(kib) * 1024 for name, kib in pairs}
    if "MemAvailable" not in sizes:
        yield warning("/proc/meminfo does not tell the memory", "mount /proc")
        return
    limit, used = _limit(machine)
    total, free = sizes.get("MemTotal", 0), sizes["MemAvailable"]
    seen = f"{_shown(free)} of {_shown(total)} are free"
    if limit and limit < total:
        free = min(free, limit - used)
        seen += f"; the container may take {_shown(limit)} and has {_shown(used)}"
    if free < _NEEDED_BYTES:
        yield problem(
            seen,
            "stop what else runs (a desktop takes 800 MB), or raise the container's memory limit",
        )
    else:
        yield ok(seen)
    swap = sizes.get("SwapTotal", 0)
    if swap:
        yield ok(f"{_shown(swap)} swap, {_shown(sizes.get('SwapFree', 0))} free")
    elif total < _SMALL_BYTES:
        yield warning("no swap", "give the host a swap file or zram, so that peaks end nothing")
    else:
        yield ok("no swap; the memory is large enough")
    if machine.at("/dev/shm").is_dir():
        status = os.statvfs(machine.at("/dev/shm"))
        shared = status.f_bavail * status.f_frsize
        if shared < _SHM_BYTES:
            yield warning(
                f"{_shown(shared)} are free in /dev/shm",
                "give the container more: --shm-size 256m (ShmSize in createOptions)",
            )
        else:
            yield ok(f"{_shown(shared)} are free in /dev/shm")


def _limit(machine: Machine) -> tuple[int | None, int]:
    """Return the control group's limit and what is used of it: version 2, then version 1."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        found = machine.number(limit)
        if found is not None:
            return found, machine.number(used) or 0
    return None, 0


def _shown(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"
