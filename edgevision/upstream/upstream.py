"""Where messages go: the contract that the console, the JSON lines file and IoT Hub implement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevision.upstream.message import Message

__all__ = ["Upstream"]


class Upstream(ABC):
    """Takes messages; every method runs on the event loop and must not block it.

    Attributes:
        name: what the upstream is called in pipeline.yaml, in logs and in metrics.
    """

    name: str = "upstream"

    async def start(self) -> None:
        """Open whatever is needed.

        Raises:
            ConfigurationError: it can never work (a path that cannot be written).
            UpstreamError: it does not work now.
        """

    @abstractmethod
    async def send(self, message: Message) -> None:
        """Take ``message``; return once it is safe (written, or stored to be sent).

        Messages of one camera come in order. A slow upstream makes the caller wait, which is how
        back-pressure reaches a pipeline that loses nothing.

        Raises:
            UpstreamError: the message was not taken; ``retryable`` says whether to try again.
        """

    async def stop(self) -> None:
        """Flush and close; harmless when not started."""
