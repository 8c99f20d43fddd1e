"""docs/cuda.md lists what takes a GpuMat."""

from __future__ import annotations

import re
from pathlib import Path

from edgevision.cv import gpu
from edgevision.cv.table import OPERATIONS, TYPES

_PAGE = Path(__file__).parents[3] / "docs" / "cuda.md"


def test_the_page_lists_what_takes_a_gpu_mat() -> None:
    part = _PAGE.read_text(encoding="utf-8").partition("## What takes a GpuMat")[2]
    table = [line for line in part.partition("\n\nEverything else")[0].splitlines() if "`" in line]
    assert set(re.findall(r"`([\w.]+)`", "\n".join(table))) == gpu.supported()


def test_each_adapter_belongs_to_a_row_with_a_cuda_side() -> None:
    methods = {f"{kind.name}.{row.name}": row for kind in TYPES.values() for row in kind.methods}
    rows = {**OPERATIONS, **methods}
    assert not [name for name in gpu.supported() if not rows[name].cuda]
