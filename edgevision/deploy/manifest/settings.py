"""deployment.yaml: what a deployment has beside the module's folder and the table of platforms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgevision.config.typed_file import TypedFile, read_typed
from edgevision.routing import RouteError, parse_route

__all__ = [
    "Collector",
    "DeploymentSettings",
    "Registry",
    "RouteSettings",
    "RuntimeImages",
    "load_settings",
]

ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
RouteName = Annotated[str, Field(pattern=r"^[^.$# ]+$")]
VariableName = Annotated[str, Field(pattern=r"^[^+#$\s.=]+$")]
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|CREDENTIAL|CONNECTION_?STRING|(^|_)KEY|SAS", re.I)
_SECRET_VALUE = re.compile(r"SharedAccess(Key|Signature)\s*=|AccountKey\s*=", re.I)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:(?!\$\{)[^/\s@]+@")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Registry(_Settings):
    """A registry that the device logs in to."""

    address: str = Field(min_length=1, pattern=r"^\S+$")
    """Host of the registry, with its port if it needs one."""

    username: str = Field(min_length=1)
    """User, or a reference to an environment variable: `${NAME}`."""

    password: str = Field(min_length=1)
    """Reference to an environment variable: `${NAME}`. The password itself is refused."""


class RuntimeImages(_Settings):
    """IoT Edge's own modules, which a deployment for one device must name."""

    agent: str = Field(min_length=1)
    """Image of edgeAgent, with its tag."""

    hub: str = Field(min_length=1)
    """Image of edgeHub, with its tag."""

    minDockerVersion: str = "v1.25"  # noqa: N815 - IoT Edge's own name
    """Oldest version of Docker's API that edgeAgent may use."""


class RouteSettings(_Settings):
    """A route with a priority or a time to live."""

    route: str = Field(min_length=1)
    """`FROM source [WHERE condition] INTO sink`."""

    priority: int = Field(default=0, ge=0, le=9)
    """0 goes first."""

    time_to_live_s: int = Field(default=7200, ge=0, le=4_294_967_295)
    """How long edgeHub keeps a message of this route, in seconds."""


class Collector(_Settings):
    """Microsoft's module that collects metrics and sends them to the cloud."""

    image: str = Field(min_length=1)
    """Its image, with its tag."""

    target: Literal["AzureMonitor", "IotMessage"] = "IotMessage"
    """Where metrics go."""

    every_s: int = Field(default=300, ge=1)
    """Seconds between two collections."""

    environment: dict[VariableName, str] = {}
    """Further variables, such as the workspace of Azure Monitor."""


class DeploymentSettings(_Settings):
    """A deployment."""

    version: Literal[1] = 1
    """Version of this format."""

    image: str = ""
    """Image without its tag; default the repository in module.json."""

    tag: str = ""
    """Tag of the image; default the version in module.json and the platform."""

    pull: Literal["on-create", "never"] = "on-create"
    """When the device asks the registry for the image."""

    registries: dict[RouteName, Registry] = {}
    """Registries by a name of your choice."""

    runtime: RuntimeImages | None = None
    """IoT Edge's own images; a deployment for one device needs them, a layered one does not."""

    gpu: Literal["devices", "runtime", "cdi", "gpus", "none"] | None = None
    """Way to the GPU; default the first that the platform allows."""

    groups: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Numbers of groups on the host, where they differ from those in the image: `render: 104`."""

    environment: dict[VariableName, str] = {}
    """Variables of the module. What looks like a secret must be a reference: `${NAME}`."""

    routes: dict[RouteName, str | RouteSettings] = {}
    """Routes; default one that takes all outputs of the module to the cloud."""

    store_and_forward_s: int = Field(default=7200, ge=0, le=4_294_967_295)
    """How long edgeHub keeps messages while the cloud is out of reach, in seconds."""

    twin: dict[str, Any] = {}
    """Desired properties of the module, merged over the parameters in pipeline.yaml."""

    replicas: dict[ModuleName, Annotated[list[str], Field(min_length=1)]] = {}
    """Several modules from one image, by name, each with the cameras it runs; default one module
    with all cameras."""

    binds: list[Annotated[str, Field(pattern=r"^[^:\s]+:/[^:\s]*(:ro|:rw)?$")]] = []
    """Further folders or volumes: `HOST:CONTAINER[:ro]`."""

    devices: list[str] = []
    """Further device nodes of the host."""

    outbox_volume: str = "edgevision-{module}"
    """Docker volume for the outbox; `{module}` is the module's name. "" for none: what waits is
    lost with the container."""

    metrics_port: int = Field(default=9600, ge=1, le=65535)
    """Port of metrics and health in the container."""

    published_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the host that leads there; default none."""

    metrics_collector: Collector | None = None
    """Microsoft's metrics collector as a further module."""

    memory_mb: int | None = Field(default=None, ge=64)
    """Memory limit in MiB; default none."""

    shm_mb: int | None = Field(default=None, ge=1)
    """Size of shared memory in MiB; default Docker's 64."""

    log_max_mb: int = Field(default=10, ge=1)
    """Size at which a log file is set aside, in MB."""

    log_files: int = Field(default=3, ge=1)
    """Log files that are kept."""

    startup_order: int = Field(default=10, ge=0, le=4_294_967_295)
    """Modules with lower numbers start first; edgeHub has 0."""

    restart: Literal["always", "on-failure", "on-unhealthy", "never"] = "always"
    """When edgeAgent starts the module again."""

    modules: dict[ModuleName, dict[str, Any]] = {}
    """Other modules as they stand in a manifest; `createOptions` may be an object."""


def load_settings(path: Path) -> tuple[DeploymentSettings, TypedFile]:
    """Read deployment.yaml; the second is for mistakes that show beside other files.

    Raises:
        ConfigurationError: one line for each mistake, with file, line and path.
    """
    settings, file = read_typed(path, DeploymentSettings)
    for name, registry in settings.registries.items():
        if not _REFERENCE.fullmatch(registry.password):
            file.add(
                ("registries", name, "password"),
                "a password must not stand here in clear; write ${NAME} and set that environment "
                "variable where the manifest is made",
            )
    for way, key, text in _texts(settings.environment, ("environment",)):
        _refuse_secret(file, way, key, text)
    if settings.metrics_collector is not None:
        place = ("metrics_collector", "environment")
        for way, key, text in _texts(settings.metrics_collector.environment, place):
            _refuse_secret(file, way, key, text)
    for way, key, text in _texts(settings.twin, ("twin",)):
        _refuse_secret(file, way, key, text)
    for way, key, text in _texts(settings.modules, ("modules",)):
        _refuse_secret(file, way, key, text)
    for name, route in settings.routes.items():
        try:
            parse_route(route if isinstance(route, str) else route.route)
        except RouteError as error:
            file.add(("routes", name), str(error))
    file.problems.raise_if_any()
    return settings, file


def _texts(value: Any, way: tuple[int | str, ...]) -> Iterator[tuple[Any, str, str]]:
    """Yield each text in ``value`` with its way and the key that it stands at."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, part in entries:
        if isinstance(part, str):
            yield (*way, key), str(key), part
        else:
            yield from _texts(part, (*way, key))


def _refuse_secret(file: TypedFile, way: tuple[int | str, ...], key: str, text: str) -> None:
    named = _SECRET_NAME.search(key) is not None and text and not _REFERENCE.fullmatch(text)
    if named or _SECRET_VALUE.search(text) or _PASSWORD_IN_URL.search(text):
        file.add(
            way,
            "this looks like a secret in clear; write ${NAME} and set that environment variable "
            "where the manifest is made",
        )
