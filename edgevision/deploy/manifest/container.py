"""A container as every runner needs it described: what it may see, keep and use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError

__all__ = ["ARGUS_SOCKET", "DATA_FOLDER", "Container", "GpuAccess", "camera_access", "gpu_access"]

GpuMode = Literal["devices", "runtime", "cdi", "gpus", "none"]

ARGUS_SOCKET = "/tmp/argus_socket"
"""Where a Jetson's camera daemon listens; a container gets it by a bind."""

DATA_FOLDER = "/data"
"""Folder in the image that holds what must outlive the container, the outbox first."""

# A number, a node, or a link to one, which Docker follows.
_V4L2 = re.compile(r"webcam:(?P<number>\d+)(?:\?.*)?|(?:webcam:)?(?P<node>/dev/[^?]+)(?:\?.*)?")
_CSI = re.compile(r"csi:(?P<number>\d+)?(?:\?.*)?")


@dataclass(frozen=True)
class GpuAccess:
    """How a container gets at the GPU.

    Attributes:
        mode: ``devices``, ``runtime``, ``cdi``, ``gpus`` or ``none``.
        devices: device nodes of the host, mapped under the same path.
        runtime: name of Docker's runtime, "" for the usual one.
        cdi: names of CDI devices.
        all_gpus: True for a request of all GPUs.
    """

    mode: GpuMode = "none"
    devices: tuple[str, ...] = ()
    runtime: str = ""
    cdi: tuple[str, ...] = ()
    all_gpus: bool = False


@dataclass(frozen=True)
class Container:
    """One container, for whoever runs it.

    Attributes:
        name: of the module.
        image: with its tag.
        arch: processor of the image, Docker's name.
        gpu: way to the GPU.
        devices: further device nodes, such as those of cameras.
        groups: names or numbers of groups that the user needs besides its own.
        binds: ``HOST:CONTAINER`` or ``VOLUME:CONTAINER``, with ``:ro`` for reading only.
        environment: variables by name.
        metrics_port: TCP port of metrics and health in the container.
        published_port: TCP port of the host that leads there; None for none.
        memory_mb: limit in MiB; None for none.
        shm_mb: size of shared memory in MiB; None for Docker's.
        log_max_mb: size of a log file in MB.
        log_files: log files kept.
        stop_timeout_s: seconds from SIGTERM to SIGKILL.
    """

    name: str
    image: str
    arch: str
    gpu: GpuAccess = GpuAccess()
    devices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    metrics_port: int = 9600
    published_port: int | None = None
    memory_mb: int | None = None
    shm_mb: int | None = None
    log_max_mb: int = 10
    log_files: int = 3
    stop_timeout_s: int = 10


def gpu_access(platform: Platform, mode: str | None) -> GpuAccess:
    """Return the way to the GPU on a platform.

    Args:
        platform: row of the table.
        mode: see `GpuAccess`; None for the first that the platform allows.

    Raises:
        ConfigurationError: the platform does not allow it; the message has the reason.
    """
    if mode == "none":
        return GpuAccess()
    if mode is None:
        if not platform.modes:
            raise ConfigurationError(f"{platform.id} allows no way to the GPU")
        mode = platform.modes[0]
    fact = platform.mode(mode)
    if not fact.value:
        reason = fact.sourced or fact.inferred or ""
        raise ConfigurationError(
            f"{platform.id} has no GPU access by {mode!r} ({reason}); "
            f"it has {', '.join(platform.modes)}"
        )
    if mode == "devices":
        return GpuAccess("devices", devices=platform.docker_devices)
    if mode == "runtime":
        return GpuAccess("runtime", runtime="nvidia")
    if mode == "cdi":
        return GpuAccess("cdi", cdi=("nvidia.com/gpu=all",))
    return GpuAccess("gpus", all_gpus=True)


def camera_access(
    uris: Sequence[str], platform: Platform
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return what cameras need of the host: device nodes, groups, binds.

    Args:
        uris: addresses of sources as in pipeline.yaml. One that holds a substitution is left out,
            since nobody knows it before the module runs.
        platform: row of the table.

    Raises:
        ConfigurationError: the platform has no such camera.
    """
    devices: dict[str, None] = {}
    binds: dict[str, None] = {}
    for uri in uris:
        if found := _V4L2.fullmatch(uri):
            devices[found["node"] or f"/dev/video{found['number']}"] = None
        elif _CSI.fullmatch(uri):
            if not platform.is_jetson:
                raise ConfigurationError(
                    f"{platform.id} has no CSI camera, and pipeline.yaml has {uri!r}; Jetsons have"
                )
            binds[f"{ARGUS_SOCKET}:{ARGUS_SOCKET}"] = None
    return tuple(devices), ("video",) if devices else (), tuple(binds)
