"""Which device a camera runs on, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from edgevision.cuda.probe import Device, Status, require, status
from edgevision.errors import ConfigurationError, CudaUnavailableError

__all__ = ["Choice", "check", "choose"]

_NAME = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Choice:
    """Where frames are processed.

    Attributes:
        device: the CUDA device; None for the CPU.
        reason: why not CUDA, where nobody said so; empty otherwise.
    """

    device: Device | None
    reason: str = ""

    def __str__(self) -> str:
        if self.device is None:
            return f"the CPU: {self.reason}" if self.reason else "the CPU"
        memory = self.device.total_bytes / (1 << 30)
        return f"CUDA device {self.device.index} ({self.device.name}, {memory:.0f} GiB)"


def check(device: str) -> None:
    """Refuse what is no name of a device.

    Raises:
        ConfigurationError: the message says which there are.
    """
    if not _NAME.fullmatch(device):
        raise ConfigurationError(f"a device is auto, cpu, cuda or cuda:N, got {device!r}")


def choose(device: str, *, now: Status | None = None) -> Choice:
    """Return the device of that name, once used.

    Args:
        device: ``cpu``; ``cuda`` or ``cuda:1`` for one device or an error; ``auto`` for the first
            CUDA device where there is one that OpenCV can use, and the CPU elsewhere.
        now: what CUDA there is; default what `status` says, asked once for each process.

    Raises:
        CudaUnavailableError: CUDA was asked for and cannot be had; the message says which part is
            missing and what to do about it.
        ConfigurationError: the name is none of these.
    """
    check(device)
    if device == "cpu":
        return Choice(None)
    found = _status() if now is None else now
    if device == "auto":
        if not found.available:
            return Choice(None, found.reason)
        index = next(each.index for each in found.devices if not each.absence)
        try:
            return Choice(_required(index))
        except CudaUnavailableError as error:
            return Choice(None, str(error))
    return Choice(_required(int(device.partition(":")[2] or 0)))


@cache
def _status() -> Status:
    return status()


@cache
def _required(index: int) -> Device:
    return require(index)
