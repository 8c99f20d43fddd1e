"""docs/cuda.md lists what takes no GpuMat."""

from __future__ import annotations

import re
from pathlib import Path

from edgevision.cv import gpu
from edgevision.cv.table import OPERATIONS, TYPES

_PAGE = Path(__file__).parents[3] / "docs" / "cuda.md"


def test_the_page_lists_what_takes_no_gpu_mat() -> None:
    part = _PAGE.read_text(encoding="utf-8").partition("These have no CUDA side")[2]
    table = part.partition("\n\nSo does")[0]
    listed = set(re.findall(r"`([\w.]+)`", table))
    methods = {f"{kind.name}.{row.name}" for kind in TYPES.values() for row in kind.methods}
    known = listed & ({*OPERATIONS, *TYPES} | methods)
    assert len(known) > 10
    assert not known & gpu.supported()


def test_each_adapter_belongs_to_a_row_with_a_cuda_side() -> None:
    methods = {f"{kind.name}.{row.name}": row for kind in TYPES.values() for row in kind.methods}
    rows = {**OPERATIONS, **methods}
    assert not [name for name in gpu.supported() if not rows[name].cuda]
