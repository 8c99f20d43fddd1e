"""The HTTP server behind the preview page, the health checks and the metrics."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Mapping

from aiohttp import web

from edgevision.errors import ConfigurationError
from edgevision.status import RunnerStatus
from edgevision.web.guard import is_loopback
from edgevision.web.site import Site
from edgevision.web.tap import PreviewTap

__all__ = ["WebServer"]

_LOG = logging.getLogger(__name__)

_SHUTDOWN_TIMEOUT_S = 0.25


class WebServer:
    """Serves the preview page, pictures, status, health and metrics.

    Everything runs on the event loop that calls `start`. On a loopback address, which is the
    default, only programs on this machine reach it, and foreign web pages opened on this machine
    are refused (see `edgevision.web.guard`). On any other address, everyone who reaches the
    machine sees the pictures: there is no password.

    Args:
        host: address or name of this machine to listen on.
        port: port; 0 takes any free one.
        status: returns the snapshot of this moment; called on the event loop.
        taps: returns the previews by camera of this moment; cameras may come and go.
        reading_timeout_s: a viewer who reads nothing for this long is cut off, in seconds.
        max_viewers: open video and event connections at most.

    Raises:
        ConfigurationError: the port is no port, or the host is empty.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        *,
        status: Callable[[], RunnerStatus],
        taps: Callable[[], Mapping[str, PreviewTap]],
        reading_timeout_s: float = 10.0,
        max_viewers: int = 64,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ConfigurationError(f"web.port must be 0 to 65535, got {port}")
        if not host.strip():
            raise ConfigurationError(
                "web.host must be an address of this machine: 127.0.0.1 for this machine only, "
                "0.0.0.0 for everyone who reaches it; it is empty"
            )
        self._host = host.strip().removeprefix("[").removesuffix("]")
        self._port = port
        self._site = Site(
            status=status,
            taps=taps,
            local=is_loopback(self._host),
            reading_timeout_s=reading_timeout_s,
            max_viewers=max_viewers,
        )
        self._runner: web.AppRunner | None = None
        self._address: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        """Address of the page, as a browser on this machine reaches it.

        Raises:
            RuntimeError: the server is not started.
        """
        if self._address is None:
            raise RuntimeError("the web server has no address before start()")
        host, port = self._address
        if host in ("0.0.0.0", "::"):
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}[host]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def local(self) -> bool:
        """True when only this machine reaches the server."""
        return is_loopback(self._host)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the port is in use or needs more rights, the host is no address of
                this machine or cannot be resolved.
        """
        runner = web.AppRunner(
            self._site.application,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(_reason(self._host, self._port, error)) from error
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._address = runner.addresses[0][:2]
        if not self.local:
            _LOG.warning(
                "the preview listens on %s port %d: everyone who reaches this machine sees the "
                "cameras, without a password",
                self._host,
                self._address[1],
            )

    async def stop(self) -> None:
        """Stop listening and cut off everyone who watches; harmless when not started."""
        runner, self._runner = self._runner, None
        self._address = None
        if runner is None:
            return
        for listener in list(runner.sites):
            await listener.stop()
        await self._site.end_viewers()
        await runner.cleanup()


def _reason(host: str, port: int, error: OSError) -> str:
    """Say in words why the server cannot listen, and the ways out."""
    wanted = f"the web server cannot listen on {host} port {port}"
    if isinstance(error, socket.gaierror):
        return (
            f"{wanted}: the name {host!r} cannot be resolved; set web.host to 127.0.0.1 (this "
            "machine only), 0.0.0.0 (everyone who reaches it) or an address of this machine"
        )
    if error.errno == errno.EADDRINUSE:
        return (
            f"{wanted}: another program uses the port; stop it, set web.port to another number, "
            "or to 0 for any free one"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{wanted}: permission denied; ports from 1024 on need no extra rights"
    # asyncio goes on to the host's next address; newer versions of it then say without a number
    # that there was none.
    if error.errno in (errno.EADDRNOTAVAIL, None):
        return (
            f"{wanted}: this machine has no such address; set web.host to 127.0.0.1 (this machine "
            "only) or 0.0.0.0 (everyone who reaches it)"
        )
    return f"{wanted}: {error.strerror or error}"
