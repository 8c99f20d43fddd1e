"""What a piece of work does on the device, as CUPTI records it for torch's profiler.

CUPTI sees all CUDA calls of the process, whichever library makes them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["Trace", "traced"]

_ALLOCATIONS = ("cudaMalloc", "cudaFree", "cuMemAlloc", "cuMemFree", "cudaHostAlloc", "cudaHostReg")


@dataclass
class Trace:
    """What happened.

    Attributes:
        calls: CUDA calls by name.
        copies: copies by direction and kinds of memory, as in "HtoD (Pinned -> Device)".
        kernels: how many kernels ran.
    """

    calls: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    kernels: int = 0

    @property
    def allocations(self) -> dict[str, int]:
        """Calls that take or give memory."""
        return {n: c for n, c in self.calls.items() if n.startswith(_ALLOCATIONS)}

    @property
    def pageable(self) -> dict[str, int]:
        """Copies from or to ordinary memory."""
        return {n: c for n, c in self.copies.items() if "Pageable" in n}


def traced(work: Callable[[], object], folder: Path) -> Trace:
    """Run ``work`` and return what it did on the device."""
    torch = pytest.importorskip("torch")
    kinds = torch.profiler.ProfilerActivity
    torch.zeros(1, device="cuda")
    with torch.profiler.profile(activities=[kinds.CUDA, kinds.CPU]) as profile:
        work()
        torch.cuda.synchronize()
    path = folder / "trace.json"
    profile.export_chrome_trace(str(path))
    found = Trace()
    for event in json.loads(path.read_text())["traceEvents"]:
        name, kind = str(event.get("name", "")), event.get("cat", "")
        if kind in ("cuda_runtime", "cuda_driver"):
            found.calls[name] += 1
        elif kind == "gpu_memcpy":
            found.copies[name.removeprefix("Memcpy ")] += 1
        elif kind == "kernel":
            found.kernels += 1
    return found
