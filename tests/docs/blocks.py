"""The fenced code blocks of a Markdown page, and what runs them.

docs/contributing.md tells writers of pages what each kind of block does here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

__all__ = ["PAGES", "ROOT", "Block", "BlockError", "Page", "not_run", "read_blocks"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "samples").glob("*/README.md")),
    *sorted((ROOT / "tests").rglob("README.md")),
]
"""Every page whose blocks are run."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<language>[^\s`]*)[^`]*$")
_COMMENT = re.compile(r"^ *<!-- *(?P<key>[a-z-]+)(?:: *(?P<value>.*?))? *-->$")
_KEYS = {"not-run", "background", "file", "exit"}
_COMMAND_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 3.0
_CTRL_C_PRESSES = 3


class BlockError(AssertionError):
    """A block does not do what its page says; the message begins with file and line."""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        file: the page.
        line: line of the first line of code, counted from 1.
        language: the word behind the fence, "" when there is none.
        code: the text, without the fence's indentation, ending in a line feed.
        directives: the HTML comments directly before the fence, such as {"file": "stages.py"}.
    """

    file: Path
    line: int
    language: str
    code: str
    directives: dict[str, str] = field(default_factory=dict)

    def error(self, problem: str) -> BlockError:
        """Return an error that says where this block is."""
        return BlockError(f"{self.file}:{self.line}: {problem}")


def read_blocks(file: Path) -> list[Block]:
    """Return the blocks of a page in order.

    Raises:
        BlockError: a fence is never closed, or a comment before one is not understood.
    """
    blocks = []
    directives: dict[str, str] = {}
    lines = iter(enumerate(file.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if comment := _COMMENT.match(line):
            directives[comment["key"]] = comment["value"] or ""
            continue
        fence = _FENCE.match(line)
        if fence:
            code = "".join(_body(file, number, fence, lines))
            block = Block(file, number + 1, fence["language"], code, directives)
            if unknown := set(directives) - _KEYS:
                raise block.error(f"unknown comment {sorted(unknown)}; known: {sorted(_KEYS)}")
            blocks.append(block)
        directives = {}
    return blocks


def not_run(pages: list[Path]) -> list[Block]:
    """Return the blocks that their page marks as not to be run here."""
    return [block for page in pages for block in read_blocks(page) if "not-run" in block.directives]


def _body(
    file: Path, number: int, fence: re.Match[str], lines: Iterator[tuple[int, str]]
) -> Iterator[str]:
    indent = len(fence["indent"])
    for _, line in lines:
        if line.strip().startswith(fence["mark"]) and not line.strip().strip(fence["mark"][0]):
            return
        yield line[min(indent, len(line) - len(line.lstrip())) :] + "\n"
    raise BlockError(f"{file}:{number}: this fence is never closed")


class Page:
    """Runs the blocks of one page in order, in one folder and one namespace.

    Args:
        folder: where the commands run and where the page's files go. The current folder of this
            process must be the same one.
        validate: called with the path of each pipeline.yaml; raises when it is wrong.
    """

    def __init__(self, folder: Path, validate: Callable[[Path], object] | None = None) -> None:
        self.folder = folder
        self.validate = validate
        self.module = types.ModuleType("page")
        self._state = folder / ".shell"
        self._cwd = folder

    def run(self, block: Block) -> None:
        """Run one block.

        Raises:
            BlockError: it does not do what the page says.
        """
        if "not-run" in block.directives:
            if not block.directives["not-run"]:
                raise block.error("'not-run' without a reason")
            return
        if name := block.directives.get("file"):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code, encoding="utf-8")
        runners: dict[str, Callable[[Block], None]] = {
            "python": self._python,
            "console": self._console,
            "sh": self._console,
            "yaml": self._yaml,
            "json": self._json,
            "text": self._text,
        }
        runner = runners.get(block.language)
        if runner:
            runner(block)
        elif not block.language:
            raise block.error("a fence without a language; plain text is 'text'")
        elif not name:
            raise block.error(f"nothing here runs a block of {block.language!r}")

    def _python(self, block: Block) -> None:
        # Blank lines in front: a traceback then shows the page's own line.
        source = "\n" * (block.line - 1) + block.code
        try:
            code = compile(source, str(block.file), "exec")
            if "file" not in block.directives:
                sys.modules[self.module.__name__] = self.module
                exec(code, vars(self.module))
        except Exception as error:
            raise block.error(f"{type(error).__name__}: {error}") from error

    def _text(self, block: Block) -> None:
        """Leave it alone: it is no code."""

    def _json(self, block: Block) -> None:
        try:
            json.loads(block.code)
        except ValueError as error:
            raise block.error(f"no JSON: {error}") from error

    def _yaml(self, block: Block) -> None:
        try:
            document = yaml.safe_load(block.code)
            if self.validate and isinstance(document, dict) and "cameras" in document:
                path = self.folder / block.directives.get("file", "page.yaml")
                path.write_text(block.code, encoding="utf-8")
                self.validate(path)
        except Exception as error:
            raise block.error(f"{type(error).__name__}: {error}") from error

    def _console(self, block: Block) -> None:
        for line, command, expected in _commands(block):
            at = Block(block.file, line, block.language, command, block.directives)
            if "background" in block.directives:
                self._background(at)
                continue
            status, output = self._bash(at)
            wanted = int(block.directives.get("exit", "0"))
            if status != wanted:
                raise at.error(f"exit status {status}, not {wanted}: $ {command}\n{output}")
            if expected and not _pattern(expected).fullmatch(output.rstrip() + "\n"):
                raise at.error(f"$ {command}\nwanted:\n{expected}\ncame:\n{output}")

    def _environment(self) -> dict[str, str]:
        binaries = os.path.dirname(sys.executable)
        return {
            **os.environ,
            "PATH": binaries + os.pathsep + os.environ.get("PATH", ""),
            "BROWSER": "true",
            # A page's simulation is steered by that page alone.
            "XDG_RUNTIME_DIR": str(self.folder),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _bash(self, block: Block) -> tuple[int, str]:
        state = shlex.quote(str(self._state))
        # `cd` and `export` hold for the rest of the page, as they do in a reader's terminal.
        script = (
            f"[ ! -e {state} ] || . {state}\n"
            f'trap \'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}\' EXIT\n'
            f"{block.code}\n"
        )
        try:
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", script],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_COMMAND_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise block.error(f"not ended after {error.timeout:.0f} s: $ {block.code}") from error
        return done.returncode, done.stdout

    def _background(self, block: Block) -> None:
        until = re.fullmatch(r'until "(.+)"', block.directives["background"])
        if not until:
            raise block.error('wanted: background: until "text"')
        state = shlex.quote(str(self._state))
        seen: list[str] = []
        process = subprocess.Popen(
            ["bash", "-c", f"[ ! -e {state} ] || . {state}\n{block.code}"],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        # A command that never says it would block the read below for ever.
        watchdog = threading.Timer(_COMMAND_TIMEOUT_S, _signal, (process, signal.SIGKILL))
        watchdog.start()
        found = False
        try:
            assert process.stdout is not None
            for line in process.stdout:
                seen.append(line)
                if until[1] in line:
                    found = True
                    break
            seen.append(_press_ctrl_c(process))
        except subprocess.TimeoutExpired as error:
            raise block.error(f"does not end on Ctrl-C: $ {block.code}") from error
        finally:
            watchdog.cancel()
            watchdog.join()
            _signal(process, signal.SIGKILL)
            process.communicate()
        if not found:
            raise block.error(f"never said {until[1]!r}: $ {block.code}\n{''.join(seen)}")


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a command and all that it has started."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _press_ctrl_c(process: subprocess.Popen[str]) -> str:
    """Interrupt a command, wait for its end and return what it still said.

    A shell that is just between two commands may miss it, so it is pressed again.
    """
    for _ in range(_CTRL_C_PRESSES):
        _signal(process, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=_STOP_TIMEOUT_S)[0]
    raise subprocess.TimeoutExpired(process.args, _CTRL_C_PRESSES * _STOP_TIMEOUT_S)


def _commands(block: Block) -> Iterator[tuple[int, str, str]]:
    """Split a session into (line, command, expected output); a script is one command."""
    lines = block.code.splitlines()
    if not any(line.startswith("$ ") for line in lines):
        yield block.line, "set -e\n" + block.code, ""
        return
    line, command, expected = block.line, "", ""
    for number, text in enumerate(lines, block.line):
        if text.startswith("$ "):
            if command:
                yield line, command, expected
            line, command, expected = number, text[2:], ""
        elif command and not expected and (text.startswith("> ") or command.endswith("\\")):
            command += "\n" + text.removeprefix("> ")
        elif command:
            expected += text + "\n"
        else:
            raise block.error("a session begins with a command: '$ ...'")
    yield line, command, expected


def _pattern(expected: str) -> re.Pattern[str]:
    """Return what matches an output: ``...`` alone stands for lines, within a line for text."""
    parts = []
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(re.escape(line.rstrip()).replace(r"\.\.\.", ".*") + r"[ \t]*\n")
    return re.compile("".join(parts))
