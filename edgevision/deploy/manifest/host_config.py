"""A container as Docker's API takes it: what createOptions hold."""

from __future__ import annotations

from typing import Any

from edgevision.deploy.manifest.container import Container
from edgevision.errors import ConfigurationError

__all__ = ["device_path", "docker_options"]


def docker_options(container: Container) -> dict[str, Any]:
    """Return the options for Docker's API (``POST /containers/create``).

    The image, the environment and the name are no part of them: a manifest has those elsewhere.
    """
    host: dict[str, Any] = {}
    gpu = container.gpu
    nodes = [*gpu.devices, *(node for node in container.devices if node not in gpu.devices)]
    if nodes:
        host["Devices"] = [
            {
                "PathOnHost": device_path(node),
                "PathInContainer": device_path(node),
                "CgroupPermissions": "rwm",
            }
            for node in nodes
        ]
    if gpu.runtime:
        host["Runtime"] = gpu.runtime
    if gpu.cdi:
        host["DeviceRequests"] = [{"Driver": "cdi", "DeviceIDs": list(gpu.cdi)}]
    elif gpu.all_gpus:
        # A list of lists: any of the inner ones, all of what is in it.
        host["DeviceRequests"] = [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]
    if container.groups:
        host["GroupAdd"] = list(container.groups)
    if container.binds:
        host["Binds"] = list(container.binds)
    if container.published_port is not None:
        host["PortBindings"] = {
            f"{container.metrics_port}/tcp": [{"HostPort": str(container.published_port)}]
        }
    if container.memory_mb is not None:
        host["Memory"] = container.memory_mb * 1024 * 1024
    if container.shm_mb is not None:
        host["ShmSize"] = container.shm_mb * 1024 * 1024
    host["LogConfig"] = {
        "Type": "json-file",
        "Config": {
            "max-size": f"{container.log_max_mb}m",
            "max-file": str(container.log_files),
        },
    }
    options: dict[str, Any] = {}
    if container.published_port is not None:
        options["ExposedPorts"] = {f"{container.metrics_port}/tcp": {}}
    options["StopTimeout"] = container.stop_timeout_s
    options["HostConfig"] = host
    return options


def device_path(text: str) -> str:
    """Return the path of a device node, or say what is wrong with it.

    Raises:
        ConfigurationError: it is not absolute, or has spaces: Docker would not find the node.
    """
    if text != text.strip() or any(letter.isspace() for letter in text):
        raise ConfigurationError(f"device path {text!r} has stray spaces; wanted {text.strip()!r}")
    if not text.startswith("/"):
        raise ConfigurationError(f"device path {text!r} must begin with '/': '/{text}'")
    return text
