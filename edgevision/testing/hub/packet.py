"""MQTT 3.1.1 packets, as a server reads and writes them.

Source of every fact: the OASIS standard MQTT Version 3.1.1; its section numbers stand in the code.
QoS 2 is not there: edgeHub does not have it either.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "MAX_PACKET_BYTES",
    "Connect",
    "Disconnect",
    "Packet",
    "PacketDecoder",
    "PacketError",
    "PingRequest",
    "PubAck",
    "Publish",
    "Subscribe",
    "Unsubscribe",
    "connack",
    "matches",
    "pingresp",
    "puback",
    "suback",
    "unsuback",
]

MAX_PACKET_BYTES = 262_144
"""Longest packet, headers included, that edgeHub reads; a longer one ends the connection."""

_CONNECT, _CONNACK, _PUBLISH, _PUBACK = 1, 2, 3, 4
_SUBSCRIBE, _SUBACK, _UNSUBSCRIBE, _UNSUBACK = 8, 9, 10, 11
_PINGREQ, _PINGRESP, _DISCONNECT = 12, 13, 14
# Bytes that may lie decoded at the front of the buffer before they are cut off.
_COMPACT_AT = 65_536


class PacketError(Exception):
    """What came is no packet that this server takes; the connection must be closed."""


@dataclass(slots=True, frozen=True)
class Connect:
    """A client introduces itself (3.1).

    Attributes:
        client_id: as the client gave it.
        username: "" if none was given.
        password: "" if none was given.
        keep_alive_s: longest silence that the client promises; 0 for none.
        clean_session: False to find subscriptions and undelivered messages again.
        protocol_level: 4 for MQTT 3.1.1.
    """

    client_id: str
    username: str
    password: str
    keep_alive_s: int
    clean_session: bool
    protocol_level: int


@dataclass(slots=True, frozen=True)
class Publish:
    """A message (3.3).

    Attributes:
        topic: without wildcards.
        payload: the body.
        qos: 0 or 1.
        packet_id: 1 to 65535; 0 under QoS 0.
        dup: True if it may have come before.
        retain: True if the server is asked to keep it.
    """

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int = 0
    dup: bool = False
    retain: bool = False

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        topic = self.topic.encode()
        flags = self.dup << 3 | self.qos << 1 | self.retain
        head = len(topic).to_bytes(2, "big") + topic
        if self.qos:
            head += self.packet_id.to_bytes(2, "big")
        return _framed(_PUBLISH << 4 | flags, head + self.payload)


@dataclass(slots=True, frozen=True)
class PubAck:
    """The client has taken a message of QoS 1 (3.4)."""

    packet_id: int


@dataclass(slots=True, frozen=True)
class Subscribe:
    """The client wants messages (3.8).

    Attributes:
        packet_id: to be repeated in the answer.
        filters: topic filter and the highest QoS wanted, in order.
    """

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(slots=True, frozen=True)
class Unsubscribe:
    """The client no longer wants messages (3.10)."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class PingRequest:
    """The client is alive (3.12)."""


@dataclass(slots=True, frozen=True)
class Disconnect:
    """The client leaves on purpose (3.14)."""


Packet = Connect | Publish | PubAck | Subscribe | Unsubscribe | PingRequest | Disconnect


class PacketDecoder:
    """Cuts a byte stream into packets.

    Args:
        max_bytes: longest packet, headers included.
    """

    def __init__(self, max_bytes: int = MAX_PACKET_BYTES) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._start = 0

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._data += data

    @property
    def pending_bytes(self) -> int:
        """How much has arrived and is not decoded."""
        return len(self._data) - self._start

    def next(self) -> Packet | None:
        """Return the next packet, or None until more has arrived.

        Raises:
            PacketError: malformed, longer than allowed, or nothing that a client sends.
        """
        data, start = self._data, self._start
        if len(data) - start < 2:
            self._compact()
            return None
        length, shift, at = 0, 0, start + 1
        while True:  # 2.2.3
            if at >= len(data):
                return None
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise PacketError("a remaining length of more than 4 bytes")
        size = at - start + length
        if size > self._max_bytes:
            raise PacketError(f"a packet of {size} bytes; at most {self._max_bytes} are read")
        if len(data) < at + length:
            return None
        packet = _decoded(data[start], bytes(data[at : at + length]))
        self._start = at + length
        if self._start > _COMPACT_AT:
            self._compact()
        return packet

    def _compact(self) -> None:
        del self._data[: self._start]
        self._start = 0


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a topic is one of those that a filter stands for (4.7)."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for index, part in enumerate(wanted):
        if part == "#":
            return True
        if index >= len(levels) or part not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def connack(code: int, *, session_present: bool = False) -> bytes:
    """Return the answer to a `Connect`; ``code`` is 0 or the reason for the refusal (3.2)."""
    return bytes((_CONNACK << 4, 2, int(session_present and code == 0), code))


