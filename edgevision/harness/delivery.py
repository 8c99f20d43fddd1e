"""What comes from the hub on its way to the handlers: patches, inputs and direct methods."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from azure.iot.device import Message, MethodRequest, MethodResponse

from edgevision.harness.network_thread import NOT_JSON
from edgevision.harness.transport import (
    Handlers,
    InputMessage,
    MethodAnswer,
    MethodCall,
    TransportError,
)

__all__ = ["Delivery"]

_log = logging.getLogger(__name__)
_MAX_ANSWER_BYTES = 128 * 1024


class Delivery:
    """Hands what the SDK received to the handlers, on the event loop that made it.

    What comes before `begin` waits. A handler that raises is logged and harms nothing else.

    Args:
        handlers: who gets it.
        respond: sends the answer to a direct method; may raise `TransportError`.
        method_timeout_s: a method's handler has as long; then 504 is answered.
    """

    def __init__(
        self,
        handlers: Handlers,
        respond: Callable[[MethodResponse], Awaitable[None]],
        *,
        method_timeout_s: float,
    ) -> None:
        self._handlers = handlers
        self._respond = respond
        self._method_timeout_s = method_timeout_s
        self._waiting: list[Callable[[], None]] | None = []
        self._answering: set[asyncio.Task[None]] = set()
        self._ended = False

    def begin(self) -> None:
        """Deliver what has waited, and from now on what comes."""
        waiting, self._waiting = self._waiting or [], None
        for call in waiting:
            self._deliver(call)

    def end(self) -> None:
        """Deliver nothing any more.

        Handlers of methods go on to their end, or they would be left with half of their work done;
        there is nobody to answer to.
        """
        self._ended = True

    async def answered(self, timeout_s: float) -> None:
        """Wait until no method is being answered, or ``timeout_s``."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=timeout_s)

    def connection(self, connected: bool) -> None:
        """Say that the connection came or went."""
        try:
            self._handlers.on_connection(connected)
        except Exception:
            _log.exception("a handler of the connection's state failed")

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Take a patch of the desired properties."""
        self._deliver(lambda: self._handlers.on_desired(patch))

    def input(self, message: Message) -> None:
        """Take a message that came on an input."""
        properties = {str(key): str(value) for key, value in message.custom_properties.items()}
        device = properties.pop("$.cdid", "")
        module = properties.pop("$.cmid", "")
        data = message.data
        arrived = InputMessage(
            input=message.input_name or "",
            payload=data if isinstance(data, bytes) else str(data).encode(),
            properties=properties,
            id=message.message_id or "",
            content_type=message.content_type or "",
            content_encoding=message.content_encoding or "",
            sender=f"{device}/{module}" if device and module else device,
        )
        self._deliver(lambda: self._handlers.on_input(arrived))

    def method(self, request: MethodRequest) -> None:
        """Take the call of a direct method."""
        self._deliver(lambda: self._begin_answer(request))

    def _deliver(self, call: Callable[[], None]) -> None:
        if self._ended:
            return
        if self._waiting is not None:
            self._waiting.append(call)
            return
        try:
            call()
        except Exception:
            _log.exception("a handler of what came from the hub failed")

    def _begin_answer(self, request: MethodRequest) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(request))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, request: MethodRequest) -> None:
        payload = request.payload
        if isinstance(payload, dict) and NOT_JSON in payload:
            answer = _problem(400, f"the payload is no JSON: {payload[NOT_JSON]}")
        else:
            answer = await self._checked_answer(MethodCall(request.name, payload))
        response = MethodResponse.create_from_method_request(request, answer.status, answer.payload)
        try:
            await self._respond(response)
        except TransportError as error:
            _log.warning("direct method %r was not answered: %s", request.name, error)

    async def _checked_answer(self, call: MethodCall) -> MethodAnswer:
        try:
            answer = await asyncio.wait_for(self._handlers.on_method(call), self._method_timeout_s)
        except asyncio.TimeoutError:
            return _problem(504, f"no answer within {self._method_timeout_s:g} s")
        except Exception as error:
            _log.exception("direct method %r failed", call.name)
            return _problem(500, f"{type(error).__name__}; the module's log says more")
        try:
            size = len(json.dumps(answer.payload).encode())
        except (TypeError, ValueError, RecursionError) as error:
            return _problem(500, f"the answer is no JSON: {error}")
        if size > _MAX_ANSWER_BYTES:
            return _problem(500, f"the answer has {size} bytes, the most is {_MAX_ANSWER_BYTES}")
        return answer


def _problem(status: int, text: str) -> MethodAnswer:
    return MethodAnswer(status, {"error": text})
