"""What the outbox hands out, and its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgevision.harness.transport import Packet
from edgevision.upstream.message import Kind, Message, property_text

__all__ = ["DropReason", "OutboxStatistics", "StoredPacket", "Taken", "WhenFull"]

WhenFull = Literal["drop oldest", "drop newest", "block"]
"""What happens to a message for which there is no room.

- ``drop oldest``: the oldest that are not on their way give way to it.
- ``drop newest``: it is dropped.
- ``block``: whoever puts it waits until there is room.
"""

DropReason = Literal["full", "too old", "refused", "poison", "corrupt", "no space"]
"""Why a stored message is not delivered.

- ``full``: it gave way, or found no room, under ``max_bytes``.
- ``too old``: it waited for longer than ``max_age_s``.
- ``refused``: the hub will never take it.
- ``poison``: the connection dies of it again and again.
- ``corrupt``: it was in a file that could not be read any more.
- ``no space``: the disk was full (``drop newest`` only; else whoever puts it gets an error).
"""


@dataclass(slots=True, frozen=True)
class StoredPacket:
    """One packet of the outbox: a message, or several of one camera, output and kind.

    It has the same messages, the same id and the same bytes whenever it is handed out, also after
    a restart.

    Attributes:
        camera: whose messages they are.
        number: of the packet; grows within a camera.
        id: of the first message.
        count: messages in it.
        output: name of the output.
        kind: of the messages.
        batched: whether the payload is a JSON array.
        stored_at_s: age clock at which the first message was stored.
        body_bytes: of all bodies.
        body: the messages' documents, separated by commas.
        live: whether it is of what was stored after the backlog was parted from it.
    """

    camera: str
    number: int
    id: str
    count: int
    output: str
    kind: Kind
    batched: bool
    stored_at_s: float
    body_bytes: int
    body: bytes
    live: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What identifies it in the outbox."""
        return self.camera, self.number

    @property
    def stream(self) -> tuple[str, bool]:
        """What keeps its order: a camera's packets, or its live ones."""
        return self.camera, self.live

    def packet(self) -> Packet:
        """Return it as it goes over the wire."""
        properties = {"kind": self.kind, "camera": property_text(self.camera)}
        if not self.batched:
            return Packet(
                self.id,
                self.output,
                self.body,
                properties,
                Message.content_type,
                Message.content_encoding,
            )
        properties["batch"] = str(self.count)
        return Packet(
            f"{self.id}+{self.count}",
            self.output,
            b"[%b]" % self.body,
            properties,
            Message.content_type,
            Message.content_encoding,
        )


@dataclass(slots=True, frozen=True)
class Taken:
    """Packets to send.

    Attributes:
        packets: in order within each camera.
        more: whether further ones could be taken at once.
        due_in_s: when the next batch has waited for long enough; None when none waits.
    """

    packets: list[StoredPacket]
    more: bool = False
    due_in_s: float | None = None


@dataclass(slots=True, frozen=True)
class OutboxStatistics:
    """The outbox at one moment; the counters are those since its start.

    ``waiting`` is what was there at the start plus ``stored`` less ``delivered`` less those
    dropped out of the file.

    Attributes:
        waiting: messages in the file.
        waiting_bytes: of their documents.
        oldest_age_s: how long the oldest has waited; 0 when there is none.
        stored: messages taken.
        duplicates: messages that were there already under the same id.
        delivered: messages that the hub has acknowledged.
        dropped: messages that will not be delivered, by `DropReason`.
        oversize: messages refused since they are larger than the hub takes.
        blocked: callers that wait for room.
        file_bytes: of the database and its log on the disk.
        corrupt_files: files set aside since they could not be read.
        salvaged: messages read out of those.
        detail: what keeps the outbox from storing; "" while it works.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    oldest_age_s: float = 0.0
    stored: int = 0
    duplicates: int = 0
    delivered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    oversize: int = 0
    blocked: int = 0
    file_bytes: int = 0
    corrupt_files: int = 0
    salvaged: int = 0
    detail: str = ""
