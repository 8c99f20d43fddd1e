"""An answer that goes on: pictures or events for one client, as long as it reads them."""

from __future__ import annotations

import asyncio
import socket
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Channel", "ClientGone"]

# <linux/tcp.h>; Python has no name for it before 3.12.
_TCP_NOTSENT_LOWAT = 25
_NOTSENT_BYTES = 16 * 1024


class ClientGone(Exception):  # noqa: N818 - the normal end of a channel, no error
    """The client has closed the connection or has stopped reading."""


class Channel:
    """An HTTP answer without an end, in an ``async with`` block.

    `send` returns when the data has left this process, so whoever sends the newest picture next
    sends one that is new. The kernel is told to hold little unsent data: its default of megabytes
    would be seconds of old pictures on a slow network.

    Args:
        request: what is answered.
        content_type: type of the answer.
        timeout_s: a client that reads nothing for this long is cut off, in seconds.
    """

    def __init__(self, request: web.Request, content_type: str, *, timeout_s: float) -> None:
        self._request = request
        self._timeout_s = timeout_s
        self._response = web.StreamResponse(headers={"Content-Type": content_type})
        self._response.force_close()
        self._writer: AbstractStreamWriter | None = None

    @property
    def response(self) -> web.StreamResponse:
        """What the request's handler returns in the end."""
        return self._response

    async def send(self, data: bytes) -> None:
        """Send ``data`` and wait until the kernel has taken it.

        Raises:
            ClientGone: the connection is closed, or the client does not read.
        """
        if self._writer is None:
            raise RuntimeError("the channel is not open: use it in an async with block")
        try:
            await asyncio.wait_for(self._send(self._writer, data), self._timeout_s)
        except (asyncio.TimeoutError, ConnectionError) as error:
            raise ClientGone from error

    async def _send(self, writer: AbstractStreamWriter, data: bytes) -> None:
        await self._response.write(data)
        await writer.drain()

    async def __aenter__(self) -> Self:
        transport = self._request.transport
        if transport is None:
            raise ClientGone
        # Nothing may wait in the transport: drain() then means that all of it is sent.
        transport.set_write_buffer_limits(high=0)
        connection = transport.get_extra_info("socket")
        if sys.platform == "linux" and connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOTSENT_BYTES)
        self._writer = await self._response.prepare(self._request)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is not None and (transport := self._request.transport) is not None:
            # Closing in the usual way would wait for a client that does not read.
            transport.abort()
        # A client that goes is how most channels end.
        return isinstance(error, ClientGone)
