"""deployment.yaml beside pipeline.yaml: what does not fit together, with its line."""

from __future__ import annotations

from typing import Any

import pytest

from edgevision.cli.application import run
from edgevision.deploy import platforms
from edgevision.deploy.manifest import pipeline_twin
from edgevision.deploy.manifest.create_options import joined
from edgevision.deploy.manifest.document import containers, device_manifest, layered, template
from edgevision.deploy.manifest.module_folder import read_module_folder
from edgevision.errors import ConfigurationError
from edgevision.harness import desired
from tests.unit.manifest.conftest import MakeFolder

ORIN = platforms.platform("orin-r36")
TWO = "cameras: {a: 'rtsp://h/1', b: 'rtsp://h/2'}\nstages:\n  - motion: {min_area: 300}\n"


def test_the_desired_properties_are_those_of_the_module() -> None:
    assert pipeline_twin.TOP_KEYS == desired._TOP
    assert pipeline_twin.STAGE_KEYS == desired._OF_STAGE


@pytest.mark.parametrize(
    ("twin", "message"),
    [
        ("{stage: {}}", "twin.stage: the module knows no such property, did you mean 'stages'?"),
        ("{module: x}", "twin.module: is set in pipeline.yaml alone"),
        ("{stages: {moton: {min_area: 1}}}", "there is no stage 'moton', did you mean 'motion'?"),
        ("{stages: {motion: {min_aera: 1}}}", "no parameter 'min_aera', did you mean 'min_area'?"),
        ("{stages: {motion: {min_area: -1}}}", "min_area must be"),
        ("{stages: {motion: {params: {min_area: x}}}}", "twin.stages.motion.params.min_area"),
        ("{stages: {motion: 3}}", "a stage is an object of parameters, or false"),
        ("{stages: 3}", "must be an object of stages by name"),
        ("{cameras: {c: {paused: true}}}", "there is no camera 'c'"),
        ("{cameras: {a: {pause: true}}}", "no such setting, did you mean 'paused'?"),
        ("{cameras: {a: {stages: {motion: {min_area: x}}}}}", "twin.cameras.a.stages.motion"),
        ("{cameras: {a: 3}}", "a camera is an object, an address or false"),
        ("{cameras: 3}", "must be an object of cameras by name"),
    ],
)
def test_a_twin_that_the_module_would_refuse(
    twin: str, message: str, make_folder: MakeFolder
) -> None:
    folder = make_folder(deployment=f"version: 1\ntwin: {twin}\n", pipeline=TWO)
    with pytest.raises(ConfigurationError) as caught:
        read_module_folder(folder)
    assert "deployment.yaml:2" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "twin",
    [
        "{stages: {motion: false, faces: {}, mine: {use: './later.py:Mine', a: 1}}}",
        "{stages: {motion: {min_area: '${MIN_AREA}', on_error: retry}}, stage_order: [motion]}",
        "{cameras: {a: false, b: {paused: true}, c: 'rtsp://h/3', d: {source: 'rtsp://h/4'}}}",
        "{publish: {when: every}, log_level: debug, camera_order: [b, a]}",
        "{stages: [motion]}",
    ],
)
def test_a_twin_that_the_module_takes(twin: str, make_folder: MakeFolder) -> None:
    read_module_folder(make_folder(more=f"twin: {twin}\n", pipeline=TWO))


def test_two_stages_of_a_kind_have_two_names(make_folder: MakeFolder) -> None:
    pipeline = (
        "cameras: {a: 'rtsp://h/1'}\nstages: [motion: {min_area: 1}, motion: {min_area: 2}]\n"
    )
    folder = read_module_folder(make_folder(pipeline=pipeline))
    assert folder.params == {"stages": {"motion": {"min_area": 1}, "motion-2": {"min_area": 2}}}


