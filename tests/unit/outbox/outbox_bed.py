"""What the tests of the outbox share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edgevision.harness.transport import Packet
from edgevision.harness.wire import Wire
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.packet import StoredPacket
from edgevision.upstream.outbox.wire import WireLimit

MAX_WIRE_BYTES = 262_144
LIMIT = WireLimit(Wire("device", "module").size, MAX_WIRE_BYTES)
MIB = 1024 * 1024


def message(
    number: int,
    camera: str = "door",
    *,
    output: str = "results",
    kind: Any = "frame",
    text: str = "",
    **more: Any,
) -> Message:
    """A small message; its number is part of its id."""
    name = f"vision:{camera}:run:{number}"
    body = {
        "schema": "edgevision.message/1.0",
        "id": name,
        "kind": kind,
        "output": output,
        "module": "vision",
        "camera": camera,
        "number": number,
        "text": text,
        **more,
    }
    return Message(name, kind, output, camera, body)


def messages(numbers: Sequence[int], camera: str = "door", **more: Any) -> list[Message]:
    return [message(number, camera, **more) for number in numbers]


def documents(packet: StoredPacket | Packet) -> list[dict[str, Any]]:
    """The messages of a packet."""
    payload = packet.packet().payload if isinstance(packet, StoredPacket) else packet.payload
    content = json.loads(payload)
    return content if isinstance(content, list) else [content]


def numbers(packets: Sequence[StoredPacket | Packet], camera: str = "door") -> list[int]:
    """The numbers of a camera's messages, in order."""
    found = [document for packet in packets for document in documents(packet)]
    return [document["number"] for document in found if document["camera"] == camera]


@asynccontextmanager
async def started(path: Path, **settings: Any) -> AsyncIterator[Outbox]:
    """Give a started outbox, and stop it."""
    outbox = Outbox(path, LIMIT, **{"fsync": False, **settings})
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


async def everything(outbox: Outbox) -> list[StoredPacket]:
    """Take all packets."""
    found: list[StoredPacket] = []
    while taken := (await outbox.take(50, flush=True)).packets:
        found += taken
    return found


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that nobody announces."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - as the name says
            await asyncio.sleep(0.002)

    await asyncio.wait_for(look(), timeout_s)
