"""A stand-in for libcuda and libnvidia-ml: the same C calls, answered from a description."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Card", "FakeLibrary", "FakeNvml"]

_INTEGRATED, _COMPUTE_MODE, _MAJOR, _MINOR = 18, 20, 75, 76
_INVALID_VALUE = 1
_NAMES = {100: b"CUDA_ERROR_NO_DEVICE", 999: b"CUDA_ERROR_UNKNOWN", 803: b"CUDA_ERROR_MISMATCH"}


def _out(reference: Any) -> Any:
    """The variable behind ctypes.byref."""
    return reference._obj


@dataclass
class Card:
    name: str = "NVIDIA Test"
    capability: tuple[int, int] = (8, 7)
    total_bytes: int = 8 << 30
    integrated: bool = False
    mode: int = 0
    bus: bytes = b"0000:01:00.0"
    attributes: dict[int, int] = field(default_factory=dict)
    """Others, by the number of cuda.h. What is in none is unknown to the driver."""


@dataclass
class FakeLibrary:
    """Answers as cuda.h says; ``code`` is what cuInit returns."""

    cards: list[Card] = field(default_factory=list)
    code: int = 0
    version: int = 13000
    peers: set[tuple[int, int]] = field(default_factory=set)

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.code

    def cuGetErrorName(self, code: int, out: Any) -> int:  # noqa: N802
        _out(out).value = _NAMES.get(code)
        return 0

    def cuDriverGetVersion(self, out: Any) -> int:  # noqa: N802
        _out(out).value = self.version
        return 0

    def cuDeviceGetCount(self, out: Any) -> int:  # noqa: N802
        _out(out).value = len(self.cards)
        return 0

    def cuDeviceGetName(self, text: Any, length: int, index: int) -> int:  # noqa: N802
        text.value = self.cards[index].name.encode()[: length - 1]
        return 0

    def cuDeviceGetPCIBusId(self, text: Any, length: int, index: int) -> int:  # noqa: N802
        text.value = self.cards[index].bus
        return 0

    def cuDeviceTotalMem_v2(self, out: Any, index: int) -> int:  # noqa: N802
        _out(out).value = self.cards[index].total_bytes
        return 0

    def cuDeviceGetAttribute(self, out: Any, attribute: int, index: int) -> int:  # noqa: N802
        card = self.cards[index]
        known = {
            _INTEGRATED: int(card.integrated),
            _COMPUTE_MODE: card.mode,
            _MAJOR: card.capability[0],
            _MINOR: card.capability[1],
            **card.attributes,
        }
        if attribute not in known:
            return _INVALID_VALUE
        _out(out).value = known[attribute]
        return 0

    def cuDeviceCanAccessPeer(self, out: Any, index: int, other: int) -> int:  # noqa: N802
        _out(out).value = int((index, other) in self.peers)
        return 0


@dataclass
class FakeNvml:
    """Knows the free memory of each card by its place on the bus."""

    free: dict[bytes, int]

    def nvmlDeviceGetHandleByPciBusId_v2(self, bus: Any, out: Any) -> int:  # noqa: N802
        if bus.value not in self.free:
            return 6
        _out(out).value = sorted(self.free).index(bus.value) + 1
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, out: Any) -> int:  # noqa: N802
        _out(out).free = self.free[sorted(self.free)[handle.value - 1]]
        return 0
