"""One process at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from edgevision.errors import ConfigurationError

__all__ = ["FileLock"]


class FileLock:
    """A lock file that the operating system frees when its process dies, however it dies.

    SQLite's own lock would do while all is well. This one also covers the moments in which a
    corrupt database is set aside and another one begun.

    Args:
        path: of the lock file; it holds the process id, and stays when it is free.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> None:
        """Take the lock; harmless when it is held.

        Raises:
            ConfigurationError: another process holds it, or another outbox of this one.
            OSError: the file cannot be made.
        """
        if self._fd >= 0:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(fd, 20).decode(errors="replace").strip()
            os.close(fd)
            who = f"process {holder}" if holder else "another process"
            raise ConfigurationError(
                f"the outbox {self._path.with_suffix('')} is in use by {who}; each module needs "
                "one of its own"
            ) from error
        except OSError as error:
            # Some network file systems have no locks; then the check is left out.
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(fd)
                raise
        self._fd = fd
        with contextlib.suppress(OSError):  # a full disk; the number is a help, no more
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def free(self) -> None:
        """Free the lock; harmless when it is not held."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
