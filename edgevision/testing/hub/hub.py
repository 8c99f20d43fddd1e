"""A stand-in of edgeHub, with which a module works as with the real one, without Azure."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from edgevision.testing.hub.authority import Authority
from edgevision.testing.hub.broker import Broker
from edgevision.testing.hub.faults import EndKind, Faults
from edgevision.testing.hub.hub_module import HubModule
from edgevision.testing.hub.identity import Identities
from edgevision.testing.hub.listener import Listener, bind
from edgevision.testing.hub.loop_thread import LoopThread
from edgevision.testing.hub.message import HubEvent, HubMessage
from edgevision.testing.hub.record import Record
from edgevision.testing.hub.route import parse_routes
from edgevision.testing.hub.workload import WorkloadStandIn

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ALL_UPSTREAM", "DEVICE", "MQTT_PORT", "HubStandIn"]

DEVICE = "edge-device"
"""The device on which modules are, unless told otherwise."""

MQTT_PORT = 8883
"""The only port to which azure-iot-device connects."""

ALL_UPSTREAM: Mapping[str, str] = {"all": "FROM /messages/* INTO $upstream"}
"""The routes of a hub that was not given others."""

_TICK_S = 0.1
_Value = TypeVar("_Value")


class HubStandIn:
    """A hub on 127.0.0.0/8 with real TLS, on a thread of its own; a context manager.

    azure-iot-device connects to port 8883 and to no other. So each hub takes an address of its own
    in 127.0.0.0/8 (Linux), for which it has a certificate, and any number of hubs can run at once.

    Every method may be called from any thread but the hub's own; those that wait have a time limit.

    Args:
        host: address to listen on; None takes a free one.
        port: see above; another one is for other clients than the SDK. 0 takes a free one.
        routes: by name, in edgeHub's words (`edgevision.testing.hub.route`); default: every message
            goes upstream.
        device: where `environment` and `module` put modules, unless told otherwise.
        certificate_names: what the certificate is for, in place of ``host`` and ``localhost``.
        max_messages: so many messages are kept; beyond it the oldest are forgotten.
        max_bytes: the same, of their bodies together.

    Attributes:
        faults: switches for what the hub shall do wrong.
        workload: the workload API, with switches of its own.
        clock_offset_s: how far the hub's clock is ahead of this machine's. Set it so that tokens
            have expired.

    Raises:
        ConfigurationError: trustme is missing, the address is taken, a route makes no sense.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        port: int = MQTT_PORT,
        routes: Mapping[str, str] = ALL_UPSTREAM,
        device: str = DEVICE,
        certificate_names: Sequence[str] = (),
        max_messages: int = 100_000,
        max_bytes: int = 2**28,
    ) -> None:
        self.host = host or ""
        self.port = port
        self.device = device
        self.faults = Faults()
        self.clock_offset_s = 0.0
        self.identities = Identities()
        self.authority = Authority()
        self.workload = WorkloadStandIn(self.identities, self.authority.pem)
        self._routes = parse_routes(routes)
        self._certificate_names = certificate_names
        self._record = Record(max_messages, max_bytes)
        self._thread = LoopThread("hub stand-in")
        self._stack = contextlib.ExitStack()
        self._inside: tuple[Broker, Listener] | None = None

    # Life

    def start(self) -> None:
        """Begin to listen; ``host`` and ``port`` are known afterwards."""
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(bind(self.host or None, self.port))
            self.host, self.port = listening.getsockname()
            context = self.authority.server_context(
                self._certificate_names or (self.host, "localhost")
            )
            self.workload.gateway = self.host
            stack.enter_context(self.workload)
            self._thread.start()
            stack.callback(self._thread.stop)
            loop = self._thread.loop
            broker = Broker(loop, self.identities, self._record, self.faults, self.now_s)
            broker.routes = self._routes
            if self._inside is not None:  # it was started before
                broker.twins.update(self._broker.twins)
            listener = Listener(broker, context)
            self._inside = broker, listener
            self._thread.call(lambda: listener.listen(listening))
            stack.callback(lambda: self._thread.run(listener.close("tls")))
            ticking = asyncio.run_coroutine_threadsafe(self._tick(broker), loop)
            stack.callback(ticking.cancel)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End every connection and both threads; harmless when stopped."""
        self._stack.close()

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

    def now_s(self) -> float:
        """Return the hub's time, UTC seconds since 1970."""
        return time.time() + self.clock_offset_s

    # Modules

    def environment(self, device: str = "", module: str = "edgevision") -> dict[str, str]:
        """Return the ``IOTEDGE_`` variables with which a module finds this hub; nothing is set.

        The module is made known if it is not yet.
        """
        return self.workload.environment(device or self.device, module)

    def module(self, module: str = "edgevision", device: str = "") -> HubModule:
        """Return a module as the cloud sees it; it is made known if it is not yet."""
        identity = self.identities.register(device or self.device, module)
        return HubModule(identity, self._thread, lambda: self._broker)

    # What came

    @property
    def messages(self) -> list[HubMessage]:
        """The messages that went upstream and are kept, in the order of their arrival."""
        return self._record.messages

    @property
    def message_count(self) -> int:
        """How many messages went upstream since the beginning."""
        return self._record.taken

    @property
    def forgotten(self) -> int:
        """How many messages were forgotten because there were too many to keep."""
        return self._record.forgotten

    @property
    def unrouted(self) -> int:
        """How many messages no route took."""
        return self._record.unrouted

    @property
    def events(self) -> list[HubEvent]:
        """What happened besides messages, the last 10,000."""
        return self._record.events

    def clear(self) -> None:
        """Forget messages and events; counters go on."""
        self._record.clear()

    def listen(self, listener: Callable[[HubMessage | HubEvent], None]) -> None:
        """Call ``listener`` on the hub's thread with each message and event; it must not block."""
        self._record.listen(listener)

    def wait_for(self, found: Callable[[HubStandIn], _Value], timeout_s: float = 10.0) -> _Value:
        """Return what ``found(hub)`` returns as soon as that is true.

        It is asked again after each change at the hub.

        Raises:
            TimeoutError: it was not in time; with the last events.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            seen = self._record.version
            value = found(self)
            if value:
                return value
            if not self._record.wait_change(seen, deadline_s - time.monotonic()):
                raise TimeoutError(f"not within {timeout_s:g} s; {self._summary()}")

    def wait_for_messages(self, count: int, timeout_s: float = 10.0) -> list[HubMessage]:
        """Wait until ``count`` messages have come since the beginning, return what is kept.

        Raises:
            TimeoutError: there were not so many in time.
        """
        self.wait_for(lambda _: self.message_count >= count, timeout_s)
        return self.messages

    def set_routes(self, routes: Mapping[str, str]) -> None:
        """Use other routes from the next message on.

        Raises:
            RouteError: one makes no sense, or is beyond the stand-in; the old ones stay.
        """
        self._routes = parse_routes(routes)
        if self._inside is not None:
            self._broker.routes = self._routes

    # Faults that are an act

    def pause(self) -> None:
        """Read nothing and answer nothing from now on, with every connection kept."""
        self._thread.call(self._pause)

    def resume(self) -> None:
        """End a `pause`."""
        self._thread.call(self._resume)

    def end_connections(self, how: EndKind = "reset", module: str = "") -> int:
        """End the connections that there are, or those of one module; return how many."""

        def end() -> int:
            ended = 0
            for connection in list(self._broker.connections):
                session = connection.session
                if not module or (session is not None and session.identity.module == module):
                    connection.end(how, "told to end it")
                    ended += 1
            return ended

        return self._thread.call(end)

    def lose_sessions(self) -> None:
        """Forget all subscriptions and undelivered inputs, of connected clients too.

        Clients that stay connected are not told: they are deaf from now on.
        """
        self._thread.call(self._broker.lose_sessions)

    def go_down(self, how: EndKind = "reset") -> None:
        """Stop listening and end every connection, as if the hub's process was killed."""
        self._thread.run(self._listener.close(how))
        self._thread.call(lambda: self._broker.tell("down", None))

    def come_up(self) -> None:
        """Listen again at the same address; sessions and twins are still known.

        Raises:
            ConfigurationError: somebody else has taken the address.
        """
        if self._thread.call(lambda: self._listener.open):
            return
        listening = bind(self.host, self.port)
        self._thread.call(lambda: self._listener.listen(listening))
        self._thread.call(lambda: self._broker.tell("listening", None))

    def restart(self, how: EndKind = "reset", *, lose_sessions: bool = False) -> None:
        """`go_down` and `come_up`; with ``lose_sessions`` as after a restart without storage."""
        self.go_down(how)
        if lose_sessions:
            self.lose_sessions()
        self.come_up()

    # Inside

    @property
    def _broker(self) -> Broker:
        return self._parts()[0]

    @property
    def _listener(self) -> Listener:
        return self._parts()[1]

    def _parts(self) -> tuple[Broker, Listener]:
        if self._inside is None:
            raise RuntimeError("the hub stand-in is not running: use it in a with block")
        return self._inside

    async def _tick(self, broker: Broker) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now_s = self.now_s()
            for connection in list(broker.connections):
                connection.check(now_s)

    def _pause(self) -> None:
        self._listener.pause()
        for connection in self._broker.connections:
            connection.pause()

    def _resume(self) -> None:
        self._listener.resume()
        for connection in self._broker.connections:
            connection.resume()

    def _summary(self) -> str:
        last = ", ".join(
            f"{e.kind}({', '.join(f'{k}={v!r}' for k, v in e.detail.items())})"
            for e in self.events[-8:]
        )
        return f"{self.message_count} messages; last events: {last or 'none'}"
