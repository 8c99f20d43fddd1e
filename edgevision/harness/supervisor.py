"""Keeps a module connected for months: opens transports, replaces each that has come to its end.

Whoever sends, reports or asks for the twin does so here and need not know that transports change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from edgevision.errors import ConfigurationError
from edgevision.harness.transport import (
    Handlers,
    InputMessage,
    MethodAnswer,
    MethodCall,
    Packet,
    Transport,
    TransportError,
    TransportFactory,
    TransportFault,
    Twin,
)
from edgevision.redaction import redact
from edgevision.runner.backoff import Backoff

__all__ = [
    "ConnectionStatus",
    "Supervisor",
    "SupervisorHandlers",
    "SupervisorSettings",
]

_log = logging.getLogger(__name__)

_State = Literal["connecting", "connected", "backing off", "stopped"]


class SupervisorHandlers(Handlers, Protocol):
    """`Handlers`, and what only somebody can say who has seen all connections."""

    def on_twin(self, twin: Twin) -> None:
        """Take the whole twin.

        Called after each connect, before anything else that came, and whenever it turns out that a
        patch was missed. Its version may be lower than before, if the module was made anew.
        """


@dataclass(slots=True, frozen=True)
class SupervisorSettings:
    """Times of a `Supervisor`, in seconds.

    Attributes:
        first_retry_s: longest first wait after a failure; it doubles each time.
        longest_retry_s: longest wait.
        stable_after_s: a connection that stood for as long makes waits begin at the first again.
        reachable_every_s: how often a hub that is away is looked for.
        probe_every_s: how often the twin is asked for, to see whether the hub still knows us.
        drain_s: a transport that still works when it is replaced has as long to finish.
        close_timeout_s: for closing a transport.
        give_up_after_s: the hub is there and every attempt fails for as long: `Supervisor.run`
            raises. edgeAgent restarts a module twenty times and forgets of it once the module has
            run for ten minutes; so this is to be longer.
    """

    first_retry_s: float = 0.25
    longest_retry_s: float = 30.0
    stable_after_s: float = 5.0
    reachable_every_s: float = 0.2
    probe_every_s: float = 180.0
    drain_s: float = 5.0
    close_timeout_s: float = 2.0
    give_up_after_s: float = 900.0


@dataclass(slots=True, frozen=True)
class ConnectionStatus:
    """What a `Supervisor` is doing, counted from its start.

    Attributes:
        state: ``connecting``, ``connected``, ``backing off`` or ``stopped``.
        since_s: UTC seconds since 1970 at which that state began.
        connections: how often a connection came about.
        lost: ends of connections by reason: the first word of what `Transport.lost` said, or
            ``session`` when the hub did not answer a twin request.
        failures: attempts that failed, by `TransportFault` or ``configuration``.
        last_error: why there is or was no connection, in words for people, without credentials.
        in_flight: messages sent and not acknowledged.
    """

    state: _State = "connecting"
    since_s: float = field(default_factory=time.time)
    connections: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    last_error: str = ""
    in_flight: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable values."""
        return asdict(self)


