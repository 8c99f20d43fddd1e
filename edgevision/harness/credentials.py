"""What a module proves its identity with: tokens and the hub's CA, from IoT Edge or from a key.

The workload API is a small HTTP server of IoT Edge's security daemon, on a Unix socket that is
mounted into each module. It is asked here, on the event loop and under time limits, instead of by
azure-iot-device: that waits for ever, on the one thread which all its clients share, and gives up
renewing a token after one failure (iotedge's ``workload.yaml`` describes the two requests).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import urllib.parse
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import yarl

from edgevision.errors import ConfigurationError
from edgevision.harness.environment import CA_FILE, CONNECTION_STRING, EdgeEnvironment
from edgevision.harness.transport import TransportError
from edgevision.redaction import redact

__all__ = ["Credentials", "KeyCredentials", "Token", "WorkloadCredentials", "clock_text"]

# The oldest year that this code can have been installed in.
_CLOCK_IS_SET_S = datetime(2024, 1, 1, tzinfo=timezone.utc).timestamp()


def clock_text(now_s: float | None = None) -> str:
    """Return what this machine's clock says, and whether that can be, for an error message."""
    now_s = time.time() if now_s is None else now_s
    text = f"this machine's clock says {_utc(now_s)}"
    if now_s < _CLOCK_IS_SET_S:
        text += ", which is wrong: set it (NTP), certificates and tokens depend on it"
    return text


@dataclass(slots=True, frozen=True)
class Token:
    """A shared access signature.

    Attributes:
        text: the token itself, which ``repr`` and ``str`` do not show.
        expires_s: UTC seconds since 1970 at which it ends.
    """

    text: str
    expires_s: int

    def __repr__(self) -> str:
        return f"Token(until {_utc(self.expires_s)})"

    __str__ = __repr__

    @property
    def left_s(self) -> float:
        """Seconds until it ends, by this machine's clock; negative afterwards."""
        return self.expires_s - time.time()


class Credentials(ABC):
    """Signs tokens and knows the CA of the hub; used from one event loop."""

    def __init__(self, environment: EdgeEnvironment) -> None:
        self._environment = environment
        self._token: Token | None = None

    @abstractmethod
    async def ca(self) -> str:
        """Return the certificates that the hub's may be signed with, as PEM text.

        Raises:
            ConfigurationError: they cannot be had, now or later.
            TransportError: they cannot be had now.
        """

    @abstractmethod
    async def _sign(self, data: bytes) -> str:
        """Return the HMAC-SHA256 of ``data`` as base64."""

    async def token(self, life_s: float, *, left_s: float) -> Token:
        """Return a token for the module.

        Args:
            life_s: seconds for which a new one is made.
            left_s: seconds that the last one must have left to be returned again.

        Raises:
            ConfigurationError: none can be had, now or later.
            TransportError: none can be had now.
        """
        last = self._token
        # A clock that was set back makes a token that is good for too long, and that the hub may
        # have been told of while its clock was another.
        if last is not None and left_s < last.left_s <= life_s + 1:
            return last
        resource = urllib.parse.quote(self._environment.resource, safe="")
        expires_s = int(time.time() + life_s)
        signature = urllib.parse.quote(await self._sign(f"{resource}\n{expires_s}".encode()), "")
        text = f"SharedAccessSignature sr={resource}&sig={signature}&se={expires_s}"
        self._token = Token(text, expires_s)
        return self._token

    def forget(self) -> None:
        """Sign a new token next time, since the hub did not take the last one."""
        self._token = None


class KeyCredentials(Credentials):
    """Credentials from a connection string and a file; for a module outside of IoT Edge."""

    async def ca(self) -> str:
        """Return what the file holds."""
        try:
            return _read(self._environment.ca_file)
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                f"cannot read {self._environment.ca_file}, which {CA_FILE} names: {error}"
            ) from error

    async def _sign(self, data: bytes) -> str:
        try:
            key = base64.b64decode(self._environment.shared_access_key, validate=True)
        except ValueError:
            raise ConfigurationError(
                f"the SharedAccessKey in {CONNECTION_STRING} is not base64"
            ) from None
        return base64.b64encode(hmac.digest(key, data, hashlib.sha256)).decode()


