"""Every rule of manifests: a document that breaks it, and what is said."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.deploy import platforms
from edgevision.deploy.manifest.check import check_manifest
from edgevision.deploy.manifest.create_options import chunked
from edgevision.deploy.manifest.document import template
from edgevision.deploy.manifest.module_folder import read_module_folder
from edgevision.deploy.manifest.twin_limits import twin_faults
from tests.unit.manifest import golden_file
from tests.unit.manifest.conftest import MakeFolder

NANO = json.loads((golden_file.FOLDER / "nano-r32.1-devices.json").read_text("utf-8"))
PC = json.loads((golden_file.FOLDER / "x86_64-dgpu-gpus.json").read_text("utf-8"))


def _agent(document: dict[str, Any]) -> dict[str, Any]:
    desired: dict[str, Any] = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    return desired


def _hub(document: dict[str, Any]) -> dict[str, Any]:
    desired: dict[str, Any] = document["modulesContent"]["$edgeHub"]["properties.desired"]
    return desired


def _people(document: dict[str, Any]) -> dict[str, Any]:
    module: dict[str, Any] = _agent(document)["modules"]["people"]
    return module


def _host(document: dict[str, Any], host: dict[str, Any]) -> None:
    image = _people(document)["settings"]["image"]
    _people(document)["settings"] = {"image": image, **chunked({"HostConfig": host})}


def _device(path: str, inside: str = "/dev/x", rights: object = "rwm") -> dict[str, Any]:
    return {
        "Devices": [{"PathOnHost": path, "PathInContainer": inside, "CgroupPermissions": rights}]
    }


def _second(document: dict[str, Any], host: dict[str, Any]) -> None:
    other = copy.deepcopy(_people(document))
    other["settings"] = {"image": "i:1", **chunked({"HostConfig": host})}
    _agent(document)["modules"]["other"] = other
    _hub(document)["routes"]["other"] = "FROM /messages/modules/other/* INTO $upstream"


Break = Callable[[dict[str, Any]], object]
BROKEN: list[tuple[str, Break, str]] = [
    ("no-manifest", lambda d: d.clear(), "wanted a manifest with modulesContent"),
    ("no-manifest", lambda d: d.update(moduleContent=d.pop("modulesContent")), "old preview"),
    ("schema", lambda d: _agent(d).pop("runtime"), "runtime is missing"),
    ("schema-version", lambda d: _agent(d).update(schemaVersion="1.2"), "refuses '1.2'"),
    ("schema", lambda d: _people(d).update(restartPolicy="allways"), "wanted one of never"),
    ("schema", lambda d: _people(d).update(restart="always"), "nobody knows restart here"),
    ("schema", lambda d: _people(d).update(startupOrder=-1), "-1"),
    ("schema", lambda d: _people(d).update(env={"A.B": {"value": "x"}}), "A.B"),
    ("schema", lambda d: _agent(d)["modules"].update({"a b": _people(d)}), "a b"),
    ("store-and-forward", lambda d: _hub(d).pop("storeAndForwardConfiguration"), "is missing"),
    (
        "schema-version",
        lambda d: (
            _hub(d).update(schemaVersion="1.0"),
            _hub(d)["routes"].update(r={"route": "FROM /* INTO $upstream", "priority": 1}),
        ),
        "schema 1.0 knows texts only",
    ),
    ("route", lambda d: _hub(d)["routes"].update(r="FROM /messages INTO $upstream"), "no such"),
    ("schema", lambda d: _hub(d)["routes"].update({"a b": "FROM /* INTO $upstream"}), "a b"),
    (
        "unknown-module",
        lambda d: _hub(d)["routes"].update(
            r='FROM /messages/modules/people/* INTO BrokeredEndpoint("/modules/peple/inputs/i")'
        ),
        "no module of the manifest is called 'peple', did you mean 'people'?",
    ),
    (
        "unknown-module",
        lambda d: d["modulesContent"].update(peopel={"properties.desired": {}}),
        "belong to no module",
    ),
    (
        "no-route",
        lambda d: _hub(d)["routes"].clear(),
        "no route takes what 'people' sends",
    ),
    ("image-tag", lambda d: _people(d)["settings"].update(image="r.example:5000/p"), "has no tag"),
    ("image-tag", lambda d: _people(d)["settings"].update(image="p:latest"), "newer one"),
    ("image-name", lambda d: _people(d)["settings"].update(image=" p:1"), "has spaces"),
    (
        "image-architecture",
        lambda d: _people(d)["settings"].update(image="r.example/p:1.0-amd64"),
        "is an image for amd64, and nano-r32.1 is arm64",
    ),
    ("create-options", lambda d: _people(d)["settings"].pop("createOptions01"), "is missing"),
    ("create-options", lambda d: _people(d)["settings"].update(createOptions="{"), "no JSON"),
    ("host-config", lambda d: _host(d, []), "must be an object"),  # type: ignore[arg-type]
    ("device-path", lambda d: _host(d, _device(" /dev/nvmap")), "stray spaces"),
    ("device-path", lambda d: _host(d, _device("dev/nvmap")), "must begin with '/'"),
    ("device-path", lambda d: _host(d, _device("/dev/a", "/dev/a ")), "stray spaces"),
    ("devices", lambda d: _host(d, _device("/dev/a", "/dev/a", "mrwx")), "letters of rwm"),
    ("devices", lambda d: _host(d, {"Devices": [{"PathOnHost": "/dev/a"}]}), "PathInContainer"),
    ("devices", lambda d: _host(d, {"Devices": "/dev/a"}), "must be a list"),
    (
        "device-requests",
        lambda d: _host(d, {"DeviceRequests": [{"Count": -1, "Capabilities": ["gpu"]}]}),
        "wanted a list of lists",
    ),
    (
        "device-requests",
        lambda d: _host(d, {"DeviceRequests": [{"Cound": -1}]}),
        "no 'Cound' here, did you mean 'Count'?",
    ),
    ("gpu-mode", lambda d: _host(d, {"DeviceRequests": [{"Count": -1}]}), "by 'gpus'"),
    ("gpu-mode", lambda d: _host(d, {"DeviceRequests": [{"Driver": "cdi"}]}), "by 'cdi'"),
    ("privileged", lambda d: _host(d, {"Privileged": True}), "everything on the host"),
    (
        "port-taken",
        lambda d: _second(d, {"PortBindings": {"1/tcp": [{"HostPort": "443"}]}}),
        "443/tcp of the host belongs to module 'edgeHub'",
    ),
    (
        "camera-taken",
        lambda d: _second(d, _device("/dev/video0", "/dev/video0")),
        "'people' has the camera",
    ),
    (
        "secret",
        lambda d: _people(d).update(env={"DSN": {"value": "HostName=h;SharedAccessKey=a1b2"}}),
        "looks like a secret",
    ),
    (
        "twin",
        lambda d: d["modulesContent"]["people"]["properties.desired"].update({"a.b": 1}),
        "a key has no '.'",
    ),
]


def test_the_originals_are_sound() -> None:
    assert check_manifest(NANO, platforms.platform("nano-r32.1")) == []
    assert check_manifest(PC, platforms.platform("x86_64-dgpu")) == []


@pytest.mark.parametrize(
    ("rule", "change", "message"), BROKEN, ids=[f"{n}-{b[0]}" for n, b in enumerate(BROKEN)]
)
def test_a_broken_rule_is_found(rule: str, change: Break, message: str) -> None:
    document = copy.deepcopy(NANO)
    change(document)
    found = check_manifest(document, platforms.platform("nano-r32.1"))
    assert [f for f in found if f.rule == rule and message in str(f)], [str(f) for f in found]
    assert all(finding.fix and finding.path for finding in found)
    assert "a1b2" not in "".join(map(str, found))


def test_a_template_may_have_placeholders(make_folder: MakeFolder) -> None:
    made = template(read_module_folder(make_folder()), platforms.platform("nano-r32.7"))
    assert check_manifest(made) == []


@pytest.mark.parametrize(
    ("twin", "message"),
    [
        ({"a": "x" * 4097}, "a text of 4097 bytes"),
        ({"a": {str(n): "x" * 4000 for n in range(9)}}, "more than 32768"),
        ({"a b": 1}, "' '"),
        ({"": 1}, "a key is empty"),
        ({"a": 2**53}, "beyond 2^52"),
        ([], "must be an object"),
    ],
)
def test_twin_limits(twin: Any, message: str) -> None:
    assert any(message in words for _, words in twin_faults(twin))


def test_ten_levels_are_fine_and_eleven_are_not() -> None:
    twin: dict[str, Any] = {"leaf": 1}
    for _ in range(9):
        twin = {"n": twin}
    assert list(twin_faults({"a": twin})) == []
    assert any("nested" in words for _, words in twin_faults({"a": {"b": twin}}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "modulesContent",
                    "$edgeAgent",
                    "$edgeHub",
                    "properties.desired",
                    "modules",
                    "settings",
                    "createOptions",
                    "routes",
                    "env",
                    "m",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JSON)
def test_any_json_is_judged(document: Any) -> None:
    assert check_manifest(document)


@given(st.data())
def test_a_manifest_with_a_part_replaced_is_judged(data: st.DataObject) -> None:
    document = copy.deepcopy(NANO)
    inner: Any = document
    while isinstance(inner, dict) and inner:
        key = data.draw(st.sampled_from(sorted(inner)))
        if not isinstance(inner[key], dict) or data.draw(st.booleans()):
            inner[key] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just([]))
            break
        inner = inner[key]
    check_manifest(document, platforms.platform("nano-r32.1"))
