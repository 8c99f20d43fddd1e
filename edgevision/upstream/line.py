"""A message as one line for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from edgevision.upstream.message import Message

__all__ = ["LineFormat"]

_CAMERA_STYLES = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta")
_MAX_CAMERA_CHARS = 20
_MAX_VALUE_CHARS = 40
_DOWN = "bold red"


class LineFormat:
    """Formats messages in the order of their arrival, such as
    ``07:03:00  door  2 person, 1 car  inside=3``.

    Camera names are aligned and keep their colour. What has changed is bold. Characters that would
    move the cursor, or that the terminal's encoding lacks, are replaced: a label or the text of a
    code may hold anything.

    Args:
        encoding: of the terminal.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._styles: dict[str, str] = {}
        self._width = 0

    def render(self, message: Message) -> Text:
        """Return ``message`` as styled text without line breaks."""
        body = message.body
        line = Text(end="\n")
        seconds = message.captured_at_s
        if seconds is None:
            seconds = message.created_at_s
        line.append(datetime.fromtimestamp(seconds).strftime("%H:%M:%S"), "dim")
        self._add_camera(line, message.camera)
        if message.kind == "event":
            self._add_event(line, body)
        elif message.kind == "aggregate":
            self._add_aggregate(line, body)
        else:
            self._add_frame(line, message.kind, body)
        return line

    def _add_camera(self, line: Text, camera: str) -> None:
        style = self._styles.get(camera)
        if style is None:
            style = self._styles[camera] = _CAMERA_STYLES[len(self._styles) % len(_CAMERA_STYLES)]
        name = self._clean(camera, _MAX_CAMERA_CHARS)
        self._width = max(self._width, len(name))
        line.append(f"  {name:<{self._width}}", style)

    def _add_frame(self, line: Text, kind: str, body: Mapping[str, Any]) -> None:
        if kind == "heartbeat":
            state = body.get("state", "")
            if state:
                up = state in ("live", "ended", "stopped", "connecting", "paused")
                line.append(f"  {self._clean(state)}", "green" if up else _DOWN)
            if body["reason"] == "state":
                return
            frames = body["frames"]
            line.append(
                f"  {frames} frames" if frames else "  no frame", "dim" if frames else _DOWN
            )
        changed = set(body.get("changed", ()))
        if "counts" in body:
            self._add_counts(line, body["counts"], changed)
        for name, value in body.get("values", {}).items():
            style = "bold" if f"values.{name}" in changed else ""
            line.append(f"  {self._clean(name)}=", "dim")
            line.append(self._value(value), style)

    def _add_counts(self, line: Text, counts: Mapping[str, int], changed: set[str]) -> None:
        gone = sorted(
            part.removeprefix("counts.")
            for part in changed
            if part.startswith("counts.") and part.removeprefix("counts.") not in counts
        )
        parts = [(f"{count} {label}", f"counts.{label}") for label, count in counts.items()]
        parts += [(f"no {label}", f"counts.{label}") for label in gone]
        if not parts:
            line.append("  nothing", "dim")
        for position, (text, key) in enumerate(parts):
            line.append(", " if position else "  ")
            line.append(self._clean(text), "bold" if key in changed else "")

    def _add_aggregate(self, line: Text, body: Mapping[str, Any]) -> None:
        line.append(f"  {body['interval_s']:g} s", "dim")
        frames = body["frames"]
        line.append(f"  {frames} frames" if frames else "  no frame", "dim" if frames else _DOWN)
        for label, summary in body["counts"].items():
            line.append(f"  {self._clean(label)} ")
            line.append(f"{summary['min']}..{summary['max']}", "bold")
            line.append(f" mean {summary['mean']:.3g}", "dim")
        for name, summary in body["values"].items():
            line.append(f"  {self._clean(name)}=", "dim")
            line.append(self._value(summary["last"]))

    def _add_event(self, line: Text, body: Mapping[str, Any]) -> None:
        line.append(f"  {self._clean(body['output'])}", "bold yellow")
        if body["stage"]:
            line.append(f" ({self._clean(body['stage'])})", "dim")
        line.append(f"  {self._value(body['body'], 10 * _MAX_VALUE_CHARS)}")

    def _value(self, value: Any, limit: int = _MAX_VALUE_CHARS) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return self._clean(text, limit)

    def _clean(self, text: str, limit: int = _MAX_VALUE_CHARS) -> str:
        text = text if len(text) <= limit else f"{text[: limit - 3]}..."
        if not text.isprintable():
            text = "".join(char if char.isprintable() else "\ufffd" for char in text)
        return text.encode(self._encoding, "replace").decode(self._encoding)
