"""What the command prints: for people on a terminal, JSON lines everywhere else.

Data goes to standard output; logs, notices and errors go to standard error. Each of the two is a
terminal or not, and ``--json`` or ``--text`` decides for both.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevision.json_value import json_value, utc_text
from edgevision.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output"]

_log = logging.getLogger("edgevision.command")

_COLORS = {"warning": "yellow", "error": "red", "critical": "red"}


@dataclass(frozen=True)
class Output:
    """How to print.

    Attributes:
        as_json: True for JSON lines, False for text, None to ask each stream.
        quiet: only warnings and errors.
    """

    as_json: bool | None = None
    quiet: bool = False

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Output:
        """Return what a command line asks for, before it is understood."""
        if "--json" in arguments:
            return cls(True, "--quiet" in arguments)
        return cls(False if "--text" in arguments else None, "--quiet" in arguments)

    @property
    def data_is_json(self) -> bool:
        """True if standard output gets JSON lines."""
        return not sys.stdout.isatty() if self.as_json is None else self.as_json

    @property
    def logs_are_json(self) -> bool:
        """True if standard error gets JSON lines."""
        return not sys.stderr.isatty() if self.as_json is None else self.as_json

    def console(self) -> Console:
        """Return a rich console on standard output."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    def data(self, value: Mapping[str, Any]) -> None:
        """Print one JSON line on standard output."""
        print(json.dumps(json_value(value)), flush=True)

    def notice(self, text: str, **fields: Any) -> None:
        """Tell something that is no result: text for people, ``fields`` for programs."""
        if not self.quiet:
            _log.info(text, extra={"fields": fields})

    def error(self, text: str, **fields: Any) -> None:
        """Tell why the command ends, in one message on standard error."""
        text = redact(text)
        if self.logs_are_json:
            self._error_line(text, fields)
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text.assemble(("error: ", "bold red"), text))

    def start_logging(self) -> None:
        """Send the log records of this process to standard error."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_JsonFormatter() if self.logs_are_json else _TextFormatter())
        logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
        level = logging.WARNING if self.quiet else logging.INFO
        logging.getLogger("edgevision").setLevel(level)

    @staticmethod
    def _error_line(text: str, fields: Mapping[str, Any]) -> None:
        record = {"time": utc_text(time.time()), "level": "error", "message": text, **fields}
        print(json.dumps(json_value(record)), file=sys.stderr, flush=True)


class _JsonFormatter(logging.Formatter):
    """One JSON line for each record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": utc_text(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            fields["traceback"] = redact("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(json_value(fields))


class _TextFormatter(logging.Formatter):
    """Time, level in colour where it matters, message."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.text import Text

        self._text = Text
        # Renders to text only; the handler writes.
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        clock = time.strftime("%H:%M:%S ", time.localtime(record.created))
        text = self._text.assemble((clock, "dim"))
        if level in _COLORS:
            text.append(f"{level}: ", style=_COLORS[level])
        text.append(redact(record.getMessage()))
        if record.exc_info and record.exc_info[0]:
            lines = traceback.format_exception(*record.exc_info)
            text.append("\n" + redact("".join(lines)).rstrip(), style="dim")
        with self._console.capture() as capture:
            self._console.print(text)
        return capture.get().rstrip("\n")
