"""What the built-in stages must be given before they can be made."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.unit.inference.models import bright_squares

__all__ = ["given"]


@cache
def given(name: str) -> dict[str, Any]:
    """Return the parameters that have no default, as the tests set them."""
    if name != "detect":
        return {}
    folder = tempfile.mkdtemp(prefix="edgevision-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Its three classes are red, green and blue cells of the picture.
    return {"model": bright_squares(Path(folder) / "squares.onnx"), "confidence": 0.1}
