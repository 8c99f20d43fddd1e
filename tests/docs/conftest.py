"""Lists the blocks of the docs that no test runs, with the reason that their page gives."""

from __future__ import annotations

import pytest

from tests.docs.blocks import PAGES, ROOT, not_run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    blocks = not_run(PAGES)
    if blocks:
        terminalreporter.section("blocks of the docs that are not run")
    for block in blocks:
        where = f"{block.file.relative_to(ROOT)}:{block.line}"
        terminalreporter.write_line(f"{where}: {block.directives['not-run']}")
