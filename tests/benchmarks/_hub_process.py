"""A stand-in hub in a process of its own, as in life, for the benchmarks of the harness."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["HubProcess", "Recorder", "held", "hub_process", "percentile"]


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    from edgevision.testing.hub import HubEvent, HubMessage, HubStandIn

    lock = threading.Lock()
    counts: Counter[str] = Counter()
    arrivals: list[float] = []
    hub = HubStandIn(max_messages=100)

    def note(what: HubMessage | HubEvent) -> None:
        if isinstance(what, HubMessage):
            with lock:
                counts[what.id] += 1
                arrivals.append(time.monotonic())

    hub.listen(note)
    with hub:
        pipe.send((hub.host, hub.environment()))
        while (order := pipe.recv()) is not None:
            action, argument = order
            answer: Any = None
            if action == "down":
                hub.go_down(argument)
            elif action == "up":
                with lock:
                    arrivals.clear()
                hub.come_up()
                answer = time.monotonic()
            elif action == "first":
                with lock:
                    answer = arrivals[0] if arrivals else None
            elif action == "counts":
                with lock:
                    answer = dict(counts)
            pipe.send(answer)


class HubProcess:
    """Talks to the hub's process."""

    def __init__(self, pipe: multiprocessing.connection.Connection) -> None:
        self._pipe = pipe
        self.host, self.environment = pipe.recv()

    def ask(self, action: str, argument: Any = None) -> Any:
        """Have the hub do something; ``down``, ``up``, ``first`` (arrival) or ``counts``."""
        self._pipe.send((action, argument))
        return self._pipe.recv()


@contextmanager
def hub_process() -> Iterator[HubProcess]:
    """Start a hub, end it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield HubProcess(ours)
    finally:
        ours.send(None)
        process.join()


class Recorder:
    """Handlers that do nothing."""

    def on_twin(self, twin: Any) -> None:
        """Take the twin."""

    def on_desired(self, patch: Any) -> None:
        """Take a patch."""

    async def on_method(self, call: Any) -> Any:
        """Answer nothing; no benchmark calls a method."""
        raise NotImplementedError

    def on_input(self, message: Any) -> None:
        """Take an input."""

    def on_connection(self, connected: bool) -> None:
        """Take note of the connection."""


def percentile(values: list[float], percent: float) -> float:
    """Return the value that ``percent`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def held() -> dict[str, float]:
    """Return what this process holds: memory in MiB, threads, file descriptors."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rss_mib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }
