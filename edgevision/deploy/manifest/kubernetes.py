"""The module for Kubernetes: a Deployment and what it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgevision.deploy.manifest.compose import STANDALONE
from edgevision.deploy.manifest.container import DATA_FOLDER, Container
from edgevision.errors import ConfigurationError

__all__ = ["kubernetes_objects"]

_NAME = re.compile(r"[^a-z0-9-]+")
_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_GPU = "nvidia.com/gpu"
_APP_FOLDER = "/app"
_WEB = "metrics"


def kubernetes_objects(
    containers: Mapping[str, Container],
    pipeline: str,
    *,
    command: Sequence[str] = STANDALONE,
    outbox_gb: int = 1,
) -> list[dict[str, Any]]:
    """Return the objects in the order in which they are applied.

    The GPU is asked for through NVIDIA's device plugin, whatever the way elsewhere; ``runtime``
    adds the runtime class ``nvidia``. A variable that is a reference is taken from a Secret of the
    module's name, which is not among the objects.

    Args:
        containers: the module's containers by name.
        pipeline: text of pipeline.yaml.
        command: what the image is told to do.
        outbox_gb: size of the volume for the outbox, in GiB.

    Raises:
        ConfigurationError: a container needs something of its host that Kubernetes gives to
            privileged containers only.
    """
    objects: list[dict[str, Any]] = []
    for container in containers.values():
        if container.devices:
            raise ConfigurationError(
                f"module {container.name!r} needs {', '.join(container.devices)} of its host, and "
                "Kubernetes gives device nodes to privileged containers only; use a network "
                "camera, or a device plugin for cameras"
            )
        objects += _objects(container, pipeline, command, outbox_gb)
    return objects


def _objects(
    container: Container, pipeline: str, command: Sequence[str], outbox_gb: int
) -> list[dict[str, Any]]:
    name = _NAME.sub("-", container.name.lower()).strip("-") or "edgevision"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "edgevision"}

    def meta(suffix: str = "") -> dict[str, Any]:
        return {"name": f"{name}{suffix}", "labels": labels}

    outbox = any(bind.endswith(f":{DATA_FOLDER}") for bind in container.binds)
    found: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta("-pipeline"),
            "data": {"pipeline.yaml": pipeline},
        }
    ]
    if outbox:
        found.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": meta("-data"),
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": f"{outbox_gb}Gi"}},
                },
            }
        )
    found += [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta(),
            "spec": {
                "replicas": 1,
                # Two of one identity would both read the cameras and the outbox.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": _pod(container, name, command, outbox),
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta(),
            "spec": {
                "selector": labels,
                "ports": [{"name": _WEB, "port": container.metrics_port, "targetPort": _WEB}],
            },
        },
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": meta(),
            "spec": {
                "selector": {"matchLabels": labels},
                "endpoints": [{"port": _WEB, "path": "/metrics"}],
            },
        },
    ]
    return found


def _pod(container: Container, name: str, command: Sequence[str], outbox: bool) -> dict[str, Any]:
    mounts = [
        {
            "name": "pipeline",
            "mountPath": f"{_APP_FOLDER}/pipeline.yaml",
            "subPath": "pipeline.yaml",
            "readOnly": True,
        }
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "pipeline", "configMap": {"name": f"{name}-pipeline"}}
    ]
    if outbox:
        mounts.append({"name": "data", "mountPath": DATA_FOLDER})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": f"{name}-data"}})
    for number, bind in enumerate(container.binds):
        source, target, *mode = bind.split(":")
        if target == DATA_FOLDER or not source.startswith("/"):
            continue
        mount: dict[str, Any] = {"name": f"host-{number}", "mountPath": target}
        if mode == ["ro"]:
            mount["readOnly"] = True
        mounts.append(mount)
        volumes.append({"name": f"host-{number}", "hostPath": {"path": source}})
    limits: dict[str, Any] = {}
    if container.gpu.mode != "none":
        limits[_GPU] = 1
    if container.memory_mb is not None:
        limits["memory"] = f"{container.memory_mb}Mi"
    image: dict[str, Any] = {
        "name": name,
        "image": container.image,
        "args": [
            *command,
            "--host",
            "0.0.0.0",
            "--port",
            str(container.metrics_port),
        ],
        "ports": [{"name": _WEB, "containerPort": container.metrics_port}],
        "volumeMounts": mounts,
        "startupProbe": _probe("/health", period_s=5, failures=60),
        "readinessProbe": _probe("/ready", period_s=5, failures=3),
        "livenessProbe": _probe("/health", period_s=15, failures=3),
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
    }
    if limits:
        image["resources"] = {"limits": limits}
    if container.environment:
        image["env"] = [_variable(name, *entry) for entry in container.environment.items()]
    pod: dict[str, Any] = {
        "terminationGracePeriodSeconds": container.stop_timeout_s,
        "containers": [image],
        "volumes": volumes,
    }
    numbers = [int(group) for group in container.groups if group.isdigit()]
    if numbers or outbox:
        pod["securityContext"] = {
            **({"supplementalGroups": numbers} if numbers else {}),
            **({"fsGroup": 10001} if outbox else {}),
        }
    if container.gpu.runtime:
        pod["runtimeClassName"] = container.gpu.runtime
    pod["nodeSelector"] = {"kubernetes.io/arch": container.arch}
    return pod


def _variable(module: str, key: str, value: str) -> dict[str, Any]:
    reference = _REFERENCE.fullmatch(value)
    if reference is None:
        return {"name": key, "value": value}
    secret = {"name": module, "key": reference["name"]}
    return {"name": key, "valueFrom": {"secretKeyRef": secret}}


def _probe(path: str, *, period_s: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": _WEB},
        "periodSeconds": period_s,
        "failureThreshold": failures,
    }
