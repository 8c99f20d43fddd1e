"""A module as the cloud sees it: its twin, its direct methods and its inputs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgevision.testing.hub.broker import MAX_METHOD_BYTES, Broker
from edgevision.testing.hub.identity import Identity
from edgevision.testing.hub.loop_thread import LoopThread
from edgevision.testing.hub.message import MethodResult
from edgevision.testing.hub.twin import StoredTwin

__all__ = ["HubModule"]


class HubModule:
    """A module as the cloud sees it.

    Made by `HubStandIn.module`. Every method may be called from any thread but the hub's own.

    Args:
        identity: who it is.
        thread: the hub's.
        broker: returns the hub's broker, or says that the hub is not running.

    Attributes:
        name: id of the module.
        device: id of its device.
    """

    def __init__(
        self, identity: Identity, thread: LoopThread, broker: Callable[[], Broker]
    ) -> None:
        self.name = identity.module
        self.device = identity.device
        self._identity = identity
        self._thread = thread
        self._broker = broker

    @property
    def connected(self) -> bool:
        """True while the module has a connection."""

        def look() -> bool:
            session = self._broker().session(self._identity.client_id)
            return session is not None and session.wire is not None

        return self._thread.call(look)

    @property
    def subscriptions(self) -> frozenset[str]:
        """The topic filters that the module has subscribed to."""

        def look() -> frozenset[str]:
            session = self._broker().session(self._identity.client_id)
            return frozenset() if session is None else frozenset(session.subscriptions)

        return self._thread.call(look)

    @property
    def desired(self) -> dict[str, Any]:
        """The desired properties, with ``$version``."""
        twin = self._twin
        return {**twin.desired, "$version": twin.desired_version}

    @property
    def reported(self) -> dict[str, Any]:
        """The reported properties, with ``$version``."""
        twin = self._twin
        return {**twin.reported, "$version": twin.reported_version}

    def patch_desired(self, patch: Mapping[str, Any]) -> int:
        """Merge a patch into the desired properties and return their version; None deletes.

        Raises:
            TwinError: IoT Hub would refuse it.
        """
        return self._thread.call(lambda: self._broker().patch_desired(self._identity, patch))

    def rotate_key(self) -> None:
        """Sign with a new key from now on; the next connection with an old token is refused."""
        self._identity.key = secrets.token_bytes(32)

    def call(self, name: str, payload: Any = None, timeout_s: float = 10.0) -> MethodResult:
        """Call a direct method; 404 when nobody listens, 504 without an answer in time.

        Args:
            name: of the method.
            payload: anything that JSON can say.
            timeout_s: how long the module has.

        Raises:
            ValueError: the payload is longer than IoT Hub takes, or no JSON.
        """
        body = json.dumps(payload).encode()
        if len(body) > MAX_METHOD_BYTES:
            raise ValueError(f"a payload of {len(body)} bytes; IoT Hub takes {MAX_METHOD_BYTES}")
        return self.call_raw(name, body, timeout_s)

    def call_raw(self, name: str, body: bytes, timeout_s: float = 10.0) -> MethodResult:
        """Call a direct method with bytes that need not be JSON."""
        calling = self._broker().call_method(self._identity, name, body, timeout_s)
        return self._thread.run(calling, timeout_s + 5.0)

    def send_input(
        self,
        name: str,
        body: bytes | Mapping[str, Any] | Sequence[Any],
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Send a message to an input; it waits if the module is away.

        Args:
            name: of the input.
            body: bytes as they are, or what JSON can say.
            properties: application properties, and system properties such as ``$.mid``.
        """
        given = dict(properties or {})
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given = {"$.ct": "application/json", "$.ce": "utf-8", **given}
        data = body
        self._thread.call(lambda: self._broker().send_input(self._identity, name, data, given))

    @property
    def _twin(self) -> StoredTwin:
        return self._broker().twin(self._identity.client_id)