def puback(packet_id: int) -> bytes:
    """Return the acknowledgement of a message of QoS 1."""
    return bytes((_PUBACK << 4, 2, packet_id >> 8, packet_id & 0xFF))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """Return the answer to a `Subscribe`; a code is the QoS granted, or 0x80."""
    return _framed(_SUBACK << 4, packet_id.to_bytes(2, "big") + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """Return the answer to an `Unsubscribe`."""
    return bytes((_UNSUBACK << 4, 2, packet_id >> 8, packet_id & 0xFF))


def pingresp() -> bytes:
    """Return the answer to a `PingRequest`."""
    return bytes((_PINGRESP << 4, 0))


def _framed(first: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        byte, length = length & 0x7F, length >> 7
        size.append(byte | 0x80 if length else byte)
        if not length:
            return bytes((first,)) + bytes(size) + body


def _decoded(first: int, body: bytes) -> Packet:
    kind, flags = first >> 4, first & 0x0F
    if kind == _PUBLISH:
        return _publish(flags, body)
    wanted = 2 if kind in (_SUBSCRIBE, _UNSUBSCRIBE) else 0
    if flags != wanted:
        raise PacketError(f"packet type {kind} with flags {flags}, not {wanted}")
    reader = _Fields(body)
    packet: Packet
    if kind == _PUBACK:
        packet = PubAck(reader.number())
    elif kind == _PINGREQ:
        packet = PingRequest()
    elif kind == _SUBSCRIBE:
        packet = _subscribe(reader)
    elif kind == _UNSUBSCRIBE:
        packet = Unsubscribe(reader.number(), tuple(reader.texts()))
        if not packet.filters:
            raise PacketError("an UNSUBSCRIBE without a filter")
    elif kind == _CONNECT:
        packet = _connect(reader)
    elif kind == _DISCONNECT:
        packet = Disconnect()
    else:
        raise PacketError(f"packet type {kind}, which no client of QoS 0 and 1 sends")
    if reader.rest:
        raise PacketError(f"packet type {kind} with {reader.rest} bytes too many")
    return packet


def _publish(flags: int, body: bytes) -> Publish:
    qos = flags >> 1 & 3
    if qos > 1:
        raise PacketError(f"a PUBLISH of QoS {qos}; edgeHub takes 0 and 1")
    reader = _Fields(body)
    topic = reader.text()
    if not topic or "+" in topic or "#" in topic:
        raise PacketError("a PUBLISH whose topic is empty or holds a wildcard")
    packet_id = reader.number() if qos else 0
    if qos and not packet_id:
        raise PacketError("a PUBLISH of QoS 1 with packet id 0")
    return Publish(topic, body[reader.at :], qos, packet_id, bool(flags & 8), bool(flags & 1))


def _subscribe(reader: _Fields) -> Subscribe:
    packet_id = reader.number()
    filters = []
    while reader.rest:
        topic_filter, qos = reader.text(), reader.byte()
        parts = topic_filter.split("/")
        wild = any(("#" in p or "+" in p) and len(p) > 1 for p in parts) or "#" in parts[:-1]
        if not topic_filter or wild or qos > 2:
            raise PacketError(f"a SUBSCRIBE to {topic_filter!r} with QoS {qos}")
        filters.append((topic_filter, qos))
    if not filters:
        raise PacketError("a SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(filters))


def _connect(reader: _Fields) -> Connect:
    if reader.text() != "MQTT":
        raise PacketError("a CONNECT of another protocol than MQTT")
    level, flags, keep_alive_s = reader.byte(), reader.byte(), reader.number()
    if level == 4 and flags & 1:
        raise PacketError("a CONNECT with its reserved flag set")
    client_id = reader.text() if level == 4 else ""
    if level == 4 and flags & 0x04:  # the will, which edgeHub ignores
        reader.text()
        reader.data()
    username = reader.text() if level == 4 and flags & 0x80 else ""
    password = reader.text() if level == 4 and flags & 0x40 else ""
    if level != 4:
        reader.at += reader.rest  # another version's fields; the answer is a refusal
    return Connect(client_id, username, password, keep_alive_s, bool(flags & 0x02), level)


class _Fields:
    """Reads the fields of one packet (1.5)."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    @property
    def rest(self) -> int:
        return len(self._body) - self.at

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def data(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            text = self.data().decode()
        except UnicodeDecodeError as error:
            raise PacketError("a text that is not UTF-8") from error
        if "\0" in text:
            raise PacketError("a text with a NUL in it")
        return text

    def texts(self) -> list[str]:
        found = []
        while self.rest:
            found.append(self.text())
        return found

    def _take(self, count: int) -> bytes:
        if count > self.rest:
            raise PacketError("a packet shorter than its fields say")
        self.at += count
        return self._body[self.at - count : self.at]
