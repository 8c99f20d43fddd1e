"""What the tests of the connection share: a recorder of what comes, and waiting with a limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from edgevision.harness.edge import EdgeConnector, EdgeSettings, EdgeTransport
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.hub_check import is_reachable
from edgevision.harness.supervisor import Supervisor, SupervisorSettings
from edgevision.harness.transport import (
    InputMessage,
    MethodAnswer,
    MethodCall,
    Packet,
    TransportError,
    Twin,
)
from edgevision.testing.hub import HubStandIn

_T = TypeVar("_T")

LIMIT_S = 20.0

QUICK = EdgeSettings(
    keep_alive_s=5, open_timeout_s=8.0, ack_timeout_s=1.0, call_timeout_s=1.0, method_timeout_s=0.3
)
"""As at work, with less patience."""

QUICK_SUPERVISOR = SupervisorSettings(
    first_retry_s=0.02, longest_retry_s=0.2, reachable_every_s=0.02, stable_after_s=0.5
)


class Recorder:
    """Handlers that keep what they get, and check that they are called on the loop."""

    def __init__(self) -> None:
        self.twins: list[Twin] = []
        self.patches: list[Mapping[str, Any]] = []
        self.inputs: list[InputMessage] = []
        self.connection: list[bool] = []
        self.order: list[str] = []
        self.answer: Callable[[MethodCall], Coroutine[Any, Any, MethodAnswer]] = _echo
        self._thread = threading.current_thread()
        self._changed = asyncio.Event()

    def _note(self, what: str) -> None:
        assert threading.current_thread() is self._thread
        self.order.append(what)
        self._changed.set()

    def on_twin(self, twin: Twin) -> None:
        self.twins.append(twin)
        self._note("twin")

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        self.patches.append(patch)
        self._note("patch")

    async def on_method(self, call: MethodCall) -> MethodAnswer:
        self._note(f"method {call.name}")
        return await self.answer(call)

    def on_input(self, message: InputMessage) -> None:
        self.inputs.append(message)
        self._note("input")

    def on_connection(self, connected: bool) -> None:
        self.connection.append(connected)
        self._note("connected" if connected else "disconnected")

    async def until(self, found: Callable[[], _T]) -> _T:
        """Return what ``found()`` returns once that is true; looks after each call."""
        async with limit():
            while not (value := found()):
                self._changed.clear()
                await self._changed.wait()
            return value


async def _echo(call: MethodCall) -> MethodAnswer:
    return MethodAnswer(200, {"name": call.name, "payload": call.payload})


def limit(seconds: float = LIMIT_S) -> Any:
    """Fail what takes longer; as a context manager, which Python 3.10 has not."""
    return _Limit(seconds)


class _Limit:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None

        def expire() -> None:
            self._expired = True
            task.cancel()

        self._timer = asyncio.get_running_loop().call_later(self._seconds, expire)

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._timer.cancel()
        if self._expired and kind is asyncio.CancelledError:
            raise TimeoutError(f"not within {self._seconds:g} s")


async def off_loop(function: Callable[..., _T], *args: Any) -> _T:
    """Run one of the stand-in's calls, which block, beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


def packet(number: int, payload: bytes = b"{}", **more: Any) -> Packet:
    return Packet(f"m{number}", "detections", payload, **more)


def connector(hub: HubStandIn, settings: EdgeSettings = QUICK, **changes: str) -> EdgeConnector:
    return EdgeConnector(EdgeEnvironment.read({**hub.environment(), **changes}), settings)


@asynccontextmanager
async def opened(
    hub: HubStandIn, settings: EdgeSettings = QUICK, recorder: Recorder | None = None
) -> AsyncIterator[EdgeTransport]:
    """Give an open transport, and close it."""
    transport = connector(hub, settings)()
    try:
        async with limit():
            await transport.open(recorder or Recorder())
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def supervised(
    hub: HubStandIn,
    recorder: Recorder,
    settings: EdgeSettings = QUICK,
    supervisor_settings: SupervisorSettings = QUICK_SUPERVISOR,
    factory: Any = None,
) -> AsyncIterator[Supervisor]:
    """Give a supervisor that runs, and stop it."""
    host = hub.host
    supervisor = Supervisor(
        factory or connector(hub, settings),
        recorder,
        supervisor_settings,
        reachable=lambda: is_reachable(host),
    )
    running = asyncio.ensure_future(supervisor.run())
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        async with limit():
            await running


async def deliver(supervisor: Supervisor, message: Packet) -> int:
    """Send until it is acknowledged, with the same id; return how many attempts failed."""
    failed = 0
    while True:
        try:
            await supervisor.send(message)
        except TransportError as error:
            if not error.retryable:
                raise
            failed += 1
        else:
            return failed


def ids(hub: HubStandIn) -> set[str]:
    return {message.id for message in hub.messages}
