"""The runner of the docs' blocks: what it accepts and what it refuses."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from tests.docs.blocks import BlockError, Page, read_blocks


def run(folder: Path, text: str) -> Page:
    file = folder / "page.md"
    file.write_text(textwrap.dedent(text))
    page = Page(folder, validate=lambda path: json.loads(path.read_text()))
    for block in read_blocks(file):
        page.run(block)
    return page


def test_python_blocks_share_a_namespace(tmp_path: Path) -> None:
    page = run(
        tmp_path,
        """\
        ```python
        a = 20
        ```
        text between
        ```python
        b = a + 1
        ```
        """,
    )
    assert page.module.__dict__["b"] == 21


def test_an_error_names_page_and_line(tmp_path: Path) -> None:
    with pytest.raises(BlockError, match=r"page\.md:4: ZeroDivisionError"):
        run(tmp_path, "one\n\n```python\n1 / 0\n```\n")


def test_files_commands_and_output(tmp_path: Path) -> None:
    run(
        tmp_path,
        """\
        <!-- file: sub/hello.py -->
        ```python
        import sys
        print("hello", sys.argv[1], 0.123)
        print("end")
        ```

        ```console
        $ cd sub
        $ export NAME=you
        ```
        ```console
        $ python hello.py "$NAME"
        hello you ...
        end
        $ python hello.py \\
            "$NAME"
        ...
        end
        ```
        """,
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```console\n$ echo one\ntwo\n```", r"wanted:\ntwo\n\ncame:\none"),
        ("```console\n$ echo one; echo two\none\n```", "wanted"),
        ("```console\n$ false\n```", r"page\.md:2: exit status 1, not 0"),
        ("```sh\nfalse\ntrue\n```", "exit status 1"),
        ("<!-- exit: 3 -->\n```sh\nexit 2\n```", "exit status 2, not 3"),
        ("```console\nhello\n$ true\n```", "begins with a command"),
        ("```json\n{'a': 1}\n```", "no JSON"),
        ("```yaml\na: [1\n```", r"page\.md:2: ParserError"),
        ("```yaml\ncameras: wrong\n```", "JSONDecodeError"),
        ("```\nplain\n```", "without a language"),
        ("```cobol\nADD 1\n```", "nothing here runs a block of 'cobol'"),
        ("```python\n1\n", "never closed"),
        ("<!-- not-run: -->\n```python\n1\n```", "without a reason"),
        ("<!-- nor-run: typing error -->\n```python\n1\n```", "unknown comment"),
        ('<!-- background: until "x" -->\n```sh\necho y\n```', "never said 'x'"),
        ("<!-- background: x -->\n```sh\necho y\n```", "wanted: background: until"),
        ("<!-- file: a.py -->\n```python\nif:\n```", "SyntaxError"),
    ],
)
def test_what_it_refuses(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(BlockError, match=problem):
        run(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "```text\nanything\n```",
        "~~~json\n[1]\n~~~",
        "  ```python\n  if True:\n      x = 1\n  ```",
        "<!-- exit: 2 -->\n```sh\nexit 2\n```",
        "<!-- not-run: needs a Jetson -->\n```cobol\n```",
        "<!-- file: Dockerfile -->\n```dockerfile\nFROM scratch\n```",
        "```yaml\na: 1\n```",
        '```yaml\n{"cameras": {}}\n```',
        "````text\n```\n````",
    ],
)
def test_what_it_accepts(tmp_path: Path, text: str) -> None:
    run(tmp_path, text)


def test_a_comment_counts_only_directly_before_its_block(tmp_path: Path) -> None:
    with pytest.raises(BlockError, match="ZeroDivisionError"):
        run(tmp_path, "<!-- not-run: a good reason -->\n\n```python\n1 / 0\n```\n")


def test_a_background_command_runs_until_its_text_and_is_ended(tmp_path: Path) -> None:
    run(
        tmp_path,
        """\
        <!-- background: until "ready" -->
        ```console
        $ echo ready > file; tail -f file
        ```
        """,
    )
    assert (tmp_path / "file").read_text() == "ready\n"
