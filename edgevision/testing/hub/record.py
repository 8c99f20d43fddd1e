"""What a hub has seen, bounded, for any thread to read and to wait on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from edgevision.testing.hub.message import HubEvent, HubMessage

__all__ = ["Record"]

_MAX_EVENTS = 10_000


class Record:
    """Messages and events in order.

    Args:
        max_messages: beyond it the oldest are forgotten.
        max_bytes: the same, of bodies together.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._messages: deque[HubMessage] = deque()
        self._bytes = 0
        self._events: deque[HubEvent] = deque(maxlen=_MAX_EVENTS)
        self._listeners: tuple[Callable[[HubMessage | HubEvent], None], ...] = ()
        self.taken = 0
        self.forgotten = 0
        self.unrouted = 0
        self.version = 0

    def add_message(self, message: HubMessage) -> None:
        """Keep a message."""
        with self._changed:
            self._messages.append(message)
            self._bytes += len(message.body)
            while len(self._messages) > self._max_messages or self._bytes > self._max_bytes:
                self._bytes -= len(self._messages.popleft().body)
                self.forgotten += 1
            self.taken += 1
            self._notify()
        for listener in self._listeners:
            listener(message)

    def add_event(self, event: HubEvent) -> None:
        """Keep an event."""
        with self._changed:
            self._events.append(event)
            self._notify()
        for listener in self._listeners:
            listener(event)

    def touch(self) -> None:
        """Wake those who wait, for something that is kept elsewhere."""
        with self._changed:
            self._notify()

    def listen(self, listener: Callable[[HubMessage | HubEvent], None]) -> None:
        """Call ``listener`` with each new message and event, on the hub's thread."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

    @property
    def messages(self) -> list[HubMessage]:
        """Copy of the messages."""
        with self._changed:
            return list(self._messages)

    @property
    def events(self) -> list[HubEvent]:
        """Copy of the events."""
        with self._changed:
            return list(self._events)

    def clear(self) -> None:
        """Forget messages and events."""
        with self._changed:
            self._messages.clear()
            self._bytes = 0
            self._events.clear()
            self._notify()

    def wait_change(self, seen: int, timeout_s: float) -> bool:
        """Wait until the version is another than ``seen``; False at the time limit."""
        with self._changed:
            return self._changed.wait_for(lambda: self.version != seen, timeout_s)

    def _notify(self) -> None:
        self.version += 1
        self._changed.notify_all()