class WorkloadCredentials(Credentials):
    """Credentials from IoT Edge's workload API.

    Args:
        environment: where it is, and who asks.
        timeout_s: seconds for each request.
    """

    def __init__(self, environment: EdgeEnvironment, *, timeout_s: float = 5.0) -> None:
        super().__init__(environment)
        self._timeout_s = timeout_s

    async def ca(self) -> str:
        """Ask for the trust bundle."""
        body = await self._ask("GET", "trust-bundle", None)
        certificate = body.get("certificate")
        if not isinstance(certificate, str) or "BEGIN CERTIFICATE" not in certificate:
            raise TransportError("the workload API gave a trust bundle without one", "offline")
        return certificate

    async def _sign(self, data: bytes) -> str:
        environment = self._environment
        module = urllib.parse.quote(environment.module, safe="")
        generation = urllib.parse.quote(environment.generation_id, safe="")
        body = await self._ask(
            "POST",
            f"modules/{module}/genid/{generation}/sign",
            {"keyId": "primary", "algo": "HMACSHA256", "data": base64.b64encode(data).decode()},
        )
        digest = body.get("digest")
        if not isinstance(digest, str) or not digest:
            raise TransportError("the workload API answered without a signature", "offline")
        return digest

    async def _ask(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        uri = self._environment.workload_uri
        connector: aiohttp.BaseConnector
        if uri.startswith("unix://"):
            connector = aiohttp.UnixConnector(uri[len("unix://") :])
            base = "http://workload"
        else:
            connector = aiohttp.TCPConnector()
            base = uri.rstrip("/")
        version = urllib.parse.quote(self._environment.api_version)
        url = yarl.URL(f"{base}/{path}?api-version={version}", encoded=True)
        doing = "cannot ask the workload API at " + redact(uri)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(self._timeout_s),
                    # The daemon takes the body as it is; the SDK names no type either.
                    skip_auto_headers=["Content-Type"],
                ) as session,
                session.request(
                    method, url, data=None if body is None else json.dumps(body).encode()
                ) as response,
            ):
                text = await response.text()
                if response.status >= 400:
                    self._refused(method, response.status, text)
        except asyncio.TimeoutError:
            raise TransportError(
                f"{doing}: no answer within {self._timeout_s:g} s", "offline"
            ) from None
        except aiohttp.ClientConnectorError as error:
            cause = error.os_error
            reason = cause.strerror or str(cause)
            if isinstance(cause, FileNotFoundError | PermissionError):
                raise ConfigurationError(
                    f"{doing} (IOTEDGE_WORKLOADURI): {reason}. IoT Edge mounts the socket into "
                    "the module's container; the user whom the module runs as must be allowed "
                    "to write to it"
                ) from error
            raise TransportError(f"{doing}: {reason}", "offline") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{doing}: {redact(str(error))}", "offline") from error
        try:
            decoded = json.loads(text)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise TransportError(f"{doing}: the answer is not a JSON object", "offline")
        return decoded

    def _refused(self, method: str, status: int, text: str) -> NoReturn:
        environment = self._environment
        try:
            reason = json.loads(text)["message"]
        except (ValueError, TypeError, KeyError):
            reason = text
        said = f"{status}, {redact(str(reason))[:200]!r}"
        if method == "POST" and 400 <= status < 500 and status not in (408, 429):
            raise ConfigurationError(
                f"IoT Edge signs nothing for module {environment.module!r} with generation id "
                f"{environment.generation_id!r} ({said}). The module was deleted or made anew "
                "since this container started: let edgeAgent recreate the container "
                f"(`iotedge restart edgeAgent`); {clock_text()}"
            )
        raise TransportError(f"the workload API answered {said}", "offline")


def _read(path: str) -> str:
    return Path(path).read_text(encoding="ascii")


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
