"""What a hub can be told to do wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["EndKind", "Faults"]

EndKind = Literal["reset", "tls", "tcp"]
"""How a connection is ended: ``reset`` by a TCP reset, as when a machine has restarted; ``tls`` by
an orderly end of TLS; ``tcp`` by an end of TCP alone, as when the process was killed."""


@dataclass
class Faults:
    """Switches that may be turned from any thread; each acts on what comes next.

    Attributes:
        refuse_connect: answer each CONNECT with this code: 1 protocol, 2 identifier, 3 unavailable,
            4 bad user name or password, 5 not authorized. 0: answer as usual.
        silent_connect: do not answer a CONNECT at all.
        lose_pubacks: so many messages are stored and not acknowledged; ``math.inf`` for all.
        close_on_topic: close the connection, before the message is stored, when a topic holds this.
            "" for never.
        end: how ``close_on_topic`` ends a connection.
        delay_s: wait so long before each packet of a client is handled. Packets of one client are
            handled one after another, so this bounds its rate.
        twin: ``answer``, ``silent``, or the status of each answer about the twin (429, 500).
        forget_sessions: every client finds that its session is gone when it connects, as with an
            edgeHub whose storage is not mounted.
    """

    refuse_connect: int = 0
    silent_connect: bool = False
    lose_pubacks: float = 0
    close_on_topic: str = ""
    end: EndKind = "reset"
    delay_s: float = 0.0
    twin: int | Literal["answer", "silent"] = "answer"
    forget_sessions: bool = False
