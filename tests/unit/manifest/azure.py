"""A stand-in for the az command: it answers from a folder and writes down how it was called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["AzStandIn"]

_PROGRAM = """\
#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(words) + chr(10))
for at, word in enumerate(words):
    if word == "--content":
        (folder / "content").write_text(pathlib.Path(words[at + 1]).read_text())
for answer in json.loads((folder / "answers").read_text()):
    if all(word in words for word in answer["words"]):
        sys.stdout.write(answer["out"])
        sys.stderr.write(answer["err"])
        sys.exit(answer["code"])
sys.stderr.write("ERROR: (ModuleNotFound) there is none")
sys.exit(3)
"""


class AzStandIn:
    """An executable ``az`` in a folder that a test puts on PATH.

    What it was never told about is answered as az answers for what does not exist.

    Args:
        folder: for the command and what it writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers: list[dict[str, Any]] = []
        program = folder / "az"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        self._save()

    def answer(self, *words: str, out: Any = "", err: str = "", code: int = 0) -> None:
        """Say what to answer to a call that has all these words; the first that fits counts."""
        text = out if isinstance(out, str) else json.dumps(out)
        self._answers.append({"words": words, "out": text, "err": err, "code": code})
        self._save()

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def content(self) -> Any:
        """The manifest of the last call that had one."""
        return json.loads((self.folder / "content").read_text())

    def _save(self) -> None:
        (self.folder / "answers").write_text(json.dumps(self._answers))
