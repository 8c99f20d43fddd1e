"""What a simulation prints: messages, reported properties and connections, a line each."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from edgevision.cli.output import Output
from edgevision.json_value import utc_text
from edgevision.testing.hub.message import HubEvent, HubMessage

__all__ = ["Printer"]

_SILENT = frozenset({"subscribed", "unsubscribed", "ignored", "listening"})
# Of edgevision's own messages: what comes first in a line, and what people do not look for.
_FIRST = ("camera", "kind", "counts", "values", "event")
_LEFT_OUT = frozenset(
    {"schema", "id", "output", "module", "run", "number", "created_at", "detections", "size_wh"}
)
_STYLES = {
    "message": "cyan",
    "reported": "magenta",
    "connected": "green",
    "disconnected": "yellow",
    "refused": "red",
    "tls": "red",
    "down": "red",
}


class Printer:
    """Prints on standard output.

    Args:
        output: JSON lines, or text for people.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._console = None if output.data_is_json else output.console()
        self.messages = 0

    def show(self, item: HubMessage | HubEvent) -> None:
        """Print one line."""
        if isinstance(item, HubMessage):
            self.messages += 1
            self._message(item)
        elif item.kind not in _SILENT:
            self._event(item)

    def _message(self, message: HubMessage) -> None:
        try:
            body = message.json()
        except ValueError:
            body = None
        if self._console is None:
            fields: dict[str, Any] = {
                "type": "message",
                "time": utc_text(message.received_at_s),
                "id": message.id,
                "output": message.output,
                "properties": dict(message.properties),
                "body": body,
            }
            if body is None:
                fields["body_base64"] = base64.b64encode(message.body).decode()
            self._output.data(fields)
            return
        text = f"{len(message.body)} bytes" if body is None else _compact(_telling(body))
        self._line(message.received_at_s, "message", f"{message.output or '-'}  {text}")

    def _event(self, event: HubEvent) -> None:
        if self._console is None:
            detail = dict(event.detail)
            self._output.data({"type": event.kind, "time": utc_text(event.at_s), **detail})
            return
        self._line(event.at_s, event.kind, _described(event))

    def _line(self, at_s: float, kind: str, text: str) -> None:
        from rich.text import Text

        assert self._console is not None
        clock = time.strftime("%H:%M:%S", time.localtime(at_s))
        # Text of a module may hold anything, also what moves the cursor.
        shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
        shown = shown.encode(self._console.encoding, "replace").decode(self._console.encoding)
        line = Text.assemble((clock, "dim"), "  ", (f"{kind:<12}  ", _STYLES.get(kind, "")), shown)
        cut = self._console.is_terminal
        self._console.print(line, no_wrap=cut, overflow="ellipsis" if cut else "ignore", crop=cut)


def _described(event: HubEvent) -> str:
    detail = event.detail
    if event.kind in ("reported", "desired"):
        return f"version {detail['version']}  {_compact(detail['patch'])}"
    if event.kind == "connected":
        return "with its old session" if detail["session_present"] else "with a new session"
    if event.kind == "refused":
        return f"with code {detail['code']}: {detail['reason']}"
    if event.kind == "method":
        return f"{detail['name']} -> {detail['status']}"
    return "  ".join(str(value) for value in detail.values())


def _telling(body: Any) -> Any:
    """Return what people want to see of one of edgevision's messages; others as they are."""
    if isinstance(body, list):
        return [_telling(item) for item in body]
    if not isinstance(body, dict) or not str(body.get("schema")).startswith("edgevision.message/"):
        return body
    shown = {name: body[name] for name in _FIRST if name in body}
    return {**shown, **{k: v for k, v in body.items() if k not in _LEFT_OUT and k not in shown}}


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
