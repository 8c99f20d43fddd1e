"""The hub's own thread: who may connect, and what becomes of what modules publish."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from edgevision.testing.hub.connection import Connection
from edgevision.testing.hub.faults import Faults
from edgevision.testing.hub.identity import HUB_NAME, Identities, Identity, TokenError, check_token
from edgevision.testing.hub.message import (
    HubEvent,
    HubMessage,
    MethodResult,
    decode_properties,
    encode_properties,
)
from edgevision.testing.hub.packet import Connect, PacketError, Publish
from edgevision.testing.hub.record import Record
from edgevision.testing.hub.route import UPSTREAM, FollowedRoute, Sink
from edgevision.testing.hub.session import Session
from edgevision.testing.hub.twin import StoredTwin

__all__ = ["MAX_METHOD_BYTES", "Admission", "Broker"]

MAX_METHOD_BYTES = 131_072
"""Longest payload of a direct method, in each direction."""

_TWIN_GET = "$iothub/twin/GET/"
_TWIN_REPORT = "$iothub/twin/PATCH/properties/reported/"
_TWIN_DESIRED = "$iothub/twin/PATCH/properties/desired/"
_METHOD_ANSWER = "$iothub/methods/res/"
_BAD_PROTOCOL, _NOT_AUTHORIZED = 1, 5


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of a CONNECT.

    Attributes:
        code: 0, or why not.
        reason: the code in words.
        session: the client's; None when refused.
        session_present: True if the session is an old one.
        expires_s: when the token ends.
    """

    code: int
    reason: str = ""
    session: Session | None = None
    session_present: bool = False
    expires_s: float = 0.0


