"""When several messages share a packet."""

from __future__ import annotations

from dataclasses import dataclass

from edgevision.errors import ConfigurationError
from edgevision.upstream.message import Message

__all__ = ["Batching", "OpenBatch"]


@dataclass(slots=True, frozen=True)
class Batching:
    """How many small messages become one packet.

    A batch holds messages of one camera, one output and one kind, in order, so that routes see the
    same properties on it as on each of them. Something else of the same camera closes it: order
    goes before size.

    Attributes:
        max_messages: most messages of a batch; 1 switches batching off.
        max_bytes: most bytes of a batch's payload; what the hub takes at most holds beside it.
        linger_s: how long a batch waits for more messages while the connection is free. While it
            is not, batches grow without waiting.
    """

    max_messages: int = 1
    max_bytes: int = 65_536
    linger_s: float = 1.0

    def __post_init__(self) -> None:
        if self.max_messages < 1 or self.max_bytes < 1 or not 0 <= self.linger_s <= 30 * 86_400:
            raise ConfigurationError(
                "a batch has at least 1 message and 1 byte, and waits for 0 s to 30 days, got "
                f"{self.max_messages}, {self.max_bytes} and {self.linger_s}"
            )

    @property
    def enabled(self) -> bool:
        """Whether packets are batches, those of one message included."""
        return self.max_messages > 1


@dataclass(slots=True, frozen=True)
class OpenBatch:
    """A camera's last packet, while messages may still join it.

    Attributes:
        number: of the packet.
        output: of its messages.
        kind: of its messages.
        count: messages in it.
        payload_bytes: of its payload, brackets and commas included.
        overhead_bytes: bound of what the packet takes beside the payload.
        opened_s: monotonic seconds at which it began.
    """

    number: int
    output: str
    kind: str
    count: int
    payload_bytes: int
    overhead_bytes: int
    opened_s: float

    @classmethod
    def begin(
        cls, number: int, message: Message, overhead_bytes: int, opened_s: float
    ) -> OpenBatch:
        """Return a batch of one message."""
        payload_bytes = len(message.encode()) + len("[]")
        return cls(number, message.output, message.kind, 1, payload_bytes, overhead_bytes, opened_s)

    def joined(self, message: Message, batching: Batching, max_wire_bytes: int) -> OpenBatch | None:
        """Return the batch with ``message`` in it, or None if it does not fit."""
        payload_bytes = self.payload_bytes + len(",") + len(message.encode())
        if (
            self.output != message.output
            or self.kind != message.kind
            or self.count >= batching.max_messages
            or payload_bytes > batching.max_bytes
            or payload_bytes + self.overhead_bytes > max_wire_bytes
        ):
            return None
        return OpenBatch(
            self.number,
            self.output,
            self.kind,
            self.count + 1,
            payload_bytes,
            self.overhead_bytes,
            self.opened_s,
        )
