"""Turn the knobs of the vivid driver: unplug a camera, silence it, plug it in again.

Numbers and structures are those of linux/videodev2.h; the controls are found by their names, as
Documentation/admin-guide/media/vivid.rst of the kernel gives them.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

__all__ = ["controls", "plug", "set_control", "unplug"]

_QUERYCTRL = 0xC0445624  # _IOWR('V', 36, struct v4l2_queryctrl), 68 bytes
_S_CTRL = 0xC008561C  # _IOWR('V', 28, struct v4l2_control), 8 bytes
_NEXT = 0x80000000
_DRIVER = Path("/sys/bus/platform/drivers/vivid")


def controls(node: str) -> dict[str, int]:
    """Return the controls of a device: name to number."""
    found: dict[str, int] = {}
    descriptor = os.open(node, os.O_RDWR)
    try:
        number = _NEXT
        while True:
            answer = bytearray(struct.pack("<17I", number, *([0] * 16)))
            try:
                fcntl.ioctl(descriptor, _QUERYCTRL, answer)
            except OSError:
                return found
            number = struct.unpack_from("<I", answer)[0]
            found[bytes(answer[8:40]).partition(b"\0")[0].decode()] = number
            number |= _NEXT
    finally:
        os.close(descriptor)


def set_control(node: str, name: str, value: int) -> None:
    """Set a control by its name."""
    number = controls(node)[name]
    descriptor = os.open(node, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, _S_CTRL, bytearray(struct.pack("<Ii", number, value)))
    finally:
        os.close(descriptor)


def unplug() -> None:
    """Take every camera away."""
    (_DRIVER / "unbind").write_text("vivid.0")


def plug() -> None:
    """Bring every camera back."""
    (_DRIVER / "bind").write_text("vivid.0")
