"""The folder for what is too large for an answer: pictures and clips, with a bound."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

from edgevision.errors import ConfigurationError

__all__ = ["ArtifactFolder"]

_log = logging.getLogger("edgevision.recorder")

_OWN = re.compile(r"[\w.%-]+-\d{8}T\d{9}Z(-\d+)?\.(jpg|avi)")
_PART = ".part"


class ArtifactFolder:
    """Pictures and clips in one folder; the oldest are deleted when it grows too large.

    Only files that it named itself are counted and deleted. Used by any thread.

    Args:
        path: the folder; it is made when something is written.
        max_bytes: the most that all its files together may hold.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes

    def name(self, camera: str, suffix: str) -> Path:
        """Return a path that no file has: camera, time and ``suffix``; makes the folder.

        Raises:
            ConfigurationError: the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be made: {error.strerror}", path="artifacts.path"
            ) from error
        now_s = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_s))
        safe = "".join(c if re.match(r"[\w-]", c, re.ASCII) else f"%{ord(c):X}" for c in camera)
        first = f"{safe[:80]}-{stamp}{int(now_s * 1000) % 1000:03d}Z"
        names = [first, *(f"{first}-{number}" for number in range(2, 100))]
        return next(path for n in names if not (path := self.path / f"{n}{suffix}").exists())

    def part(self, path: Path) -> Path:
        """Return where ``path`` is written until it is complete."""
        return path.with_name(f".{path.stem}{_PART}{path.suffix}")

    def write(self, path: Path, content: bytes) -> None:
        """Write ``path`` as a whole: it is there complete, or not at all.

        Raises:
            OSError: the disk is full or gone.
        """
        part = self.part(path)
        try:
            part.write_bytes(content)
            self.finish(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def finish(self, path: Path) -> None:
        """Give a completed part its name, and make room for it."""
        self.part(path).rename(path)
        self.trim(keep=path)

    def trim(self, keep: Path | None = None) -> None:
        """Delete the oldest files until the rest is within the bound."""
        found = []
        for path in self.path.glob("*"):
            try:
                if _OWN.fullmatch(path.name):
                    status = path.stat()
                    found.append((status.st_mtime_ns, path.name, status.st_size, path))
            except OSError:
                continue
        total = sum(size for _, _, size, _ in found)
        for _, _, size, path in sorted(found):
            if total <= self._max_bytes:
                return
            if path == keep:
                continue
            try:
                path.unlink()
                total -= size
            except OSError as error:
                _log.warning("%s cannot be deleted: %s", path, error)

    def clean(self) -> None:
        """Delete parts that a former process has left."""
        for path in self.path.glob(f".*{_PART}.*"):
            path.unlink(missing_ok=True)
