"""Every code block of README.md and docs/ does what its page says."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edgevision.sources
from tests.docs.blocks import PAGES, ROOT, Page, not_run, read_blocks


def _validate() -> Callable[[Path], object] | None:
    if importlib.util.find_spec("edgevision.config") is None:
        return None
    return getattr(importlib.import_module("edgevision.config"), "load", None)


def _like_a_clone(folder: Path) -> None:
    """Put what a page may name into its folder, so that no page can change the real files."""
    (folder / "dev.py").symlink_to(ROOT / "dev.py")
    for name in ("samples", "module"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _like_a_clone(tmp_path)
    # What a page registers is for that page alone.
    monkeypatch.setattr(edgevision.sources, "_factories", dict(edgevision.sources._factories))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    runner = Page(tmp_path, _validate())
    try:
        for block in read_blocks(page):
            runner.run(block)
    finally:
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if name == "page" or file.startswith(str(tmp_path)):
                del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_that_is_not_run_says_why(page: Path) -> None:
    for block in not_run([page]):
        reason = block.directives["not-run"]
        assert len(reason.split()) >= 3, f"{page}:{block.line}: {reason!r} is no reason"
