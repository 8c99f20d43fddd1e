"""A module on this machine against stand-ins of edgeHub and of the workload API."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgevision.cli.output import Output
from edgevision.cli.simulation_control import ControlServer
from edgevision.cli.simulation_fault import apply
from edgevision.cli.simulation_printer import Printer
from edgevision.errors import ConfigurationError
from edgevision.testing.hub import HubEvent, HubMessage, HubStandIn

__all__ = ["STOP_LIMIT_S", "Simulation", "SimulationPlan"]

STOP_LIMIT_S = 7.8
"""How long a module has to end; Docker gives it ten seconds, and edgevision ends within 7.5."""

_LOOK_S = 0.1
_MOST_WAITING = 10_000
_LONGEST_METHOD_S = 300.0
# Another way for a module to find a hub; it must not lead out of the simulation.
_MISLEADING = ("EdgeHubConnectionString", "EdgeModuleCACertificateFile")
# Becomes the module's program. It ends when this process does, even if that is killed (prctl's
# PR_SET_PDEATHSIG with SIGTERM); without threads around, unlike subprocess's preexec_fn.
_TIE = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execvp(sys.argv[1], sys.argv[1:])"
)
_TIED = [sys.executable, "-S", "-E", "-c", _TIE] if sys.platform == "linux" else []
_EDGE_LINE = re.compile(r"<(?P<severity>[0-7])> \d{4}-\S+ \S+ \S+ ")
_LEVELS = {
    "2": logging.CRITICAL,
    "3": logging.ERROR,
    "4": logging.WARNING,
    "6": logging.INFO,
    "7": logging.DEBUG,
}

_log = logging.getLogger("edgevision.simulated")


@dataclass(frozen=True)
class SimulationPlan:
    """What to simulate.

    Attributes:
        command: program and arguments of the module.
        module: its name.
        duration_s: end after so long; None: when the module ends, or on Ctrl-C.
        routes: of the hub; empty: every message goes upstream.
        desired: desired properties at the start.
    """

    command: Sequence[str]
    module: str
    duration_s: float | None = None
    routes: Mapping[str, str] = field(default_factory=dict)
    desired: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Ended:
    code: int


@dataclass(frozen=True)
class _Signal:
    pass


class Simulation:
    """One run of a module; `run` is called from the main thread.

    Args:
        plan: what to simulate.
        output: how to print.

    Raises:
        ConfigurationError: trustme is missing, or a route makes no sense.
    """

    def __init__(self, plan: SimulationPlan, output: Output) -> None:
        self._plan = plan
        self._output = output
        self._hub = HubStandIn(routes=plan.routes) if plan.routes else HubStandIn()
        self._module = self._hub.module(plan.module)
        self._printer = Printer(output)
        self._items: queue.SimpleQueue[HubMessage | HubEvent | _Ended | _Signal]
        self._items = queue.SimpleQueue()
        self._unshown = 0

    def run(self) -> int:
        """Run the module to its end and return its exit status.

        Raises:
            ConfigurationError: the module's program cannot be started.
        """
        self._output.start_logging()
        if not self._output.quiet:
            _log.setLevel(logging.DEBUG)  # the module has a level of its own
        with contextlib.ExitStack() as stack:
            stack.enter_context(_signals(lambda: self._items.put(_Signal())))
            # The hub ends before the control does: what a second terminal waits for ends with it.
            control = ControlServer(self._plan.module, self._answer)
            stack.enter_context(control)
            stack.enter_context(self._hub)
            if self._plan.desired:
                self._module.patch_desired(self._plan.desired)
            self._hub.listen(self._heard)
            process = stack.enter_context(self._started())
            self._output.notice(
                f"simulating {self._plan.module!r} with a hub at {self._hub.host}; in another "
                "terminal: edgevision twin, method, input and fault; Ctrl-C ends",
                module=self._plan.module,
                host=self._hub.host,
                control=str(control.path),
            )
            code = self._watch(process)
        self._show_rest()
        if self._unshown:
            self._output.notice(f"{self._unshown} messages came too fast to be printed")
        self._output.notice(
            f"the module has ended with exit status {code}; {self._hub.message_count} messages",
            exit_status=code,
            messages=self._hub.message_count,
        )
        return code

    @contextlib.contextmanager
    def _started(self) -> Iterator[subprocess.Popen[str]]:
        command = list(self._plan.command)
        if shutil.which(command[0]) is None:
            raise ConfigurationError(f"{command[0]}: there is no such program")
        kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
        environment = {**kept, **self._hub.environment(module=self._plan.module)}
        # A session of its own: a Ctrl-C reaches the module once, from here, as docker stop would.
        # What it prints is a log here, and no data.
        process = subprocess.Popen(
            [*_TIED, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        waiting = threading.Thread(target=self._wait, args=(process,), name="module")
        waiting.start()
        try:
            yield process
        finally:
            _signal_group(process, signal.SIGKILL)
            waiting.join()

    def _wait(self, process: subprocess.Popen[str]) -> None:
        """Pass the module's log on, and tell when it has ended."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                _pass_on(line.rstrip())
        code = process.wait()
        self._items.put(_Ended(code if code >= 0 else 128 - code))

    def _watch(self, process: subprocess.Popen[str]) -> int:
        """Print until the module has ended; end it when it is time."""
        end_s = math.inf
        if self._plan.duration_s is not None:
            end_s = time.monotonic() + self._plan.duration_s
        stopping = False
        while True:
            item = self._next()
            if isinstance(item, _Ended):
                return item.code
            if isinstance(item, (HubMessage, HubEvent)):
                self._printer.show(item)
            if isinstance(item, _Signal) or time.monotonic() >= end_s:
                end_s = self._end(process, stopping)
                stopping = True

    def _next(self) -> HubMessage | HubEvent | _Ended | _Signal | None:
        """Wait a moment for something to happen.

        Python runs a signal's handler only between two instructions: one that comes just before
        the wait is seen when the wait is over.
        """
        try:
            return self._items.get(timeout=_LOOK_S)
        except queue.Empty:
            return None

    def _end(self, process: subprocess.Popen[str], again: bool) -> float:
        """End the module, or kill it when told again; return when to look at it again."""
        if again:
            self._output.notice("the module does not end; killing it")
            _signal_group(process, signal.SIGKILL)
            return math.inf
        self._output.notice("stopping the module; Ctrl-C again kills it")
        _signal_group(process, signal.SIGTERM)
        return time.monotonic() + STOP_LIMIT_S

    def _heard(self, item: HubMessage | HubEvent) -> None:
        """Take an item, on the hub's thread."""
        if self._items.qsize() < _MOST_WAITING:
            self._items.put(item)
        else:
            self._unshown += 1

    def _show_rest(self) -> None:
        while not self._items.empty():
            item = self._items.get()
            if isinstance(item, (HubMessage, HubEvent)):
                self._printer.show(item)

    def _answer(self, request: Mapping[str, Any]) -> Any:
        """Do what a second terminal asks for."""
        what = request.get("do")
        if what == "twin":
            return {"desired": self._module.desired, "reported": self._module.reported}
        if what == "desired":
            return {"version": self._module.patch_desired(request["patch"])}
        if what == "method":
            limit_s = min(float(request["timeout_s"]), _LONGEST_METHOD_S)
            result = self._module.call(request["name"], request["payload"], limit_s)
            return {"status": result.status, "payload": result.payload}
        if what == "input":
            self._module.send_input(request["name"], request["body"], request["properties"])
            return {}
        if what == "fault":
            return {"fault": apply(self._hub, request["name"], request["value"])}
        raise ValueError(f"{what!r} is nothing that a simulation does")


def _pass_on(line: str) -> None:
    """Log a line of the module's, at the level that edgeAgent would read from it."""
    found = _EDGE_LINE.match(line)
    level = _LEVELS.get(found["severity"], logging.INFO) if found else logging.INFO
    _log.log(level, "%s", line[found.end() :] if found else line)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a module and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def _signals(told: Any) -> Iterator[None]:
    """Call ``told`` on Ctrl-C and SIGTERM, in place of what they do otherwise."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: told()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
