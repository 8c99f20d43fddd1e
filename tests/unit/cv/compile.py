"""Compiles edgevision's kernels: ``python -m tests.unit.cv.compile``, with nvcc on the path.

The code is for compute capability 7.5 and later, in the oldest version of PTX that knows it, so
that drivers from CUDA 10 on take it.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

__all__ = ["PTX", "SOURCE", "digest"]

_FOLDER = Path(__file__).parents[3] / "edgevision" / "cuda" / "kernels"
SOURCE = _FOLDER / "image.cu"
PTX = _FOLDER / "image.ptx"
_ARCHITECTURE = "75"
_VERSION = "6.3"


def digest() -> str:
    """Return what the first line of the PTX says of its source."""
    return f"// image.cu {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}"


def main() -> None:
    """Write image.ptx."""
    target = f"-arch=compute_{_ARCHITECTURE}"
    subprocess.run(["nvcc", target, "-ptx", "-O3", "-o", PTX, SOURCE], check=True)
    lines = [line for line in PTX.read_text("ascii").splitlines() if line and line[:2] != "//"]
    text = re.sub(r"^\.version .*$", f".version {_VERSION}", "\n".join(lines), flags=re.M)
    PTX.write_text(f"{digest()}\n{text}\n", "ascii")
    # The assembler says whether that version of PTX really has all that is used.
    check = ["ptxas", f"-arch=sm_{_ARCHITECTURE}", "-o", "/dev/null", str(PTX)]
    subprocess.run(check, check=True)


if __name__ == "__main__":
    main()
