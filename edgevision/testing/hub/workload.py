"""A stand-in of the workload API, with which a module gets its trust bundle and its signatures."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgevision.testing.hub.identity import HUB_NAME, Identities, Identity
from edgevision.testing.hub.loop_thread import LoopThread

if TYPE_CHECKING:
    from aiohttp import web
    from typing_extensions import Self

__all__ = ["API_VERSION", "WorkloadStandIn"]

API_VERSION = "2020-07-07"
"""What modules are told; any version is answered."""

# Longest path of a unix socket on Linux, the ending NUL left out.
_LONGEST_PATH = 107


class WorkloadStandIn:
    """Serves ``/trust-bundle`` and ``/modules/M/genid/G/sign`` on a unix socket.

    It runs on a thread of its own, since the SDK calls it with blocking calls. The switches may be
    turned from any thread, at any time.

    Args:
        identities: the modules that it signs for; share them with a hub.
        trust_bundle: certificates in PEM that modules are told to trust.
        gateway: name of the host where modules find the hub.

    Attributes:
        trust_bundle: set it to hand out another one from now on.
        sign_status: answer requests to sign with this HTTP status, unless it is 200.
        trust_status: the same for the trust bundle.
        sign_delay_s: answer requests to sign so late.
        sign_digest: answer with this digest in place of the right one, unless it is "".
        asked: how many requests to sign came.
        signed: how many signatures were given.
    """

    def __init__(
        self, identities: Identities, trust_bundle: str = "", *, gateway: str = "localhost"
    ) -> None:
        self.identities = identities
        self.trust_bundle = trust_bundle
        self.gateway = gateway
        self.sign_status = 200
        self.trust_status = 200
        self.sign_delay_s = 0.0
        self.sign_digest = ""
        self.asked = 0
        self.signed = 0
        self._thread = LoopThread("workload stand-in")
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def path(self) -> Path:
        """The socket.

        Raises:
            RuntimeError: it is not started.
        """
        if self._folder is None:
            raise RuntimeError("the workload stand-in is not running")
        return Path(self._folder.name) / "workload.sock"

    @property
    def uri(self) -> str:
        """The socket, as modules are told."""
        return f"unix://{self.path}"

    def start(self) -> None:
        """Begin to serve, in a new folder that only this user can enter."""
        if self._folder is not None:
            raise RuntimeError("the workload stand-in is running already")
        self._folder = tempfile.TemporaryDirectory(prefix="edgevision-")
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            too_long = self.path
            self._folder.cleanup()
            self._folder = None
            raise OSError(f"{too_long} is too long for a unix socket; set TMPDIR to a shorter path")
        self._thread.start()
        self._thread.run(self._serve())

    def stop(self) -> None:
        """Stop serving, the socket is gone afterwards; harmless when stopped."""
        if self._folder is None:
            return
        self._thread.run(self._close())
        self._thread.stop()
        self._folder.cleanup()
        self._folder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self, device: str, module: str) -> dict[str, str]:
        """Return the variables that edgeAgent gives to a module; nothing is set.

        The module is made known if it is not yet.
        """
        identity = self.identities.register(device, module)
        return {
            "IOTEDGE_IOTHUBHOSTNAME": HUB_NAME,
            "IOTEDGE_GATEWAYHOSTNAME": self.gateway,
            "IOTEDGE_DEVICEID": identity.device,
            "IOTEDGE_MODULEID": identity.module,
            "IOTEDGE_MODULEGENERATIONID": identity.generation_id,
            "IOTEDGE_WORKLOADURI": self.uri,
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    async def _serve(self) -> None:
        from aiohttp import web

        application = web.Application()
        application.router.add_get("/trust-bundle", self._trust)
        application.router.add_post("/modules/{module}/genid/{generation}/sign", self._sign)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.path)).start()

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _trust(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if self.trust_status != 200:
            return _problem(self.trust_status, "the trust bundle cannot be had")
        return web.json_response({"certificate": self.trust_bundle})

    async def _sign(self, request: web.Request) -> web.Response:
        from aiohttp import web

        self.asked += 1
        if self.sign_delay_s:
            await asyncio.sleep(self.sign_delay_s)
        if self.sign_status != 200:
            return _problem(self.sign_status, "signing does not work")
        identity = self.identities.find_generation(
            request.match_info["module"], request.match_info["generation"]
        )
        if identity is None:
            return _problem(404, "there is no such module, or its generation id has changed")
        try:
            digest = _digest(json.loads(await request.read()), identity)
        except (ValueError, TypeError, KeyError) as error:
            return _problem(400, f"wanted keyId, algo HMACSHA256 and data in base64: {error}")
        self.signed += 1
        return web.json_response({"digest": self.sign_digest or digest})


def _digest(asked: Any, identity: Identity) -> str:
    if asked["algo"] != "HMACSHA256" or asked["keyId"] != "primary":
        raise ValueError(f"keyId {asked['keyId']!r}, algo {asked['algo']!r}")
    return identity.sign(base64.b64decode(asked["data"], validate=True))


def _problem(status: int, message: str) -> web.Response:
    from aiohttp import web

    return web.json_response({"message": message}, status=status)
