"""The module for Docker Compose and for a single ``docker run``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from edgevision.deploy.manifest.container import Container
from edgevision.deploy.manifest.host_config import device_path

__all__ = ["STANDALONE", "compose_file", "docker_run"]

STANDALONE = ("--upstream", "console", "--json")
"""What the image is told to do where there is no IoT Edge: messages go to its log."""


def compose_file(
    containers: Mapping[str, Container], command: Sequence[str] = STANDALONE
) -> dict[str, Any]:
    """Return a Compose file (Compose Specification) with a service for each container."""
    services = {}
    volumes: dict[str, Any] = {}
    for name, container in containers.items():
        service: dict[str, Any] = {
            "image": container.image,
            "command": list(command),
            "restart": "unless-stopped",
            "stop_grace_period": f"{container.stop_timeout_s}s",
        }
        if container.environment:
            service["environment"] = dict(container.environment)
        nodes = [f"{node}:{node}:rwm" for node in _nodes(container)]
        if nodes or container.gpu.cdi:
            service["devices"] = [*nodes, *container.gpu.cdi]
        if container.gpu.runtime:
            service["runtime"] = container.gpu.runtime
        if container.gpu.all_gpus:
            service["deploy"] = {
                "resources": {
                    "reservations": {
                        "devices": [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
                    }
                }
            }
        if container.groups:
            service["group_add"] = list(container.groups)
        if container.binds:
            service["volumes"] = list(container.binds)
        for bind in container.binds:
            source = bind.partition(":")[0]
            if not source.startswith(("/", ".", "~")):
                volumes[source] = {}
        if container.published_port is not None:
            service["ports"] = [f"{container.published_port}:{container.metrics_port}"]
        if container.memory_mb is not None:
            service["mem_limit"] = f"{container.memory_mb}m"
        if container.shm_mb is not None:
            service["shm_size"] = f"{container.shm_mb}m"
        service["logging"] = {
            "driver": "json-file",
            "options": {
                "max-size": f"{container.log_max_mb}m",
                "max-file": str(container.log_files),
            },
        }
        services[name] = service
    document: dict[str, Any] = {"services": services}
    if volumes:
        document["volumes"] = volumes
    return document


def docker_run(container: Container, command: Sequence[str] = STANDALONE) -> str:
    """Return one line to paste into a shell."""
    words = ["docker", "run", "--detach", "--name", container.name, "--restart", "unless-stopped"]
    words += ["--stop-timeout", str(container.stop_timeout_s)]
    if container.gpu.runtime:
        words += ["--runtime", container.gpu.runtime]
    if container.gpu.all_gpus:
        words += ["--gpus", "all"]
    for node in (*_nodes(container), *container.gpu.cdi):
        words += ["--device", node]
    for group in container.groups:
        words += ["--group-add", group]
    for bind in container.binds:
        words += ["--volume", bind]
    for key, value in container.environment.items():
        # A reference takes its value from the shell, so that no secret stands in the line.
        words += ["--env", key if value == f"${{{key}}}" else f"{key}={value}"]
    if container.published_port is not None:
        words += ["--publish", f"{container.published_port}:{container.metrics_port}"]
    if container.memory_mb is not None:
        words += ["--memory", f"{container.memory_mb}m"]
    if container.shm_mb is not None:
        words += ["--shm-size", f"{container.shm_mb}m"]
    words += ["--log-driver", "json-file", "--log-opt", f"max-size={container.log_max_mb}m"]
    words += ["--log-opt", f"max-file={container.log_files}"]
    return shlex.join([*words, container.image, *command])


def _nodes(container: Container) -> list[str]:
    nodes = dict.fromkeys((*container.gpu.devices, *container.devices))
    return [device_path(node) for node in nodes]
