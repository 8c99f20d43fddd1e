"""The edge environment: what is missing or wrong is named, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import ConfigurationError
from edgevision.harness.environment import CA_FILE, CONNECTION_STRING, VARIABLES, EdgeEnvironment
from edgevision.redaction import redact

_KEY = "bm90LWEtcmVhbC1rZXktYnV0LWxvbmc="
_EDGE = {
    "IOTEDGE_IOTHUBHOSTNAME": "hub.example",
    "IOTEDGE_DEVICEID": "jetson-7",
    "IOTEDGE_MODULEID": "door",
    "IOTEDGE_GATEWAYHOSTNAME": "gateway",
    "IOTEDGE_MODULEGENERATIONID": "637",
    "IOTEDGE_WORKLOADURI": "unix:///var/run/iotedge/workload.sock",
    "IOTEDGE_APIVERSION": "2020-07-07",
}
_STRING = (
    "HostName=hub.example;GatewayHostName=gateway;DeviceId=jetson-7;ModuleId=door;"
    f"SharedAccessKey={_KEY}"
)


@pytest.fixture
def ca(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\n")
    return str(path)


def test_the_variables_of_edge_agent_are_read() -> None:
    environment = EdgeEnvironment.read(_EDGE)
    assert environment.resource == "hub.example/devices/jetson-7/modules/door"
    assert environment.gateway == "gateway"
    assert environment.generation_id == "637"
    assert environment.workload_uri == "unix:///var/run/iotedge/workload.sock"
    assert environment.api_version == "2020-07-07"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _EDGE.items():
        monkeypatch.setenv(name, value)
    assert EdgeEnvironment.read() == EdgeEnvironment.read(_EDGE)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("value", [None, ""])
def test_one_missing_variable_is_named_alone(name: str, value: str) -> None:
    """The SDK reports a missing EdgeHubConnectionString instead."""
    given = {**_EDGE, name: value} if value is not None else dict(_EDGE)
    if value is None:
        del given[name]
    with pytest.raises(ConfigurationError, match=f"incomplete: {name} is not set") as caught:
        EdgeEnvironment.read(given)
    assert not any(other in str(caught.value) for other in VARIABLES if other != name)


def test_two_missing_variables_are_both_named() -> None:
    given = {k: v for k, v in _EDGE.items() if k not in ("IOTEDGE_DEVICEID", "IOTEDGE_APIVERSION")}
    with pytest.raises(
        ConfigurationError, match="IOTEDGE_DEVICEID, IOTEDGE_APIVERSION are not set"
    ):
        EdgeEnvironment.read(given)


def test_without_any_variable_every_way_out_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        EdgeEnvironment.read({})
    for word in (*VARIABLES, CONNECTION_STRING, CA_FILE, "edgevision simulate"):
        assert word in str(caught.value)


@pytest.mark.parametrize("uri", ["/var/run/workload.sock", "unix://relative", "https://x"])
def test_a_workload_uri_of_another_kind_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="IOTEDGE_WORKLOADURI is unix:///"):
        EdgeEnvironment.read({**_EDGE, "IOTEDGE_WORKLOADURI": uri})


@pytest.mark.parametrize("name", ["a/b", "a b", "a+b", "x" * 129])
def test_an_id_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="module id is up to 128"):
        EdgeEnvironment.read({**_EDGE, "IOTEDGE_MODULEID": name})


def test_a_connection_string_takes_their_place(ca: str) -> None:
    environment = EdgeEnvironment.read({CONNECTION_STRING: _STRING, CA_FILE: ca})
    assert environment.resource == "hub.example/devices/jetson-7/modules/door"
    assert environment.shared_access_key == _KEY
    assert _KEY not in repr(environment)
    assert _KEY not in redact(f"something odd: {_KEY}")


@pytest.mark.parametrize(
    ("left", "missing"), [(CONNECTION_STRING, CA_FILE), (CA_FILE, CONNECTION_STRING)]
)
def test_a_connection_string_and_its_certificate_go_together(left: Any, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{left} is set, but {missing} is not"):
        EdgeEnvironment.read({left: "x"})


@pytest.mark.parametrize("name", ["HostName", "GatewayHostName", "DeviceId", "ModuleId"])
def test_a_connection_string_lacks_nothing(name: str, ca: str) -> None:
    shorter = ";".join(p for p in _STRING.split(";") if not p.startswith(name + "="))
    with pytest.raises(ConfigurationError, match=f"lacks {name}") as caught:
        EdgeEnvironment.read({CONNECTION_STRING: shorter, CA_FILE: ca})
    assert _KEY not in str(caught.value)


@pytest.mark.parametrize("string", [_KEY, f"{_STRING};{_KEY}", f"HostName=a;Key={_KEY}"])
def test_what_is_no_connection_string_is_not_repeated(string: str, ca: str) -> None:
    with pytest.raises(ConfigurationError, match=r"its part \d is none of them") as caught:
        EdgeEnvironment.read({CONNECTION_STRING: string, CA_FILE: ca})
    assert _KEY.rstrip("=") not in str(caught.value)


def test_a_certificate_file_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match=f"{CA_FILE} names no file: /nowhere/ca.pem"):
        EdgeEnvironment.read({CONNECTION_STRING: _STRING, CA_FILE: "/nowhere/ca.pem"})
