"""Rules of a manifest's containers: images, createOptions, devices, GPUs, ports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgevision.deploy.manifest.create_options import TOOL_CHUNKS, is_piece, joined
from edgevision.deploy.manifest.finding import Finding
from edgevision.deploy.manifest.host_config import device_path
from edgevision.deploy.manifest.reading import Manifest, ManifestModule
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["container_findings", "options_of"]

_ARCHITECTURES = {
    "arm64": ("arm64v8", "arm64", "aarch64"),
    "amd64": ("amd64", "x86_64", "x86-64"),
    "arm": ("arm32v7", "armhf", "armv7"),
}
_REQUEST_KEYS = ("Driver", "Count", "DeviceIDs", "Capabilities", "Options")


def container_findings(manifest: Manifest, platform: Platform | None) -> Iterator[Finding]:
    """Yield what is wrong with the containers."""
    ports: dict[str, str] = {}
    cameras: dict[str, str] = {}
    for module in manifest.modules:
        yield from _image(manifest, module, platform)
        try:
            options = options_of(manifest, module)
        except ConfigurationError as error:
            yield Finding(
                "create-options",
                f"{module.path}.settings",
                str(error),
                "edgeAgent joins the pieces in order and reads JSON; `edgevision manifest` writes "
                "them right.",
            )
            continue
        pieces = [key for key in module.settings if is_piece(key)]
        if len(pieces) > TOOL_CHUNKS:
            yield Finding(
                "create-options-length",
                f"{module.path}.settings",
                f"{len(pieces)} pieces of createOptions; iotedgedev reads {TOOL_CHUNKS} at most",
                "Fine for the device; for iotedgedev take another way to the GPU.",
                "warning",
            )
        path = f"{module.path}.settings.createOptions"
        host = _any_case(options, "HostConfig")
        if host is None:
            continue
        if not isinstance(host, Mapping):
            yield Finding(
                "host-config",
                f"{path}.HostConfig",
                f"HostConfig must be an object, got {type(host).__name__}",
                "See Docker's API, POST /containers/create.",
            )
            continue
        yield from _devices(host, f"{path}.HostConfig")
        yield from _requests(host, f"{path}.HostConfig")
        yield from _gpu(host, f"{path}.HostConfig", platform)
        yield from _shared(host, module, f"{path}.HostConfig", ports, cameras)


def options_of(manifest: Manifest, module: ManifestModule) -> dict[str, Any]:
    """Return a module's createOptions, joined and decoded; a template has them as an object.

    Raises:
        ConfigurationError: see `edgevision.deploy.manifest.create_options.joined`.
    """
    for key, value in module.settings.items():
        if is_piece(key) and isinstance(value, Mapping) and manifest.template:
            return dict(value)
    return joined(module.settings)


def _image(
    manifest: Manifest, module: ManifestModule, platform: Platform | None
) -> Iterator[Finding]:
    image = module.settings.get("image")
    path = f"{module.path}.settings.image"
    if not isinstance(image, str) or not image:
        return
    if manifest.is_placeholder(image):
        return
    if image != image.strip() or " " in image:
        yield Finding("image-name", path, f"{image!r} has spaces", "Remove them.")
        return
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not tag and not digest:
        yield Finding(
            "image-tag",
            path,
            f"{image!r} has no tag, so every device takes what is called latest on its day",
            "Name a version: REGISTRY/NAME:VERSION.",
            "warning",
        )
    elif tag == "latest" and not digest:
        yield Finding(
            "image-tag",
            path,
            f"{image!r}: a device that has this tag never looks for a newer one",
            "Name a version: REGISTRY/NAME:VERSION.",
            "warning",
        )
    if platform is None or module.system:
        return
    words = re.split(r"[^a-z0-9_]+", f"{name.rpartition('/')[2]}".lower())
    for architecture, names in _ARCHITECTURES.items():
        if architecture != platform.arch and any(word in names for word in words):
            yield Finding(
                "image-architecture",
                path,
                f"{image!r} is an image for {architecture}, and {platform.id} is {platform.arch}",
                "Build for the platform: edgevision build --platform "
                f"{platform.id}, and name that tag.",
            )


def _devices(host: Mapping[str, Any], path: str) -> Iterator[Finding]:
    devices = _any_case(host, "Devices")
    if devices is None:
        return
    if not isinstance(devices, list):
        yield Finding(
            "devices",
            f"{path}.Devices",
            f"Devices must be a list, got {type(devices).__name__}",
            "Write [{PathOnHost, PathInContainer, CgroupPermissions}].",
        )
        return
    for number, device in enumerate(devices):
        place = f"{path}.Devices[{number}]"
        if not isinstance(device, Mapping):
            yield Finding(
                "devices",
                place,
                f"a device must be an object, got {device!r:.60}",
                "Write {PathOnHost, PathInContainer, CgroupPermissions}.",
            )
            continue
        for key in ("PathOnHost", "PathInContainer"):
            value = device.get(key)
            if not isinstance(value, str):
                yield Finding(
                    "devices", place, f"{key} is missing", "Docker needs both paths of a device."
                )
                continue
            try:
                device_path(value)
            except ConfigurationError as error:
                yield Finding(
                    "device-path",
                    f"{place}.{key}",
                    str(error),
                    "Docker takes the text as it is, and finds no such node.",
                )
        rights = device.get("CgroupPermissions")
        if not isinstance(rights, str) or not rights or set(rights) - set("rwm"):
            yield Finding(
                "devices",
                f"{place}.CgroupPermissions",
                f"wanted letters of rwm, got {rights!r}",
                'Write "rwm": read, write, make.',
            )


def _requests(host: Mapping[str, Any], path: str) -> Iterator[Finding]:
    requests = _any_case(host, "DeviceRequests")
    if requests is None:
        return
    place = f"{path}.DeviceRequests"
    if not isinstance(requests, list):
        yield Finding(
            "device-requests",
            place,
            "DeviceRequests must be a list",
            'Write [{"Count": -1, "Capabilities": [["gpu"]]}].',
        )
        return
    for number, request in enumerate(requests):
        if not isinstance(request, Mapping):
            continue
        for key in request:
            if key not in _REQUEST_KEYS:
                yield Finding(
                    "device-requests",
                    f"{place}[{number}].{key}",
                    f"Docker knows no {key!r} here{did_you_mean(key, _REQUEST_KEYS)}",
                    "It would be ignored, and the container would see no GPU.",
                )
        capabilities = request.get("Capabilities")
        lists = isinstance(capabilities, list) and all(isinstance(c, list) for c in capabilities)
        if capabilities is not None and not lists:
            yield Finding(
                "device-requests",
                f"{place}[{number}].Capabilities",
                f"wanted a list of lists, got {capabilities!r:.60}",
                'Write [["gpu"]]: any of the outer, all of the inner.',
            )


def _gpu(host: Mapping[str, Any], path: str, platform: Platform | None) -> Iterator[Finding]:
    if _any_case(host, "Privileged") is True:
        yield Finding(
            "privileged",
            f"{path}.Privileged",
            "the container may do everything on the host",
            "Name the devices that it needs instead.",
            "warning",
        )
    if platform is None:
        return
    used = []
    requests = _any_case(host, "DeviceRequests")
    if isinstance(requests, list) and requests:
        is_cdi = any(isinstance(r, Mapping) and r.get("Driver") == "cdi" for r in requests)
        used.append(("cdi" if is_cdi else "gpus", "DeviceRequests"))
    if _any_case(host, "Runtime") == "nvidia":
        used.append(("runtime", "Runtime"))
    for mode, key in used:
        fact = platform.mode(mode)
        if not fact.value:
            yield Finding(
                "gpu-mode",
                f"{path}.{key}",
                f"{platform.id} has no GPU access by {mode!r} "
                f"({fact.sourced or fact.inferred or ''})",
                f"It has {', '.join(platform.modes)}: edgevision manifest --gpu MODE.",
            )


def _shared(
    host: Mapping[str, Any],
    module: ManifestModule,
    path: str,
    ports: dict[str, str],
    cameras: dict[str, str],
) -> Iterator[Finding]:
    """Two modules on one port of the host, or on one camera."""
    bindings = _any_case(host, "PortBindings")
    for port, bound in bindings.items() if isinstance(bindings, Mapping) else ():
        for entry in bound if isinstance(bound, list) else ():
            number = entry.get("HostPort") if isinstance(entry, Mapping) else None
            if number is None:
                continue
            key = f"{number}/{str(port).partition('/')[2] or 'tcp'}"
            if ports.setdefault(key, module.name) != module.name:
                yield Finding(
                    "port-taken",
                    f"{path}.PortBindings",
                    f"port {key} of the host belongs to module {ports[key]!r} already",
                    "Give one of them another HostPort.",
                )
    devices = _any_case(host, "Devices")
    for device in devices if isinstance(devices, list) else ():
        node = device.get("PathOnHost") if isinstance(device, Mapping) else None
        if not isinstance(node, str) or not re.fullmatch(r"/dev/video\d+", node):
            continue
        if cameras.setdefault(node, module.name) != module.name:
            yield Finding(
                "camera-taken",
                f"{path}.Devices",
                f"module {cameras[node]!r} has the camera {node} too; one of them gets no picture",
                "Let one module read a camera, with all stages in its pipeline.",
                "warning",
            )


def _any_case(options: Mapping[str, Any], key: str) -> Any:
    """Return an option as Docker finds it: its decoder does not look at capitals."""
    if key in options:
        return options[key]
    return next((v for k, v in options.items() if str(k).lower() == key.lower()), None)
