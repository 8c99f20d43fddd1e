"""Cameras: V4L2 nodes with their formats, and the socket of the daemon that serves CSI cameras."""

from __future__ import annotations

import errno
import re
import socket
import stat
from collections.abc import Iterator

from edgevision.deploy.manifest.container import ARGUS_SOCKET
from edgevision.doctor.expectation import expect
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine
from edgevision.sources import v4l2

__all__ = ["check", "why_no_answer"]

_NODE = re.compile(r"/dev/video\d+")
_TIMEOUT_S = 2.0


def check(machine: Machine) -> Iterator[Finding]:
    """Ask each V4L2 node what it is, and the socket of Argus whether anyone listens."""
    nodes = [path for path in machine.matches("/dev/video*") if _NODE.fullmatch(path)]
    for path in sorted(nodes, key=lambda path: (len(path), path)):
        yield from _camera(machine, path)
    if not nodes:
        yield ok("no V4L2 camera; RTSP and HTTP cameras need none")
    row = expect(machine).row
    if (row is not None and row.is_jetson) or machine.at(ARGUS_SOCKET).exists():
        yield _argus(machine)


def _camera(machine: Machine, path: str) -> Iterator[Finding]:
    why, fix = machine.why_closed(path)
    if why:
        yield problem(why, fix)
        return
    try:
        device = v4l2.look(str(machine.at(path)))
        formats = v4l2.formats(str(machine.at(path))) if device.captures else []
    except OSError as error:
        if error.errno == errno.ENOTTY:
            yield warning(f"{path} is no V4L2 device", f"map the host's {path} as a device")
        else:
            yield problem(f"{path}: {error.strerror}", "plug the camera in again")
        return
    if not device.captures:
        yield ok(f"{path} ({device.name}) is no camera: metadata, output or a codec")
    elif formats:
        yield ok(f"{path} ({device.name}): {', '.join(formats)}")
    else:
        yield warning(f"{path} ({device.name}) offers no format", "plug the camera in again")


def _argus(machine: Machine) -> Finding:
    path = machine.at(ARGUS_SOCKET)
    restart = "on the host: sudo systemctl restart nvargus-daemon; then start the container again"
    if not path.exists():
        return ok(f"no {ARGUS_SOCKET}: csi: cameras need it as a volume, others do not")
    if not stat.S_ISSOCK(path.stat().st_mode):
        # Docker makes a folder of what it is to mount and does not find.
        return problem(
            f"{ARGUS_SOCKET} is no socket: it was mounted while the daemon did not run",
            f"remove {ARGUS_SOCKET} on the host; {restart}",
        )
    why = why_no_answer(str(path))
    if why:
        return problem(f"nobody answers at {ARGUS_SOCKET}: {why}", restart)
    return ok(f"the daemon for csi: cameras answers at {ARGUS_SOCKET}")


def why_no_answer(path: str) -> str:
    """Connect to a Unix socket, and say why that failed; empty if it did not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_S)
        try:
            client.connect(path)
        except OSError as error:
            return error.strerror or str(error)
    return ""
