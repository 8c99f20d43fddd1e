"""How large a packet may be on the wire, told by the transport that will carry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edgevision.errors import UpstreamError
from edgevision.harness.transport import Packet, Transport
from edgevision.upstream.message import Message

__all__ = ["WireLimit"]

# A message id's character takes three bytes when it is percent-encoded. The length field of an MQTT
# packet grows by up to three bytes with the payload; two are the brackets of a batch.
_BYTES_PER_ID_CHARACTER = 3
_SLACK_BYTES = 8
_MANY = "999999"
_MAX_KNOWN = 1000


@dataclass(slots=True, frozen=True)
class WireLimit:
    """The most bytes of a packet, and how to count them.

    Attributes:
        size: bytes of a packet on the wire; pure, and linear in the length of the payload but for
            a few bytes.
        max_bytes: the most that ``size`` may say.
    """

    size: Callable[[Packet], int]
    max_bytes: int
    _overheads: dict[tuple[str, str, str], int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, transport: Transport) -> WireLimit:
        """Return the limit of a transport."""
        return cls(transport.wire_size, transport.max_wire_size)

    def overhead(self, message: Message) -> int:
        """Return an upper bound of what a packet that begins with ``message`` takes beyond bodies.

        It is the same for all messages of a camera, output and kind but for the id, so a small
        message costs no call of ``size``.
        """
        key = (message.camera, message.output, message.kind)
        known = self._overheads.get(key)
        if known is None:
            properties = {**message.properties, "batch": _MANY}
            known = self.size(Packet("-", message.output, b"", properties)) + _SLACK_BYTES
            if len(self._overheads) >= _MAX_KNOWN:
                self._overheads.clear()
            self._overheads[key] = known
        return known + _BYTES_PER_ID_CHARACTER * (len(message.id) + len(_MANY) + 1)

    def check(self, message: Message) -> None:
        """Raise if ``message`` is too large to travel in a packet of its own.

        Raises:
            UpstreamError: names the camera, the stage where it is known, and both sizes.
        """
        body = message.encode()
        if self.overhead(message) + len(body) <= self.max_bytes:
            return
        # The bound is a little too high; a message near the limit is counted exactly, in the form
        # that has more bytes: as a batch of one.
        properties = {**message.properties, "batch": "1"}
        exact = self.size(Packet(f"{message.id}+1", message.output, b"[%b]" % body, properties))
        if exact <= self.max_bytes:
            return
        stage = message.body.get("stage")
        origin = f"camera {message.camera!r}" + (f", stage {stage!r}" if stage else "")
        raise UpstreamError(
            f"{origin}: the {message.kind} for output {message.output!r} takes {exact:,} bytes on "
            f"the wire, the hub takes {self.max_bytes:,}; it is refused (id {message.id})",
            retryable=False,
        )
