"""Pages of the documentation that follow from the table and from the Dockerfiles."""

from __future__ import annotations

import re
from pathlib import Path

from edgevision.deploy.pages import pages

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"


def test_the_pages_are_what_the_table_says() -> None:
    made = pages()
    there = {f"platforms/{path.name}" for path in (DOCS / "platforms").glob("*.md")}
    assert there | {"platforms.md"} == set(made)
    stale = [name for name, text in made.items() if (DOCS / name).read_text() != text]
    assert not stale, "python -m edgevision.deploy.pages docs"


def test_every_build_argument_is_explained() -> None:
    text = (DOCS / "images.md").read_text()
    section = text[text.index("## Build arguments") : text.index("## The four recipes")]
    explained = set(re.findall(r"`([A-Z0-9_]+)`", section)) - {"LD_LIBRARY_PATH"}
    declared = {
        name
        for path in [*(ROOT / "docker").glob("*/Dockerfile"), ROOT / "module" / "Dockerfile"]
        for name in re.findall(r"^ARG (\w+)", path.read_text(), re.M)
    }
    assert explained == declared
