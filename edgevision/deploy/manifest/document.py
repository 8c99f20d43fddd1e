"""Deployment manifests of IoT Edge: for one device, layered, and as a template."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgevision.deploy.manifest.container import (
    DATA_FOLDER,
    Container,
    camera_access,
    gpu_access,
)
from edgevision.deploy.manifest.create_options import chunked
from edgevision.deploy.manifest.host_config import device_path, docker_options
from edgevision.deploy.manifest.module_folder import ModuleFolder
from edgevision.deploy.manifest.settings import DeploymentSettings, RouteSettings
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError

__all__ = ["AGENT_SCHEMA", "HUB_SCHEMA", "containers", "device_manifest", "layered", "template"]

AGENT_SCHEMA = "1.1"
"""Schema version of edgeAgent's desired properties: with startupOrder."""

HUB_SCHEMA = "1.1"
"""Schema version of edgeHub's desired properties: with a route's priority and time to live."""

# The one with schema 1.1 of both edgeAgent and edgeHub.
_TEMPLATE_SCHEMA = "3.0.0"
_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_COLLECTOR = "metrics-collector"
_ARCHITECTURES = {"arm64": "arm64v8", "amd64": "amd64"}


def containers(
    folder: ModuleFolder,
    platform: Platform,
    gpu: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Container]:
    """Return the module's containers by name: one, or one for each replica.

    Args:
        folder: the module's folder.
        platform: row of the table.
        gpu: way to the GPU, instead of what deployment.yaml says.
        environment: values of the references in the image's name; default this process's
            environment. The references in the module's own environment stay.

    Raises:
        ConfigurationError: the platform has no such way, or a device path is none.
    """
    resolve = _Resolver(os.environ if environment is None else environment)
    return _containers(folder, platform, gpu, resolve.text(folder.image(platform), "image"))


def _containers(
    folder: ModuleFolder, platform: Platform, gpu: str | None, image: str
) -> dict[str, Container]:
    settings = folder.settings
    access = gpu_access(platform, gpu or settings.gpu)
    found = {}
    for name, cameras in _replicas(folder).items():
        devices, camera_groups, camera_binds = camera_access(
            [folder.cameras[c] for c in cameras], platform
        )
        gpu_groups = platform.groups if access.mode != "none" else ()
        groups = dict.fromkeys((*gpu_groups, *camera_groups))
        binds = [*camera_binds, *settings.binds]
        if settings.outbox_volume:
            volume = settings.outbox_volume.replace("{module}", name)
            binds.insert(0, f"{volume}:{DATA_FOLDER}")
        found[name] = Container(
            name=name,
            image=image,
            arch=platform.arch,
            gpu=access,
            devices=(*devices, *(device_path(node) for node in settings.devices)),
            groups=tuple(str(settings.groups.get(group, group)) for group in groups),
            binds=tuple(binds),
            environment=dict(settings.environment),
            metrics_port=settings.metrics_port,
            published_port=settings.published_port,
            memory_mb=settings.memory_mb,
            shm_mb=settings.shm_mb,
            log_max_mb=settings.log_max_mb,
            log_files=settings.log_files,
        )
    return found