def test_paths_and_secrets_stay_here(make_folder: MakeFolder) -> None:
    pipeline = """\
cameras: {a: 'rtsp://h/1'}
stages:
  - ./own.py:Own: {model: m.onnx, labels: [l.txt], key: k3y, limit: 2}
"""
    folder = make_folder(pipeline=pipeline)
    (folder / "own.py").write_text(
        "from pathlib import Path\n"
        "from edgevision import Param, Stage\n\n"
        "class Own(Stage):\n"
        "    model: Path = Param(Path('x'), help='a file')\n"
        "    labels: list[Path] = Param([], help='files')\n"
        "    key: str = Param('', secret=True, help='of a service')\n"
        "    limit: int = Param(1, help='of something')\n\n"
        "    def process(self, frame):\n"
        "        pass\n"
    )
    assert read_module_folder(folder).params == {"stages": {"own": {"limit": 2}}}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("replicas: {one: [a, gate]}\n", "replicas.one[1]: there is no camera 'gate'"),
        ("replicas: {one: [a]}\n", "replicas: nobody runs b"),
        (
            "published_port: 9600\nreplicas: {one: [a], two: [b]}\n",
            "published_port: one port of the host cannot lead to 2 modules",
        ),
        ("replicas: {'a b': [a, b]}\n", "a b"),
        ("replicas: {one: []}\n", "replicas.one"),
    ],
)
def test_replicas_that_do_not_fit(more: str, message: str, make_folder: MakeFolder) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_module_folder(make_folder(more=more, pipeline=TWO))
    assert message in str(caught.value)
    assert "deployment.yaml:" in str(caught.value)


