"""How many bytes a message takes on the wire, as azure-iot-device writes it.

A PUBLISH of MQTT 3.1.1 with QoS 1: a fixed header (one byte and the length in one to four), the
topic with two bytes of length before it, two bytes of packet id, the payload. The topic carries
the properties, percent-encoded. edgeHub refuses a packet of more than 256 KiB, and does so by
closing the connection (its DotNetty decoder); the SDK's own check looks at the size of Python
objects.
"""

from __future__ import annotations

import urllib.parse

from edgevision.harness.transport import Packet

__all__ = ["MAX_TOPIC_BYTES", "Wire"]

MAX_TOPIC_BYTES = 65_535
"""The longest topic that MQTT can express."""

_DIGIT_BASE = 128


class Wire:
    """The telemetry topic of one module.

    Args:
        device: id of the device; the SDK writes it as it is.
        module: id of the module; likewise.
    """

    def __init__(self, device: str, module: str) -> None:
        self._prefix_bytes = len(f"devices/{device}/modules/{module}/messages/events/".encode())

    def topic_bytes(self, packet: Packet) -> int:
        """Return the length of the topic of ``packet``."""
        system = (
            ("$.on", packet.output),
            ("$.mid", packet.id),
            ("$.ct", packet.content_type),
            ("$.ce", packet.content_encoding),
        )
        pairs = [(name, value) for name, value in system if value]
        pairs.extend(packet.properties.items())
        encoded = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
        return self._prefix_bytes + len(encoded)

    def size(self, packet: Packet, topic_bytes: int | None = None) -> int:
        """Return the bytes that ``packet`` takes, the fixed header included.

        Args:
            packet: the message.
            topic_bytes: what `topic_bytes` says of it, if that is known already.
        """
        topic = self.topic_bytes(packet) if topic_bytes is None else topic_bytes
        rest = 2 + topic + 2 + len(packet.payload)
        digits = 1
        while rest >= _DIGIT_BASE**digits:
            digits += 1
        return 1 + digits + rest
