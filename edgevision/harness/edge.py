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
import json
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from azure.iot.device import Message, MethodRequest, MethodResponse, ProxyOptions
from azure.iot.device.aio import IoTHubModuleClient

from edgevision.harness.client_thread import ClientThread
from edgevision.harness.credentials import (
    Credentials,
    KeyCredentials,
    Token,
    WorkloadCredentials,
    clock_text,
)
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.fault import mapped
from edgevision.harness.hub_check import check_hub
from edgevision.harness.network_thread import NetworkThread
from edgevision.harness.sdk import SdkVersions
from edgevision.harness.transport import (
    Handlers,
    InputMessage,
    MethodAnswer,
    MethodCall,
    Packet,
    Transport,
    TransportError,
    Twin,
)
from edgevision.harness.wire import MAX_TOPIC_BYTES, Wire

__all__ = ["EdgeConnector", "EdgeSettings", "EdgeTransport"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_MAX_METHOD_BYTES = 128 * 1024
_WATCH_EVERY_S = 1.0


@dataclass(slots=True, frozen=True)
class EdgeSettings:
    """Times and limits of an `EdgeTransport`, all in seconds unless said otherwise.

    Attributes:
        keep_alive_s: without traffic for as long, the SDK asks whether the hub is still there. It
            is also how long the SDK waits for a hub that accepts a connection and is silent.
        token_life_s: life of a token.
        renew_before_s: how long before its end a token is replaced.
        open_timeout_s: for all of `EdgeTransport.open`.
        ack_timeout_s: a message that is not acknowledged for as long ends the client.
        call_timeout_s: for a twin request, a report, an answer to a method.
        method_timeout_s: the handler of a direct method has as long; then 504 is answered.
        max_wire_bytes: largest packet; edgeHub closes the connection at 262,144.
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

    `lost` says ``dropped``, ``dead``, ``deaf`` or ``token`` and, after a colon, the particulars.
    With ``token`` the connection still works; what is under way may be waited for.

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: ClientThread | None = None
        self._client: IoTHubModuleClient | None = None
        self._network: NetworkThread | None = None
        self._handlers: Handlers | None = None
        self._early: list[Callable[[], None]] | None = []
        self._connected = False
        self._reason: asyncio.Future[str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # By number, in the order of sending: when it was sent, who waits for the acknowledgement.
        self._pending: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._sent = 0
        self._closed = False

    # Opening

    async def open(self, handlers: Handlers) -> Twin:
        """See `Transport.open`."""
        if self._loop is not None:
            raise RuntimeError("a transport is opened once")
        self._loop = asyncio.get_running_loop()
        self._reason = self._loop.create_future()
        self._handlers = handlers
        settings = self._settings
        ends_s = time.monotonic() + settings.open_timeout_s
        token = await self._credentials.token(settings.token_life_s, left_s=settings.renew_before_s)
        ca = await self._credentials.ca()
        if settings.proxy is None:
            await check_hub(self._environment.gateway, ca, timeout_s=settings.call_timeout_s)
        self._thread = ClientThread(f"edgehub-{self._environment.module}")
        doing = f"cannot connect to the hub at {self._environment.gateway}"
        try:
            twin = await self._connect(token, ca, ends_s, doing)
        except TransportError as error:
            if error.fault == "unauthorized":
                raise TransportError(
                    f"{error}. The hub does not know {self._environment.device}/"
                    f"{self._environment.module}, or not with this generation id, or does not take "
                    f"the {token}; {clock_text()}",
                    "unauthorized",
                ) from error
            raise
        self._keep(self._watch())
        self._keep(self._renew(token))
        self._loop.call_soon(self._hand_over)
        handlers.on_connection(True)
        return twin

    async def _connect(self, token: Token, ca: str, ends_s: float, doing: str) -> Twin:
        assert self._thread is not None

        def step(work: Callable[[], Coroutine[Any, Any, _T]]) -> Coroutine[Any, Any, _T]:
            return self._call(work, doing, max(0.1, ends_s - time.monotonic()))

        await step(lambda: self._make(token, ca))
        client = self._client
        assert client is not None
        self._network = NetworkThread(client, patch=self._patch)
        await step(client.connect)
        self._network.watch(self._from_sdk(self._network_died))
        self._connected = True
        # Patches before the twin: what comes between the two is then in one of them at least.
        await step(self._subscribe)
        return _twin(await step(client.get_twin))

    async def _make(self, token: Token, ca: str) -> None:
        """Make the client, on its own thread."""
        # The SDK declares each of these arguments as a dict.
        options: dict[str, Any] = {
            "gateway_hostname": self._environment.gateway,
            "server_verification_cert": ca,
            "keep_alive": self._settings.keep_alive_s,
            "auto_connect": False,
            "connection_retry": False,
        }
        if self._settings.proxy is not None:
            options["proxy_options"] = self._settings.proxy
        client = IoTHubModuleClient.create_from_sastoken(token.text, **options)
        # Set as coroutine functions: the SDK runs those one after the other on one thread, and
        # plain functions on up to four threads that it makes for each handler.
        changed = self._from_sdk(self._connection_changed)

        async def on_change() -> None:
            changed(client.connected)

        failed = self._from_sdk(self._background_error)

        async def on_error(error: Exception) -> None:
            failed(error)

        # It is declared to take an argument, and called with none.
        client.on_connection_state_change = on_change  # type: ignore[assignment]
        client.on_background_exception = on_error
        self._client = client

    async def _subscribe(self) -> None:
        """Set the handlers; each setter blocks the client's thread until the hub has confirmed."""
        patched = self._from_sdk(self._patch_arrived)
        called = self._from_sdk(self._method_arrived)
        came = self._from_sdk(self._input_arrived)

        async def on_patch(patch: dict[str, Any]) -> None:
            patched(patch)

        async def on_method(request: MethodRequest) -> None:
            called(request)

        async def on_message(message: Message) -> None:
            came(message)

        client = self._client
        assert client is not None
        client.on_twin_desired_properties_patch_received = on_patch
        client.on_method_request_received = on_method
        client.on_message_received = on_message

    def _hand_over(self) -> None:
        """Deliver what came while the transport was being opened."""
        early, self._early = self._early or [], None
        for delivery in early:
            delivery()

    # Requests

    async def send(self, packet: Packet) -> None:
        """See `Transport.send`."""
        size = self._wire.size(packet)
        if size > self._settings.max_wire_bytes:
            raise TransportError(
                f"a message to output {packet.output!r} takes {size} bytes on the wire, the most "
                f"is {self._settings.max_wire_bytes}",
                "refused",
            )
        if self._wire.topic_bytes(packet) > MAX_TOPIC_BYTES:
            raise TransportError(
                f"the properties of a message to output {packet.output!r} are longer than "
                f"{MAX_TOPIC_BYTES} bytes with the topic",
                "refused",
            )
        if not self._connected or self._thread is None or self._loop is None:
            raise TransportError("not connected", "offline")
        message = Message(  # type: ignore[no-untyped-call]
            packet.payload,
            message_id=packet.id,
            content_encoding=packet.content_encoding,
            content_type=packet.content_type,
        )
        message.custom_properties = dict(packet.properties)
        acknowledged: asyncio.Future[None] = self._loop.create_future()
        self._sent += 1
        number = self._sent
        self._pending[number] = (time.monotonic(), acknowledged)
        self._thread.post(
            self._thread.start, self._publish(self._thread, number, message, packet.output)
        )
        await acknowledged

    async def _publish(
        self, thread: ClientThread, number: int, message: Message, output: str
    ) -> None:
        """Send a message, on the client's thread."""
        error: Exception | None = None
        try:
            assert self._client is not None
            await self._client.send_message_to_output(message, output)
        except Exception as caught:
            error = caught
        thread.tell(self._published, number, error)

    def _published(self, number: int, error: Exception | None) -> None:
        entry = self._pending.pop(number, None)
        if entry is None:
            return
        _, acknowledged = entry
        if error is None:
            if not acknowledged.done():
                acknowledged.set_result(None)
            return
        fault = mapped(error, "cannot send")
        if not acknowledged.done():
            acknowledged.set_exception(fault)
        if fault.fault != "refused":
            # paho may still deliver it, and remembers the acknowledgement under a number that
            # another message gets 65,535 messages later. This client is not to live that long.
            self._lose(f"dropped: {fault}")

    async def twin(self) -> Twin:
        """See `Transport.twin`."""
        client = self._usable()
        return _twin(await self._call(client.get_twin, "cannot get the module twin"))

    async def report(self, patch: Mapping[str, Any]) -> None:
        """See `Transport.report`."""
        client = self._usable()
        sent = dict(patch)
        await self._call(
            lambda: client.patch_twin_reported_properties(sent), "cannot report properties"
        )

    def _usable(self) -> IoTHubModuleClient:
        if not self._connected or self._client is None:
            raise TransportError("not connected", "offline")
        return self._client

    async def _call(
        self,
        work: Callable[[], Coroutine[Any, Any, _T]],
        doing: str,
        timeout_s: float | None = None,
    ) -> _T:
        assert self._thread is not None
        limit_s = self._settings.call_timeout_s if timeout_s is None else timeout_s
        try:
            return await self._thread.call(work, limit_s)
        except Exception as error:
            raise mapped(error, doing) from error

    # What comes from the SDK, on its threads, is handed to these on our loop

    def _from_sdk(self, function: Callable[..., None]) -> Callable[..., None]:
        """Return a function that may be called on any thread and has ``function`` run on ours."""
        thread = self._thread
        assert thread is not None

        def hop(*args: object) -> None:
            thread.tell(function, *args)

        return hop

    def _connection_changed(self, connected: bool) -> None:
        if not connected and self._connected:
            self._lose("dropped: the connection to the hub ended")

    def _network_died(self, error: str) -> None:
        self._lose(f"dead: the network thread of the SDK ended with {error}")

    def _background_error(self, error: Exception) -> None:
        # A dropped connection is reported here as well; the rest is for the log.
        _log.debug("%s", mapped(error, "azure-iot-device says"))

    def _patch_arrived(self, patch: dict[str, Any]) -> None:
        self._deliver(lambda handlers: handlers.on_desired(patch))

    def _input_arrived(self, message: Message) -> None:
        properties = {str(key): str(value) for key, value in message.custom_properties.items()}
        device = properties.pop("$.cdid", "")
        module = properties.pop("$.cmid", "")
        data = message.data
        arrived = InputMessage(
            input=message.input_name or "",
            payload=data if isinstance(data, bytes) else str(data).encode(),
            properties=properties,
            id=message.message_id or "",
            content_type=message.content_type or "",
            content_encoding=message.content_encoding or "",
            sender=f"{device}/{module}" if device and module else device,
        )
        self._deliver(lambda handlers: handlers.on_input(arrived))

    def _method_arrived(self, request: MethodRequest) -> None:
        self._deliver(lambda handlers: self._keep(self._answer(handlers, request)))

    def _deliver(self, call: Callable[[Handlers], None]) -> None:
        handlers = self._handlers
        if handlers is None or self._closed:
            return
        if self._early is not None:
            self._early.append(lambda: self._deliver(call))
            return
        try:
            call(handlers)
        except Exception:
            _log.exception("a handler of the connection failed")

    async def _answer(self, handlers: Handlers, request: MethodRequest) -> None:
        call = MethodCall(request.name, request.payload)
        try:
            answer = await asyncio.wait_for(
                handlers.on_method(call), self._settings.method_timeout_s
            )
        except asyncio.TimeoutError:
            answer = _problem(504, f"no answer within {self._settings.method_timeout_s:g} s")
        except Exception as error:
            _log.exception("direct method %r failed", call.name)
            answer = _problem(500, f"{type(error).__name__}; the module's log says more")
        try:
            size = len(json.dumps(answer.payload).encode())
        except (TypeError, ValueError, RecursionError) as error:
            answer = _problem(500, f"the answer is no JSON: {error}")
        else:
            if size > _MAX_METHOD_BYTES:
                answer = _problem(500, f"the answer has {size} bytes, the most is 131072")
        response = MethodResponse.create_from_method_request(request, answer.status, answer.payload)
        client = self._client
        if client is None or not self._connected:
            return
        try:
            await self._call(
                lambda: client.send_method_response(response),
                f"cannot answer direct method {call.name!r}",
            )
        except TransportError as error:
            _log.warning("%s", error)

    # The end

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
        if was_connected and self._handlers is not None:
            self._handlers.on_connection(False)

    async def _watch(self) -> None:
        """Look every second whether the client is dead or deaf."""
        while self._connected:
            await asyncio.sleep(_WATCH_EVERY_S)
            if self._network is not None and not self._network.alive:
                self._lose("dead: the network thread of the SDK has ended")
            oldest = next(iter(self._pending.values()), None)
            if oldest is not None and time.monotonic() - oldest[0] > self._settings.ack_timeout_s:
                self._lose(
                    f"deaf: a message was not acknowledged for {self._settings.ack_timeout_s:g} s"
                )

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
                    "the token cannot be renewed, it lasts another %.0f s: %s",
                    max(0.0, token.left_s),
                    error,
                )
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 30.0)
                continue
            if self._reason is not None and not self._reason.done():
                self._reason.set_result("token: a new one is ready")
            return

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout_s: float = 2.0) -> None:
        """See `Transport.close`."""
        if self._closed:
            return
        self._closed = True
        healthy = self._connected
        if self._reason is not None:
            self._lose("closed")
        for task in list(self._tasks):
            task.cancel()
        if self._thread is None:
            return
        ends_s = time.monotonic() + timeout_s
        if self._client is not None and not (
            healthy and await self._shut_down(self._thread, self._client, timeout_s / 2)
        ):
            if self._network is not None:
                self._network.abort()
                self._thread.post(self._network.bury)
            await self._shut_down(self._thread, self._client, timeout_s / 4)
        left_s = max(0.1, ends_s - time.monotonic())
        if not await self._thread.stop(left_s):
            _log.warning("azure-iot-device hangs; one of its threads was left behind")
        self._client = self._network = self._handlers = None

    async def _shut_down(
        self, thread: ClientThread, client: IoTHubModuleClient, timeout_s: float
    ) -> bool:
        try:
            await thread.call(client.shutdown, timeout_s)
        except Exception as error:
            _log.debug("%s", mapped(error, "cannot shut the client down"))
            return False
        return True


def _twin(found: Mapping[str, Any]) -> Twin:
    return Twin(found.get("desired") or {}, found.get("reported") or {})


def _problem(status: int, text: str) -> MethodAnswer:
    return MethodAnswer(status, {"error": text})