def test_each_replica_has_a_volume_of_its_own(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    folder = read_module_folder(make_folder(more="replicas: {one: [a], two: [b]}\n", pipeline=TWO))
    made = containers(folder, ORIN, environment=secrets)
    assert {name: made[name].binds for name in made} == {
        "one": ("edgevision-one:/data",),
        "two": ("edgevision-two:/data",),
    }


def test_a_camera_that_the_platform_has_not(make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder(door="csi:0"))
    with pytest.raises(ConfigurationError, match=r"x86_64-dgpu has no CSI camera.*'csi:0'"):
        containers(folder, platforms.platform("x86_64-dgpu"))


@pytest.mark.parametrize(
    ("uri", "nodes"),
    [
        ("webcam:2", ["/dev/video2"]),
        ("/dev/video3", ["/dev/video3"]),
        ("webcam:/dev/video1?width=640&height=480", ["/dev/video1"]),
        ("/dev/v4l/by-id/usb-cam-index0", ["/dev/v4l/by-id/usb-cam-index0"]),
        ("rtsp://h/1", []),
    ],
)
def test_the_nodes_of_a_camera(uri: str, nodes: list[str], make_folder: MakeFolder) -> None:
    folder = read_module_folder(make_folder(door=uri))
    made = containers(folder, ORIN, "runtime")["people"]
    assert list(made.devices) == nodes
    assert ("video" in made.groups) == bool(ORIN.groups or nodes)


def _host(made: dict[str, Any], name: str = "people") -> dict[str, Any]:
    agent = made["modulesContent"]["$edgeAgent"]["properties.desired"]
    host: dict[str, Any] = joined(agent["modules"][name]["settings"])["HostConfig"]
    return host


def test_everything_of_the_container_arrives(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    more = """\
binds: ["/var/models:/models:ro"]
devices: [/dev/ttyUSB0]
outbox_volume: ""
published_port: 8600
memory_mb: 1024
shm_mb: 64
log_max_mb: 5
log_files: 2
restart: on-failure
startup_order: 4
pull: never
"""
    folder = read_module_folder(make_folder(door="rtsp://h/1", more=more))
    made = device_manifest(folder, ORIN, gpu="runtime", environment=secrets)
    module = made["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["people"]
    assert module["restartPolicy"] == "on-failure"
    assert module["startupOrder"] == 4
    assert module["imagePullPolicy"] == "never"
    assert _host(made) == {
        "Devices": [
            {
                "PathOnHost": "/dev/ttyUSB0",
                "PathInContainer": "/dev/ttyUSB0",
                "CgroupPermissions": "rwm",
            }
        ],
        "Runtime": "nvidia",
        "GroupAdd": ["video", "render"],
        "Binds": ["/var/models:/models:ro"],
        "PortBindings": {"9600/tcp": [{"HostPort": "8600"}]},
        "Memory": 1024 * 1024 * 1024,
        "ShmSize": 64 * 1024 * 1024,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}},
    }


def test_routes_and_other_modules(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    more = """\
routes:
  alarms:
    route: >-
      FROM /messages/modules/people/outputs/alarm
      INTO BrokeredEndpoint("/modules/horn/inputs/i")
    priority: 1
    time_to_live_s: 60
modules:
  horn:
    type: docker
    status: running
    restartPolicy: always
    settings:
      image: ${HORN_IMAGE}
      createOptions: {HostConfig: {Privileged: false}}
"""
    folder = read_module_folder(make_folder(more=more))
    values = {**secrets, "HORN_IMAGE": "registry.example/horn:2"}
    content = device_manifest(folder, ORIN, environment=values)["modulesContent"]
    assert content["$edgeHub"]["properties.desired"]["routes"]["alarms"] == {
        "route": "FROM /messages/modules/people/outputs/alarm "
        'INTO BrokeredEndpoint("/modules/horn/inputs/i")',
        "priority": 1,
        "timeToLiveSecs": 60,
    }
    horn = content["$edgeAgent"]["properties.desired"]["modules"]["horn"]["settings"]
    assert horn["image"] == "registry.example/horn:2"
    assert joined(horn) == {"HostConfig": {"Privileged": False}}
    kept = template(folder, ORIN)["modulesContent"]["$edgeAgent"]["properties.desired"]
    assert kept["modules"]["horn"]["settings"]["image"] == "$HORN_IMAGE"


def test_a_module_has_one_name(make_folder: MakeFolder, secrets: dict[str, str]) -> None:
    folder = read_module_folder(make_folder(more="modules: {people: {}}\n"))
    with pytest.raises(ConfigurationError, match="a module is called 'people' already"):
        device_manifest(folder, ORIN, environment=secrets)


def test_secrets_are_named_and_put_in_late(
    make_folder: MakeFolder, secrets: dict[str, str]
) -> None:
    more = """\
environment: {CAMERA_PASSWORD: "${CAMERA_PASSWORD}", CAMERA: "rtsp://u:${CAMERA_PASSWORD}@h/1"}
metrics_collector:
  image: registry.example/collector:1
  target: AzureMonitor
  every_s: 60
  environment: {ResourceId: "${RESOURCE}"}
"""
    folder = read_module_folder(make_folder(more=more))
    values = {**secrets, "CAMERA_PASSWORD": "hunter2", "RESOURCE": "/r"}
    for made in (
        device_manifest(folder, ORIN, environment=values)["modulesContent"]["$edgeAgent"][
            "properties.desired"
        ]["modules"],
        {
            key.rpartition(".")[2]: value
            for key, value in layered(folder, ORIN, environment=values)["content"][
                "modulesContent"
            ]["$edgeAgent"].items()
        },
    ):
        assert made["people"]["env"]["CAMERA"]["value"] == "rtsp://u:hunter2@h/1"
        collector = made["metrics-collector"]["env"]
        assert collector["ResourceId"]["value"] == "/r"
        assert collector["UploadTarget"]["value"] == "AzureMonitor"
        assert collector["ScrapeFrequencyInSecs"]["value"] == "60"


@pytest.mark.parametrize(
    ("more", "told"), [("", True), ("groups: {render: 104}\n", False), ("gpu: none\n", False)]
)
def test_a_guessed_number_of_render_is_told(
    more: str,
    told: bool,
    make_folder: MakeFolder,
    secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    folder = make_folder(more=more)
    assert run(["manifest", str(folder), "--platform", "orin-r36", "--text"]) == 0
    assert ("getent group render" in capfd.readouterr()[1]) == told


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("routes: {up: FROM /messages/modules/pepole/* INTO $upstream}\n", "did you mean 'people'"),
        ("published_port: 443\n", "443/tcp of the host belongs to module 'edgeHub'"),
        ("modules: {horn: {settings: {image: horn}}}\n", "[image-tag]"),
    ],
)
def test_what_is_a_warning_elsewhere_is_refused_in_ours(
    more: str,
    message: str,
    make_folder: MakeFolder,
    secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    folder = make_folder(more=more)
    out = folder / "out.json"
    line = ["manifest", str(folder), "--platform", "orin-r36", "--out", str(out), "--text"]
    assert run(line) == 2
    assert message in capfd.readouterr()[1]
    assert not out.exists()
