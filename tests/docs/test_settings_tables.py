"""docs/pipeline-yaml.md has every setting, as the models have it."""

from __future__ import annotations

from tests.docs.settings_tables import PAGE, names_in, tables, with_tables


def test_the_page_has_the_tables_of_the_models() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "run: python -m tests.docs.settings_tables"


def test_no_table_is_left_out() -> None:
    assert names_in(PAGE.read_text(encoding="utf-8")) == list(tables())


def test_every_setting_says_what_it_is_for() -> None:
    for name, table in tables().items():
        for row in table.splitlines()[2:]:
            key, _, _, about = (cell.strip() for cell in row.strip("|").rsplit(" | ", 3))
            assert about, f"{name}: {key}"
