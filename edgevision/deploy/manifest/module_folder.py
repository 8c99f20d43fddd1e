"""A module's folder: module.json, pipeline.yaml and deployment.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevision.config import from_mapping
from edgevision.config.document import decode, parse_yaml, read_bytes
from edgevision.config.models import PipelineConfig
from edgevision.config.node import plain
from edgevision.config.problems import Problems
from edgevision.config.shape import write_out
from edgevision.config.typed_file import TypedFile
from edgevision.deploy.manifest.pipeline_twin import given_params, twin_mistakes
from edgevision.deploy.manifest.settings import DeploymentSettings, load_settings
from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["ModuleFolder", "module_image", "read_module_folder"]

_MODULE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_IMAGE = re.compile(
    r"(?:(?:[a-z0-9.-]+|\$\{\w+\})(?::\d+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
)
_SUBSTITUTION = "${"
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True)
class ModuleFolder:
    """What a manifest needs of a folder.

    Attributes:
        path: the folder.
        name: of the module.
        repository: image without tag, as module.json has it.
        image_version: as module.json has it.
        settings: deployment.yaml, or its defaults.
        cameras: address of each camera by name, with what deployment.yaml's environment and the
            defaults in pipeline.yaml put into it.
        params: parameters that pipeline.yaml gives, as desired properties have them.
    """

    path: Path
    name: str
    repository: str
    image_version: str
    settings: DeploymentSettings
    cameras: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)

    def image(self, platform: Platform) -> str:
        """Return the image with its tag.

        Raises:
            ConfigurationError: nobody says where it is, or its name is none.
        """
        return _image(self.settings, self.repository, self.image_version, platform)


def module_image(path: Path, platform: Platform) -> tuple[str, str] | None:
    """Return the image that a module's folder names, with its tag, and the module's version.

    It is the one that a manifest has. References to the environment are left in it. None if the
    folder says nothing about it.

    Raises:
        ConfigurationError: module.json or deployment.yaml has a mistake.
    """
    file = path / "deployment.yaml"
    settings = load_settings(file)[0] if file.exists() else DeploymentSettings()
    repository, version = _module_json(path / "module.json")
    if not (settings.image or repository):
        return None
    return _image(settings, repository, version, platform), version


def _image(settings: DeploymentSettings, repository: str, version: str, platform: Platform) -> str:
    name = settings.image or repository
    if not name:
        raise ConfigurationError(
            "the image has no name: set image.repository in module.json, or image in "
            "deployment.yaml",
            path="image",
        )
    if not _IMAGE.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name of an image; wanted REGISTRY/NAME in lower case, without a tag",
            path="image",
        )
    tag = settings.tag or f"{version}-{platform.tag}"
    if not re.fullmatch(r"[\w][\w.-]{0,127}", tag):
        raise ConfigurationError(
            f"{tag!r} is no tag of an image: letters, digits, '.', '_' and '-', 128 at most",
            path="tag",
        )
    return f"{name}:{tag}"


def read_module_folder(path: Path, name: str | None = None) -> ModuleFolder:
    """Read a module's folder.

    Args:
        path: the folder, or a deployment.yaml in it.
        name: of the module; default the folder's.

    Raises:
        ConfigurationError: a file is missing or has a mistake.
    """
    file = path / "deployment.yaml"
    if path.is_file():
        file, path = path, path.parent
    if not path.is_dir():
        raise ConfigurationError(f"there is no folder {str(path)!r}; wanted a module's folder")
    module = path.resolve().name if name is None else name
    if not _MODULE_NAME.fullmatch(module):
        raise ConfigurationError(
            f"{module!r} cannot be a module's name: letters, digits, '_' and '-', 128 at most"
        )
    settings, found = DeploymentSettings(), None
    if file.exists():
        settings, found = load_settings(file)
    repository, version = _module_json(path / "module.json")
    cameras, config = _pipeline(path / "pipeline.yaml", settings.environment)
    if found is not None:
        _check_replicas(settings, cameras, found)
        for way, message in twin_mistakes(settings.twin, config):
            found.add(("twin", *way), message)
        found.problems.raise_if_any()
    params = given_params(config)
    return ModuleFolder(path, module, repository, version, settings, cameras, params)


def _check_replicas(
    settings: DeploymentSettings, cameras: Mapping[str, str], file: TypedFile
) -> None:
    there = ", ".join(cameras)
    for replica, wanted in settings.replicas.items():
        for number, camera in enumerate(wanted):
            if camera not in cameras:
                hint = did_you_mean(camera, cameras)
                file.add(
                    ("replicas", replica, number),
                    f"there is no camera {camera!r} in pipeline.yaml{hint} (there are: {there})",
                )
    if not settings.replicas:
        return
    idle = cameras.keys() - {camera for wanted in settings.replicas.values() for camera in wanted}
    if idle:
        file.add(
            ("replicas",),
            f"nobody runs {', '.join(sorted(idle))}: every camera of pipeline.yaml belongs to a "
            "replica",
        )
    if settings.published_port is not None and len(settings.replicas) > 1:
        file.add(
            ("published_port",),
            f"one port of the host cannot lead to {len(settings.replicas)} modules; leave it out, "
            "or deploy one module with all cameras",
        )


def _module_json(path: Path) -> tuple[str, str]:
    """Return repository and version."""
    if not path.exists():
        return "", "latest"
    try:
        document = json.loads(decode(read_bytes(path), str(path)))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"no JSON: {error.msg}", file=str(path), line=error.lineno
        ) from error
    try:
        image = document["image"]
        repository, version = image["repository"], image["tag"]["version"]
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            "wanted image.repository and image.tag.version, as VS Code's IoT Edge tools have them",
            file=str(path),
        ) from error
    if not isinstance(repository, str) or not isinstance(version, str):
        raise ConfigurationError(
            "image.repository and image.tag.version must be text", file=str(path)
        )
    return repository, version


def _pipeline(path: Path, environment: Mapping[str, str]) -> tuple[dict[str, str], PipelineConfig]:
    """Return the cameras' addresses, and the pipeline as far as it is known here.

    Variables of this machine are not looked at: the module runs on another. A parameter that holds
    a substitution is nobody's business but the device's.
    """
    problems = Problems(str(path))
    document = plain(write_out(parse_yaml(decode(read_bytes(path), str(path)), problems), problems))
    problems.raise_if_any()
    if not isinstance(document, Mapping):
        raise ConfigurationError("wanted a pipeline with cameras", file=str(path))
    document = _without_substitutions(document)
    cameras = {}
    given = document.get("cameras")
    for name, camera in given.items() if isinstance(given, dict) else ():
        source = camera.get("source") if isinstance(camera, dict) else None
        if isinstance(source, dict) and isinstance(source.get("uri"), str):
            uri = cameras[str(name)] = source["uri"] = _on_device(source["uri"], environment)
            if _SUBSTITUTION in uri:
                # Any camera does for looking at the rest.
                camera["source"] = {"uri": "synthetic:"}
    try:
        config = from_mapping(document, folder=path.parent)
    except ConfigurationError as error:
        raise ConfigurationError(str(error), file=str(path)) from error
    return cameras, config


def _on_device(text: str, environment: Mapping[str, str]) -> str:
    """Return a text as the device will read it; what is set there only stays as it is."""

    def value(found: re.Match[str]) -> str:
        default = found[0] if found["default"] is None else found["default"]
        return environment.get(found["name"], default)

    return _VARIABLE.sub(value, text)


def _without_substitutions(value: Any, key: str = "") -> Any:
    """Return a document without the parameters that hold a substitution."""
    if isinstance(value, Mapping):
        return {
            name: _without_substitutions(part, str(name))
            for name, part in value.items()
            if not (key == "params" and isinstance(part, str) and _SUBSTITUTION in part)
        }
    if isinstance(value, list):
        return [_without_substitutions(part, key) for part in value]
    return value
