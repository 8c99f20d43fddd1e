"""The workload API, asked as the SDK asks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import stat
from collections.abc import Iterator
from typing import Any

import pytest

from edgevision.testing.hub import HubStandIn, Identities, WorkloadStandIn
from tests.unit.cli.command import until


@pytest.fixture
def workload() -> Iterator[WorkloadStandIn]:
    with WorkloadStandIn(Identities(), "PEM", gateway="127.1.2.3") as started:
        yield started


def ask(workload: WorkloadStandIn, method: str, path: str, body: str = "") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(10)
        connection.sock.connect(str(workload.path))
        connection.request(method, path + "?api-version=2019-01-30", body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def request(**changed: str) -> str:
    data = base64.b64encode(b"what to sign").decode()
    return json.dumps({"keyId": "primary", "algo": "HMACSHA256", "data": data, **changed})


def sign_path(environment: dict[str, str]) -> str:
    module, generation = environment["IOTEDGE_MODULEID"], environment["IOTEDGE_MODULEGENERATIONID"]
    return f"/modules/{module}/genid/{generation}/sign"


def test_the_environment_is_what_edge_agent_gives(workload: WorkloadStandIn) -> None:
    environment = workload.environment("dev", "door")
    assert set(environment) == {
        "IOTEDGE_APIVERSION",
        "IOTEDGE_AUTHSCHEME",
        "IOTEDGE_DEVICEID",
        "IOTEDGE_GATEWAYHOSTNAME",
        "IOTEDGE_IOTHUBHOSTNAME",
        "IOTEDGE_MODULEGENERATIONID",
        "IOTEDGE_MODULEID",
        "IOTEDGE_WORKLOADURI",
    }
    assert environment["IOTEDGE_GATEWAYHOSTNAME"] == "127.1.2.3"
    assert environment["IOTEDGE_IOTHUBHOSTNAME"].endswith(".invalid")
    assert environment == workload.environment("dev", "door")


def test_the_trust_bundle(workload: WorkloadStandIn) -> None:
    assert ask(workload, "GET", "/trust-bundle") == (200, {"certificate": "PEM"})
    workload.trust_status = 503
    assert ask(workload, "GET", "/trust-bundle")[0] == 503


def test_signing(workload: WorkloadStandIn) -> None:
    environment = workload.environment("dev", "front door")
    path = sign_path(environment).replace(" ", "%20")
    key = workload.identities.register("dev", "front door").key
    digest = base64.b64encode(hmac.new(key, b"what to sign", hashlib.sha256).digest()).decode()
    assert ask(workload, "POST", path, request()) == (200, {"digest": digest})
    assert workload.signed == 1
    workload.sign_digest = "AAAA"
    assert ask(workload, "POST", path, request()) == (200, {"digest": "AAAA"})


@pytest.mark.parametrize(
    "body",
    ["not json", "[]", "{}", request(algo="MD5"), request(keyId="second"), request(data="%")],
)
def test_a_request_to_sign_that_makes_no_sense(workload: WorkloadStandIn, body: str) -> None:
    path = sign_path(workload.environment("dev", "door"))
    assert ask(workload, "POST", path, body)[0] == 400


def test_who_is_not_known_gets_no_signature(workload: WorkloadStandIn) -> None:
    path = sign_path(workload.environment("dev", "door"))
    assert ask(workload, "POST", path.replace("door", "window"), request())[0] == 404
    workload.identities.register("dev", "door").generation_id = "made anew"
    assert ask(workload, "POST", path, request())[0] == 404


def test_signing_that_fails_or_is_late(workload: WorkloadStandIn) -> None:
    path = sign_path(workload.environment("dev", "door"))
    workload.sign_status = 500
    assert ask(workload, "POST", path, request())[0] == 500
    workload.sign_status, workload.sign_delay_s = 200, 0.2
    assert ask(workload, "POST", path, request())[0] == 200


def test_stopping_ends_a_request_that_waits(workload: WorkloadStandIn) -> None:
    path = sign_path(workload.environment("dev", "door"))
    workload.sign_delay_s = 60.0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
        waiting.settimeout(10)
        waiting.connect(str(workload.path))
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request())}\r\n\r\n"
        waiting.sendall((head + request()).encode())
        until(lambda: workload.asked == 1)
        workload.stop()
        assert waiting.recv(100) == b""


def test_only_this_user_reaches_the_socket(workload: WorkloadStandIn) -> None:
    path = workload.path
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    workload.stop()
    workload.stop()
    assert not path.parent.exists()
    workload.start()


def test_a_hub_hands_out_its_own_certificate() -> None:
    with HubStandIn() as hub:
        assert ask(hub.workload, "GET", "/trust-bundle")[1] == {"certificate": hub.authority.pem}
