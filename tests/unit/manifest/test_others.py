"""Manifests as other tools and people write them: what is fine is left alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from edgevision.cli.application import run
from edgevision.deploy import platforms
from edgevision.deploy.manifest.check import check_manifest
from edgevision.deploy.manifest.reading import read_manifest
from tests.unit.manifest import golden_file

NANO = json.loads((golden_file.FOLDER / "nano-r32.1-devices.json").read_text("utf-8"))


@pytest.fixture
def manifest() -> dict[str, Any]:
    """A sound manifest for one device, free to change."""
    document: dict[str, Any] = copy.deepcopy(NANO)
    return document


def _agent(document: dict[str, Any]) -> dict[str, Any]:
    desired: dict[str, Any] = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    return desired


def _module(image: str = "registry.example/people:1", **settings: Any) -> dict[str, Any]:
    return {
        "version": "1.0",
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "settings": {"image": image, **settings},
    }


def _layer(agent: Any, hub: Any = None, **modules: Any) -> dict[str, Any]:
    content = {"$edgeAgent": agent, **modules}
    if hub is not None:
        content["$edgeHub"] = hub
    return {"content": {"modulesContent": content}}


def _found(document: Any) -> list[tuple[str, str]]:
    return [(finding.severity, finding.rule) for finding in check_manifest(document)]


def _edge_hub(document: dict[str, Any]) -> dict[str, Any]:
    desired: dict[str, Any] = document["modulesContent"]["$edgeHub"]["properties.desired"]
    return desired


def test_options_in_lower_case_are_read(manifest: dict[str, Any]) -> None:
    settings = _agent(manifest)["modules"]["people"]["settings"]
    lower = {key.replace("createOptions", "createoptions"): v for key, v in settings.items()}
    _agent(manifest)["modules"]["people"]["settings"] = lower
    assert _found(manifest) == []
    lower["createoptions01"] = "}"
    assert _found(manifest) == [("error", "create-options")]


@pytest.mark.parametrize("options", ["", "{}", "null", '{"HostConfig": null}'])
def test_no_options_at_all_are_fine(options: str, manifest: dict[str, Any]) -> None:
    _agent(manifest)["modules"]["people"] = _module(createOptions=options)
    assert _found(manifest) == []


def test_a_deployment_of_the_az_command_is_wrapped(manifest: dict[str, Any]) -> None:
    wrapped = {
        "content": {"$schema": "https://registry.example/schema", **manifest},
        "metrics": {"queries": {"fine": "SELECT deviceId FROM devices"}},
    }
    assert _found(wrapped) == []
    _agent(wrapped["content"]).pop("runtime")
    (finding,) = check_manifest(wrapped)
    assert finding.path == "content.modulesContent.$edgeAgent.properties.desired"


@pytest.mark.parametrize(
    ("agent", "hub", "rules"),
    [
        ("1.0", "1.0", []),
        ("1.1", "1.1", []),
        ("1.1.0", "1.2", []),
        ("1.1", "1.3", []),
        ("1.2", "1.1", ["schema-version"]),
        ("1.10", "1.1", ["schema-version"]),
        ("9.0", "9.1", ["schema-version", "schema-version"]),
    ],
)
def test_versions_as_iot_edge_takes_them(
    agent: str, hub: str, rules: list[str], manifest: dict[str, Any]
) -> None:
    _agent(manifest)["schemaVersion"] = agent
    _edge_hub(manifest)["schemaVersion"] = hub
    assert [rule for _, rule in _found(manifest)] == rules


def test_what_works_but_hardly_as_meant_is_a_warning(manifest: dict[str, Any]) -> None:
    _agent(manifest)["modules"]["people"]["settings"]["image"] = "people"
    _edge_hub(manifest)["routes"]["gone"] = "FROM /messages/modules/People/* INTO $upstream"
    manifest["modulesContent"]["nobody"] = {"properties.desired": {}}
    assert _found(manifest) == [
        ("warning", "image-tag"),
        ("warning", "unknown-module"),
        ("warning", "unknown-module"),
    ]
    assert any("did you mean 'people'? Capitals count" in str(f) for f in check_manifest(manifest))


def test_warnings_count_where_they_are_to(
    manifest: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _agent(manifest)["modules"]["people"]["settings"]["image"] = "people"
    file = tmp_path / "m.json"
    file.write_text(json.dumps(manifest))
    assert run(["manifest", "--check", str(file), "--text"]) == 0
    assert "0 errors, 1 warnings" in capfd.readouterr()[0]
    assert run(["manifest", "--check", str(file), "--strict", "--text"]) == 1


def test_store_limits_are_known_to_edge_hub_alone(manifest: dict[str, Any]) -> None:
    _edge_hub(manifest)["storeAndForwardConfiguration"]["storeLimits"] = {"maxSizeBytes": 1000}
    assert _found(manifest) == [("warning", "store-and-forward")]


def test_an_environment_has_texts_numbers_and_truth_values(manifest: dict[str, Any]) -> None:
    module = _agent(manifest)["modules"]["people"]
    module["env"] = {
        name: {"value": value} for name, value in zip("ABC", ("x", 1.5, True), strict=True)
    }
    assert _found(manifest) == []
    module["env"]["D"] = {"value": None}
    assert _found(manifest) == [("error", "schema")]


def test_only_what_is_unknown_is_named(manifest: dict[str, Any]) -> None:
    _agent(manifest)["modules"]["people"]["settings"]["createOption"] = "{}"
    (finding,) = check_manifest(manifest)
    assert "nobody knows createOption here" in finding.message


def test_docker_does_not_look_at_capitals(manifest: dict[str, Any]) -> None:
    options = {"hostconfig": {"devicerequests": [{"Count": -1}], "privileged": True}}
    _agent(manifest)["modules"]["people"] = _module(createOptions=json.dumps(options))
    found = check_manifest(manifest, platforms.platform("orin-r36"))
    assert {finding.rule for finding in found} == {"privileged", "gpu-mode"}


def test_a_template_without_its_mark_is_known_by_its_images() -> None:
    layer = _layer(
        {
            "properties.desired.modules.people": _module(
                "${MODULES.people.arm64v8}", createOptions={"HostConfig": {}}
            )
        },
        {"properties.desired.routes.up": "FROM /messages/* INTO $upstream"},
    )
    read = read_manifest(layer)
    assert read.kind == "layered"
    assert read.template
    assert _found(layer) == []


def test_a_template_is_checked_as_a_whole(manifest: dict[str, Any]) -> None:
    template = {"$schema-template": "3.0.0", **manifest}
    agent = _agent(template)
    agent["schemaVersion"] = "${EDGEAGENT_SCHEMA_VERSION}"
    agent["modules"]["people"] = _module("${MODULES.people}", createOptions={"HostConfig": {}})
    agent["systemModules"]["edgeAgent"]["settings"]["createOptions"] = {}
    agent["runtime"]["settings"]["registryCredentials"]["main"]["address"] = "$REGISTRY"
    template["modulesContent"]["people"]["properties.desired"]["$CONTAINER"] = {"a": "$B"}
    assert _found(template) == []
    agent["modules"]["people"]["status"] = "${STATUS}"
    assert _found(template) == []
    agent["modules"]["people"]["status"] = "stoped"
    assert _found(template) == [("error", "schema")]
    agent["modules"]["people"]["status"] = "stopped"
    agent["systemModules"]["edgeHub"].pop("restartPolicy")
    assert _found(template) == [("error", "schema")]


def test_a_template_needs_no_edge_hub(manifest: dict[str, Any]) -> None:
    template = {"$schema-template": "3.0.0", **manifest}
    template["modulesContent"].pop("$edgeHub")
    assert {rule for _, rule in _found(template)} == {"no-route"}


def test_options_as_an_object_belong_into_templates(manifest: dict[str, Any]) -> None:
    _agent(manifest)["modules"]["people"] = _module(createOptions={"HostConfig": {}})
    assert {rule for _, rule in _found(manifest)} == {"create-options", "schema"}


@pytest.mark.parametrize(
    "layer",
    [
        _layer({"properties.desired.modules.people": _module()}),
        _layer({}, people={"properties.desired": {"a": 1}}),
        _layer({}, people={"properties.desired.a.b": 1, "properties.desired.a.c": 2}),
        _layer({"properties.desired.modules.people.status": "stopped"}),
        _layer({}, {"properties.desired.storeAndForwardConfiguration": {"timeToLiveSecs": 1}}),
        _layer(
            {"properties.desired": {"modules": {"people": _module()}}},
            {"properties.desired.routes.up": "from /messages/* INTO $upstream"},
        ),
        # The module of the route is one of a deployment below.
        _layer({}, {"properties.desired.routes.r": "FROM /messages/modules/x/* INTO $upstream"}),
    ],
)
def test_a_layer_may_hold_any_part(layer: dict[str, Any]) -> None:
    assert read_manifest(layer).kind == "layered"
    assert _found(layer) == []


@pytest.mark.parametrize(
    ("layer", "rule", "words"),
    [
        (_layer({"properties.desired.module.people": _module()}), "schema", "leads nowhere"),
        (_layer({"modules.people": _module()}), "schema", "leads nowhere"),
        (_layer({"properties.desired.modules.people": []}), "schema", "leads nowhere"),
        (_layer({}, {"properties.desired.route.up": "x"}), "schema", "leads nowhere"),
        (_layer({}, people={"property.desired.a": 1}), "schema", "leads nowhere"),
        (_layer({"properties.desired.modules.a b": _module()}), "schema", "a b"),
        (_layer({"properties.desired.modules.a": {"type": "docker"}}), "schema", "are missing"),
        (
            _layer({"properties.desired.systemModules.edgeHub": {"type": "docker"}}),
            "schema",
            "are missing",
        ),
        (
            _layer({"properties.desired.runtime.settings.registryCredentials.r": {}}),
            "schema",
            "address, username, password are missing",
        ),
        (_layer({}, {"properties.desired.routes.a b": "FROM /* INTO $upstream"}), "schema", "a b"),
        (_layer({}, {"properties.desired.routes.a": "FROM / INTO $upstream"}), "route", "source"),
        (_layer({}, people={"properties.desired.a": 1, "properties.desired.a.b": 2}), "twin", "."),
    ],
)
def test_a_mistake_in_a_layer(layer: dict[str, Any], rule: str, words: str) -> None:
    found = check_manifest(layer)
    assert [f for f in found if f.rule == rule and words in f.message], [str(f) for f in found]
