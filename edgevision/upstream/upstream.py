"""Where messages go: the contract that the console, the JSON lines file and IoT Hub implement."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgevision.upstream.message import Message

__all__ = ["Upstream"]


class Upstream(ABC):
    """Takes messages; every method runs on the event loop and must not block it.

    ``start`` and ``stop`` may be called more than once; only the first call of a row does
    something. After ``stop`` the same object may be started again, also on another event loop.

    Attributes:
        name: what the upstream is called in pipeline.yaml, in logs and in metrics.
        group: the most messages that it wants at once, if so many wait.
    """

    name: str = "upstream"
    group: int = 1

    @property
    def gone(self) -> bool:
        """True once nothing will be taken any more, through nobody's fault.

        Such as when the reader of a pipe has left. Whoever sends then drops the upstream, and
        reports no failure.
        """
        return False

    @property
    def detail(self) -> str:
        """What keeps it from sending on what it has taken, in words for people; "" if nothing."""
        return ""

    def numbers(self) -> Mapping[str, float]:
        """Return what it counts itself, by name, for metrics; names do not change."""
        return {}

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
        back-pressure reaches a pipeline that loses nothing. A caller that stops waiting (a time
        limit) may send the same message again: whoever reads drops duplicates by ``message.id``.

        Raises:
            UpstreamError: the message was not taken; ``retryable`` says whether to try again.
                Before ``start`` and after ``stop`` every message is refused.
        """

    async def send_all(self, messages: Sequence[Message]) -> None:
        """Take several messages, in order; return once all of them are safe.

        For an upstream whose cost is by the call, such as a wait for the disk. It is called with
        more than one only if `group` allows it.

        Raises:
            UpstreamError: at least one was not taken; the caller sends each by itself then, so one
                may be sent twice.
        """
        for message in messages:
            await self.send(message)

    async def stop(self) -> None:
        """Flush and close; harmless when not started."""
