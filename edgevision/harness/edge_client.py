"""One client of azure-iot-device: made, connected, used and ended under time limits.

The SDK calls handlers on threads of its own and blocks the thread that sets them. Nothing of that
is seen from outside: everything here is awaited on the event loop, and handlers are called on it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from azure.iot.device import Message, MethodRequest, MethodResponse, ProxyOptions
from azure.iot.device.aio import IoTHubModuleClient

from edgevision.harness.client_thread import ClientThread
from edgevision.harness.credentials import Token
from edgevision.harness.delivery import Delivery
from edgevision.harness.fault import mapped
from edgevision.harness.network_thread import NetworkThread
from edgevision.harness.sdk import let_exit
from edgevision.harness.transport import Packet, TransportError, Twin

__all__ = ["EdgeClient"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class EdgeClient:
    """One connection with one token; never connected again.

    Args:
        name: of its thread.
        gateway: host name of the hub.
        delivery: gets what the hub sends.
        on_dropped: called when the connection has ended.
        on_death: called with the reason when an error has ended the SDK's network thread.
    """

    def __init__(
        self,
        name: str,
        gateway: str,
        delivery: Delivery,
        *,
        on_dropped: Callable[[], None],
        on_death: Callable[[str], None],
    ) -> None:
        self._gateway = gateway
        self._delivery = delivery
        self._on_dropped = on_dropped
        self._on_death = on_death
        self._thread = ClientThread(name)
        self._sdk: IoTHubModuleClient | None = None
        # What `send_message_to_output` calls below. It says on a thread of the SDK when a message
        # is acknowledged; by the public way that takes a task and two more changes of threads.
        self._submit: Callable[..., None] | None = None
        self._network: NetworkThread | None = None

    async def connect(
        self,
        token: Token,
        ca: str,
        *,
        keep_alive_s: int,
        proxy: ProxyOptions | None,
        patch: bool,
        timeout_s: float,
        twin_timeout_s: float,
    ) -> Twin:
        """Connect, subscribe to everything, return the twin.

        Args:
            token: shows who the module is.
            ca: certificates that the hub's may be signed with, as PEM text.
            keep_alive_s: see `EdgeSettings`.
            proxy: see `EdgeSettings`.
            patch: whether to mend paho (`NetworkThread`).
            timeout_s: for the whole.
            twin_timeout_s: for the twin.

        Raises:
            TransportError: it does not work now.
        """
        ends_s = time.monotonic() + timeout_s
        doing = f"cannot connect to the hub at {self._gateway}"
        # The SDK declares each of these arguments as a dict.
        options: dict[str, Any] = {
            "gateway_hostname": self._gateway,
            "server_verification_cert": ca,
            "keep_alive": keep_alive_s,
            "auto_connect": False,
            "connection_retry": False,
        }
        if proxy is not None:
            options["proxy_options"] = proxy

        def step(work: Callable[[], Coroutine[Any, Any, _T]]) -> Coroutine[Any, Any, _T]:
            return self.call(work, doing, max(0.1, ends_s - time.monotonic()))

        sdk = self._sdk = await step(lambda: self._make(token, options))
        self._submit = getattr(getattr(sdk, "_mqtt_pipeline", None), "send_output_message", None)
        self._network = NetworkThread(sdk, patch=patch)
        await step(sdk.connect)
        self._network.watch(lambda reason: self._thread.tell(self._on_death, reason))
        # Patches before the twin: what changes between the two is then in one of them at least.
        # And the twin always: it subscribes to the answers that the SDK needs at other times.
        await step(self._subscribe)
        return await self.twin(min(twin_timeout_s, max(0.1, ends_s - time.monotonic())))

    async def _make(self, token: Token, options: Mapping[str, Any]) -> IoTHubModuleClient:
        sdk = IoTHubModuleClient.create_from_sastoken(token.text, **options)
        tell = self._thread.tell

        # Handlers are coroutine functions throughout: the SDK runs those one after the other on
        # one thread, and plain functions on up to four threads that it makes for each handler.
        async def on_change() -> None:
            if not sdk.connected:
                tell(self._on_dropped)

        async def on_error(error: Exception) -> None:
            # The end of the connection is among these; what else there is, is for the log.
            _log.debug("%s", mapped(error, "azure-iot-device says"))

        # It is declared to take an argument, and called with none.
        sdk.on_connection_state_change = on_change  # type: ignore[assignment]
        sdk.on_background_exception = on_error
        return sdk

    async def _subscribe(self) -> None:
        """Set the handlers; each setter blocks the client's thread until the hub has confirmed."""
        tell, delivery = self._thread.tell, self._delivery

        async def on_patch(patch: dict[str, Any]) -> None:
            tell(delivery.patch, patch)

        async def on_method(request: MethodRequest) -> None:
            tell(delivery.method, request)

        async def on_message(message: Message) -> None:
            tell(delivery.input, message)

        sdk = self._connected_sdk()
        sdk.on_twin_desired_properties_patch_received = on_patch
        sdk.on_method_request_received = on_method
        sdk.on_message_received = on_message

    def publish(self, packet: Packet, done: Callable[[Exception | None], None]) -> None:
        """Send a message; ``done`` is called on the event loop once it is acknowledged or failed.

        Messages are sent in the order of the calls.
        """
        message = Message(  # type: ignore[no-untyped-call]
            packet.payload,
            message_id=packet.id,
            content_encoding=packet.content_encoding,
            content_type=packet.content_type,
        )
        message.custom_properties = dict(packet.properties)
        message.output_name = packet.output
        self._thread.post(self._publish, message, done)

    def _publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        """Send a message, on the client's thread."""
        if self._submit is None:
            self._thread.start(self._publish_publicly(message, done))
            return

        def acknowledged(error: Exception | None = None) -> None:
            if error is not None:
                error = TransportError(f"cannot send: {error}", "uncertain")
            self._thread.tell(done, error)

        try:
            self._submit(message, callback=acknowledged)
        except Exception as error:
            self._thread.tell(done, error)

    async def _publish_publicly(
        self, message: Message, done: Callable[[Exception | None], None]
    ) -> None:
        error: Exception | None = None
        try:
            await self._connected_sdk().send_message_to_output(message, message.output_name)
        except Exception as caught:
            error = caught
        self._thread.tell(done, error)

    async def twin(self, timeout_s: float) -> Twin:
        """Return the module twin; raises `TransportError`."""
        sdk = self._connected_sdk()
        found = await self.call(sdk.get_twin, "cannot get the module twin", timeout_s)
        return Twin(found.get("desired") or {}, found.get("reported") or {})

    async def report(self, patch: Mapping[str, Any], timeout_s: float) -> None:
        """Merge a patch into the reported properties; raises `TransportError`."""
        sdk, sent = self._connected_sdk(), dict(patch)
        await self.call(
            lambda: sdk.patch_twin_reported_properties(sent),
            "cannot report properties",
            timeout_s,
        )

    async def respond(self, response: MethodResponse, timeout_s: float) -> None:
        """Answer a direct method; raises `TransportError`."""
        sdk = self._connected_sdk()
        await self.call(
            lambda: sdk.send_method_response(response), "cannot answer a method", timeout_s
        )

    async def call(
        self, work: Callable[[], Coroutine[Any, Any, _T]], doing: str, timeout_s: float
    ) -> _T:
        """Run a call of the SDK on the client's thread.

        Raises:
            TransportError: it failed or took longer; says ``doing``.
        """
        try:
            return await self._thread.call(work, timeout_s)
        except Exception as error:
            raise mapped(error, doing) from error

    @property
    def alive(self) -> bool:
        """False once the SDK's network thread has ended."""
        return self._network is None or self._network.alive

    async def close(self, timeout_s: float, *, politely: bool) -> None:
        """End the client and its threads.

        Args:
            timeout_s: what takes longer is left to itself, on daemon threads.
            politely: whether to take leave of the hub, which only a connected client can.
        """
        sdk, network = self._sdk, self._network
        self._sdk = None

        async def end() -> None:
            for _ in range(2):
                try:
                    if sdk is not None:
                        await sdk.shutdown()
                    break
                except Exception as error:
                    # Halfway; the second time goes all the way, as there is no connection left.
                    _log.debug("%s", mapped(error, "cannot shut the client down"))
                    if network is not None:
                        network.abort()
                        network.bury()
            if network is not None:
                network.free()

        if not politely:
            self._abort(network)
        self._thread.stop(end)
        if await self._thread.ended(timeout_s / 2):
            return
        self._abort(network)
        if not await self._thread.ended(timeout_s / 2):
            _log.warning("azure-iot-device hangs; a thread of a former client was left behind")
            let_exit()

    def _abort(self, network: NetworkThread | None) -> None:
        if network is not None:
            network.abort()
            with contextlib.suppress(RuntimeError):  # the thread has just ended
                self._thread.post(network.bury)

    def _connected_sdk(self) -> IoTHubModuleClient:
        if self._sdk is None:
            raise TransportError("the client has ended", "broken")
        return self._sdk
