"""Ask the kernel about V4L2 device nodes, which OpenCV only opens or does not.

Numbers and structures are those of linux/videodev2.h.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SUPPORTED", "Device", "devices", "formats", "look", "why_unusable"]

SUPPORTED = sys.platform.startswith("linux")
"""True where cameras are V4L2 devices."""

_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability), 104 bytes
_ENUM_FMT = 0xC0405602  # _IOWR('V', 2, struct v4l2_fmtdesc), 64 bytes
_ENUM_FRAMESIZES = 0xC02C564A  # _IOWR('V', 74, struct v4l2_frmsizeenum), 44 bytes
_REQBUFS = 0xC0145608  # _IOWR('V', 8, struct v4l2_requestbuffers), 20 bytes
_VIDEO_CAPTURE = 0x00000001
_VIDEO_CAPTURE_MPLANE = 0x00001000
_DEVICE_CAPS = 0x80000000
_BUF_TYPE_VIDEO_CAPTURE = 1
_BUF_TYPE_VIDEO_CAPTURE_MPLANE = 9
_MEMORY_MMAP = 1
_DISCRETE = 1
# More than any camera has; a driver that never ends its list must not hang the caller.
_LONGEST_LIST = 64


@dataclass(frozen=True)
class Device:
    """A V4L2 device node.

    Attributes:
        path: such as ``/dev/video0``.
        name: what the device calls itself.
        captures: True if it delivers pictures. A USB camera has a second node for metadata, which
            does not.
    """

    path: str
    name: str
    captures: bool


def look(path: str) -> Device:
    """Open a node, ask what it is, and close it.

    Raises:
        OSError: the node is missing (ENOENT), there is no permission (EACCES), the device has gone
            (ENODEV, ENXIO) or the node is no V4L2 device (ENOTTY).
    """
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        answer = bytearray(104)
        fcntl.ioctl(descriptor, _QUERYCAP, answer)
    finally:
        os.close(descriptor)
    name = answer[16:48].partition(b"\0")[0].decode("utf-8", "replace")
    capabilities, of_node = struct.unpack_from("<II", answer, 84)
    if capabilities & _DEVICE_CAPS:
        capabilities = of_node
    return Device(path, name, bool(capabilities & (_VIDEO_CAPTURE | _VIDEO_CAPTURE_MPLANE)))


def formats(path: str) -> list[str]:
    """Return the formats of a camera, each with its largest picture: ``MJPG up to 1920x1080``.

    The size is left out where the driver does not tell it.

    Raises:
        OSError: see `look`.
    """
    import fcntl

    found = []
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for kind in (_BUF_TYPE_VIDEO_CAPTURE, _BUF_TYPE_VIDEO_CAPTURE_MPLANE):
            for index in range(_LONGEST_LIST):
                answer = bytearray(struct.pack("<II", index, kind).ljust(64, b"\0"))
                try:
                    fcntl.ioctl(descriptor, _ENUM_FMT, answer)
                except OSError:
                    break
                code = bytes(answer[44:48])
                width, height = _largest_wh(descriptor, code)
                name = code.decode("ascii", "replace").strip()
                found.append(f"{name} up to {width}x{height}" if width else name)
    finally:
        os.close(descriptor)
    return found


def _largest_wh(descriptor: int, code: bytes) -> tuple[int, int]:
    """Return the size with the most pixels; zeros if the driver does not tell."""
    import fcntl

    largest = (0, 0)
    for index in range(_LONGEST_LIST):
        answer = bytearray((struct.pack("<I", index) + code).ljust(44, b"\0"))
        try:
            fcntl.ioctl(descriptor, _ENUM_FRAMESIZES, answer)
        except OSError:
            break
        kind, *numbers = struct.unpack_from("<7I", answer, 8)
        # Discrete: width, height. Stepwise: least, most and step of the width, then of the height.
        size = (numbers[0], numbers[1]) if kind == _DISCRETE else (numbers[1], numbers[4])
        largest = max(largest, size, key=lambda wh: wh[0] * wh[1])
        if kind != _DISCRETE:
            break
    return largest


def devices() -> list[Device]:
    """Return the cameras of this machine that can be opened by this user."""
    found = []
    for path in sorted(Path("/dev").glob("video*"), key=lambda p: (len(p.name), p.name)):
        try:
            device = look(str(path))
        except OSError:
            continue
        if device.captures:
            found.append(device)
    return found


def why_unusable(path: str) -> tuple[str, bool]:
    """Say in words why a node gives no pictures.

    Returns:
        The reason, and whether it is one that time cannot heal: the node is of another kind.
    """
    try:
        device = look(path)
    except FileNotFoundError:
        return f"there is no {path}{_there_are()}", False
    except PermissionError:
        return (
            f"no permission to open {path}; add the user to the group of the node "
            f"({_group(path)}): sudo usermod -aG {_group(path)} $USER, then log in again",
            False,
        )
    except OSError as error:
        if error.errno == errno.ENOTTY:
            return f"{path} is no camera{_there_are()}", True
        if error.errno == errno.EBUSY:
            return f"{path} is in use{_users(path)}", False
        return f"{path} cannot be opened: {error.strerror}", False
    if not device.captures:
        return f"{path} ({device.name}) gives no pictures{_there_are()}", True
    if _streams(path):
        return f"{path} ({device.name}) is in use by another program{_users(path)}", False
    return f"{path} ({device.name}) gives no picture", False


def _streams(path: str) -> bool:
    """Tell whether someone else has the device's buffers, which is what EBUSY means here."""
    import fcntl

    request = struct.pack("<5I", 0, _BUF_TYPE_VIDEO_CAPTURE, _MEMORY_MMAP, 0, 0)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.EBUSY
    try:
        fcntl.ioctl(descriptor, _REQBUFS, bytearray(request))
    except OSError as error:
        return error.errno == errno.EBUSY
    finally:
        os.close(descriptor)
    return False


def _there_are() -> str:
    found = [f"{device.path} ({device.name})" for device in devices()]
    return f"; cameras here: {', '.join(found)}" if found else "; no camera is connected"


def _group(path: str) -> str:
    import grp

    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "video"


def _users(path: str) -> str:
    """Name the processes that hold the node, as far as this user may see them."""
    try:
        wanted = os.stat(path).st_rdev
    except OSError:
        return ""
    holders = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            held = os.stat(link)
        except OSError:
            continue
        if held.st_rdev == wanted:
            process = int(link.parts[2])
            if process != os.getpid():
                holders.add(f"{_command(process)} (process {process})")
    return f": {', '.join(sorted(holders))}" if holders else ""


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return "unknown"