def device_manifest(
    folder: ModuleFolder,
    platform: Platform,
    *,
    gpu: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the manifest that ``az iot edge set-modules`` sets on one device.

    Args:
        folder: the module's folder.
        platform: row of the table.
        gpu: way to the GPU, instead of what deployment.yaml says.
        environment: values of the references; default this process's environment.

    Raises:
        ConfigurationError: something is missing; the message says what and where to set it.
    """
    resolve = _Resolver(os.environ if environment is None else environment)
    modules = _modules(folder, platform, gpu, resolve)
    agent = _agent(folder.settings, modules, resolve)
    content: dict[str, Any] = {
        "$edgeAgent": {"properties.desired": agent},
        "$edgeHub": {"properties.desired": _hub(folder.settings, list(_replicas(folder)))},
    }
    for name, twin in _twins(folder, resolve).items():
        content[name] = {"properties.desired": twin}
    return {"modulesContent": content}


def layered(
    folder: ModuleFolder,
    platform: Platform,
    *,
    gpu: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a layered deployment: the module alone, on top of what devices have.

    Its keys are paths, so that it adds to other deployments and replaces nothing of theirs.

    Raises:
        ConfigurationError: see `device_manifest`.
    """
    resolve = _Resolver(os.environ if environment is None else environment)
    agent = {
        f"properties.desired.modules.{name}": module
        for name, module in _modules(folder, platform, gpu, resolve).items()
    }
    for name, registry in _credentials(folder.settings, resolve).items():
        agent[f"properties.desired.runtime.settings.registryCredentials.{name}"] = registry
    hub = {
        f"properties.desired.routes.{name}": route
        for name, route in _routes(folder.settings, list(_replicas(folder))).items()
    }
    content: dict[str, Any] = {"$edgeAgent": agent, "$edgeHub": hub}
    for name, twin in _twins(folder, resolve).items():
        content[name] = {f"properties.desired.{key}": value for key, value in twin.items()}
    return {"content": {"modulesContent": content}}


def template(
    folder: ModuleFolder, platform: Platform, *, gpu: str | None = None, place: str = "."
) -> dict[str, Any]:
    """Return a deployment.template.json for VS Code's IoT Edge tools and iotedgedev.

    References stay references, options stay objects, and the image is that of the module.json at
    ``place``: ``${MODULEDIR<place>.arch}``. The shorter ``${MODULES.name.arch}`` is for folders
    below a folder ``modules`` alone.

    Args:
        folder: the module's folder.
        platform: row of the table.
        gpu: way to the GPU; default what deployment.yaml says.
        place: the module's folder as seen from the template's, with ``/``.

    Raises:
        ConfigurationError: see `device_manifest`.
    """
    keep = _Resolver(None)
    modules = {}
    for name, container in _containers(folder, platform, gpu, "").items():
        module = _module(folder.settings, container, keep)
        architecture = _ARCHITECTURES.get(platform.arch, platform.arch)
        module["settings"] = {
            "image": f"${{MODULEDIR<{place}>.{architecture}}}",
            "createOptions": docker_options(container),
        }
        modules[name] = module
    modules.update(_others(folder, keep, as_text=False))
    content: dict[str, Any] = {
        "$edgeAgent": {"properties.desired": _agent(folder.settings, modules, keep, as_text=False)},
        "$edgeHub": {"properties.desired": _hub(folder.settings, list(_replicas(folder)))},
    }
    for name, twin in _twins(folder, keep).items():
        content[name] = {"properties.desired": twin}
    return {"$schema-template": _TEMPLATE_SCHEMA, "modulesContent": content}


class _Resolver:
    """Puts values in the place of ``${NAME}``, or leaves it there.

    Args:
        environment: values by name; None leaves every reference as ``$NAME``, the form that
            templates have.
    """

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self._environment = environment

    def text(self, text: str, place: str) -> str:
        def value(found: re.Match[str]) -> str:
            name = found["name"]
            if self._environment is None:
                return f"${name}"
            if name not in self._environment:
                raise ConfigurationError(
                    f"the environment variable {name} is not set, and {place} refers to it",
                    path=place,
                )
            return self._environment[name]

        return _REFERENCE.sub(value, text)

    def everywhere(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            return self.text(value, place)
        if isinstance(value, Mapping):
            return {key: self.everywhere(part, f"{place}.{key}") for key, part in value.items()}
        if isinstance(value, list):
            return [self.everywhere(part, f"{place}[{n}]") for n, part in enumerate(value)]
        return value


def _replicas(folder: ModuleFolder) -> dict[str, Sequence[str]]:
    return dict(folder.settings.replicas) or {folder.name: list(folder.cameras)}


def _modules(
    folder: ModuleFolder, platform: Platform, gpu: str | None, resolve: _Resolver
) -> dict[str, Any]:
    modules: dict[str, Any] = {}
    image = resolve.text(folder.image(platform), "image")
    for name, container in _containers(folder, platform, gpu, image).items():
        module = _module(folder.settings, container, resolve)
        module["settings"] = {"image": container.image, **_options(docker_options(container), name)}
        modules[name] = module
    for name, module in _others(folder, resolve, as_text=True).items():
        if name in modules:
            raise ConfigurationError(f"a module is called {name!r} already", path=f"modules.{name}")
        modules[name] = module
    return modules


def _module(
    settings: DeploymentSettings, container: Container, resolve: _Resolver
) -> dict[str, Any]:
    module: dict[str, Any] = {
        "version": "1.0",
        "type": "docker",
        "status": "running",
        "restartPolicy": settings.restart,
        "startupOrder": settings.startup_order,
        "imagePullPolicy": settings.pull,
        "settings": {},
    }
    if container.environment:
        module["env"] = {
            key: {"value": resolve.text(value, f"environment.{key}")}
            for key, value in container.environment.items()
        }
    return module


def _others(folder: ModuleFolder, resolve: _Resolver, *, as_text: bool) -> dict[str, Any]:
    """Return the further modules, with options as text or as objects."""
    settings = folder.settings
    others = {}
    for name, given in settings.modules.items():
        module = resolve.everywhere(given, f"modules.{name}")
        inner = module.get("settings")
        options = inner.get("createOptions") if isinstance(inner, dict) else None
        if as_text and isinstance(options, Mapping):
            kept = {key: value for key, value in inner.items() if key != "createOptions"}
            module["settings"] = {**kept, **_options(options, name)}
        others[name] = module
    collector = settings.metrics_collector
    if collector is not None:
        scraped = {"edgeHub": 9600, "edgeAgent": 9600}
        scraped.update(dict.fromkeys(_replicas(folder), settings.metrics_port))
        environment = {
            "MetricsEndpointsCSV": ",".join(
                f"http://{name}:{port}/metrics" for name, port in scraped.items()
            ),
            "UploadTarget": collector.target,
            "ScrapeFrequencyInSecs": str(collector.every_s),
            **collector.environment,
        }
        others[_COLLECTOR] = {
            "version": "1.0",
            "type": "docker",
            "status": "running",
            "restartPolicy": "always",
            "startupOrder": settings.startup_order + 1,
            "settings": {"image": collector.image},
            "env": {
                key: {"value": resolve.text(value, f"metrics_collector.environment.{key}")}
                for key, value in environment.items()
            },
        }
    return others


def _options(options: Mapping[str, Any], module: str) -> dict[str, str]:
    try:
        return chunked(options)
    except ConfigurationError as error:
        raise ConfigurationError(str(error), path=f"modules.{module}") from error


def _agent(
    settings: DeploymentSettings,
    modules: Mapping[str, Any],
    resolve: _Resolver,
    *,
    as_text: bool = True,
) -> dict[str, Any]:
    runtime = settings.runtime
    if runtime is None:
        raise ConfigurationError(
            "a deployment for one device names the images of IoT Edge itself: set runtime.agent "
            "and runtime.hub in deployment.yaml (IoT Edge's release notes have their names), or "
            "make a layered deployment with --layered",
            path="runtime",
        )
    docker: dict[str, Any] = {"minDockerVersion": runtime.minDockerVersion, "loggingOptions": ""}
    if credentials := _credentials(settings, resolve):
        docker["registryCredentials"] = credentials
    hub_options = {
        "HostConfig": {
            "PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}] for port in (443, 5671, 8883)}
        }
    }
    hub_settings: dict[str, Any] = {"image": resolve.text(runtime.hub, "runtime.hub")}
    hub_settings.update(chunked(hub_options) if as_text else {"createOptions": hub_options})
    return {
        "schemaVersion": AGENT_SCHEMA,
        "runtime": {"type": "docker", "settings": docker},
        "systemModules": {
            "edgeAgent": {
                "type": "docker",
                "settings": {"image": resolve.text(runtime.agent, "runtime.agent")},
            },
            "edgeHub": {
                "type": "docker",
                "status": "running",
                "restartPolicy": "always",
                "startupOrder": 0,
                "settings": hub_settings,
            },
        },
        "modules": dict(modules),
    }


def _credentials(settings: DeploymentSettings, resolve: _Resolver) -> dict[str, Any]:
    return {
        name: {
            "address": resolve.text(registry.address, f"registries.{name}.address"),
            "username": resolve.text(registry.username, f"registries.{name}.username"),
            "password": resolve.text(registry.password, f"registries.{name}.password"),
        }
        for name, registry in settings.registries.items()
    }


def _hub(settings: DeploymentSettings, modules: Sequence[str]) -> dict[str, Any]:
    return {
        "schemaVersion": HUB_SCHEMA,
        "routes": _routes(settings, modules),
        "storeAndForwardConfiguration": {"timeToLiveSecs": settings.store_and_forward_s},
    }


def _routes(settings: DeploymentSettings, modules: Sequence[str]) -> dict[str, Any]:
    if not settings.routes:
        return {
            f"{module}ToCloud": f"FROM /messages/modules/{module}/outputs/* INTO $upstream"
            for module in modules
        }
    return {
        name: route
        if not isinstance(route, RouteSettings)
        else {
            "route": route.route,
            "priority": route.priority,
            "timeToLiveSecs": route.time_to_live_s,
        }
        for name, route in settings.routes.items()
    }


def _twins(folder: ModuleFolder, resolve: _Resolver) -> dict[str, dict[str, Any]]:
    """Return the desired properties of each of the module's containers."""
    twins = {}
    for name, wanted in _replicas(folder).items():
        twin = _merged(folder.params, resolve.everywhere(folder.settings.twin, "twin"))
        for camera in folder.cameras:
            if camera not in wanted:
                # The replica's share of the cameras: false takes one out.
                twin.setdefault("cameras", {})[camera] = False
        if twin:
            twins[name] = twin
    return twins


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {key: _merged(v, {}) if isinstance(v, Mapping) else v for key, v in one.items()}
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = _merged(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
