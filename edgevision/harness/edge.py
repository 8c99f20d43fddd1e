"""The connection to edgeHub with azure-iot-device.

One client serves one connection with one token. When the connection drops, when the token is
about to expire, when an acknowledgement does not come, the client has come to its end (`lost`) and
a new one takes its place (`edgevision.harness.supervisor`). The SDK's own reconnects are switched
off: a client that reconnects itself keeps dead subscriptions, gives up for good at some refusals,
never at others, delivers what it called failed, and mixes up acknowledgements once its message ids
repeat. A new client starts from nothing, on a path that is walked every hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.iot.device import MethodResponse, ProxyOptions

from edgevision.errors import ConfigurationError
from edgevision.harness.credentials import (
    Credentials,
    KeyCredentials,
    Token,
    WorkloadCredentials,
    clock_text,
)
from edgevision.harness.delivery import Delivery
from edgevision.harness.edge_client import EdgeClient
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.fault import mapped
from edgevision.harness.hub_check import check_hub
from edgevision.harness.sdk import SdkVersions
from edgevision.harness.transport import Handlers, Packet, Transport, TransportError, Twin
from edgevision.harness.wire import MAX_TOPIC_BYTES, Wire

__all__ = ["EdgeConnector", "EdgeSettings", "EdgeTransport"]

_log = logging.getLogger(__name__)
_WATCH_EVERY_S = 1.0


@dataclass(slots=True, frozen=True)
class EdgeSettings:
    """Times and limits of an `EdgeTransport`.

    Attributes:
        keep_alive_s: without traffic for as long, the SDK asks whether the hub is still there. It
            is also how long the SDK waits for a hub that accepts a connection and is silent.
        token_life_s: life of a token.
        renew_before_s: how long before its end a token is replaced.
        open_timeout_s: for all of `EdgeTransport.open`.
        ack_timeout_s: a message that is not acknowledged for as long ends the client.
        call_timeout_s: for a twin request, a report, an answer to a method.
        method_timeout_s: the handler of a direct method has as long; then 504 is answered.
        max_wire_bytes: largest packet; edgeHub closes the connection above 262,144.
        proxy: HTTP or SOCKS proxy on the way to the hub.
    """

    keep_alive_s: int = 20
    token_life_s: float = 3600.0
    renew_before_s: float = 300.0
    open_timeout_s: float = 45.0
    ack_timeout_s: float = 30.0
    call_timeout_s: float = 10.0
    method_timeout_s: float = 30.0
    max_wire_bytes: int = 250_000
    proxy: ProxyOptions | None = None

    def __post_init__(self) -> None:
        if self.token_life_s - self.renew_before_s < 1:
            raise ConfigurationError(
                f"a token of {self.token_life_s:g} s cannot be renewed {self.renew_before_s:g} s "
                "before its end; there has to be a second between"
            )


class EdgeConnector:
    """Makes the transports of one module, one after the other; a `TransportFactory`.

    Args:
        environment: identity of the module and address of its hub.
        settings: times and limits.
        credentials: where tokens come from; by default what ``environment`` says.
    """

    def __init__(
        self,
        environment: EdgeEnvironment,
        settings: EdgeSettings | None = None,
        *,
        credentials: Credentials | None = None,
    ) -> None:
        self.environment = environment
        self._settings = settings or EdgeSettings()
        kind = KeyCredentials if environment.shared_access_key else WorkloadCredentials
        self._credentials = credentials or kind(environment)
        self._versions = SdkVersions.read()
        self._versions.announce()

    def __call__(self) -> EdgeTransport:
        """Make a transport; it does nothing before it is opened."""
        return EdgeTransport(
            self.environment, self._settings, self._credentials, patch=self._versions.patch
        )


class EdgeTransport(Transport):
    """See `Transport`. Its handlers are called on the loop that opened it.

    `lost` says ``dropped``, ``dead``, ``deaf``, ``token`` or ``closed`` and, after a colon, the
    particulars. With ``token`` the connection still works; what is under way may be waited for.

    Args:
        environment: identity of the module and address of its hub.
        settings: times and limits.
        credentials: where tokens come from; shared with the transports before and after.
        patch: whether to mend paho (`NetworkThread`).
    """

    def __init__(
        self,
        environment: EdgeEnvironment,
        settings: EdgeSettings,
        credentials: Credentials,
        *,
        patch: bool,
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._credentials = credentials
        self._patch = patch
        self._wire = Wire(environment.device, environment.module)
        self._reason: asyncio.Future[str] | None = None
        self._client: EdgeClient | None = None
        self._delivery: Delivery | None = None
        self._connected = False
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        # By number, in the order of sending: when it was sent, who waits for the acknowledgement.
        self._pending: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._sent = 0

    async def open(self, handlers: Handlers) -> Twin:
        """See `Transport.open`."""
        if self._reason is not None:
            raise RuntimeError("a transport is opened once")
        loop = asyncio.get_running_loop()
        self._reason = loop.create_future()
        settings, environment = self._settings, self._environment
        ends_s = time.monotonic() + settings.open_timeout_s
        token = await self._credentials.token(settings.token_life_s, left_s=settings.renew_before_s)
        ca = await self._credentials.ca()
        if settings.proxy is None:
            await check_hub(environment.gateway, ca, timeout_s=settings.call_timeout_s)
        self._delivery = Delivery(
            handlers, self._respond, method_timeout_s=settings.method_timeout_s
        )
        self._client = EdgeClient(
            f"edgehub-{environment.module}",
            environment.gateway,
            self._delivery,
            on_dropped=lambda: self._lose("dropped: the connection to the hub ended"),
            on_death=lambda why: self._lose(f"dead: the SDK's network thread ended with {why}"),
        )
        try:
            twin = await self._client.connect(
                token,
                ca,
                keep_alive_s=settings.keep_alive_s,
                proxy=settings.proxy,
                patch=self._patch,
                timeout_s=max(1.0, ends_s - time.monotonic()),
                twin_timeout_s=settings.call_timeout_s,
            )
        except TransportError as error:
            if error.fault == "unauthorized":
                self._credentials.forget()
            raise self._explained(error, token) from error
        if self._reason.done():
            raise TransportError(f"lost while it was opened: {self._reason.result()}", "offline")
        self._connected = True
        self._tasks = [loop.create_task(self._watch()), loop.create_task(self._renew(token))]
        # After the caller has seen the twin, what came in the meantime.
        loop.call_soon(self._delivery.begin)
        self._delivery.connection(True)
        return twin

    def _explained(self, error: TransportError, token: Token) -> TransportError:
        if error.fault != "unauthorized":
            return error
        return TransportError(
            f"{error}. Either the hub does not know {self._environment.device}/"
            f"{self._environment.module}, or a former module of that name, or it does not take "
            f"the {token}; {clock_text()}",
            "unauthorized",
        )

    async def send(self, packet: Packet) -> None:
        """See `Transport.send`."""
        topic_bytes = self._wire.topic_bytes(packet)
        size = self._wire.size(packet, topic_bytes)
        if size > self._settings.max_wire_bytes:
            raise TransportError(
                f"a message to output {packet.output!r} takes {size} bytes on the wire, the most "
                f"is {self._settings.max_wire_bytes}",
                "refused",
            )
        if topic_bytes > MAX_TOPIC_BYTES:
            raise TransportError(
                f"the properties of a message to output {packet.output!r} take more than the "
                f"{MAX_TOPIC_BYTES} bytes of a topic",
                "refused",
            )
        client = self._usable()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent += 1
        number = self._sent
        self._pending[number] = (time.monotonic(), acknowledged)
        client.publish(packet, lambda error: self._published(number, error))
        await acknowledged

    def _published(self, number: int, error: Exception | None) -> None:
        _, acknowledged = self._pending.pop(number, (0.0, None))
        if acknowledged is None:
            return
        if error is None:
            if not acknowledged.done():
                acknowledged.set_result(None)
            return
        fault = mapped(error, "cannot send")
        if not acknowledged.done():
            acknowledged.set_exception(fault)
        if fault.fault != "refused":
            # paho may still deliver it, and the SDK remembers its acknowledgement under a number
            # that another message has 65,535 messages later. This client is not to live that long.
            self._lose(f"dropped: {fault}")

    async def twin(self) -> Twin:
        """See `Transport.twin`."""
        return await self._usable().twin(self._settings.call_timeout_s)

    async def report(self, patch: Mapping[str, Any]) -> None:
        """See `Transport.report`."""
        await self._usable().report(patch, self._settings.call_timeout_s)

    async def _respond(self, response: MethodResponse) -> None:
        await self._usable().respond(response, self._settings.call_timeout_s)

    def _usable(self) -> EdgeClient:
        if not self._connected or self._client is None:
            raise TransportError("not connected", "offline")
        return self._client

    async def lost(self) -> str:
        """See `Transport.lost`."""
        if self._reason is None:
            raise RuntimeError("the transport was never opened")
        return await asyncio.shield(self._reason)

    @property
    def connected(self) -> bool:
        """See `Transport.connected`."""
        return self._connected

    def wire_size(self, packet: Packet) -> int:
        """See `Transport.wire_size`."""
        return self._wire.size(packet)

    @property
    def max_wire_size(self) -> int:
        """See `Transport.max_wire_size`."""
        return self._settings.max_wire_bytes

    async def close(self, timeout_s: float = 2.0) -> None:
        """See `Transport.close`."""
        if self._closed:
            return
        self._closed = True
        politely = self._connected
        self._lose("closed")
        for task in self._tasks:
            task.cancel()
        if self._delivery is not None:
            self._delivery.end()
        if self._client is not None:
            await self._client.close(timeout_s, politely=politely)
            self._client = None

    def _lose(self, reason: str) -> None:
        """Come to the end of this transport; what is not acknowledged is uncertain."""
        if self._reason is not None and not self._reason.done():
            self._reason.set_result(reason)
        was_connected, self._connected = self._connected, False
        pending, self._pending = self._pending, {}
        for _, acknowledged in pending.values():
            if not acknowledged.done():
                acknowledged.set_exception(
                    TransportError(f"not acknowledged before the end ({reason})", "uncertain")
                )
        if was_connected and self._delivery is not None:
            self._delivery.connection(False)

    async def _watch(self) -> None:
        """Look every second whether the client is dead or deaf."""
        limit_s = self._settings.ack_timeout_s
        while self._connected and self._client is not None:
            await asyncio.sleep(min(_WATCH_EVERY_S, limit_s / 4))
            if not self._client.alive:
                self._lose("dead: the SDK's network thread has ended")
            oldest = next(iter(self._pending.values()), None)
            if oldest is not None and time.monotonic() - oldest[0] > limit_s:
                self._lose(f"deaf: a message was not acknowledged for {limit_s:g} s")

    async def _renew(self, token: Token) -> None:
        """Get the next token in time; then it is for the next transport to use it."""
        settings = self._settings
        pause_s = 1.0
        while True:
            # In short steps, because the clock that the token's end is told by may be set.
            wait_s = token.left_s - settings.renew_before_s
            if wait_s > 0:
                await asyncio.sleep(min(wait_s + 0.01, 30.0))
                continue
            try:
                await self._credentials.token(settings.token_life_s, left_s=settings.renew_before_s)
            except Exception as error:
                _log.warning(
                    "the token lasts another %.0f s and cannot be renewed: %s",
                    max(0.0, token.left_s),
                    error,
                )
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 30.0)
                continue
            if self._delivery is not None:
                # Nobody else can answer the methods that are being worked at.
                await self._delivery.answered(settings.method_timeout_s)
            if self._reason is not None and not self._reason.done():
                self._reason.set_result("token: a new one is ready")
            return
