"""Manifests made from a folder and the table of platforms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgevision.deploy import platforms
from edgevision.deploy.facts import MODES
from edgevision.deploy.manifest.check import check_manifest
from edgevision.deploy.manifest.container_rules import options_of
from edgevision.deploy.manifest.create_options import joined
from edgevision.deploy.manifest.document import (
    containers,
    device_manifest,
    layered,
    template,
)
from edgevision.deploy.manifest.host_config import docker_options
from edgevision.deploy.manifest.module_folder import read_module_folder
from edgevision.deploy.manifest.reading import read_manifest
from edgevision.errors import ConfigurationError
from tests.unit.manifest import golden_file
from tests.unit.manifest.conftest import DEPLOYMENT, MakeFolder

CAMERAS = {"v4l2": "webcam:0", "argus": "csi:0", "network": "rtsp://10.0.0.5/1"}
ROWS = [row.id for row in platforms.rows()]


def _module(manifest: dict[str, Any], name: str = "people") -> dict[str, Any]:
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    module: dict[str, Any] = agent["modules"][name]
    return module


@pytest.mark.parametrize("name", ROWS)
def test_every_row_mode_and_camera_is_valid(
    name: str, make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    row = platforms.platform(name)
    tried = 0
    for uri in CAMERAS.values():
        folder = read_module_folder(make_folder(door=uri))
        for mode in (*MODES, "none"):
            if mode != "none" and not row.mode(mode).value:
                with pytest.raises(ConfigurationError, match=f"no GPU access by '{mode}'"):
                    device_manifest(folder, row, gpu=mode, environment=secrets)
                continue
            if uri == "csi:0" and not row.is_jetson:
                with pytest.raises(ConfigurationError, match="has no CSI camera"):
                    device_manifest(folder, row, gpu=mode, environment=secrets)
                continue
            for made in (
                device_manifest(folder, row, gpu=mode, environment=secrets),
                layered(folder, row, gpu=mode, environment=secrets),
                template(folder, row, gpu=mode),
            ):
                found = check_manifest(json.loads(json.dumps(made)), row)
                assert [f for f in found if f.rule != "create-options-length"] == []
                tried += 1
    assert tried >= 3 * 2 * (3 if row.is_jetson else 2)


@pytest.mark.parametrize(("name", "mode", "camera"), golden_file.CASES)
def test_manifests_are_stable_to_the_byte(
    name: str, mode: str, camera: str, tmp_path: Path
) -> None:
    wanted = (golden_file.FOLDER / f"{name}-{mode}.json").read_text("utf-8")
    text = golden_file.text_of(tmp_path, name, mode, camera)
    assert text == wanted, "if this is wanted: python -m tests.unit.manifest.golden_file"


def test_the_published_nano_example_comes_out_corrected(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    folder = read_module_folder(make_folder(door="rtsp://10.0.0.5/1"))
    made = device_manifest(
        folder, platforms.platform("nano-r32.1"), gpu="devices", environment=secrets
    )
    host = joined(_module(made)["settings"])["HostConfig"]
    nodes = [device["PathOnHost"] for device in host["Devices"]]
    assert nodes == list(platforms.platform("nano-r32.1").docker_devices)
    assert len(nodes) == 8
    for device in host["Devices"]:
        assert device == {
            "PathOnHost": device["PathOnHost"],
            "PathInContainer": device["PathOnHost"],
            "CgroupPermissions": "rwm",
        }
        assert device["PathOnHost"] == "/" + device["PathOnHost"].strip().lstrip("/")


@pytest.mark.parametrize("name", ROWS)
def test_options_survive_the_way_through_a_manifest(
    name: str, make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    row = platforms.platform(name)
    folder = read_module_folder(make_folder())
    made = device_manifest(folder, row, environment=secrets)
    read = read_manifest(json.loads(json.dumps(made)))
    (module,) = [module for module in read.modules if not module.system]
    assert options_of(read, module) == docker_options(containers(folder, row)["people"])


def test_cameras_bring_what_they_need(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    row = platforms.platform("nano-r32.7")
    hosts = {}
    for kind, uri in CAMERAS.items():
        folder = read_module_folder(make_folder(door=uri))
        made = device_manifest(folder, row, gpu="runtime", environment=secrets)
        hosts[kind] = joined(_module(made)["settings"])["HostConfig"]
    assert hosts["v4l2"]["Devices"][0]["PathOnHost"].endswith("video0")
    assert "video" in hosts["v4l2"]["GroupAdd"]
    assert any("argus_socket" in bind for bind in hosts["argus"]["Binds"])
    assert "Devices" not in hosts["network"]
    assert hosts["network"]["Binds"] == ["edgevision-people:/data"]


def test_parameters_become_desired_properties(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    folder = read_module_folder(
        make_folder(more="twin: {stages: {motion: {min_area: 500}}, log_level: debug}\n")
    )
    made = device_manifest(folder, platforms.platform("orin-r36"), environment=secrets)
    assert made["modulesContent"]["people"]["properties.desired"] == {
        "stages": {"motion": {"min_area": 500}},
        "log_level": "debug",
    }


def test_a_parameter_that_the_device_substitutes_is_left_to_it(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    pipeline = """\
cameras:
  door: rtsp://${CAMERA_USER}:${CAMERA_PASSWORD}@10.0.0.5/1
stages:
  - motion: {min_area: "${MIN_AREA}", label: car}
