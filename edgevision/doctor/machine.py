"""Everything that the checks may look at, so that a test can make up all of it."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgevision.cuda.cudart import CudaRuntime, find
from edgevision.cuda.driver import Driver
from edgevision.sources.probe import why_unreachable

__all__ = ["Machine"]

_LIBRARY_FOLDERS = (
    "/usr/local/lib",
    "/lib/{triplet}",
    "/usr/lib/{triplet}",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_TOOL_TIMEOUT_S = 10.0
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def _opencv() -> str:
    import cv2

    return cv2.getBuildInformation()


def _run(words: Sequence[str]) -> int | None:
    program = shutil.which(words[0])
    if program is None:
        return None
    quiet = subprocess.DEVNULL
    command = [program, *words[1:]]
    done = subprocess.run(
        command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=_TOOL_TIMEOUT_S, check=False
    )
    return done.returncode


def _clock_is_synchronised() -> bool | None:
    try:
        # struct timex, all zero: only ask. 512 bytes are more than it has anywhere.
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


@dataclass(frozen=True)
class Machine:
    """The machine, or one made up in a folder. Paths are those on the machine.

    Attributes:
        root: where its file system begins.
        environment: its variables.
        platform: row of the table of platforms that it is said to be; empty if nobody says so.
        outbox: the outbox's file.
        uid: number of the user.
        groups: numbers of the user's groups.
        arch: name of the processor, as the kernel has it.
        kernel: release of the kernel, which is the host's in a container, too.
        opencv: returns OpenCV's build information.
        driver: starts NVIDIA's driver.
        runtime: finds CUDA's runtime.
        run: runs a program and returns its exit status; None if it is not installed.
        reach: connects to host and port within seconds; returns why not, or None.
        now_s: returns UTC seconds since 1970.
        synchronised: tells whether the clock is set by a server; None if nobody knows.
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    platform: str = ""
    outbox: Path = Path("outbox.sqlite")
    uid: int = field(default_factory=lambda: os.geteuid())
    groups: tuple[int, ...] = field(default_factory=lambda: (os.getegid(), *os.getgroups()))
    arch: str = field(default_factory=lambda: os.uname().machine)
    kernel: str = field(default_factory=lambda: os.uname().release)
    opencv: Callable[[], str] = _opencv
    driver: Callable[[], Driver] = Driver
    runtime: Callable[[], CudaRuntime | None] = find
    run: Callable[[Sequence[str]], int | None] = _run
    reach: Callable[[str, int, float], str | None] = why_unreachable
    now_s: Callable[[], float] = time.time
    synchronised: Callable[[], bool | None] = _clock_is_synchronised

    def at(self, path: str | Path) -> Path:
        """Return where a path of the machine is."""
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str:
        """Return what a file says, without the NUL and blanks at its end; empty if it cannot."""
        try:
            data = self.at(path).read_bytes()
        except OSError:
            return ""
        return data.decode("utf-8", "replace").strip("\0 \n\t")

    def number(self, path: str | Path) -> int | None:
        """Return the number in a file; None if there is none."""
        text = self.text(path)
        return int(text) if text.lstrip("-").isdecimal() else None

    def matches(self, pattern: str) -> list[str]:
        """Return the paths that match a pattern, sorted."""
        found = self.root.glob(pattern.lstrip("/"))
        return sorted("/" + path.relative_to(self.root).as_posix() for path in found)

    @property
    def in_container(self) -> bool:
        """True if this is the inside of a container, as far as one can tell."""
        marks = ("/.dockerenv", "/run/.containerenv")
        return (
            any(self.at(mark).exists() for mark in marks)
            or "container" in self.environment
            or "IOTEDGE_MODULEID" in self.environment
            or "KUBERNETES_SERVICE_HOST" in self.environment
        )

    def group_name(self, number: int) -> str:
        """Return a group's name, or its number where it has none here."""
        for line in self.text("/etc/group").splitlines():
            parts = line.split(":")
            if len(parts) > 2 and parts[2] == str(number):
                return parts[0]
        return str(number)

    def why_closed(self, path: str) -> tuple[str, str]:
        """Open a node for reading, as the user of this machine, and close it.

        Returns:
            What is in the way and what to do about it; both empty if nothing is.
        """
        try:
            status = self.at(path).stat()
        except OSError as error:
            return f"{path} cannot be seen: {error.strerror}", f"look at what {path} is on the host"
        denied = (
            f"{path} is {stat.filemode(status.st_mode)}, group "
            f"{self.group_name(status.st_gid)}, which user {self.uid} is not in",
            f"give the container the group: --group-add {status.st_gid} (GroupAdd in "
            "createOptions); on the host: sudo usermod -aG "
            f"{self.group_name(status.st_gid)} $USER",
        )
        # Lists of access rights may give more than the bits do, so the bits count only where they
        # are asked for another user.
        if self.uid != os.geteuid() and not _rights(status, self.uid, self.groups) & os.R_OK:
            return denied
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            os.close(os.open(self.at(path), flags))
        except OSError as error:
            if error.errno == errno.EACCES:
                return denied
            if error.errno in (errno.EBUSY, errno.EINVAL):
                return "", ""  # It is there, and has a will of its own about who opens it when.
            if error.errno == errno.EPERM:
                return (
                    f"{path} is there, but the container may not use it",
                    f"map it as a device, not as a volume: --device {path} (Devices in "
                    "createOptions)",
                )
            return (
                f"{path} cannot be opened: {error.strerror}",
                "load the driver's kernel modules on the host (sudo modprobe), or reboot it",
            )
        return "", ""

    def may_write(self, folder: str) -> bool:
        """Tell whether the user of this machine may make files in a folder that exists."""
        wanted = os.W_OK | os.X_OK
        if self.uid == os.geteuid():
            return os.access(self.at(folder), wanted)
        return _rights(self.at(folder).stat(), self.uid, self.groups) & wanted == wanted

    def library_folders(self, first: Sequence[str] = ()) -> list[str]:
        """Return where the loader looks for libraries, in its order, then the usual places.

        Args:
            first: folders that come after ``LD_LIBRARY_PATH`` and before all others.
        """
        folders = [name for name in self.environment.get("LD_LIBRARY_PATH", "").split(":") if name]
        folders += first
        for path in ["/etc/ld.so.conf", *self.matches("/etc/ld.so.conf.d/*.conf")]:
            lines = (line.partition("#")[0].strip() for line in self.text(path).splitlines())
            folders += [line for line in lines if line.startswith("/")]
        triplet = f"{self.arch}-linux-gnu"
        folders += [folder.format(triplet=triplet) for folder in _LIBRARY_FOLDERS]
        return list(dict.fromkeys(folders))

    def library(self, name: str, first: Sequence[str] = ()) -> str:
        """Return the path of a library; empty if it is in none of `library_folders`."""
        for folder in self.library_folders(first):
            path = f"{folder.rstrip('/')}/{name}"
            if os.path.lexists(self.at(path)):
                return path
        return ""

    def why_not_loaded(self, path: str) -> str:
        """Load a library and say in the loader's words why that failed; empty if it did not."""
        try:
            ctypes.CDLL(str(self.at(path)))
        except OSError as error:
            return str(error)
        return ""


def _rights(status: os.stat_result, uid: int, groups: tuple[int, ...]) -> int:
    """Return what the permission bits give: a sum of os.R_OK, os.W_OK and os.X_OK."""
    if uid == 0:
        return os.R_OK | os.W_OK
    shift = 6 if uid == status.st_uid else 3 if status.st_gid in groups else 0
    return status.st_mode >> shift & 7
