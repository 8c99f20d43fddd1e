"""IoT Hub through edgeHub: an outbox on the disk, and a connection that is kept for months."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from edgevision.errors import ConfigurationError, EdgeVisionError, UpstreamError
from edgevision.harness.transport import (
    InputMessage,
    MethodAnswer,
    MethodCall,
    TransportError,
    TransportFactory,
    Twin,
)
from edgevision.redaction import redact
from edgevision.upstream.outbox.packet import DropReason
from edgevision.upstream.upstream import Upstream

if TYPE_CHECKING:
    from edgevision.harness.supervisor import Supervisor, SupervisorHandlers
    from edgevision.upstream.message import Message
    from edgevision.upstream.outbox.forwarder import Forwarder
    from edgevision.upstream.outbox.outbox import Outbox
    from edgevision.upstream.settings import IotEdgeSettings

__all__ = ["IotEdgeUpstream"]

_log = logging.getLogger("edgevision.upstream")

_LONGEST_METHOD_S = 310.0  # IoT Hub lets callers wait for five minutes
_DRAIN_S = 1.0
_STOP_S = 1.0


class IotEdgeUpstream(Upstream):
    """Stores messages and sends them to edgeHub when it is there.

    `send` returns once the message is on the disk; from then on it arrives, at least once. Without
    `attach` it is an upstream and nothing more: the twin is not looked at, methods are answered
    with 404.

    Args:
        settings: outbox and window.
        factory: makes transports; default those of `edgevision.harness.edge` for the environment
            that IoT Edge gives to a module.
    """

    name = "iotedge"
    group = 256

    def __init__(self, settings: IotEdgeSettings, factory: TransportFactory | None = None) -> None:
        self._settings = settings
        self._factory = factory
        self._handlers: SupervisorHandlers = _NoModule()
        self._on_failure: Callable[[], None] = lambda: None
        self._outbox: Outbox | None = None
        self._forwarder: Forwarder | None = None
        self._supervisor: Supervisor | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._started = False
        self.failure: Exception | None = None
        """Why the connection was given up, if it was."""

    def attach(self, handlers: SupervisorHandlers, on_failure: Callable[[], None]) -> None:
        """Let ``handlers`` answer the hub; before `start`.

        Args:
            handlers: gets what the hub sends.
            on_failure: called when the connection is given up; `failure` says why.
        """
        self._handlers = handlers
        self._on_failure = on_failure

    async def start(self) -> None:
        """Open the outbox and begin to connect; returns before there is a connection.

        Raises:
            ConfigurationError: the environment is incomplete, the outbox can never be written.
            UpstreamError: the outbox cannot be opened now.
        """
        if self._started:
            return
        supervisor = self._begin_to_connect()
        outbox = self._outbox = self._outbox or self._make_outbox(supervisor)
        try:
            await outbox.start()
        except ConfigurationError:
            await self._disconnect()
            raise
        from edgevision.upstream.outbox.forwarder import Forwarder

        self._forwarder = Forwarder(
            outbox,
            supervisor.send,
            ready=supervisor.ready,
            window=self._settings.window,
            live_first=self._settings.outbox.live_first,
        )
        await self._forwarder.start()
        self._started = True

    async def send(self, message: Message) -> None:
        """Store ``message``; return once it is on the disk.

        Raises:
            UpstreamError: not retryable: larger than the hub takes, which names camera and stage,
                or not started. Retryable: the disk is full or fails.
        """
        if not self._started or self._outbox is None:
            raise UpstreamError("the connection to the hub is not started", retryable=False)
        await self._outbox.put(message)

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Store messages that wait together with one wait for the disk.

        Raises:
            UpstreamError: as of `send`, for the first that was not stored.
        """
        if not self._started or self._outbox is None:
            raise UpstreamError("the connection to the hub is not started", retryable=False)
        await self._outbox.put_all(messages)

    async def stop(self) -> None:
        """Send what can be sent in a second, keep the rest, disconnect; harmless when stopped."""
        self._started = False
        forwarder, self._forwarder = self._forwarder, None
        if forwarder is not None:
            connected = self._supervisor is not None and self._supervisor.connected
            if connected:
                await forwarder.drain(_DRAIN_S)
            await forwarder.stop(_STOP_S if connected else 0.0)
        if self._outbox is not None:
            await self._outbox.stop()
        await self._disconnect()

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Merge ``patch`` into the reported properties; waits for a connection.

        Raises:
            TransportError: see `edgevision.harness.transport.Transport.report`.
        """
        await self._connected().report(patch)

    async def twin(self) -> Twin:
        """Return the whole twin; waits for a connection.

        Raises:
            TransportError: see `edgevision.harness.transport.Transport.twin`.
        """
        return await self._connected().twin()

    @property
    def detail(self) -> str:
        """Why there is no connection, or why the outbox stores nothing; "" if all is well."""
        if self._outbox is not None and (detail := self._outbox.statistics().detail):
            return detail
        if self._supervisor is None or self._supervisor.connected:
            return ""
        return self._supervisor.status().last_error or "not connected yet"

    def numbers(self) -> dict[str, float]:
        """Return the counters of connection and outbox."""
        if self._outbox is None or self._supervisor is None:
            return {}
        box, connection = self._outbox.statistics(), self._supervisor.status()
        return {
            "connected": float(self._supervisor.connected),
            "connections": connection.connections,
            "connections_failed": sum(connection.failures.values()),
            "outbox_waiting": box.waiting,
            "outbox_oldest_seconds": round(box.oldest_age_s, 1),
            "outbox_file_bytes": box.file_bytes,
            "outbox_stored": box.stored,
            "outbox_delivered": box.delivered,
            "outbox_oversize": box.oversize,
            "outbox_corrupt_files": box.corrupt_files,
            **{f"outbox_dropped_{reason.replace(' ', '_')}": 0 for reason in get_args(DropReason)},
            **{f"outbox_dropped_{r.replace(' ', '_')}": n for r, n in box.dropped.items()},
        }

    def describe(self) -> dict[str, Any]:
        """Return what connection and outbox are doing, ready for JSON."""
        document: dict[str, Any] = {}
        if self._supervisor is not None:
            document["connection"] = self._supervisor.status().to_json()
        if self._outbox is not None:
            document["outbox"] = asdict(self._outbox.statistics())
        if self._forwarder is not None:
            document["forwarder"] = asdict(self._forwarder.statistics())
        return document

    def _begin_to_connect(self) -> Supervisor:
        """Connect, unless that has begun: an outbox that cannot be opened now does not delay it."""
        if self._supervisor is None:
            from edgevision.harness.supervisor import Supervisor

            factory, reachable = self._factory, None
            if factory is None:
                factory, reachable = _edge()
            self.failure = None
            self._supervisor = Supervisor(factory, self._handlers, reachable=reachable)
            self._connecting = asyncio.create_task(
                self._connect(self._supervisor), name="hub connection"
            )
        return self._supervisor

    def _make_outbox(self, supervisor: Supervisor) -> Outbox:
        from edgevision.upstream.outbox.batch import Batching
        from edgevision.upstream.outbox.outbox import Outbox
        from edgevision.upstream.outbox.wire import WireLimit

        box = self._settings.outbox
        return Outbox(
            box.path,
            WireLimit(supervisor.wire_size, supervisor.max_wire_size),
            max_bytes=box.max_bytes,
            max_age_s=box.max_age_s,
            when_full=box.when_full,
            fsync=box.fsync,
            batching=Batching(box.batch_messages, box.batch_bytes, box.batch_linger_s),
        )

    async def _disconnect(self) -> None:
        supervisor, self._supervisor = self._supervisor, None
        connecting, self._connecting = self._connecting, None
        if supervisor is not None:
            await supervisor.stop()
        if connecting is not None:
            await asyncio.wait({connecting}, timeout=_STOP_S)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connecting

    def _connected(self) -> Supervisor:
        if self._supervisor is None:
            raise TransportError("the connection to the hub is not started", "offline")
        return self._supervisor

    async def _connect(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except EdgeVisionError as error:
            self._give_up(error)
        except Exception as error:
            _log.exception("the connection to the hub failed")
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        _log.critical("the connection to the hub is given up: %s", redact(str(error)))
        self.failure = error
        self._on_failure()


def _edge() -> tuple[TransportFactory, Callable[[], Any]]:
    from edgevision.harness.edge import EdgeConnector, EdgeSettings
    from edgevision.harness.environment import EdgeEnvironment
    from edgevision.harness.hub_check import is_reachable

    environment = EdgeEnvironment.read()
    # Each method has a deadline of its own; this one is for a handler that does not keep it.
    settings = EdgeSettings(method_timeout_s=_LONGEST_METHOD_S)
    return EdgeConnector(environment, settings), lambda: is_reachable(environment.gateway)


class _NoModule:
    """Answers for a process that is no module."""

    def on_twin(self, twin: Twin) -> None:
        pass

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        pass

    async def on_method(self, call: MethodCall) -> MethodAnswer:
        return MethodAnswer(404, {"error": f"there is no method {call.name!r} here"})

    def on_input(self, message: InputMessage) -> None:
        pass

    def on_connection(self, connected: bool) -> None:
        pass