"""
    folder = read_module_folder(make_folder(pipeline=pipeline))
    made = device_manifest(folder, platforms.platform("orin-r36"), environment=secrets)
    assert made["modulesContent"]["people"]["properties.desired"] == {
        "stages": {"motion": {"label": "car"}}
    }


def test_replicas_share_the_cameras(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    pipeline = "cameras: {a: 'rtsp://h/1', b: 'rtsp://h/2', c: 'rtsp://h/3'}\nstages: [motion]\n"
    folder = read_module_folder(
        make_folder(pipeline=pipeline, more="replicas: {people-1: [a, b], people-2: [c]}\n")
    )
    made = device_manifest(folder, platforms.platform("orin-r36"), environment=secrets)
    content = made["modulesContent"]
    assert set(content["$edgeAgent"]["properties.desired"]["modules"]) == {"people-1", "people-2"}
    assert content["people-1"]["properties.desired"] == {"cameras": {"c": False}}
    assert content["people-2"]["properties.desired"] == {"cameras": {"a": False, "b": False}}
    routes = content["$edgeHub"]["properties.desired"]["routes"]
    assert set(routes) == {"people-1ToCloud", "people-2ToCloud"}


def test_a_replica_of_a_camera_that_is_none(make_folder: MakeFolder) -> None:
    with pytest.raises(ConfigurationError, match=r"replicas\.p.*no camera 'gate'"):
        read_module_folder(make_folder(more="replicas: {p: [gate]}\n"))


def test_groups_get_the_hosts_numbers(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    folder = read_module_folder(make_folder(more="groups: {render: 104}\n"))
    made = device_manifest(folder, platforms.platform("orin-r36"), environment=secrets)
    assert joined(_module(made)["settings"])["HostConfig"]["GroupAdd"] == ["video", "104"]


def test_the_collector_scrapes_the_module(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    folder = read_module_folder(
        make_folder(more='metrics_collector: {image: "registry.example/collector:1.1"}\n')
    )
    made = device_manifest(folder, platforms.platform("orin-r36"), environment=secrets)
    variables = _module(made, "metrics-collector")["env"]
    assert "http://people:9600/metrics" in variables["MetricsEndpointsCSV"]["value"]


def test_a_layer_replaces_nothing(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    folder = read_module_folder(make_folder())
    made = layered(folder, platforms.platform("orin-r36"), environment=secrets)
    content = made["content"]["modulesContent"]
    assert all(key.startswith("properties.desired.") for part in content.values() for key in part)
    assert "properties.desired.modules.people" in content["$edgeAgent"]


def test_a_template_holds_no_secret(make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder())
    made = template(folder, platforms.platform("orin-r36"))
    text = json.dumps(made)
    assert "$REGISTRY_PASSWORD" in text
    assert "${MODULEDIR<.>.arm64v8}" in text
    assert isinstance(_module(made)["settings"]["createOptions"], dict)


def test_a_reference_that_is_not_set(make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder())
    with pytest.raises(ConfigurationError, match="REGISTRY_PASSWORD is not set"):
        device_manifest(
            folder, platforms.platform("orin-r36"), environment={"REGISTRY_USER": "someone"}
        )


def test_one_device_needs_iot_edges_images(make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder(deployment="version: 1\n"))
    with pytest.raises(ConfigurationError, match=r"runtime\.agent and runtime\.hub"):
        device_manifest(folder, platforms.platform("orin-r36"), environment={})
    assert layered(folder, platforms.platform("orin-r36"), environment={})


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("registries:\n  m: {address: a, username: u, password: clear}\n", 2, "in clear"),
        ("environment:\n  CAMERA_PASSWORD: hunter2\n", 2, "a secret in clear"),
        ("environment:\n  DSN: 'HostName=x;SharedAccessKey=abc='\n", 2, "a secret in clear"),
        ("twin:\n  cameras:\n    d: {source: 'rtsp://u:pw@h/1'}\n", 3, "a secret in clear"),
        ("routes:\n  up: FROM /messages/* TO $upstream\n", 2, "wanted FROM source"),
        ("gpu: dev\n", 1, "gpu"),
        ("memory_mb: 1\n", 1, "64"),
        ("registrys: {}\n", 1, "did you mean 'registries'?"),
    ],
)
def test_mistakes_in_deployment_yaml_have_their_line(
    more: str, line: int, message: str, make_folder: MakeFolder
) -> None:
    folder = make_folder(deployment=more)
    with pytest.raises(ConfigurationError) as caught:
        read_module_folder(folder)
    text = str(caught.value)
    assert f"deployment.yaml:{line}" in text
    assert message in text
    for secret in ("hunter2", "abc=", "u:pw"):
        assert secret not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [("a/b", "cannot be a module's name"), ("", "cannot be a module's name")],
)
def test_a_name_that_cannot_be(name: str, message: str, make_folder: MakeFolder) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_module_folder(make_folder(), name)


def test_an_image_without_a_name(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    folder = make_folder()
    (folder / "module.json").unlink()
    with pytest.raises(ConfigurationError, match="the image has no name"):
        device_manifest(
            read_module_folder(folder), platforms.platform("orin-r36"), environment=secrets
        )


def test_a_mistake_in_module_json(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "module.json").write_text('{"image": {}}\n')
    with pytest.raises(ConfigurationError, match=r"module\.json.*image\.repository"):
        read_module_folder(folder)
    (folder / "module.json").write_text('{\n"image": \n')
    with pytest.raises(ConfigurationError, match=r"module\.json:3"):
        read_module_folder(folder)


def test_a_pipeline_with_a_mistake_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder(
        pipeline="cameras: {door: 'webcam:0'}\nstages: [{motion: {min_aera: 1}}]\n"
    )
    with pytest.raises(ConfigurationError, match=r"pipeline\.yaml.*min_aera"):
        read_module_folder(folder)


def test_defaults_come_from_the_folder_alone(make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder(deployment=DEPLOYMENT))
    assert folder.name == "people"
    assert folder.image(platforms.platform("orin-r36")).startswith(
        "registry.example/people:1.2.3-orin-r36-"
    )
