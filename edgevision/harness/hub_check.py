"""Look at a hub before the SDK does: is it there, and is it the one that it should be?

azure-iot-device tells "cannot connect" in one sentence whatever the cause, and waits for a silent
hub on the thread that all its clients share. A TCP connection and a TLS handshake of our own find
the cause within a time limit, for some milliseconds at each new connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from edgevision.errors import ConfigurationError
from edgevision.harness.credentials import clock_text
from edgevision.harness.transport import TransportError

__all__ = ["MQTT_PORT", "check_hub", "is_reachable"]

MQTT_PORT = 8883
"""The port that azure-iot-device connects to; it knows no other."""

# OpenSSL's X509_V_ERR_*.
_NOT_YET_VALID = 9
_EXPIRED = 10
_WRONG_HOST = 62
_WRONG_ADDRESS = 64


async def is_reachable(host: str, port: int = MQTT_PORT, *, timeout_s: float = 1.0) -> bool:
    """Tell whether a TCP connection can be made; raises nothing."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout_s)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.transport.abort()
    return True


async def check_hub(host: str, ca: str, *, timeout_s: float = 5.0, port: int = MQTT_PORT) -> None:
    """Make a TLS handshake as the SDK will, and end the connection.

    Args:
        host: IOTEDGE_GATEWAYHOSTNAME.
        ca: certificates that the hub's may be signed with, as PEM text.
        timeout_s: seconds for the whole.
        port: of the hub.

    Raises:
        ConfigurationError: the certificates do not fit each other or the host name.
        TransportError: the hub is not there now, or a clock is wrong.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The SDK speaks this version only.
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"the CA certificates for the hub (the trust bundle) cannot be read: {error}"
        ) from error
    where = f"{host}:{port}"
    try:
        _, writer = await asyncio.wait_for(
            asyncio.open_connection(host, port, ssl=context, server_hostname=host), timeout_s
        )
    except asyncio.TimeoutError:
        raise TransportError(
            f"the hub at {where} does not answer within {timeout_s:g} s", "offline"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise _certificate_error(where, host, error) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        reason = getattr(error, "reason", None) or str(error) or "the hub ended it"
        raise TransportError(
            f"no TLS 1.2 connection with the hub at {where}: {reason}", "offline"
        ) from error
    except socket.gaierror as error:
        raise TransportError(
            f"the hub's host name {host!r} (IOTEDGE_GATEWAYHOSTNAME) cannot be resolved: "
            f"{error.strerror}",
            "offline",
        ) from error
    except OSError as error:
        raise TransportError(
            f"cannot reach the hub at {where}: {error.strerror or error}", "offline"
        ) from error
    writer.close()
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), timeout_s)


def _certificate_error(
    where: str, host: str, error: ssl.SSLCertVerificationError
) -> ConfigurationError | TransportError:
    said = error.verify_message
    if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
        # Either the clock or the certificate is at fault, and both get better without us.
        return TransportError(
            f"the certificate of the hub at {where} does not count today ({said}); {clock_text()}",
            "unauthorized",
        )
    if error.verify_code in (_WRONG_HOST, _WRONG_ADDRESS):
        return ConfigurationError(
            f"the certificate of the hub at {where} is not one for the name {host!r} ({said}). "
            "IOTEDGE_GATEWAYHOSTNAME is what `hostname` in the device's config.toml says; "
            "edgeHub's certificate is made for that name when IoT Edge starts"
        )
    return ConfigurationError(
        f"the certificate of the hub at {where} is not signed by a CA that this module trusts "
        f"({said}). Look at `edge_ca` and `trust_bundle_cert` in the device's config.toml, and at "
        f"EdgeModuleCACertificateFile outside of IoT Edge"
    )
