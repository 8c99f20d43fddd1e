"""Find the threads, child processes and listening sockets that a test leaves behind."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Held", "adopt_orphans", "left_behind"]

# Helpers of the standard library that live as long as the interpreter, once something needs them.
_ALLOWED_COMMANDS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

_NETWORK = (socket.AF_INET, socket.AF_INET6)
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process, so that `Held` sees it (Linux)."""
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True)
class Held:
    """What this process holds at one moment.

    Attributes:
        threads: Python threads that are alive.
        processes: command lines of running children, by process id. A child that has ended but was
            not waited for is not here: its Popen object reports that itself.
        sockets: addresses of listening sockets, by inode.
    """

    threads: frozenset[threading.Thread]
    processes: dict[int, str]
    sockets: dict[str, str]

    @classmethod
    def now(cls) -> Held:
        """Look."""
        threads = frozenset(threading.enumerate()) - _sdk_threads()
        return cls(threads, _children(), _listening())

    def since(self, before: Held) -> list[str]:
        """Describe what is held now and was not held before."""
        return [
            *(f"thread {t.name!r}" for t in self.threads - before.threads if t.is_alive()),
            *(
                f"process {pid}: {command}"
                for pid, command in self.processes.items()
                if pid not in before.processes
            ),
            *(
                f"socket listening on {address}"
                for inode, address in self.sockets.items()
                if inode not in before.sockets
            ),
        ]


def left_behind(before: Held, *, timeout_s: float = 2.0) -> list[str]:
    """Describe what was not held before and is still held after ``timeout_s``.

    A thread may end a moment after the call that stopped it has returned, hence the wait.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = Held.now().since(before)
        if not found or time.monotonic() > deadline_s:
            return found
        for thread in Held.now().threads - before.threads:
            if thread is not threading.current_thread():
                thread.join(0.01)
        time.sleep(0.005)


def _sdk_threads() -> set[threading.Thread]:
    """Return the threads that azure-iot-device makes once for the process and never ends.

    Those that it makes for each client are not among them.
    """
    if "azure.iot.device.iothub.aio.loop_management" not in sys.modules:
        return set()
    from azure.iot.device.common.pipeline import pipeline_thread
    from azure.iot.device.iothub.aio import loop_management

    loops = [loop for loop in loop_management.loops.values() if loop is not None]
    executors = [*pipeline_thread._executors.values()]
    executors += [getattr(loop, "_default_executor", None) for loop in loops]
    found = {thread for executor in executors if executor for thread in executor._threads}
    for thread in threading.enumerate():
        owner = getattr(getattr(thread, "_target", None), "__self__", None)
        if any(owner is loop for loop in loops):
            found.add(thread)
    return found


def _children() -> dict[int, str]:
    found = {}
    for tasks in Path("/proc/self/task").glob("*/children"):
        try:
            pids = [int(word) for word in tasks.read_text().split()]
        except OSError:  # the thread has just ended
            continue
        for pid in pids:
            command = _command(pid)
            if command and not any(allowed in command for allowed in _ALLOWED_COMMANDS):
                found[pid] = command
    return found


def _command(pid: int) -> str:
    """Return a process's command line; empty when it has ended, waited for or not."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        # A process that is just starting has no command line yet, but a name and a state.
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return ""
    return "" if rest.split()[0] in "ZX" else command or name.partition("(")[2]


def _listening() -> dict[str, str]:
    # Each socket is asked itself: the kernel's list of all connections takes it 30 ms to write.
    found = {}
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(descriptor)
            if not target.startswith("socket:["):
                continue
            with socket.socket(fileno=os.dup(int(descriptor.name))) as copy:
                if copy.family in _NETWORK and copy.getsockopt(
                    socket.SOL_SOCKET, socket.SO_ACCEPTCONN
                ):
                    found[target] = f"port {copy.getsockname()[1]}"
        except OSError:  # closed meanwhile, such as glob's own descriptor
            continue
    return found
