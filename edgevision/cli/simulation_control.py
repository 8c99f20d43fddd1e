"""How a second terminal reaches a simulation: JSON lines over a unix socket of this user's."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgevision.errors import ConfigurationError, EdgeVisionError, UpstreamError

__all__ = ["ControlServer", "ask", "find", "runtime_folder"]

_LONGEST_PATH = 107
_CONNECT_LIMIT_S = 5.0
_SUFFIX = ".sock"
Answer = Callable[[Mapping[str, Any]], Any]


def runtime_folder() -> Path:
    """Return the folder with the sockets of this user's simulations; it is made.

    Raises:
        ConfigurationError: somebody else owns it, or could enter it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"edgevision-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{folder} is not a folder of yours alone; remove it, or set XDG_RUNTIME_DIR"
        )
    return folder


class ControlServer:
    """Answers requests of other processes, each on a thread; for a ``with`` block.

    Args:
        module: name of the simulated module.
        answer: is called with each request; what it returns goes back as JSON. It may raise
            `EdgeVisionError`, ValueError and TimeoutError.

    Raises:
        ConfigurationError: the socket cannot be made.
    """

    def __init__(self, module: str, answer: Answer) -> None:
        self.path = runtime_folder() / f"{module}-{os.getpid()}{_SUFFIX}"
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            raise ConfigurationError(
                f"{self.path} is too long for a unix socket; set XDG_RUNTIME_DIR to a shorter path"
            )
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._server = _Server(str(self.path), answer)
        self.path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="simulation control"
        )

    def __enter__(self) -> ControlServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._server.end_conversations()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False

    def __init__(self, path: str, answer: Answer) -> None:
        self.answer = answer
        self._talking: set[socket.socket] = set()
        super().__init__(path, _Conversation)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._talking.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._talking.discard(request)
        super().shutdown_request(request)

    def end_conversations(self) -> None:
        for talking in list(self._talking):
            with suppress(OSError):
                talking.shutdown(socket.SHUT_RDWR)


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has left
            for line in self.rfile:
                self.wfile.write(json.dumps(self._reply(line)).encode() + b"\n")

    def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is a JSON object")
            return {"value": self.server.answer(request)}
        except (EdgeVisionError, ValueError, TimeoutError) as error:
            return {"error": str(error)}
        except (CancelledError, RuntimeError):
            return {"error": "the simulation is ending"}


def find(module: str = "") -> Path:
    """Return the socket of the simulation that runs.

    Args:
        module: name of its module; "" if there is but one. The name of one of several simulations
            of the same module ends in a hyphen and its process id.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    running = {path.name[: -len(_SUFFIX)]: path for path in _alive()}
    if not running:
        raise ConfigurationError(
            "no simulation is running; start one in another terminal: edgevision simulate"
        )
    fitting = {
        name: path
        for name, path in running.items()
        if not module or module in (name, name.rpartition("-")[0])
    }
    known = ", ".join(sorted(running))
    if not fitting:
        raise ConfigurationError(f"no simulation of {module!r} is running; there is {known}")
    if len(fitting) > 1:
        raise ConfigurationError(f"more than one simulation is running, say --module: {known}")
    return next(iter(fitting.values()))


def ask(path: Path, request: Mapping[str, Any], timeout_s: float = 30.0) -> Any:
    """Return a simulation's answer.

    Raises:
        UpstreamError: it did not like the request, or it has ended.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(timeout_s)
        try:
            asking.connect(str(path))
            asking.sendall(json.dumps(request).encode() + b"\n")
            line = asking.makefile("rb").readline()
        except OSError as error:
            raise UpstreamError(
                f"the simulation does not answer: {error}", retryable=True
            ) from error
    if not line:
        raise UpstreamError("the simulation has ended", retryable=True)
    reply = json.loads(line)
    if "error" in reply:
        raise UpstreamError(reply["error"], retryable=False)
    return reply["value"]


def _alive() -> list[Path]:
    """Return the sockets that somebody answers on, and remove those of the dead."""
    found = []
    for path in sorted(runtime_folder().glob(f"*{_SUFFIX}")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
            trying.settimeout(_CONNECT_LIMIT_S)
            try:
                trying.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                with suppress(FileNotFoundError):
                    path.unlink()
            except (BlockingIOError, TimeoutError):  # alive, and busy
                found.append(path)
            else:
                found.append(path)
    return found
