"""The pages have every setting, as the models have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.settings_tables import PAGES, names_in, tables, with_tables


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_page_has_the_tables_of_the_models(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert with_tables(page) == page, "run: python -m tests.docs.settings_tables"


def test_no_table_is_left_out() -> None:
    found = [name for path in PAGES for name in names_in(path.read_text(encoding="utf-8"))]
    assert found == list(tables())


def test_every_setting_says_what_it_is_for() -> None:
    for name, table in tables().items():
        for row in table.splitlines()[2:]:
            key, _, _, about = (cell.strip() for cell in row.strip("|").rsplit(" | ", 3))
            assert about, f"{name}: {key}"
