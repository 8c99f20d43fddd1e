"""Compiles the kernel of NV12: ``python -m tests.unit.cuda.compile_nv12``, with nvcc on the path.

As `tests.unit.cv.compile` does for the others: for compute capability 7.5 and later.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

__all__ = ["PTX", "SOURCE", "digest"]

_FOLDER = Path(__file__).parents[3] / "edgevision" / "cuda" / "kernels"
SOURCE = _FOLDER / "nv12.cu"
PTX = _FOLDER / "nv12.ptx"


def digest() -> str:
    """Return what the first line of the PTX says of its source."""
    return f"// nv12.cu {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}"


def main() -> None:
    """Write nv12.ptx."""
    subprocess.run(["nvcc", "-arch=compute_75", "-ptx", "-O3", "-o", PTX, SOURCE], check=True)
    lines = [line for line in PTX.read_text("ascii").splitlines() if line and line[:2] != "//"]
    # The oldest version that knows the architecture, so that older drivers take it, too.
    text = re.sub(r"^\.version .*$", ".version 6.3", "\n".join(lines), flags=re.M)
    PTX.write_text(f"{digest()}\n{text}\n", "ascii")
    subprocess.run(["ptxas", "-arch=sm_75", "-o", "/dev/null", PTX], check=True)


if __name__ == "__main__":
    main()
