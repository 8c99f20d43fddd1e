"""One client's connection to a hub."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from edgevision.testing.hub.faults import EndKind
from edgevision.testing.hub.packet import (
    Connect,
    Disconnect,
    Packet,
    PacketDecoder,
    PacketError,
    PingRequest,
    PubAck,
    Publish,
    Subscribe,
    Unsubscribe,
    connack,
    pingresp,
    puback,
    suback,
    unsuback,
)

if TYPE_CHECKING:
    from edgevision.testing.hub.broker import Broker
    from edgevision.testing.hub.session import Session

__all__ = ["Connection"]

_READ_AHEAD_BYTES = 524_288
_CONNECT_LIMIT_S = 30.0
_END_LIMIT_S = 1.0
_RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Reads packets, handles them one after another, and answers; on the hub's thread.

    Attributes:
        session: whose it is, once the CONNECT was accepted.
        expires_s: when the token ends, in the hub's time.
    """

    def __init__(self, broker: Broker) -> None:
        self.session: Session | None = None
        self.expires_s = 0.0
        self._broker = broker
        self._decoder = PacketDecoder()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._working = False
        self._timer: asyncio.TimerHandle | None = None
        self._due: Packet | None = None
        self._paused = False
        self._reading = True
        self._keep_alive_s = 0.0
        self._heard_s = 0.0
        self._reason = "the client closed the connection"
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: TLS is set up."""
        self._transport = cast(asyncio.Transport, transport)
        self._heard_s = self._broker.loop.time()
        self._broker.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        if error is not None and not self._closing:
            self._reason = f"connection lost: {error}"
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            # Python 3.10 warns of a TLS transport that only the other side has closed.
            self._transport.close()
        self._broker.left(self, self._reason)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self._heard_s = self._broker.loop.time()
        self._decoder.feed(data)
        if not self._paused:
            self._work()

    def eof_received(self) -> bool:
        """Close, as the client has."""
        return False

    def send(self, data: bytes) -> None:
        """Send a packet; those of one round of handling go out together."""
        self._out.append(data)
        if not self._working:
            self._flush()

    def end(self, how: EndKind, reason: str) -> None:
        """End the connection."""
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = True
        self._reason = reason
        if self._timer is not None:
            self._timer.cancel()
        if how == "tls":
            self._flush()
            transport.close()
            # The client is given a moment for its side of the end.
            self._timer = self._broker.loop.call_later(_END_LIMIT_S, transport.abort)
            return
        if how == "reset":
            connected: socket.socket = transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def abort(self) -> None:
        """End an orderly end that takes too long."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read nothing more, answer nothing more."""
        self._paused = True
        self._regulate()

    def resume(self) -> None:
        """End a `pause`."""
        self._paused = False
        self._work()

    def check(self, now_s: float) -> None:
        """End the connection if the client was silent for too long or its token has expired."""
        silent_s = self._broker.loop.time() - self._heard_s
        if self.session is None:
            if silent_s > _CONNECT_LIMIT_S:
                self.end("tls", "no CONNECT came")
        elif now_s >= self.expires_s:
            self.end("tls", "the token has expired")
        elif self._keep_alive_s and silent_s > 1.5 * self._keep_alive_s and not self._paused:
            self.end("tls", f"silent for more than 1.5 times {self._keep_alive_s:.0f} s")

    def _work(self) -> None:
        """Handle what has arrived, until a fault asks to wait."""
        if self._timer is not None:
            return
        self._working = True
        try:
            while not (self._closing or self._paused):
                packet = self._decoder.next()
                if packet is None:
                    break
                delay_s = self._broker.faults.delay_s
                if delay_s > 0:
                    self._due = packet
                    self._timer = self._broker.loop.call_later(delay_s, self._go_on)
                    break
                self._handle(packet)
        except PacketError as error:
            self._flush()
            self.end("tls", str(error))
        finally:
            self._working = False
        self._flush()
        self._regulate()

    def _go_on(self) -> None:
        packet, self._due, self._timer = self._due, None, None
        if packet is None or self._closing:
            return
        try:
            self._handle(packet)
        except PacketError as error:
            self.end("tls", str(error))
            return
        self._work()

    def _regulate(self) -> None:
        """Stop reading while too much waits, which makes the client wait."""
        wanted = not self._paused and self._decoder.pending_bytes < _READ_AHEAD_BYTES
        if self._transport is None or self._closing or wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._paused:
            data, self._out = b"".join(self._out), []
            if not self._transport.is_closing():
                self._transport.write(data)

    def _handle(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._connect(packet)
            return
        session = self.session
        if session is None:
            raise PacketError("the first packet is no CONNECT")
        if isinstance(packet, Publish):
            self._publish(packet, session)
        elif isinstance(packet, PubAck):
            session.acknowledge(packet.packet_id)
        elif isinstance(packet, Subscribe):
            granted = [self._broker.subscribe(session, f, qos) for f, qos in packet.filters]
            self.send(suback(packet.packet_id, granted))
            session.pump()
        elif isinstance(packet, Unsubscribe):
            for topic_filter in packet.filters:
                self._broker.unsubscribe(session, topic_filter)
            self.send(unsuback(packet.packet_id))
        elif isinstance(packet, PingRequest):
            self.send(pingresp())
        else:
            assert isinstance(packet, Disconnect)
            self.end("tls", "the client said goodbye")

    def _connect(self, packet: Connect) -> None:
        if self.session is not None:
            raise PacketError("a second CONNECT")
        if self._broker.faults.silent_connect:
            return
        admission = self._broker.admit(packet)
        if admission.code or admission.session is None:
            self.send(connack(admission.code))
            self._flush()
            self.end("tls", f"refused: {admission.reason}")
            return
        self.expires_s = admission.expires_s
        self._keep_alive_s = float(packet.keep_alive_s)
        self._broker.attach(admission.session, self, present=admission.session_present)
        self.send(connack(0, session_present=admission.session_present))
        admission.session.resume(self)

    def _publish(self, packet: Publish, session: Session) -> None:
        faults = self._broker.faults
        if faults.close_on_topic and faults.close_on_topic in packet.topic:
            self.end(faults.end, f"told to close on {faults.close_on_topic!r}")
            return
        answer = self._broker.publish(session, packet)
        if packet.qos:
            if faults.lose_pubacks > 0:
                faults.lose_pubacks -= 1
            else:
                self.send(puback(packet.packet_id))
        answer()
