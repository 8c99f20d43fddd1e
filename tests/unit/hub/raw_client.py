"""A small MQTT client on a blocking socket, which does what a test says and nothing else.

It has its own writing and reading of packets, so that a mistake in the hub's is seen.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass, field

__all__ = ["Answer", "RawClient", "connect_packet", "packet"]

LIMIT_S = 10.0
CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xB0, 0xD0


@dataclass(frozen=True)
class Answer:
    """One packet from the broker.

    Attributes:
        kind: upper half of the first byte.
        flags: lower half of it.
        body: what follows the length.
    """

    kind: int
    flags: int
    body: bytes

    @property
    def packet_id(self) -> int:
        """Of a PUBACK, SUBACK or UNSUBACK."""
        return int.from_bytes(self.body[:2], "big")

    @property
    def _head(self) -> tuple[int, int]:
        size = int.from_bytes(self.body[:2], "big")
        return 2 + size, 4 + size if self.flags & 0x06 else 2 + size

    @property
    def topic(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 : self._head[0]].decode()

    @property
    def publish_id(self) -> int:
        """Packet id of a PUBLISH of QoS 1."""
        start, end = self._head
        return int.from_bytes(self.body[start:end], "big")

    @property
    def payload(self) -> bytes:
        """Of a PUBLISH."""
        return self.body[self._head[1] :]

    @property
    def dup(self) -> bool:
        """Of a PUBLISH."""
        return bool(self.flags & 0x08)

    @property
    def qos(self) -> int:
        """Of a PUBLISH."""
        return self.flags >> 1 & 3


def text(value: str | bytes) -> bytes:
    """Return a field with its length in front."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes = b"") -> bytes:
    """Return a packet."""
    size, rest = b"", len(body)
    while True:
        more = rest > 127
        size += bytes((rest % 128 + 128 * more,))
        rest //= 128
        if not more:
            return bytes((first,)) + size + body


def connect_packet(
    client_id: str,
    *,
    username: str | None = None,
    password: str | None = None,
    clean: bool = False,
    keep_alive_s: int = 60,
    level: int = 4,
    name: str = "MQTT",
) -> bytes:
    """Return a CONNECT."""
    flags = 0x02 * clean | 0x80 * (username is not None) | 0x40 * (password is not None)
    body = text(name) + bytes((level, flags)) + keep_alive_s.to_bytes(2, "big") + text(client_id)
    body += b"".join(text(field) for field in (username, password) if field is not None)
    return packet(0x10, body)


@dataclass
class RawClient:
    """A TLS connection to a broker, for a ``with`` block.

    Attributes:
        host: address of the broker.
        port: its port.
        ca_pem: what to trust.
    """

    host: str
    port: int
    ca_pem: str
    _socket: ssl.SSLSocket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cadata=self.ca_pem)
        plain = socket.create_connection((self.host, self.port), timeout=LIMIT_S)
        try:
            self._socket = context.wrap_socket(
                plain, server_hostname=self.host, suppress_ragged_eofs=False
            )
        except OSError:
            plain.close()
            raise

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def set_limit(self, limit_s: float) -> None:
        """Change how long is waited for a packet."""
        self._socket.settimeout(limit_s)

    def send(self, *packets: bytes) -> None:
        """Send packets, all at once."""
        self._socket.sendall(b"".join(packets))

    def receive(self) -> Answer | None:
        """Wait for a packet; None when the broker has closed the connection."""
        head = self._take(2)
        if head is None:
            return None
        size, shift, byte = head[1] & 127, 7, head[1]
        while byte > 127:
            more = self._take(1)
            assert more is not None
            byte = more[0]
            size |= (byte & 127) << shift
            shift += 7
        body = self._take(size)
        assert body is not None
        return Answer(head[0] & 0xF0, head[0] & 0x0F, body)

    def expect(self, kind: int) -> Answer:
        """Wait for a packet of this kind."""
        answer = self.receive()
        assert answer is not None, "the broker has closed the connection"
        assert answer.kind == kind, f"{answer}, not {kind:#x}"
        return answer

    def closed(self) -> bool:
        """Wait for the end of the connection; False if a packet comes instead."""
        return self.receive() is None

    def publish(
        self,
        topic: str,
        payload: bytes = b"",
        *,
        qos: int = 1,
        packet_id: int = 1,
        dup: bool = False,
    ) -> None:
        """Send a PUBLISH."""
        number = packet_id.to_bytes(2, "big") if qos else b""
        self.send(packet(0x30 | qos << 1 | 8 * dup, text(topic) + number + payload))

    def subscribe(self, *filters: str, qos: int = 1, packet_id: int = 1) -> list[int]:
        """Subscribe and return what was granted."""
        body = packet_id.to_bytes(2, "big")
        self.send(packet(0x82, body + b"".join(text(f) + bytes((qos,)) for f in filters)))
        answer = self.expect(SUBACK)
        assert answer.packet_id == packet_id
        return list(answer.body[2:])

    def acknowledge(self, packet_id: int) -> None:
        """Send a PUBACK."""
        self.send(packet(0x40, packet_id.to_bytes(2, "big")))

    def _take(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            chunk = b""
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                chunk = self._socket.recv(count - len(data))
            if not chunk:
                return None
            data += chunk
        return data
