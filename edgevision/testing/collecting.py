"""An upstream that keeps what it is sent, for tests."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from edgevision.errors import UpstreamError
from edgevision.upstream.message import Message
from edgevision.upstream.upstream import Upstream

__all__ = ["CollectingUpstream"]


class CollectingUpstream(Upstream):
    """Keeps messages in the order of their arrival.

    It keeps the contract of every upstream, so what works with it works with the real ones. The
    messages may be read from any thread while more arrive, and stay after `stop`::

        upstream = CollectingUpstream()
        ...
        await upstream.wait_for(3)
        assert upstream.bodies[0]["counts"] == {"person": 2}

    Args:
        name: what it is called in logs and statistics.
    """

    def __init__(self, name: str = "collecting") -> None:
        self.name = name
        self._messages: list[Message] = []
        self._arrived = threading.Condition()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._started = False

    @property
    def messages(self) -> list[Message]:
        """A copy of what has come so far."""
        with self._arrived:
            return list(self._messages)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The documents that have come so far."""
        return [message.body for message in self.messages]

    def of(self, camera: str) -> list[Message]:
        """Return what has come about one camera."""
        return [message for message in self.messages if message.camera == camera]

    def clear(self) -> None:
        """Forget what has come."""
        with self._arrived:
            self._messages.clear()

    async def start(self) -> None:
        """Take messages from now on."""
        self._started = True

    async def send(self, message: Message) -> None:
        """Keep ``message``.

        Raises:
            UpstreamError: not started.
        """
        if not self._started:
            raise UpstreamError(f"upstream {self.name} is not started", retryable=False)
        message.encode()  # what has no JSON form fails here as it would anywhere else
        with self._arrived:
            self._messages.append(message)
            self._arrived.notify_all()
            count = len(self._messages)
            reached = [entry for entry in self._waiting if entry[0] <= count]
            self._waiting = [entry for entry in self._waiting if entry[0] > count]
        for _, future in reached:
            future.get_loop().call_soon_threadsafe(_wake, future)

    async def stop(self) -> None:
        """Take no more messages; those that came stay."""
        self._started = False

    async def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Message]:
        """Wait on an event loop until ``count`` messages have come; return all of them.

        Raises:
            TimeoutError: fewer came within ``timeout_s``; says which.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._arrived:
            if len(self._messages) >= count:
                return list(self._messages)
            self._waiting.append((count, future))
        await asyncio.wait({future}, timeout=timeout_s)
        return self._checked(count, timeout_s)

    def wait(self, count: int, timeout_s: float = 5.0) -> list[Message]:
        """Wait on a thread that is not the event loop's until ``count`` messages have come.

        Raises:
            TimeoutError: fewer came within ``timeout_s``; says which.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._messages) >= count, timeout_s)
        return self._checked(count, timeout_s)

    def _checked(self, count: int, timeout_s: float) -> list[Message]:
        messages = self.messages
        if len(messages) < count:
            came = ", ".join(f"{m.kind} of {m.camera}" for m in messages[-10:]) or "none"
            raise TimeoutError(
                f"wanted {count} messages within {timeout_s:g} s, got {len(messages)}: {came}"
            )
        return messages


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
