"""The module for Compose, Kubernetes and plain Docker, each judged by its own tool."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from edgevision.cli.application import run
from edgevision.deploy import platforms
from edgevision.deploy.facts import MODES
from edgevision.deploy.manifest.compose import compose_file, docker_run
from edgevision.deploy.manifest.document import containers
from edgevision.deploy.manifest.kubernetes import kubernetes_objects
from edgevision.deploy.manifest.module_folder import read_module_folder
from edgevision.errors import ConfigurationError
from tests.unit.manifest.conftest import MakeFolder

# What the device has in its environment and the manifest only names.
MORE = """\
environment: {CAMERA_PASSWORD: "${CAMERA_PASSWORD}", ZONE: north}
published_port: 19600
memory_mb: 2048
shm_mb: 128
"""
KUBERNETES = "1.33"


def _containers(make_folder: MakeFolder, name: str, mode: str, door: str) -> Any:
    folder = read_module_folder(make_folder(door=door, more=MORE))
    return containers(folder, platforms.platform(name), mode)


@pytest.mark.needs("docker-compose")
def test_compose_reads_every_way_to_the_gpu(make_folder: MakeFolder, tmp_path: Path) -> None:
    tried = set()
    for name in ("nano-r32.1", "orin-r36", "x86_64-dgpu"):
        row = platforms.platform(name)
        for mode in (m for m in MODES if row.mode(m).value and m not in tried):
            tried.add(mode)
            file = tmp_path / "compose.yaml"
            written = compose_file(_containers(make_folder, name, mode, "webcam:0"))
            file.write_text(yaml.safe_dump(written, sort_keys=False))
            done = subprocess.run(
                ["docker-compose", "--file", str(file), "config"],
                env={**os.environ, "CAMERA_PASSWORD": "x"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            service = yaml.safe_load(done.stdout)["services"]["people"]
            assert service["image"].startswith("registry.example/people:1.2.3-")
            assert any("/dev/video0" in device for device in service["devices"])
    assert tried == set(MODES)


def test_compose_keeps_references(make_folder: MakeFolder) -> None:
    written = compose_file(_containers(make_folder, "orin-r36", "runtime", "rtsp://h/1"))
    service = written["services"]["people"]
    assert service["environment"]["CAMERA_PASSWORD"] == "${CAMERA_PASSWORD}"
    assert service["runtime"] == "nvidia"
    assert written["volumes"] == {"edgevision-people": {}}


def test_kubernetes_knows_every_object(make_folder: MakeFolder) -> None:
    made = _containers(make_folder, "x86_64-dgpu", "gpus", "rtsp://10.0.0.5/1")
    objects = kubernetes_objects(made, "cameras: {door: 'rtsp://10.0.0.5/1'}\n")
    kinds = [made["kind"] for made in objects]
    assert kinds == [
        "ConfigMap",
        "PersistentVolumeClaim",
        "Deployment",
        "Service",
        "ServiceMonitor",
    ]
    for made in objects:
        # The monitor is the Prometheus operator's kind, which Kubernetes itself does not know.
        if made["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(made, KUBERNETES, strict=True)


def test_kubernetes_gets_the_gpu_from_its_plugin(make_folder: MakeFolder) -> None:
    made = _containers(make_folder, "orin-r36", "runtime", "rtsp://10.0.0.5/1")
    deployment = kubernetes_objects(made, "")[2]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1, "memory": "2048Mi"}
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    # One identity, one outbox, one reader of the cameras.
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1
    assert pod["securityContext"]["fsGroup"] == 10001
    assert pod["terminationGracePeriodSeconds"] == 10
    probes = {key: container[key]["httpGet"]["path"] for key in container if "Probe" in key}
    assert probes == {
        "startupProbe": "/health",
        "readinessProbe": "/ready",
        "livenessProbe": "/health",
    }
    variables = {entry["name"]: entry for entry in container["env"]}
    assert variables["ZONE"]["value"] == "north"
    assert variables["CAMERA_PASSWORD"]["valueFrom"]["secretKeyRef"] == {
        "name": "people",
        "key": "CAMERA_PASSWORD",
    }


def test_kubernetes_has_no_camera_of_the_host(make_folder: MakeFolder) -> None:
    made = _containers(make_folder, "x86_64-dgpu", "gpus", "webcam:0")
    with pytest.raises(ConfigurationError, match="use a network camera"):
        kubernetes_objects(made, "")


def test_docker_run_is_one_line(make_folder: MakeFolder) -> None:
    made = _containers(make_folder, "nano-r32.1", "devices", "webcam:0")["people"]
    words = shlex.split(docker_run(made))
    assert words[:2] == ["docker", "run"]
    nodes = [words[n + 1] for n, word in enumerate(words) if word == "--device"]
    assert nodes == [*platforms.platform("nano-r32.1").docker_devices, "/dev/video0"]
    assert words[words.index("--memory") + 1] == "2048m"
    # The value comes from the shell that runs the line.
    assert "CAMERA_PASSWORD" in words
    assert made.image in words


def test_a_template_finds_the_module_from_where_it_is_written(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder()
    out = tmp_path / "made" / "deployment.template.json"
    out.parent.mkdir()
    line = ["manifest", str(folder), "--platform", "orin-r36", "--format", "template"]
    assert run([*line, "--out", str(out)]) == 0
    agent = json.loads(out.read_text())["modulesContent"]["$edgeAgent"]["properties.desired"]
    [module] = agent["modules"].values()
    place, architecture = module["settings"]["image"].removeprefix("${MODULEDIR<").split(">")
    assert architecture == ".arm64v8}"
    assert (out.parent / place / "module.json").resolve() == (folder / "module.json").resolve()


@pytest.mark.parametrize("form", ["compose", "kubernetes", "docker", "layered", "template"])
def test_every_form_is_written(
    form: str,
    make_folder: MakeFolder,
    secrets: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    folder = make_folder(door="rtsp://10.0.0.5/1")
    line = ["manifest", str(folder), "--platform", "orin-r36", "--gpu", "runtime", "--text"]
    assert run([*line, "--format", form]) == 0
    out = capfd.readouterr()[0]
    documents = list(yaml.safe_load_all(out)) if form in ("compose", "kubernetes") else [out]
    assert all(documents)
    if form in ("layered", "template"):
        assert json.loads(out)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "for which platform?"),
        (["--platform", "orin-r37"], "no such platform"),
        (["--platform", "orin-r36", "--format", "kuberntes"], "did you mean 'kubernetes'?"),
        (["--platform", "orin-r36", "--gpu", "gpus"], "no GPU access by 'gpus'"),
        (["--platform", "orin-r36"], "REGISTRY_USER is not set"),
        (["--check", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_cannot_be_is_said(
    line: list[str],
    message: str,
    make_folder: MakeFolder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("REGISTRY_USER", "REGISTRY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    folder = make_folder()
    monkeypatch.chdir(folder)
    assert run(["manifest", *line, "--text"]) == 2
    out, err = capfd.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert not out


def test_a_file_with_findings_exits_with_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"moduleContent": {}}')
    assert run(["manifest", "--check", str(file), "--json"]) == 1
    (line,) = capfd.readouterr()[0].splitlines()
    assert json.loads(line)["rule"] == "no-manifest"
    file.write_text("{\n]")
    assert run(["manifest", "--check", str(file), "--text"]) == 2
    assert "bad.json:2" in capfd.readouterr()[1]
