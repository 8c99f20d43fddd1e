"""The generated parts of docs/messages.md.

``python -m tests.unit.upstream.page`` writes them. A test keeps them equal to what they are made
of: the schema, and messages that the code makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgevision.detections import Detections
from edgevision.result import Event, Result
from edgevision.upstream.aggregate import Aggregate
from edgevision.upstream.builder import MessageBuilder
from edgevision.upstream.message import Message, json_schema
from edgevision.upstream.policy import Report

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"

_PART = re.compile(r"(<!-- begin ([\w-]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
_AT_S = 1_795_503_780.123


def filled(page: str) -> str:
    """Return the text of the page with every generated part made anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", page)


# --- tables ---------------------------------------------------------------------------------------


def fields(name: str) -> str:
    """Return the table of one definition of the schema."""
    definition = json_schema()["$defs"][name]
    required = set(definition.get("required", ()))
    rows = [
        f"| `{field}` | {_type(rule)} | {'yes' if field in required else ''} | {_meaning(rule)} |"
        for field, rule in definition["properties"].items()
        if "const" not in rule or field != "kind"
    ]
    return "\n".join(["| field | type | always | meaning |", "|---|---|---|---|", *rows, ""])


def _type(rule: dict[str, Any]) -> str:
    rule = _resolved(rule)
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        return " or ".join(f"`{value}`" for value in rule["enum"])
    if rule.get("type") == "array":
        item = (rule["items"] or rule["prefixItems"][0]) if "items" in rule else {}
        count = rule.get("minItems") if "prefixItems" in rule or "maxItems" in rule else "array of"
        return f"{count} {_type(item)}s"
    if rule.get("pattern", "").startswith("^[0-9]{4}"):
        return "time"
    return str(rule.get("type", "any"))


def _meaning(rule: dict[str, Any]) -> str:
    text: str = rule.get("description") or _resolved(rule).get("description", "")
    return text


def _resolved(rule: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in rule:
        return rule
    target: dict[str, Any] = json_schema()["$defs"][rule["$ref"].rsplit("/", 1)[1]]
    return target


# --- examples -------------------------------------------------------------------------------------


def _result(sequence: int, people: int) -> Result:
    found = Detections.empty()
    if people:
        found = Detections(
            [(left, 96.1, left + 54.5, 240.8) for left in (412.3, 690.0, 88.4)[:people]],
            (0.912, 0.87, 0.64)[:people],
            "person",
            (7, 9, 12)[:people],
        )
    at_s = _AT_S + (sequence - 1812) / 30
    latency_s = 0.0184 if people else 0.0131
    return Result("door", sequence, at_s, (1280, 720), found, {"inside": 3}, [], latency_s)


def _builder(number: int, after_s: float = 0.02) -> MessageBuilder:
    """Return a builder whose next message of the camera is the ``number``-th."""
    builder = MessageBuilder("vision", run="5f0c9a1be277", clock=lambda: _AT_S + after_s)
    for _ in range(number - 1):
        builder.report("door", Report("heartbeat", "quiet"))
    return builder


def _frame() -> Message:
    report = Report("frame", "change", _result(1812, 2), {"person": 2}, ("counts.person",))
    return _builder(42).report("door", report)


def _dead() -> Message:
    return _builder(97, 600).report("door", Report("heartbeat", "quiet"), "backing off")


def _aggregate() -> Message:
    summary = Aggregate(0.0)
    for sequence in range(1, 1801):
        people = (0, 1, 3, 2)[sequence * 4 // 1801]
        summary.add(_result(1811 + sequence, people), {"person": people} if people else {})
    summary.length_s = 60.0
    report = Report("aggregate", "interval", frames=1800, aggregate=summary)
    return _builder(3, 60).report("door", report, "live")


def _event() -> Message:
    event = Event("alarms", {"zone": "till", "people": 2}, "zones")
    return _builder(43).event(_result(1812, 2), event)


def example(make: Callable[[], Message]) -> str:
    """Return a message as a fenced block, one field a line."""
    body = make().body
    lines = [f"  {json.dumps(key)}: {_inline(value)}" for key, value in body.items()]
    return "```json\n{\n" + ",\n".join(lines) + "\n}\n```\n"


def _inline(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = ",\n".join(f"    {json.dumps(row)}" for row in value)
        return f"[\n{rows}\n  ]"
    return json.dumps(value)


PARTS: dict[str, Callable[[], str]] = {
    "frame-example": lambda: example(_frame),
    "heartbeat-example": lambda: example(_dead),
    "aggregate-example": lambda: example(_aggregate),
    "event-example": lambda: example(_event),
    "envelope-fields": lambda: fields("envelope"),
    "of-frame-fields": lambda: fields("of_frame"),
    "detection-fields": lambda: fields("detection"),
    "frame-fields": lambda: fields("frame"),
    "heartbeat-fields": lambda: fields("heartbeat"),
    "aggregate-fields": lambda: fields("aggregate"),
    "label-fields": lambda: fields("label_summary"),
    "value-fields": lambda: fields("value_summary"),
    "event-fields": lambda: fields("event"),
}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
