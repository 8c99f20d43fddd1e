"""Deploying and looking at a fleet, with a recorded stand-in for az."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from edgevision.cli.application import run
from edgevision.deploy import platforms
from edgevision.deploy.azure.fleet import fit_faults, read_fleet
from tests.unit.manifest import golden_file
from tests.unit.manifest.azure import AzStandIn

DOCUMENT = golden_file.FOLDER / "nano-r32.1-devices.json"
PASSWORD = "p4ss-w0rd"


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzStandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return AzStandIn(folder)


def _before() -> dict[str, Any]:
    content = json.loads(DOCUMENT.read_text())["modulesContent"]
    agent: dict[str, Any] = content["$edgeAgent"]["properties.desired"]
    return agent


def _twin(desired: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"desired": {**desired, "$version": 4}}}


def test_a_first_deployment_is_shown_and_applied(
    az: AzStandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    az.answer("set-modules", out="[]")
    assert run(["deploy", str(DOCUMENT), "--hub", "h", "--device", "d", "--text"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith(
        f"az iot edge set-modules --hub-name h --device-id d --content {DOCUMENT}"
    )
    assert "+ $edgeAgent.properties.desired.modules.people.settings.image" in out
    assert PASSWORD not in out + err
    assert az.content == json.loads(DOCUMENT.read_text())
    assert not list(tmp_path.glob("rollback*"))
    assert "edgevision fleet --hub h" in err


def test_a_second_one_shows_what_changes_and_keeps_what_was(
    az: AzStandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    agent = _before()
    agent["modules"]["people"]["settings"]["image"] = "registry.example/people:1.0.0"
    az.answer("module-twin", "$edgeAgent", out=_twin(agent))
    az.answer("module-twin", "people", out=_twin({"stages": {"motion": {"min_area": 1}}}))
    az.answer("set-modules", out="[]")
    assert run(["deploy", str(DOCUMENT), "--hub", "h", "--device", "d", "--text"]) == 0
    out, _ = capfd.readouterr()
    changed = [line for line in out.splitlines() if line.startswith("~")]
    assert len(changed) == 2
    assert '"registry.example/people:1.0.0" ->' in changed[0]
    assert changed[1].endswith("min_area: 1 -> 300")
    assert PASSWORD not in out
    rollback = tmp_path / "rollback-d.json"
    assert stat.S_IMODE(rollback.stat().st_mode) == 0o600
    kept = json.loads(rollback.read_text())["modulesContent"]
    assert kept["$edgeAgent"]["properties.desired"] == agent
    assert "$version" not in kept["$edgeAgent"]["properties.desired"]
    assert kept["people"]["properties.desired"] == {"stages": {"motion": {"min_area": 1}}}


def test_a_dry_run_changes_nothing(az: AzStandIn, tmp_path: Path) -> None:
    line = ["deploy", str(DOCUMENT), "--hub", "h", "--device", "d", "--dry-run"]
    assert run(line) == 0
    assert not any("set-modules" in call for call in az.calls)
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"err": "ERROR: Please run 'az login' to setup account.", "code": 1}, "run 'az login'"),
        (
            {"err": "ERROR: 'edge' is misspelled or not recognized by the system.", "code": 2},
            "az extension add --name azure-iot",
        ),
        ({"err": "ERROR: (InternalError) half-way", "code": 1}, "az ended with 1"),
        ({"out": "<html>", "code": 0}, "no JSON"),
    ],
)
def test_an_az_that_fails_leaves_nothing(
    answer: dict[str, Any],
    message: str,
    az: AzStandIn,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    az.answer("module-twin", "$edgeAgent", out=_twin(_before()))
    az.answer("set-modules", **answer)
    assert run(["deploy", str(DOCUMENT), "--hub", "h", "--device", "d", "--text"]) != 0
    _, err = capfd.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"bin"}


def test_az_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["deploy", str(DOCUMENT), "--hub", "h", "--device", "d", "--text"]) != 0
    assert "'az' is not installed" in capfd.readouterr()[1]


def test_a_deployment_at_scale(az: AzStandIn, capfd: pytest.CaptureFixture[str]) -> None:
    az.answer("create", out={"id": "n"})
    condition = "tags.site='north'"
    line = ["deploy", str(DOCUMENT), "--hub", "h", "--target", condition, "--name", "n"]
    assert run([*line, "--text"]) == 0
    created = next(call for call in az.calls if "create" in call)
    assert created[created.index("--target-condition") + 1] == condition
    assert "--layered" not in created
    assert "tags.site=" in capfd.readouterr()[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--hub", "h"], "where to?"),
        (["--hub", "h", "--target", "x", "--device", "d"], "where to?"),
        (["--hub", "h", "--target", "x"], "needs a name"),
        (["--hub", "h", "--device", "d", "--platform", "nano"], "nano-r32.1"),
        (["--hub", "h", "--device", "d", "--platform", "x86_64-dgpu"], "is an image for"),
    ],
)
@pytest.mark.usefixtures("az")
def test_a_request_that_makes_no_sense(
    line: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(DOCUMENT.read_text())
    modules = document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    modules["people"]["settings"]["image"] = "registry.example/people:1.0-arm64"
    file = tmp_path / "m.json"
    file.write_text(json.dumps(document))
    assert run(["deploy", str(file), *line, "--text"]) == 2
    assert message in capfd.readouterr()[1]


def _module_twin(device: str, **facts: Any) -> dict[str, Any]:
    return {
        "deviceId": device,
        "moduleId": "people",
        "connectionState": "Connected",
        "properties": {
            "desired": {"$version": 7},
            "reported": {
                "desired": {"version": 7, "applied_version": 7, "status": "applied"},
                "device": {"edgevision": "0.1.0", "arch": "aarch64", **facts},
                "cameras": {"door": {"state": "live"}, "yard": {"state": "backing off"}},
            },
        },
    }


def test_a_fleet_is_shown(az: AzStandIn, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    twins = [
        _module_twin("b", l4t="32.7.6", sm=["5.3"]),
        _module_twin("a", l4t="36.5.0", sm=["8.7"], model="Orin"),
    ]
    az.answer("query", out=twins)
    assert run(["fleet", "--hub", "h", "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr()[0].splitlines()]
    assert [line["device"] for line in lines] == ["a", "b"]
    assert lines[0]["live"] == 1
    assert lines[0]["current"]
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(twins))
    assert run(["fleet", str(file), "--platform", "orin-r36", "--text"]) == 1
    out = capfd.readouterr()[0]
    assert "2 modules, 2 cameras live" in out
    assert "compute capability" in " ".join(out.split())


@pytest.mark.parametrize(
    ("facts", "platform", "faults"),
    [
        ({"l4t": "36.4.3", "sm": ["8.7"]}, "orin-r36", []),
        ({"l4t": "35.6.0", "sm": ["8.7"]}, "orin-r36", ["one major release"]),
        ({"l4t": "36.5.0", "sm": ["7.2"]}, "orin-r36", ["compute capability 7.2"]),
        ({"arch": "x86_64", "sm": ["9.0"]}, "orin-r36", ["processor is amd64", "no Jetson"]),
        ({"l4t": "36.5.0", "sm": ["8.7"]}, "x86_64-dgpu", ["processor is arm64", "is a Jetson"]),
        ({}, "sbsa-arm64", []),
    ],
)
def test_what_a_release_fits(facts: dict[str, Any], platform: str, faults: list[str]) -> None:
    (report,) = read_fleet([_module_twin("d", **facts)])
    found = fit_faults(report, platforms.platform(platform))
    for fault in faults:
        assert any(fault in text for text in found), found
    if not faults:
        assert found == []


@pytest.mark.parametrize("answer", [{}, [1], [{"deviceId": "d"}]])
def test_an_answer_that_is_none(
    answer: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    assert run(["fleet", str(file), "--text"]) == 2
    assert "wanted" in capfd.readouterr()[1]