class Broker:
    """Sessions, twins, methods and messages; every method runs on the hub's thread.

    Args:
        loop: the hub's.
        identities: the modules that may connect.
        record: where messages and events go.
        faults: the switches.
        clock: the hub's time, UTC seconds since 1970.

    Attributes:
        routes: where messages of modules go.
        twins: by client id.
        empty: set while there is no connection.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identities: Identities,
        record: Record,
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        self.loop = loop
        self.faults = faults
        self.connections: set[Connection] = set()
        self.routes: tuple[FollowedRoute, ...] = ()
        self.twins: dict[str, StoredTwin] = {}
        self._sessions: dict[str, Session] = {}
        self._identities = identities
        self._record = record
        self._clock = clock
        self._method_ids = itertools.count(1)
        self._calls: dict[str, asyncio.Future[MethodResult]] = {}
        self.empty = asyncio.Event()
        self.empty.set()

    # Connections

    def joined(self, connection: Connection) -> None:
        """Take note of a new connection."""
        self.connections.add(connection)
        self.empty.clear()

    def left(self, connection: Connection, reason: str) -> None:
        """Take note of a connection's end."""
        self.connections.discard(connection)
        session = connection.session
        if session is not None:
            if session.wire is connection:
                session.wire = None
                if not session.lasting:
                    self._sessions.pop(session.identity.client_id, None)
            self.tell("disconnected", session.identity, reason=reason)
        if not self.connections:
            self.empty.set()

    def admit(self, packet: Connect) -> Admission:
        """Decide on a CONNECT."""
        device, _, module = packet.client_id.partition("/")
        admission = self._admission(packet)
        if admission.code:
            event = {"code": admission.code, "reason": admission.reason}
            self._record.add_event(HubEvent("refused", device, module, self._clock(), event))
        return admission

    def _admission(self, packet: Connect) -> Admission:
        if self.faults.refuse_connect:
            return Admission(self.faults.refuse_connect, "told to refuse")
        if packet.protocol_level != 4:
            return Admission(_BAD_PROTOCOL, f"protocol level {packet.protocol_level}, not 4")
        identity = self._identities.find(packet.client_id)
        if identity is None:
            return Admission(_NOT_AUTHORIZED, f"there is no module {packet.client_id!r}")
        user, _, query = packet.username.partition("/?")
        if user != f"{HUB_NAME}/{identity.client_id}" or "api-version=" not in query:
            return Admission(_NOT_AUTHORIZED, "the user name is not hub/device/module/?api-version")
        try:
            expires_s = check_token(packet.password, identity, self._clock())
        except TokenError as error:
            return Admission(_NOT_AUTHORIZED, str(error))
        session = self._sessions.get(identity.client_id)
        present = session is not None and session.lasting
        if session is None or not present or packet.clean_session or self.faults.forget_sessions:
            session, present = Session(identity, lasting=not packet.clean_session), False
        return Admission(0, "", session, present, expires_s)

    def attach(self, session: Session, connection: Connection, *, present: bool) -> None:
        """Give a session its connection; an older one of the same client ends (3.1.4)."""
        for other in list(self.connections):
            if other.session is not None and other.session.identity is session.identity:
                other.end("tls", "another connection of the same client")
        connection.session = self._sessions[session.identity.client_id] = session
        self.tell("connected", session.identity, session_present=present)

    def session(self, client_id: str) -> Session | None:
        """Return the session of a client that is connected, or that has left one behind."""
        return self._sessions.get(client_id)

    def lose_sessions(self) -> None:
        """Forget what clients subscribed to and what waits for them, connected or not."""
        for client_id, session in list(self._sessions.items()):
            session.forget()
            if session.wire is None:
                del self._sessions[client_id]

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """Grant a subscription and return its QoS; never 2, as at edgeHub."""
        session.subscriptions[topic_filter] = min(qos, 1)
        self.tell("subscribed", session.identity, filter=topic_filter)
        return min(qos, 1)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """End a subscription."""
        if session.subscriptions.pop(topic_filter, None) is not None:
            self.tell("unsubscribed", session.identity, filter=topic_filter)

    def tell(self, kind: str, identity: Identity | None, **detail: Any) -> None:
        """Record an event."""
        device, module = (identity.device, identity.module) if identity else ("", "")
        self._record.add_event(HubEvent(kind, device, module, self._clock(), detail))

    # What modules publish

    def publish(self, session: Session, packet: Publish) -> Callable[[], None]:
        """Store what a module has published; return what follows the acknowledgement.

        Raises:
            PacketError: the topic is another module's.
        """
        topic = packet.topic
        if topic.startswith("devices/"):
            return self._telemetry(session, packet)
        if topic.startswith(_TWIN_GET):
            return self._twin_answer(session, topic, lambda: self._twin(session))
        if topic.startswith(_TWIN_REPORT):
            return self._twin_answer(session, topic, lambda: self._report(session, packet.payload))
        if topic.startswith(_METHOD_ANSWER):
            self._method_answer(topic[len(_METHOD_ANSWER) :], packet.payload)
            return _nothing
        self.tell("ignored", session.identity, topic=topic)
        return _nothing

    def _telemetry(self, session: Session, packet: Publish) -> Callable[[], None]:
        identity = session.identity
        base = f"devices/{identity.device}/modules/{identity.module}/messages/events/"
        if not packet.topic.startswith(base):
            raise PacketError(f"a message to {packet.topic!r} from {identity.client_id}")
        given = decode_properties(packet.topic[len(base) :].rstrip("/"))
        system = {name: value for name, value in given.items() if name.startswith("$.")}
        message = HubMessage(
            id=system.get("$.mid", ""),
            output=system.get("$.on", ""),
            body=packet.payload,
            properties={name: value for name, value in given.items() if name not in system},
            content_type=system.get("$.ct", ""),
            content_encoding=system.get("$.ce", ""),
            system=system,
            device=identity.device,
            module=identity.module,
            received_at_s=self._clock(),
            dup=packet.dup,
            number=self._record.taken + 1,
        )
        self._follow_routes(identity, message)
        return _nothing

    def _follow_routes(self, sender: Identity, message: HubMessage) -> None:
        """Bring a message to each sink once; one that no route takes is dropped, as at edgeHub."""
        sinks = dict.fromkeys(route.route.sink for route in self.routes if route.takes(message))
        if not sinks:
            self._record.unrouted += 1
            self.tell("unrouted", sender, id=message.id, output=message.output)
        for sink in sinks:
            if sink == UPSTREAM:
                self._record.add_message(message)
            else:
                self._to_input(sink, message)

    def _to_input(self, sink: Sink, message: HubMessage) -> None:
        receiver = self._identities.register(message.device, sink.module)
        kept = {name: value for name, value in message.system.items() if name != "$.on"}
        sender = {"$.cdid": message.device, "$.cmid": message.module}
        properties = {**kept, **sender, **message.properties}
        self.send_input(receiver, sink.input, message.body, properties)

    def _twin_answer(
        self, session: Session, topic: str, answer: Callable[[], tuple[int, str, bytes]]
    ) -> Callable[[], None]:
        request = decode_properties(topic.partition("?")[2]).get("$rid", "")
        if self.faults.twin == "silent":
            return _nothing
        if self.faults.twin == "answer":
            status, more, body = answer()
        else:
            status, more, body = self.faults.twin, "", b'{"message": "told to answer so"}'
        reply = f"$iothub/twin/res/{status}/?$rid={quote(request, safe='')}{more}"
        return lambda: self._send_answer(session, reply, body)

    def _send_answer(self, session: Session, topic: str, body: bytes) -> None:
        if not session.send(topic, body):
            # As at edgeHub: whoever does not listen gets no answer.
            self.tell("ignored", session.identity, topic=topic)

    def _twin(self, session: Session) -> tuple[int, str, bytes]:
        return 200, "", self.twin(session.identity.client_id).document()

    def _report(self, session: Session, payload: bytes) -> tuple[int, str, bytes]:
        try:
            patch = json.loads(payload)
            version = self.twin(session.identity.client_id).patch_reported(patch)
        except ValueError as error:  # TwinError is one
            return 400, "", json.dumps({"message": str(error)}).encode()
        self.tell("reported", session.identity, patch=patch, version=version)
        return 204, f"&$version={version}", b""

    # What the hub's user does

    def twin(self, client_id: str) -> StoredTwin:
        """Return a module's twin, made if there is none."""
        return self.twins.setdefault(client_id, StoredTwin())

    def patch_desired(self, identity: Identity, patch: Mapping[str, Any]) -> int:
        """Change desired properties, tell the module if it is there, return the version.

        Raises:
            TwinError: IoT Hub would refuse the patch.
        """
        version = self.twin(identity.client_id).patch_desired(patch)
        session = self.session(identity.client_id)
        if session is not None:
            body = json.dumps({**patch, "$version": version}).encode()
            # A module that is away is not told later: it asks for its twin when it comes back.
            session.send(f"{_TWIN_DESIRED}?$version={version}", body)
        self.tell("desired", identity, patch=dict(patch), version=version)
        return version

    def send_input(
        self, identity: Identity, name: str, body: bytes, properties: Mapping[str, str]
    ) -> None:
        """Deliver a message to a module's input, now or when the module is there."""
        session = self.session(identity.client_id)
        if session is None:
            session = self._sessions.setdefault(identity.client_id, Session(identity))
        base = f"devices/{identity.device}/modules/{identity.module}"
        session.deliver(
            f"{base}/inputs/{quote(name, safe='')}/{encode_properties(properties)}", body
        )

    async def call_method(
        self, identity: Identity, name: str, payload: bytes, timeout_s: float
    ) -> MethodResult:
        """Call a direct method; 404 when the module does not listen, 504 without an answer."""
        request = f"{next(self._method_ids):x}"
        answer: asyncio.Future[MethodResult] = self.loop.create_future()
        self._calls[request] = answer
        session = self.session(identity.client_id)
        topic = f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={request}"
        try:
            if session is None or not session.send(topic, payload):
                result = MethodResult(404, {"message": "the module is not there, or not listening"})
            else:
                result = await asyncio.wait_for(answer, timeout_s)
        except asyncio.TimeoutError:
            result = MethodResult(504, {"message": f"no answer within {timeout_s:g} s"})
        finally:
            del self._calls[request]
        self.tell("method", identity, name=name, status=result.status)
        return result

    def _method_answer(self, rest: str, payload: bytes) -> None:
        """Take ``STATUS/?$rid=REQUEST`` and its payload."""
        status, _, query = rest.partition("/?")
        answer = self._calls.get(decode_properties(query).get("$rid", ""))
        if answer is None or answer.done():
            return
        result: MethodResult
        try:
            if len(payload) > MAX_METHOD_BYTES:
                raise ValueError(f"{len(payload)} bytes; at most {MAX_METHOD_BYTES}")
            result = MethodResult(int(unquote(status)), json.loads(payload) if payload else None)
        except ValueError as error:
            result = MethodResult(502, {"message": f"the module's answer is no good: {error}"})
        answer.set_result(result)
