"""Messages on standard output: a line for people on a terminal, JSON lines otherwise."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from edgevision.errors import UpstreamError
from edgevision.upstream.message import Message
from edgevision.upstream.upstream import Upstream
from edgevision.upstream.writer import Writer

if TYPE_CHECKING:
    from rich.console import Console

    from edgevision.upstream.settings import ConsoleSettings

__all__ = ["ConsoleUpstream"]

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET})


class ConsoleUpstream(Upstream):
    """Prints messages; `send` returns when the terminal, pipe or file has the line.

    On a terminal each message is one line of text, cut at the terminal's width. Otherwise it is
    the encoded message itself and a line break, so that ``edgevision run ... | jq`` works. Writing
    is done on a thread of its own: a reader that is slow makes the sender wait, not the event loop.

    When the reader leaves (``| head``), the upstream is `gone`: later messages are refused, and
    Python has nothing left to complain about when it exits.

    Args:
        settings: the format.
        file: where to print; default ``sys.stdout`` at the time of `start`.
        console: a rich console to print through, so that lines appear above its progress bars;
            default one of its own on ``file``.
    """

    name = "console"

    def __init__(
        self,
        settings: ConsoleSettings,
        file: IO[Any] | None = None,
        console: Console | None = None,
    ) -> None:
        self._printer = _Printer(settings.format, file, console)
        self._writer = Writer(self.name, self._printer)

    @property
    def gone(self) -> bool:
        """True once the reader has left."""
        return self._printer.gone

    async def start(self) -> None:
        """Start printing."""
        await self._writer.start()

    async def send(self, message: Message) -> None:
        """Print ``message``.

        Raises:
            UpstreamError: the output is gone, or (retryable) it goes to a file on a full disk.
        """
        await self._writer.send(message)

    async def stop(self) -> None:
        """Print what is waiting."""
        await self._writer.stop()


class _Printer:
    """What the writer's thread does."""

    def __init__(self, form: str, file: IO[Any] | None, console: Console | None) -> None:
        self._format = form
        self._file = console.file if console is not None else file
        self._console = console
        self._output: _Output | None = None
        self.gone = False

    def open(self) -> None:
        self.gone = False
        file = sys.stdout if self._file is None else self._file
        terminal = self._console.is_terminal if self._console else _is_terminal(file)
        text = self._format == "text" or (self._format == "auto" and terminal)
        self._output = _Lines(file, self._console) if text else _json_output(file)

    def write(self, messages: Sequence[Message]) -> tuple[int, UpstreamError | None]:
        if self.gone:
            return 0, UpstreamError("standard output has no reader any more", retryable=False)
        assert self._output is not None  # open() comes first
        for taken, message in enumerate(messages):
            try:
                self._output.write(message)
            except (OSError, ValueError) as error:
                return taken, self._fault(error)
        try:
            self._output.flush()
        except (OSError, ValueError) as error:
            return 0, self._fault(error)
        return len(messages), None

    def close(self) -> None:
        self._output = None  # the file itself is not ours to close

    def _fault(self, error: OSError | ValueError) -> UpstreamError:
        # Python reports a closed file as a ValueError.
        self.gone = not isinstance(error, OSError) or error.errno in _GONE
        if self.gone and self._file is None:
            _silence_exit()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        fault = UpstreamError(f"cannot print: {reason}", retryable=not self.gone)
        fault.__cause__ = error
        return fault


class _Output(Protocol):
    def write(self, message: Message) -> None: ...

    def flush(self) -> None: ...


class _Bytes:
    """Encoded messages to a file descriptor, each whole even when a write stops half-way."""

    def __init__(self, file: IO[Any], fd: int) -> None:
        self._file = file
        self._fd = fd
        self._cut: tuple[str, bytes] | None = None  # id and rest of a message that was cut off

    def write(self, message: Message) -> None:
        if self._cut is not None:
            name, rest = self._cut
            self._send(name, rest)
            if name == message.id:
                return
        self._send(message.id, message.encode() + b"\n")

    def flush(self) -> None:
        pass

    def _send(self, name: str, data: bytes) -> None:
        self._file.flush()  # what others printed comes first
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._fd, data[written:])
                except BlockingIOError:  # someone made the terminal or pipe non-blocking
                    select.select([], [self._fd], [])
        except OSError:
            self._cut = (name, data[written:]) if written or self._cut else None
            raise
        self._cut = None


class _Text:
    """Encoded messages to a file of Python's own, such as StringIO."""

    def __init__(self, file: IO[Any]) -> None:
        self._file = file
        self._text = isinstance(file, io.TextIOBase)

    def write(self, message: Message) -> None:
        line = message.encode() + b"\n"
        self._file.write(line.decode() if self._text else line)

    def flush(self) -> None:
        self._file.flush()


class _Lines:
    """Lines for people."""

    def __init__(self, file: IO[Any], console: Console | None) -> None:
        from rich.console import Console

        from edgevision.upstream.line import LineFormat

        self._console = console or Console(file=file, highlight=False, markup=False, emoji=False)
        encoding = self._console.encoding or "utf-8"
        self._format = LineFormat(encoding)
        self._overflow: Any = "ellipsis" if encoding.lower().startswith("utf") else "crop"

    def write(self, message: Message) -> None:
        terminal = self._console.is_terminal
        try:
            self._console.print(
                self._format.render(message),
                no_wrap=True,
                overflow=self._overflow if terminal else "ignore",
                crop=terminal,
            )
        except SystemExit as error:  # rich's own answer to a broken pipe
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error

    def flush(self) -> None:
        self._console.file.flush()


def _json_output(file: IO[Any]) -> _Output:
    try:
        fd = file.fileno()
    except (OSError, ValueError, AttributeError):
        return _Text(file)
    return _Bytes(file, fd)


def _is_terminal(file: IO[Any]) -> bool:
    try:
        return file.isatty()
    except ValueError:
        return False


def _silence_exit() -> None:
    """Let the interpreter flush standard output into nothing when it exits."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
