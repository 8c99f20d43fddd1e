"""Run the real command in a process of its own, on pipes or on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["Done", "Running", "command", "environment", "on_terminal", "run", "until", "words"]

LIMIT_S = 60.0
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Done:
    """What a command that has ended said.

    Attributes:
        code: its exit status.
        out: its standard output; on a terminal, everything.
        err: its standard error.
    """

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Standard error as JSON lines."""
        return [json.loads(line) for line in self.err.splitlines()]

    @property
    def error(self) -> str:
        """The message of the error in standard error."""
        (message,) = (log["message"] for log in self.logs if log["level"] == "error")
        return str(message)


def command(*arguments: str | Path) -> list[str]:
    """Return the words that start the command in a process of its own."""
    return [sys.executable, "-m", "edgevision", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would change the command's output."""
    kept = {name: value for name, value in os.environ.items() if name not in _OUTPUT_VARIABLES}
    return {**kept, "PYTHONUNBUFFERED": "1", "COLUMNS": "100", **more}


_OUTPUT_VARIABLES = {"NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "BROWSER", "EDGEVISION_SECRETS"}


def run(*arguments: str | Path, folder: Path | None = None, **variables: str) -> Done:
    """Run a command to its end, on pipes."""
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def on_terminal(*arguments: str | Path, folder: Path | None = None, **variables: str) -> Done:
    """Run a command to its end, on a terminal; ``out`` has both streams, without colours."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(TERM="xterm-256color", **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        watchdog = threading.Timer(LIMIT_S, process.kill)
        watchdog.start()
        said = b""
        try:
            # A terminal whose other side is closed answers with an error, not with the end.
            with contextlib.suppress(OSError):
                while chunk := os.read(ours, 65536):
                    said += chunk
        finally:
            os.close(ours)
            code = process.wait()
            watchdog.cancel()
            watchdog.join()
    return Done(code, _ESCAPES.sub("", said.decode()).replace("\r\n", "\n"), "")


class Running:
    """A command that goes on, for a ``with`` block; it is killed when the block ends.

    Args:
        *arguments: of the command.
        folder: where it runs.
        **variables: of its environment.
    """

    def __init__(
        self, *arguments: str | Path, folder: Path | None = None, **variables: str
    ) -> None:
        self._changed = threading.Condition()
        self.out: list[str] = []
        self.err: list[str] = []
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err)),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()

    def wait_for(self, found: Callable[[Running], Any], timeout_s: float = 30.0) -> Any:
        """Return what ``found`` returns as soon as that is true.

        Raises:
            TimeoutError: it was not in time, or the command has ended; with what it said.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: found(self) or not any(reader.is_alive() for reader in self._readers),
                timeout_s,
            )
            value = found(self)
        if not value:
            raise TimeoutError("".join(self.err[-20:]) + "".join(self.out[-5:]))
        return value

    def log(self, text: str) -> dict[str, Any]:
        """Wait for a line of the log that holds ``text``, and return it."""

        def find(running: Running) -> dict[str, Any] | None:
            logs = (json.loads(line) for line in running.err)
            return next((log for log in logs if text in log["message"]), None)

        found: dict[str, Any] = self.wait_for(find)
        return found

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages so far."""
        return [json.loads(line) for line in self.out]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self, timeout_s: float = 20.0) -> Done:
        """Wait for the end of the command."""
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join()
        return Done(code, "".join(self.out), "".join(self.err))

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something outside of this process, such as a file.

    Raises:
        TimeoutError: it was not in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(0.01)


def words(text: str) -> Sequence[str]:
    """Return the words of a text, without the lines that a terminal broke it into."""
    return text.split()
