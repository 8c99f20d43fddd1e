"""A module's folder to make manifests from."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

MakeFolder = Callable[..., Path]

DEPLOYMENT = """\
runtime: {agent: "registry.example/edge-agent:1.5", hub: "registry.example/edge-hub:1.5"}
registries:
  main: {address: registry.example, username: "${REGISTRY_USER}", password: "${REGISTRY_PASSWORD}"}
"""

PIPELINE = """\
cameras:
  door: {door}
stages:
  - motion: {{min_area: 300}}
"""


SECRETS = {"REGISTRY_USER": "puller", "REGISTRY_PASSWORD": "p4ss-w0rd"}


def write_folder(
    parent: Path,
    *,
    deployment: str = DEPLOYMENT,
    door: str = "webcam:0",
    pipeline: str = "",
    more: str = "",
) -> Path:
    """Write a module's folder and return it."""
    folder = parent / "people"
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(pipeline or PIPELINE.format(door=door))
    (folder / "deployment.yaml").write_text(deployment + more)
    (folder / "module.json").write_text(
        json.dumps(
            {
                "$schema-version": "0.0.1",
                "description": "",
                "image": {
                    "repository": "registry.example/people",
                    "tag": {"version": "1.2.3", "platforms": {"arm64v8": "./Dockerfile"}},
                    "buildOptions": [],
                    "contextPath": "./",
                },
                "language": "python",
            }
        )
    )
    return folder


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a function that writes a module's folder and returns it."""
    return partial(write_folder, tmp_path)


@pytest.fixture
def secrets() -> dict[str, str]:
    """Return the values of the references."""
    return dict(SECRETS)
