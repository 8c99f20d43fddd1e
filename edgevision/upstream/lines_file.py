"""A file of lines that rotates, and that holds whole lines only, whatever happens."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from edgevision.errors import ConfigurationError, UpstreamError

__all__ = ["LinesFile"]

_BLOCK = 65_536
# No line of ours is longer; a file whose end holds no line break for longer is not ours.
_MAX_FRAGMENT = 16 * 1024 * 1024

_NEVER = frozenset(
    {
        errno.ENOENT,  # the folder was just made: a place such as /proc
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EINVAL,
        errno.ENODEV,
        errno.ENXIO,
    }
)


class LinesFile:
    """Appends lines to a file, which is set aside when it is full. Used by one thread at a time.

    The file is ``path``; the files set aside are ``path.1`` (the newest) to ``path.<keep>``. What a
    crash left of a last line is cut off and kept in ``path.torn``, unless it is a whole document
    that lacks its line break only. A write that fails half-way is undone, so a reader never meets
    part of a line. The file is locked against a second writer. When someone else moves or deletes
    it (logrotate), it is made anew.

    Args:
        path: the file; its folder is made.
        max_bytes: the file is set aside before it grows beyond this; a longer line has a file of
            its own.
        keep: files set aside that are kept.
        fsync: wait until the disk has each `append`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int, keep: int, fsync: bool = False
    ) -> None:
        self.path = Path(path)
        self._max_bytes = max_bytes
        self._keep = keep
        self._fsync = fsync
        self._fd = -1
        self._size = 0
        self._identity = (0, 0)

    def open(self) -> None:
        """Open the file and put its end in order.

        Raises:
            ConfigurationError: it can never be written, it is no file of lines, or another process
                writes it.
            UpstreamError: not now, such as on a full disk.
        """
        if self._fd >= 0:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            self.close()
            if error.errno in _NEVER or isinstance(error, FileExistsError):
                raise ConfigurationError(
                    f"{self.path} cannot be written: {error.strerror}"
                ) from error
            raise self._fault("open", error) from error
        except ConfigurationError:
            self.close()
            raise
        except ValueError as error:  # a zero byte in the path
            raise ConfigurationError(f"{str(self.path)!r} cannot be written: {error}") from error

    def append(self, lines: Sequence[bytes]) -> tuple[int, UpstreamError | None]:
        """Append ``lines``, each without its line break, in as few writes as rotation allows.

        Returns:
            How many lines the file holds now, and what kept the others from it (retryable).
        """
        taken = 0
        try:
            self._follow_path()
            while taken < len(lines):
                count, size = 0, self._size
                for line in lines[taken:]:
                    if size and size + len(line) + 1 > self._max_bytes:
                        break
                    size += len(line) + 1
                    count += 1
                if count == 0:
                    self._rotate()
                    continue
                self._write(b"\n".join(lines[taken : taken + count]) + b"\n")
                taken += count
        except _ShortWriteError as error:
            return taken + error.lines, self._fault("write", error)
        except OSError as error:
            return taken, self._fault("write", error)
        if self._fsync:
            try:
                os.fsync(self._fd)
            except OSError as error:
                return 0, self._fault("write", error)  # none of it is known to be on the disk
        return taken, None

    def close(self) -> None:
        """Close the file; harmless when it is not open."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._fd = os.open(self.path, flags, 0o644)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{self.path} is no regular file")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"{self.path} is being written by someone else") from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            # Some network file systems have no locks; then the check is left out.
        self._identity = (status.st_dev, status.st_ino)
        self._size = self._mend(status.st_size)
        self._sync_folder()

    def _mend(self, size: int) -> int:
        """Make the file end in a line break; return its size."""
        if size == 0 or os.pread(self._fd, 1, size - 1) == b"\n":
            return size
        start = self._last_line_start(size)
        fragment = os.pread(self._fd, size - start, start)
        if fragment.startswith(b"{") and fragment.endswith(b"}") and _is_json(fragment):
            self._size = size
            self._write(b"\n")
            return self._size
        # After a power cut the end of a file may be zeros that were never written.
        if not fragment.startswith(b"{") and fragment.strip(b"\0"):
            raise ConfigurationError(
                f"{self.path} is no file of JSON lines: it ends in "
                f"{fragment[:20]!r}; name another file"
            )
        with open(f"{self.path}.torn", "ab") as torn:
            torn.write(fragment + b"\n")
        os.ftruncate(self._fd, start)
        return start

    def _last_line_start(self, size: int) -> int:
        end = size
        while end > 0 and size - end < _MAX_FRAGMENT:
            begin = max(0, end - _BLOCK)
            newline = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            end = begin
        if end == 0:
            return 0
        raise ConfigurationError(
            f"{self.path} is no file of JSON lines: its last {_MAX_FRAGMENT} bytes hold no line "
            "break; name another file"
        )

    def _follow_path(self) -> None:
        """Open the file anew if ``path`` is not it any more, or a failed rotation closed it."""
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(self.path)
                if (status.st_dev, status.st_ino) == self._identity:
                    return
        self._reopen()

    def _reopen(self) -> None:
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except ConfigurationError as error:
            self.close()
            raise OSError(errno.EBUSY, str(error)) from error

    def _rotate(self) -> None:
        if self._fsync:
            os.fsync(self._fd)
        if self._keep == 0:
            os.unlink(self.path)
        else:
            aside = [Path(f"{self.path}.{number}") for number in range(1, self._keep + 1)]
            # Only as far as the first free place: a rotation that failed half-way and is tried
            # again must not push the oldest files out.
            used = next((n for n, name in enumerate(aside) if not name.exists()), self._keep - 1)
            for number in range(used, 0, -1):
                os.replace(aside[number - 1], aside[number])
            os.replace(self.path, aside[0])
        self._reopen()

    def _write(self, data: bytes) -> None:
        """Write all of ``data``, or nothing but whole lines of it."""
        view = memoryview(data)
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, view[written:])
        except OSError as error:
            whole = data.rfind(b"\n", 0, written) + 1
            try:
                os.ftruncate(self._fd, self._size + whole)
            except OSError:
                # The next append opens the file anew, which cuts the part of a line off.
                self.close()
            self._size += whole
            raise _ShortWriteError(error, data.count(b"\n", 0, whole)) from error
        self._size += written

    def _sync_folder(self) -> None:
        if not self._fsync:
            return
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _fault(self, verb: str, error: OSError) -> UpstreamError:
        reason = error.strerror or str(error)
        fault = UpstreamError(f"cannot {verb} {self.path}: {reason}", retryable=True)
        fault.__cause__ = error
        return fault


class _ShortWriteError(OSError):
    """A write that stopped after some whole lines."""

    def __init__(self, error: OSError, lines: int) -> None:
        self.lines = lines
        super().__init__(error.errno, error.strerror)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
