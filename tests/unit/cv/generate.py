"""Writes what is generated from the table of operations: ``python -m tests.unit.cv.generate``."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cv.page import page
from tests.unit.cv.stub import stub

__all__ = ["PAGE", "STUB"]

ROOT = Path(__file__).parents[3]
STUB = ROOT / "edgevision" / "cv" / "__init__.pyi"
PAGE = ROOT / "docs" / "reference-cv.md"


def main() -> None:
    STUB.write_text(stub(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
