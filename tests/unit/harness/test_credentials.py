"""Tokens and the trust bundle, from the stand-in of the workload API and from a key."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgevision.errors import ConfigurationError
from edgevision.harness.credentials import (
    KeyCredentials,
    Token,
    WorkloadCredentials,
    clock_text,
)
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.transport import TransportError
from edgevision.testing.hub import HUB_NAME, Identities, WorkloadStandIn
from edgevision.testing.hub.identity import check_token


def _environment(workload: WorkloadStandIn, **changes: str) -> EdgeEnvironment:
    variables = workload.environment("dev.1", "door")
    return EdgeEnvironment.read({**variables, **changes})


@pytest.fixture
def workload() -> Iterator[WorkloadStandIn]:
    with WorkloadStandIn(Identities(), "-----BEGIN CERTIFICATE-----\nx\n") as standing:
        yield standing


async def test_a_token_is_one_that_the_hub_takes(workload: WorkloadStandIn) -> None:
    environment = _environment(workload)
    token = await WorkloadCredentials(environment).token(100, left_s=10)
    identity = workload.identities.find("dev.1/door")
    assert identity is not None
    assert check_token(token.text, identity, time.time()) == token.expires_s
    assert 98 < token.left_s <= 100
    assert "sig=" not in repr(token) + str(token) + f"{token}"


async def test_a_key_signs_the_same_token(workload: WorkloadStandIn, tmp_path: Path) -> None:
    environment = _environment(workload)
    identity = workload.identities.find("dev.1/door")
    assert identity is not None
    key = base64.b64encode(identity.key).decode()
    own = EdgeEnvironment(HUB_NAME, "dev.1", "door", "gateway", shared_access_key=key)
    token = await KeyCredentials(own).token(100, left_s=10)
    assert check_token(token.text, identity, time.time()) == token.expires_s
    assert environment.resource == own.resource


async def test_a_token_is_used_again_while_it_has_enough_left(workload: WorkloadStandIn) -> None:
    credentials = WorkloadCredentials(_environment(workload))
    first = await credentials.token(100, left_s=50)
    assert await credentials.token(100, left_s=50) is first
    assert await credentials.token(100, left_s=100) is not first
    assert workload.signed == 2


async def test_a_token_from_before_the_clock_was_set_back_is_not_used(
    workload: WorkloadStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = WorkloadCredentials(_environment(workload))
    first = await credentials.token(100, left_s=50)
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s - 1000)
    second = await credentials.token(100, left_s=50)
    assert second.expires_s < first.expires_s


async def test_the_trust_bundle_is_given_as_it_is(workload: WorkloadStandIn) -> None:
    credentials = WorkloadCredentials(_environment(workload))
    assert await credentials.ca() == workload.trust_bundle


async def test_a_workload_api_over_tcp_is_asked_as_well(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    port = unused_tcp_port_factory()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"GET /trust-bundle?api-version=2020-07-07 ")
        body = b'{"certificate": "-----BEGIN CERTIFICATE-----"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    environment = EdgeEnvironment("h", "d", "m", "g", "1", f"http://127.0.0.1:{port}", "2020-07-07")
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        assert "BEGIN" in await WorkloadCredentials(environment).ca()


async def test_a_socket_that_is_not_there_is_a_mistake_of_the_deployment(tmp_path: Path) -> None:
    environment = EdgeEnvironment("h", "d", "m", "g", "1", f"unix://{tmp_path}/no.sock", "v")
    with pytest.raises(ConfigurationError, match="IOTEDGE_WORKLOADURI") as caught:
        await WorkloadCredentials(environment).ca()
    assert "No such file" in str(caught.value)
    assert f"{tmp_path}/no.sock" in str(caught.value)


async def test_a_daemon_that_restarts_is_waited_for(tmp_path: Path) -> None:
    """A socket that nobody listens on any more is one that will be listened on again."""
    path = tmp_path / "workload.sock"
    server = await asyncio.start_unix_server(lambda r, w: None, str(path))
    path.rename(tmp_path / "left.sock")
    server.close()
    await server.wait_closed()
    environment = EdgeEnvironment("h", "d", "m", "g", "1", f"unix://{tmp_path}/left.sock", "v")
    with pytest.raises(TransportError, match="refused") as caught:
        await WorkloadCredentials(environment).ca()
    assert caught.value.fault == "offline"


async def test_a_daemon_that_does_not_answer_is_given_up_in_time(workload: WorkloadStandIn) -> None:
    workload.sign_delay_s = 5.0
    credentials = WorkloadCredentials(_environment(workload), timeout_s=0.2)
    with pytest.raises(TransportError, match=r"no answer within 0\.2 s") as caught:
        await credentials.token(100, left_s=10)
    assert caught.value.fault == "offline"


async def test_a_stale_generation_id_says_what_to_do(workload: WorkloadStandIn) -> None:
    environment = _environment(workload, IOTEDGE_MODULEGENERATIONID="old-one")
    with pytest.raises(ConfigurationError) as caught:
        await WorkloadCredentials(environment).token(100, left_s=10)
    for word in ("'door'", "'old-one'", "404", "iotedge restart", "this machine's clock says"):
        assert word in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_daemon_in_trouble_is_tried_again(workload: WorkloadStandIn, status: int) -> None:
    workload.sign_status = status
    with pytest.raises(TransportError, match=f"answered {status}") as caught:
        await WorkloadCredentials(_environment(workload)).token(100, left_s=10)
    assert caught.value.fault == "offline"


async def test_a_bundle_without_a_certificate_is_refused(workload: WorkloadStandIn) -> None:
    workload.trust_bundle = "nothing"
    with pytest.raises(TransportError, match="trust bundle"):
        await WorkloadCredentials(_environment(workload)).ca()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
async def test_a_certificate_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: Any
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    environment = EdgeEnvironment("h", "d", "m", "g", ca_file=str(path))
    with pytest.raises(ConfigurationError, match="EdgeModuleCACertificateFile"):
        await KeyCredentials(environment).ca()


async def test_a_key_that_is_none_is_not_shown() -> None:
    environment = EdgeEnvironment("h", "d", "m", "g", shared_access_key="not base64 !")
    with pytest.raises(ConfigurationError, match=r"is not base64$") as caught:
        await KeyCredentials(environment).token(100, left_s=10)
    assert "!" not in str(caught.value)


def test_a_clock_that_was_never_set_is_called_wrong() -> None:
    assert "1970-01-01 00:01:00 UTC, which is wrong" in clock_text(60.0)
    assert "wrong" not in clock_text()


def test_a_token_knows_when_it_ends() -> None:
    token = Token("secret", int(time.time()) + 60)
    assert 58 < token.left_s <= 60
