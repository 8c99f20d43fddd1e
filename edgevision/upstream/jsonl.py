"""Messages in a rotating file, one JSON document a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevision.errors import UpstreamError
from edgevision.upstream.lines_file import LinesFile
from edgevision.upstream.message import Message
from edgevision.upstream.upstream import Upstream
from edgevision.upstream.writer import Writer

if TYPE_CHECKING:
    from edgevision.upstream.settings import JsonlSettings

__all__ = ["JsonlUpstream"]


class JsonlUpstream(Upstream):
    """Appends messages to a file; `send` returns when the operating system has the line.

    All file work is done on a thread of its own, for all messages that wait at that moment at once.
    What the file does when it is full, cut off by a crash, or on a full disk is told in
    `edgevision.upstream.lines_file.LinesFile`.

    Args:
        settings: path, size, files kept, fsync.
    """

    name = "jsonl"

    def __init__(self, settings: JsonlSettings) -> None:
        self._file = LinesFile(
            settings.path,
            max_bytes=settings.max_bytes,
            keep=settings.keep,
            fsync=settings.fsync,
        )
        self._writer = Writer(self.name, _FileDestination(self._file))

    async def start(self) -> None:
        """Open the file.

        Raises:
            ConfigurationError: it cannot be written, is no file of JSON lines, or is in use.
            UpstreamError: not now, such as on a full disk.
        """
        await self._writer.start()

    async def send(self, message: Message) -> None:
        """Append ``message``.

        Raises:
            UpstreamError: retryable when the disk is full or fails; the file holds no part of it.
        """
        await self._writer.send(message)

    async def stop(self) -> None:
        """Write what is waiting and close the file."""
        await self._writer.stop()


class _FileDestination:
    def __init__(self, file: LinesFile) -> None:
        self._file = file
        self.open = file.open
        self.close = file.close

    def write(self, messages: Sequence[Message]) -> tuple[int, UpstreamError | None]:
        return self._file.append([message.encode() for message in messages])
