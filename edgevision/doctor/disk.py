"""The disk that the outbox is on: can it be written, does it last, is there room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine
from edgevision.upstream.settings import OutboxSettings

__all__ = ["check"]

_MIB = 2**20
_TEMPORARY = ("tmpfs", "ramfs")


def check(machine: Machine) -> Iterator[Finding]:
    """Look at the folder of the outbox, or the nearest above it that exists."""
    file = PurePosixPath(Path(machine.outbox).absolute().as_posix())
    folder = file.parent
    while not machine.at(str(folder)).is_dir() and folder != folder.parent:
        folder = folder.parent
    place = machine.at(str(folder))
    if not machine.may_write(str(folder)):
        yield problem(
            f"the outbox {file} cannot be written: {folder} is closed to user {machine.uid}",
            f"give the folder to the user (sudo chown {machine.uid} {folder}), or name another one",
        )
        return
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    largest = int(OutboxSettings.model_fields["max_bytes"].default)
    existing = machine.at(str(file))
    held = existing.stat().st_size if existing.is_file() else 0
    seen = f"{free // _MIB} MiB are free for the outbox {file}"
    if free + held < largest:
        yield problem(
            f"{seen}, which may take {largest // _MIB} MiB unless its max_bytes says otherwise",
            "make room, or set a smaller max_bytes",
        )
    else:
        yield ok(seen)
    kind = _kind(machine, str(folder))
    if kind == "overlay" and machine.in_container:
        yield warning(
            f"the outbox {file} is in the container's own layer and goes with it",
            "mount a volume (Binds in createOptions) and name a path on it as the outbox's in "
            "pipeline.yaml",
        )
    elif kind in _TEMPORARY:
        yield warning(f"the outbox {file} is in memory ({kind})", "put it on a disk or a volume")


def _kind(machine: Machine, folder: str) -> str:
    """Return the kind of file system that a folder is on: the longest mount point above it."""
    best, kind = "", ""
    for line in machine.text("/proc/self/mounts").splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        point = words[1].encode().decode("unicode_escape")
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, words[2]
    return kind