class Supervisor:
    """Owns the transport.

    Everything runs on one event loop. `run` keeps the connection until it is cancelled, or `stop`
    is called.

    Args:
        factory: makes transports.
        handlers: gets what the hub sends.
        settings: times.
        reachable: tells cheaply whether the hub can be reached at all; None if nothing can. With
            it a connection is back as soon as the hub is, however long the waits have become.
    """

    def __init__(
        self,
        factory: TransportFactory,
        handlers: SupervisorHandlers,
        settings: SupervisorSettings | None = None,
        *,
        reachable: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._factory = factory
        self._handlers = handlers
        self._settings = settings or SupervisorSettings()
        self._reachable = reachable
        self._relay = _Relay(handlers, self._regate)
        # Made at once, since it knows sizes.
        self._transport = factory()
        # Set while messages may go to the transport.
        self._open = asyncio.Event()
        self._serving = False
        self._stopping = asyncio.Event()
        self._opening: asyncio.Task[Any] | None = None
        self._probe_now = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._users = 0
        self._in_flight = 0
        self._state: _State = "connecting"
        self._since_s = time.time()
        self._connections = 0
        self._lost: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._last_error = ""
        self._backoff = Backoff(self._settings.first_retry_s, self._settings.longest_retry_s)
        self._failing_since_s: float | None = None

    # For whoever uses the connection

    @property
    def connected(self) -> bool:
        """True while there is a connection that takes messages."""
        return self._open.is_set() and self._transport.connected

    async def ready(self) -> None:
        """Return once there is a connection that takes messages.

        Raises:
            TransportError: ``offline``: the supervisor has ended.
        """
        await self._ready()

    async def send(self, packet: Packet) -> None:
        """Wait for a connection, send ``packet``, and return once it is acknowledged.

        Raises:
            TransportError: see `Transport.send`; also ``offline`` once stopped.
        """
        async with self._in_use() as transport:
            self._in_flight += 1
            try:
                await transport.send(packet)
            finally:
                self._in_flight -= 1

    async def twin(self) -> Twin:
        """Wait for a connection and return the whole twin; raises as `Transport.twin`."""
        async with self._in_use() as transport:
            return await self._asked(transport)

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Wait for a connection and merge ``patch`` into the reported properties.

        Raises:
            TransportError: see `Transport.report`.
        """
        async with self._in_use() as transport:
            try:
                await transport.report(patch)
            except TransportError as error:
                if error.fault == "uncertain":
                    self._probe_now.set()
                raise

    def wire_size(self, packet: Packet) -> int:
        """See `Transport.wire_size`."""
        return self._transport.wire_size(packet)

    @property
    def max_wire_size(self) -> int:
        """See `Transport.max_wire_size`."""
        return self._transport.max_wire_size

    def status(self) -> ConnectionStatus:
        """Return what the connection is doing."""
        return ConnectionStatus(
            state=self._state,
            since_s=self._since_s,
            connections=self._connections,
            lost=dict(self._lost),
            failures=dict(self._failures),
            last_error=self._last_error,
            in_flight=self._in_flight,
        )

    @contextlib.asynccontextmanager
    async def _in_use(self) -> AsyncIterator[Transport]:
        """Wait for a connection and give the transport, which stays while it is in use."""
        transport = await self._ready()
        self._users += 1
        self._idle.clear()
        try:
            yield transport
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def _ready(self) -> Transport:
        while True:
            if self._state == "stopped":
                raise TransportError("the connection is closed", "offline")
            if self._open.is_set():
                return self._transport
            await self._open.wait()

    def _regate(self) -> None:
        """Let messages pass if there is a connection for them; called at each change of that."""
        if self._serving and self._transport.connected:
            self._open.set()
        else:
            self._open.clear()

    async def _asked(self, transport: Transport) -> Twin:
        """Ask for the twin; hand it on if it is newer than what has come."""
        twin = await transport.twin()
        if transport is self._transport and twin.version > self._relay.version:
            _log.warning("a change of the desired properties was missed, and is found now")
            self._relay.take(twin)
        return twin

    # Keeping the connection

    async def run(self) -> None:
        """Keep a connection until `stop`.

        Raises:
            ConfigurationError: it cannot work, and never has since the start.
            TransportError: the hub is there, and nothing has worked for many minutes. The process
                is to exit with an error, so that edgeAgent starts it anew.
        """
        try:
            while not self._stopping.is_set():
                wait_s = await self._attempt()
                if self._stopping.is_set():
                    break
                self._transport = self._factory()
                if wait_s > 0:
                    self._enter("backing off")
                    await self._wait(wait_s)
                self._enter("connecting")
        finally:
            self._stopping.set()
            self._enter("stopped")
            self._open.set()  # whoever waits is told

    async def stop(self) -> None:
        """End `run`, which closes the connection; send what is to be sent before."""
        self._stopping.set()
        if self._opening is not None:
            self._opening.cancel()

    async def _attempt(self) -> float:
        """Open the transport, use it to its end, close it; return how long to wait then."""
        transport = self._transport
        # In this very task, so that the twin is handed on before what came after it.
        self._opening = asyncio.current_task()
        try:
            twin = await transport.open(self._relay)
        except Exception as error:
            await transport.close(self._settings.close_timeout_s)
            return self._failed(error)
        except asyncio.CancelledError:
            await transport.close(self._settings.close_timeout_s)
            if self._stopping.is_set():
                return 0.0
            raise
        finally:
            self._opening = None
        began_s = time.monotonic()
        try:
            self._connections += 1
            self._failing_since_s = None
            self._enter("connected")
            self._relay.take(twin)
            self._probe_now.clear()
            self._serving = True
            self._regate()
            _log.info("connected with the hub (connection %d)", self._connections)
            reason = await self._until_lost(transport)
            self._serving = False
            self._regate()
            if transport.connected:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), self._settings.drain_s)
        finally:
            self._serving = False
            self._regate()
            await transport.close(self._settings.close_timeout_s)
        if self._stopping.is_set():
            return 0.0
        kind = reason.partition(":")[0]
        self._lost[kind] += 1
        if kind == "token":
            _log.info("the connection is made anew with a new token")
            return 0.0
        self._last_error = redact(reason)
        _log.warning("connection lost: %s", self._last_error)
        if time.monotonic() - began_s >= self._settings.stable_after_s:
            self._backoff.reset()
        elif self._backoff.attempts == 5:
            _log.warning(
                "connections end soon after they are made, time and again; does another client "
                "use the identity of this module?"
            )
        return self._backoff.next_s()

    def _failed(self, error: Exception) -> float:
        """Count a failed attempt; return how long to wait, or raise if there is no use."""
        fault: TransportFault | Literal["configuration"] = "broken"
        if isinstance(error, TransportError):
            fault = error.fault
        elif isinstance(error, ConfigurationError):
            fault = "configuration"
        else:
            _log.error("unexpected while connecting", exc_info=error)
        self._failures[fault] += 1
        if fault == "configuration" and not self._connections:
            raise error
        text = redact(f"{type(error).__name__}: {error}" if fault == "broken" else str(error))
        if text != self._last_error:
            _log.warning("no connection: %s", text)
        self._last_error = text
        now_s = time.monotonic()
        if fault == "offline":
            # A restart of this process would not bring the hub back.
            self._failing_since_s = None
        elif self._failing_since_s is None:
            self._failing_since_s = now_s
        elif now_s - self._failing_since_s >= self._settings.give_up_after_s:
            raise TransportError(
                f"no connection for {self._settings.give_up_after_s / 60:.0f} minutes although the "
                f"hub is there; last: {text}",
                "broken",
            ) from error
        return self._backoff.next_s()

    async def _until_lost(self, transport: Transport) -> str:
        tasks = {
            asyncio.ensure_future(transport.lost()),
            asyncio.ensure_future(self._probe(transport)),
            asyncio.ensure_future(self._stopped()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stopped(self) -> str:
        await self._stopping.wait()
        return "stopped"

    async def _probe(self, transport: Transport) -> str:
        """Ask for the twin now and then; return once the hub does not answer."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._probe_now.wait(), self._settings.probe_every_s)
            self._probe_now.clear()
            try:
                await self._asked(transport)
            except TransportError as error:
                if error.fault == "uncertain":
                    return f"session: {error}"
                _log.debug("twin request: %s", error)

    async def _wait(self, wait_s: float) -> None:
        """Wait; shorter if the hub was away and comes back, or on `stop`."""
        ends_s = time.monotonic() + wait_s
        was_away = False
        while (left_s := ends_s - time.monotonic()) > 0 and not self._stopping.is_set():
            if self._reachable is not None:
                if not await self._reachable():
                    was_away = True
                elif was_away:
                    return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(
                    self._stopping.wait(), min(left_s, self._settings.reachable_every_s)
                )

    def _enter(self, state: _State) -> None:
        self._state = state
        self._since_s = time.time()


class _Relay:
    """Handlers in between, which know the newest version of the desired properties."""

    def __init__(self, handlers: SupervisorHandlers, regate: Callable[[], None]) -> None:
        self._handlers = handlers
        self._regate = regate
        self.version = 0

    def take(self, twin: Twin) -> None:
        self.version = twin.version
        try:
            self._handlers.on_twin(twin)
        except Exception:
            _log.exception("a handler of the module twin failed")

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        version = int(patch.get("$version", self.version + 1))
        if version > self.version:
            self.version = version
            self._handlers.on_desired(patch)

    async def on_method(self, call: MethodCall) -> MethodAnswer:
        return await self._handlers.on_method(call)

    def on_input(self, message: InputMessage) -> None:
        self._handlers.on_input(message)

    def on_connection(self, connected: bool) -> None:
        self._regate()
        self._handlers.on_connection(connected)
