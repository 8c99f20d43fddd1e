"""IoT Edge: the variables of a module, the workload API, the gateway."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from urllib.parse import urlsplit

from edgevision.doctor.cameras import why_no_answer
from edgevision.doctor.finding import Finding, ok, problem
from edgevision.doctor.machine import Machine
from edgevision.errors import ConfigurationError
from edgevision.harness.environment import CA_FILE, CONNECTION_STRING, VARIABLES, EdgeEnvironment

__all__ = ["check"]

_MQTT_PORT = 8883
_TIMEOUT_S = 3.0


def check(machine: Machine) -> Iterator[Finding]:
    """Read the variables, then knock at what they name. Nothing is sent."""
    variables = dict(machine.environment)
    names = (*VARIABLES, CONNECTION_STRING, CA_FILE)
    if not any(variables.get(name) for name in names):
        yield ok("no module of IoT Edge: none of its variables is set")
        return
    if variables.get(CA_FILE):
        variables[CA_FILE] = str(machine.at(variables[CA_FILE]))
    try:
        found = EdgeEnvironment.read(variables)
    except ConfigurationError as error:
        yield problem(
            str(error), "let edgeAgent set the variables: look at env and Env in createOptions"
        )
        return
    yield ok(f"module {found.module} on device {found.device}")
    if found.workload_uri:
        yield _workload(machine, found.workload_uri)
    why = machine.reach(found.gateway, _MQTT_PORT, _TIMEOUT_S)
    if why:
        yield problem(
            f"edgeHub at {found.gateway}:{_MQTT_PORT}: {why}",
            "see whether edgeHub runs (iotedge list), and whether the module is in its network",
        )
    else:
        yield ok(f"edgeHub answers at {found.gateway}:{_MQTT_PORT}")


def _workload(machine: Machine, uri: str) -> Finding:
    parts = urlsplit(uri)
    restart = "on the host: sudo iotedge system restart; then restart the module"
    if parts.scheme == "unix":
        path = machine.at(parts.path)
        if not path.exists():
            return problem(f"the workload API's socket is missing: {parts.path}", restart)
        if not stat.S_ISSOCK(path.stat().st_mode):
            return problem(f"the workload API's socket is none: {parts.path}", restart)
        why = why_no_answer(str(path))
    else:
        port = parts.port or 80
        why = machine.reach(parts.hostname or "", port, _TIMEOUT_S) or ""
    if not why:
        return ok(f"the workload API answers at {uri}")
    if "ermission" in why:
        return problem(
            f"the workload API at {uri}: {why}",
            f"let user {machine.uid} use the socket: its group on the host must be the container's",
        )
    return problem(f"the workload API at {uri}: {why}", restart)
