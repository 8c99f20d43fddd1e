"""Messages from other modules: how a handler is declared, and the bounded way to it.

::

    class Fusion(Stage):
        @on_input("detections")
        def take(self, message):
            self.others = message.json()
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from edgevision.errors import ConfigurationError
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.harness.transport import InputMessage

__all__ = ["Inputs", "inputs_of", "module_input", "module_inputs", "on_input"]

_log = logging.getLogger("edgevision.input")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MARK = "__edgevision_input__"
_MAX_LOGGED = 100

_Function = TypeVar("_Function", bound=Callable[..., Any])


def on_input(name: str) -> Callable[[_Function], _Function]:
    """Let a method of a stage take the messages that come on the module's input ``name``.

    It takes ``(self, message)``, an `edgevision.harness.transport.InputMessage`, and runs on the
    camera's worker thread between two frames; ``async def`` runs on the event loop. Every camera's
    stage gets every message. The hub takes a message for delivered before it is handled, so one
    that is being handled when the module dies is lost.

    Raises:
        TypeError: the function takes something else, or the name is none that a route can have.
    """
    return _marker(name, ("self", "message"), lambda function: None)


def module_input(name: str) -> Callable[[_Function], _Function]:
    """Let a function take the messages that come on the module's input ``name``.

    The same as `on_input` for a function ``(message)``. A plain function runs on a thread, one at
    a time; ``async def`` runs on the event loop.

    Raises:
        TypeError: see `on_input`.
        ConfigurationError: another function takes that input already.
    """
    return _marker(name, ("message",), _register)


_registered: dict[str, Callable[..., Any]] = {}


def module_inputs() -> Mapping[str, Callable[..., Any]]:
    """Return the functions that `module_input` has marked, by input."""
    return dict(_registered)


def inputs_of(stage: type) -> Mapping[str, str]:
    """Return what `on_input` has marked in a stage's class: the attribute, by input."""
    return _inputs_of(stage)


@lru_cache(maxsize=256)
def _inputs_of(stage: type) -> dict[str, str]:
    found = {}
    for attribute in dir(stage):
        name = getattr(inspect.getattr_static(stage, attribute), _MARK, None)
        if isinstance(name, str):
            found[name] = attribute
    return found


class Inputs:
    """Hands messages to handlers, one after another for each input; all on the event loop.

    Args:
        find: returns what handles an input at this moment; None if nothing does.
        names: returns the inputs that something handles.
        size: messages that may wait for each input; of more, the oldest is dropped.

    Attributes:
        received: messages by input.
        dropped: messages by why they reached nobody: ``full INPUT``, ``failed INPUT``, ``unknown``.
    """

    def __init__(
        self,
        find: Callable[[str], Callable[[InputMessage], Awaitable[None]] | None],
        names: Callable[[], list[str]],
        *,
        size: int = 64,
    ) -> None:
        self._find = find
        self._names = names
        self._size = size
        self._waiting: dict[str, deque[InputMessage]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logged: set[str] = set()
        self.received: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def take(self, message: InputMessage) -> None:
        """Take a message; returns at once."""
        name = message.input
        if self._find(name) is None:
            self.dropped["unknown"] += 1
            known = self._names()
            self._log_once(
                f"unknown {name}",
                "a message came on the input %r, which nothing handles%s (handled are: %s)",
                name,
                did_you_mean(name, known),
                ", ".join(known) or "none",
            )
            return
        self.received[name] += 1
        waiting = self._waiting.setdefault(name, deque())
        if len(waiting) >= self._size:
            waiting.popleft()
            self.dropped[f"full {name}"] += 1
            self._log_once(f"full {name}", "messages on input %r come faster than handled", name)
        waiting.append(message)
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._handle(name), name=f"input {name}")

    async def stop(self) -> None:
        """Handle no more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _handle(self, name: str) -> None:
        waiting = self._waiting[name]
        try:
            while waiting:
                handler = self._find(name)
                message = waiting.popleft()
                try:
                    if handler is not None:
                        await handler(message)
                except Exception as error:
                    self.dropped[f"failed {name}"] += 1
                    text = redact(f"{type(error).__name__}: {error}")
                    self._log_once(
                        f"failed {name} {type(error).__name__}",
                        "a message on input %r could not be handled: %s",
                        name,
                        text,
                    )
        finally:
            del self._tasks[name]

    def _log_once(self, kind: str, text: str, *args: object) -> None:
        if kind not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(kind)
            _log.warning(text + " (further ones are only counted)", *args)


def _marker(
    name: str, wanted: tuple[str, ...], then: Callable[[Any], None]
) -> Callable[[_Function], _Function]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TypeError(f"an input has up to 64 letters, digits, '-' and '_', got {name!r}")

    def mark(function: _Function) -> _Function:
        if not inspect.isfunction(function):
            raise TypeError(f"@on_input belongs before a function, got {function!r}")
        try:
            inspect.signature(function).bind(*wanted)
        except TypeError:
            raise TypeError(
                f"the handler {function.__qualname__} must take ({', '.join(wanted)})"
            ) from None
        setattr(function, _MARK, name)
        then(function)
        return function

    return mark


def _register(function: Any) -> None:
    name = getattr(function, _MARK)
    other = _registered.get(name)
    if other is not None and other.__code__.co_filename != function.__code__.co_filename:
        raise ConfigurationError(
            f"two functions take the input {name!r}: {other.__qualname__} in "
            f"{other.__code__.co_filename} and {function.__qualname__}"
        )
    _registered[name] = function
