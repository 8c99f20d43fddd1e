"""Why a hub cannot be connected to, found out before the SDK is asked."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from edgevision.errors import ConfigurationError
from edgevision.harness.hub_check import check_hub, is_reachable
from edgevision.harness.transport import TransportError
from edgevision.testing.hub import HubStandIn
from edgevision.testing.hub.authority import Authority
from tests.unit.harness.edge_bed import Recorder, connector, limit, off_loop

_HOUR = datetime.timedelta(hours=1)


@asynccontextmanager
async def tls_server(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Give the port of a server that accepts and says nothing more than TLS."""
    writers = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


async def test_a_hub_that_is_the_right_one_passes() -> None:
    with HubStandIn() as hub:
        await check_hub(hub.host, hub.authority.pem)
        assert not [event for event in hub.events if event.kind == "tls"]


async def test_a_hub_of_another_name_is_a_mistake_of_the_configuration() -> None:
    with (
        HubStandIn(certificate_names=["another.example"]) as hub,
        pytest.raises(ConfigurationError, match="IOTEDGE_GATEWAYHOSTNAME") as caught,
    ):
        await check_hub(hub.host, hub.authority.pem)
    assert hub.host in str(caught.value)
    assert "config.toml" in str(caught.value)


async def test_a_hub_of_another_ca_is_a_mistake_of_the_configuration() -> None:
    with (
        HubStandIn() as hub,
        pytest.raises(ConfigurationError, match="not signed by a CA that this module trusts"),
    ):
        await check_hub(hub.host, Authority().pem)


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [(-2 * _HOUR, -_HOUR, "expired"), (_HOUR, 2 * _HOUR, "not yet valid")],
)
async def test_a_certificate_out_of_its_time_names_the_clock(
    begins: Any, ends: Any, said: str
) -> None:
    """It is no mistake of the configuration: a device without a clock starts in 1970."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", not_before=now + begins, not_after=now + ends)
    async with tls_server(_context(leaf)) as port:
        with pytest.raises(TransportError, match=said) as caught:
            await check_hub("127.0.0.1", authority.cert_pem.bytes().decode(), port=port)
    assert caught.value.fault == "unauthorized"
    assert "this machine's clock says 20" in str(caught.value)


async def test_a_trust_bundle_that_is_none_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="trust bundle"):
        await check_hub("127.0.0.1", "-----BEGIN CERTIFICATE-----\nnothing\n")


async def test_a_hub_that_speaks_another_tls_is_named_as_such() -> None:
    authority = trustme.CA()
    context = _context(authority.issue_cert("127.0.0.1"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with tls_server(context) as port:
        with pytest.raises(TransportError, match=r"no TLS 1\.2 connection") as caught:
            await check_hub("127.0.0.1", authority.cert_pem.bytes().decode(), port=port)
    assert caught.value.fault == "offline"


async def test_a_hub_that_says_nothing_is_given_up_in_time() -> None:
    """The SDK waits for the keep-alive, on the thread that all its clients share."""
    async with tls_server(None) as port:
        with pytest.raises(TransportError, match=r"does not answer within 0\.2 s") as caught:
            await check_hub("127.0.0.1", Authority().pem, port=port, timeout_s=0.2)
    assert caught.value.fault == "offline"


async def test_a_hub_that_is_not_there_is_offline(unused_tcp_port: int) -> None:
    with pytest.raises(TransportError, match="cannot reach the hub at 127") as caught:
        await check_hub("127.0.0.1", Authority().pem, port=unused_tcp_port)
    assert caught.value.fault == "offline"
    assert not await is_reachable("127.0.0.1", unused_tcp_port)


async def test_a_name_that_cannot_be_resolved_is_offline() -> None:
    with pytest.raises(TransportError, match=r"'gateway\.invalid' .IOTEDGE_GATEWAY") as caught:
        await check_hub("gateway.invalid", Authority().pem)
    assert caught.value.fault == "offline"
    assert not await is_reachable("gateway.invalid")


async def test_a_hub_is_looked_for_without_a_handshake() -> None:
    with HubStandIn() as hub:
        assert await is_reachable(hub.host)
        await off_loop(hub.go_down)
        assert not await is_reachable(hub.host)


async def test_the_transport_says_it_in_the_same_words() -> None:
    with HubStandIn(certificate_names=["another.example"]) as hub:
        transport = connector(hub)()
        with pytest.raises(ConfigurationError, match="IOTEDGE_GATEWAYHOSTNAME"):
            async with limit():
                await transport.open(Recorder())
        await transport.close()


async def test_a_token_that_the_hub_finds_expired_names_the_clock() -> None:
    with HubStandIn() as hub:
        hub.clock_offset_s = 2 * 3600.0
        transport = connector(hub)()
        with pytest.raises(TransportError, match="this machine's clock says") as caught:
            async with limit():
                await transport.open(Recorder())
        await transport.close()
        assert caught.value.fault == "unauthorized"
        assert "edge-device/edgevision" in str(caught.value)
        assert "sig=" not in str(caught.value)
