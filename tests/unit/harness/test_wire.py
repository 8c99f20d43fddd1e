"""The size of a message is what the SDK and paho write, to the byte."""

from __future__ import annotations

import string
from typing import Any

from azure.iot.device import Message
from azure.iot.device.iothub.pipeline import mqtt_topic_iothub
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho

from edgevision.harness.transport import Packet
from edgevision.harness.wire import Wire

_TEXT = st.text(max_size=20)


class CountingSocket:
    """Takes what paho writes."""

    def __init__(self) -> None:
        self.written = 0

    def send(self, data: bytes) -> int:
        self.written += len(data)
        return len(data)

    def close(self) -> None:
        return


def written(packet: Packet, device: str, module: str) -> int:
    """Return how many bytes paho writes for ``packet``, with the topic that the SDK makes."""
    sdk: Any = Message
    message = sdk(packet.payload, packet.id, packet.content_encoding, packet.content_type)
    message.output_name = packet.output
    message.custom_properties = dict(packet.properties)
    topics: Any = mqtt_topic_iothub
    topic = topics.encode_message_properties_in_topic(
        message, topics.get_telemetry_topic_for_publish(device, module)
    )
    client = paho.Client("c", clean_session=False)
    connection = CountingSocket()
    client._sock = connection
    client.publish(topic, packet.payload, qos=1)
    client.loop_write()
    client._sock = None
    return connection.written


@given(
    id=st.text(string.ascii_letters + string.digits + "-:.", max_size=40),
    output=_TEXT,
    payload=st.one_of(
        st.binary(max_size=300), st.integers(0, 40).map(lambda n: b"x" * (16_384 - 150 + n))
    ),
    properties=st.dictionaries(st.text(min_size=1, max_size=20), _TEXT, max_size=4),
    content_type=st.sampled_from(["", "application/json", "image/jpeg; q=1"]),
    device=st.sampled_from(["d", "edge-device"]),
)
def test_the_size_is_what_is_written(
    id: str, output: str, payload: bytes, properties: dict[str, str], content_type: str, device: str
) -> None:
    packet = Packet(id, output, payload, properties, content_type)
    assert Wire(device, "door").size(packet) == written(packet, device, "door")
