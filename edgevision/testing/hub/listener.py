"""Accepts connections for a hub, and ends them, on the hub's thread."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
import socket
import ssl

from edgevision.errors import ConfigurationError
from edgevision.testing.hub.broker import Broker
from edgevision.testing.hub.connection import Connection
from edgevision.testing.hub.faults import EndKind

__all__ = ["Listener", "bind"]

_BACKLOG = 128
_TRIES = 50
_HANDSHAKE_LIMIT_S = 30.0
_END_LIMIT_S = 5.0


class Listener:
    """One listening socket, TLS on every connection.

    Args:
        broker: where connections belong.
        context: the server's side of TLS.
    """

    def __init__(self, broker: Broker, context: ssl.SSLContext) -> None:
        self._broker = broker
        self._context = context
        self._socket: socket.socket | None = None
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def open(self) -> bool:
        """True while connections are accepted."""
        return self._socket is not None

    def listen(self, listening: socket.socket) -> None:
        """Begin to accept from a bound socket, which is owned from now on."""
        listening.setblocking(False)
        self._socket = listening
        self._broker.loop.add_reader(listening, self._accept, listening)

    def pause(self) -> None:
        """Leave new connections in the system's queue."""
        if self._socket is not None:
            self._broker.loop.remove_reader(self._socket)

    def resume(self) -> None:
        """End a `pause`."""
        if self._socket is not None:
            self._broker.loop.add_reader(self._socket, self._accept, self._socket)

    async def close(self, how: EndKind) -> None:
        """Accept nothing more and end every connection; harmless when closed."""
        listening, self._socket = self._socket, None
        if listening is not None:
            self._broker.loop.remove_reader(listening)
            listening.close()
        for connection in list(self._broker.connections):
            connection.end(how, "the hub went down")
        for accepted in self._handshakes.values():
            _shut(accepted)
        if self._handshakes:
            await asyncio.wait(list(self._handshakes), timeout=_END_LIMIT_S)
        try:
            await asyncio.wait_for(self._broker.empty.wait(), _END_LIMIT_S)
        except asyncio.TimeoutError:
            for connection in list(self._broker.connections):
                connection.abort()
            await self._broker.empty.wait()

    def _accept(self, listening: socket.socket) -> None:
        try:
            accepted, _ = listening.accept()
        except OSError:  # the client has left already
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._broker.loop.create_task(self._shake_hands(accepted))
        self._handshakes[task] = accepted
        task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        try:
            await self._broker.loop.connect_accepted_socket(
                lambda: Connection(self._broker),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_LIMIT_S,
            )
        except OSError as error:
            accepted.close()
            self._broker.tell("tls", None, reason=str(error) or type(error).__name__)


def bind(host: str | None, port: int) -> socket.socket:
    """Return a socket bound to ``host`` and ``port``.

    Args:
        host: an address; None for any in 127.0.0.0/8 on which the port is free, so that several
            hubs can have the same port (Linux; elsewhere 127.0.0.1 is the only one there is).
        port: 0 for any free one.

    Raises:
        ConfigurationError: it cannot be had.
    """
    if host is None:
        # Where to begin differs between processes, and where to go on from there between threads.
        numbers = random.Random(f"{os.getpid()} {next(_counter)}")
        hosts = [_loopback(numbers) for _ in range(_TRIES)] + ["127.0.0.1"]
    else:
        hosts = [host]
    failure: OSError | None = None
    for candidate in hosts:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # The port is free again at once after a connection was ended.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((candidate, port))
            bound.listen(_BACKLOG)
        except OSError as error:
            bound.close()
            failure = error
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                break
        else:
            return bound
    where = f"{host or '127.x.x.x'}:{port}"
    raise ConfigurationError(f"a hub cannot listen on {where}: {failure}") from failure


_counter = itertools.count()


def _loopback(numbers: random.Random) -> str:
    parts = (numbers.randrange(1, 255), numbers.randrange(256), numbers.randrange(1, 255))
    return "127." + ".".join(map(str, parts))


def _shut(accepted: socket.socket) -> None:
    try:
        accepted.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended by itself
        return
