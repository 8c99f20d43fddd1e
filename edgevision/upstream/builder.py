"""Make messages of results: one builder for a module's run."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from edgevision.detections import Detections
from edgevision.errors import UpstreamError
from edgevision.json_value import NotJsonError, json_value, utc_text
from edgevision.result import Event, Result
from edgevision.upstream.aggregate import Aggregate, LabelSummary, NumberSummary
from edgevision.upstream.message import SCHEMA, Kind, Message
from edgevision.upstream.policy import Report

__all__ = ["MessageBuilder", "plain_values"]

_OUTPUT = re.compile("[A-Za-z0-9_-]{1,64}")

# The parts of an id and the limits that keep it within IoT Hub's 128 characters: module 40, camera
# 52, run 12, three colons and a number of up to 20 digits.
_MODULE_CHARS, _CAMERA_CHARS, _RUN_BYTES = 40, 52, 6


class MessageBuilder:
    """Makes the messages of one module's run and numbers them by camera.

    A message's id is ``module:camera:run:number``. The run is random, so ids stay unique over
    restarts; the number counts the camera's messages from 1 without gaps.

    Args:
        module: name of the module.
        output: name of the output for frames, heartbeats and aggregates.
        run: identity of this run; default random.
        clock: UTC seconds since 1970.
    """

    def __init__(
        self,
        module: str,
        output: str = "results",
        *,
        run: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.module: str = json_value(module)
        self.output = output
        self.run = run or secrets.token_hex(_RUN_BYTES)
        self._clock = clock
        self._module_part = _id_part(module, _MODULE_CHARS)
        self._cameras: dict[str, _Camera] = {}

    def report(self, camera: str, report: Report, state: str = "") -> Message:
        """Return the message that a policy asked for.

        Args:
            camera: name of the camera.
            report: what to send.
            state: what the camera is doing; "" when not known.

        Raises:
            UpstreamError: something in it has no JSON form; names camera, frame and key.
        """
        head: dict[str, Any] = {"reason": report.reason}
        if state and report.kind != "frame":
            head["state"] = state
        if report.changed:
            head["changed"] = json_value(report.changed)
        if report.kind == "heartbeat":
            head["frames"] = report.frames
        content: dict[str, Any] = {}
        if report.aggregate is not None:
            content = _aggregate(report.aggregate)
        elif report.result is not None:
            content = _of_frame(report.result, report.counts)
        return self._message(report.kind, self.output, camera, {**head, **content})

    def event(self, result: Result, event: Event) -> Message:
        """Return the message of an event that a stage published on ``result``'s frame.

        Raises:
            UpstreamError: its body has no JSON form; names camera, stage, frame and key.
        """
        try:
            if not _OUTPUT.fullmatch(event.output):
                raise NotJsonError(
                    "an output's name has up to 64 ASCII letters, digits, '-' and '_', got "
                    f"{event.output!r}"
                )
            body = json_value(event.body)
            captured_at = utc_text(result.captured_at_s)
        except (NotJsonError, RuntimeError) as error:
            raise _refused(result, f"event for {event.output!r}", error, event) from error
        content = {
            "stage": event.stage,
            "sequence": result.sequence,
            "captured_at": captured_at,
            "body": body,
        }
        return self._message("event", event.output, result.camera, content)

    def _message(self, kind: Kind, output: str, camera: str, content: Mapping[str, Any]) -> Message:
        known = self._cameras.get(camera)
        if known is None:
            part = _id_part(camera, _CAMERA_CHARS)
            prefix = f"{self._module_part}:{part}:{self.run}:"
            known = self._cameras[camera] = _Camera(json_value(camera), prefix)
        number = known.number + 1
        name = f"{known.prefix}{number}"
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "id": name,
            "kind": kind,
            "output": output,
            "module": self.module,
            "camera": known.name,
            "run": self.run,
            "number": number,
            "created_at": utc_text(self._clock()),
            **content,
        }
        message = Message(name, kind, output, known.name, body)
        try:
            message.encode()
        except ValueError as error:  # such as a mean of numbers that overflows
            raise UpstreamError(
                f"camera {camera!r}: a message of kind {kind} has no JSON form: {error}",
                retryable=False,
            ) from error
        known.number = number
        return message


class _Camera:
    """What a camera's messages share."""

    __slots__ = ("name", "number", "prefix")

    def __init__(self, name: str, prefix: str) -> None:
        self.name = name
        self.prefix = prefix
        self.number = 0


def plain_values(result: Result) -> dict[str, Any]:
    """Return a result's values as plain JSON, copied.

    Raises:
        UpstreamError: a value has no JSON form; names camera, frame and key.
    """
    if not result.values:
        return {}
    try:
        values: dict[str, Any] = json_value(result.values)
    except (NotJsonError, RuntimeError) as error:
        raise _refused(result, "frame.values", error) from error
    return values


def _of_frame(result: Result, counts: Mapping[str, int]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = {
            "sequence": result.sequence,
            "captured_at": utc_text(result.captured_at_s),
            "size_wh": [int(side) for side in result.size_wh],
            "detections": _detections(result.detections),
            "counts": json_value(dict(counts)),
        }
    except NotJsonError as error:
        raise _refused(result, "the frame's message", error) from error
    if result.values:
        content["values"] = result.values
    content["latency_ms"] = _milliseconds(result.latency_s)
    return content


def _detections(detections: Detections) -> list[dict[str, Any]]:
    if not len(detections):
        return []
    try:
        columns = json_value(detections.data) if detections.data else {}
    except NotJsonError as error:
        error.path.insert(0, "data")
        raise
    for name in ("box_xyxy", "confidence"):
        numbers = getattr(detections, name)
        if not np.isfinite(numbers).all():
            raise NotJsonError(f"detections.{name} holds a number that is not finite")
    boxes = np.round(detections.box_xyxy.astype(np.float64), 1).tolist()
    confidences = np.round(detections.confidence.astype(np.float64), 3).tolist()
    labels = json_value(detections.label.tolist())
    rows: list[dict[str, Any]] = [
        {"label": label, "confidence": confidence, "box_xyxy": box}
        for label, confidence, box in zip(labels, confidences, boxes, strict=True)
    ]
    for row, track_id in zip(rows, detections.track_id.tolist(), strict=True):
        if track_id >= 0:
            row["track_id"] = track_id
    if columns:
        names = list(columns)
        for row, entries in zip(rows, zip(*columns.values(), strict=True), strict=True):
            row["data"] = dict(zip(names, entries, strict=True))
    return rows


def _aggregate(aggregate: Aggregate) -> dict[str, Any]:
    content: dict[str, Any] = {
        "interval_s": round(aggregate.length_s, 3),
        "frames": aggregate.frames,
        "counts": {
            json_value(label): _label_summary(summary, aggregate.frames)
            for label, summary in aggregate.labels.items()
        },
        "values": {
            **{name: _number_summary(summary) for name, summary in aggregate.numbers.items()},
            **{name: {"last": value} for name, value in aggregate.others.items()},
        },
    }
    first, last = aggregate.first, aggregate.last
    if first is not None and last is not None:
        try:
            content.update(
                first_sequence=first.sequence,
                sequence=last.sequence,
                first_captured_at=utc_text(first.captured_at_s),
                captured_at=utc_text(last.captured_at_s),
                size_wh=[int(side) for side in last.size_wh],
                latency_ms={
                    "mean": _milliseconds(aggregate.latency.mean),
                    "max": _milliseconds(aggregate.latency.max),
                },
            )
        except NotJsonError as error:
            raise _refused(last, "the interval's message", error) from error
    return content


def _label_summary(summary: LabelSummary, frames: int) -> dict[str, Any]:
    content: dict[str, Any] = {
        "min": summary.min(frames),
        "mean": round(summary.total / frames, 3),
        "max": summary.max,
        "frames": summary.frames,
    }
    if summary.track_ids:
        content["tracks"] = len(summary.track_ids)
    return content


def _number_summary(summary: NumberSummary) -> dict[str, float]:
    return {
        "last": summary.last,
        "min": summary.min,
        "mean": float(f"{summary.mean:.7g}"),
        "max": summary.max,
    }


def _milliseconds(seconds: float) -> float:
    return max(0.0, round(seconds * 1000, 2))


def _id_part(text: str, limit: int) -> str:
    """Return ``text`` as part of an id: percent-encoded, and cut with a hash when too long."""
    part = quote(text, safe="", errors="replace").replace("~", "%7E")
    if len(part) <= limit:
        return part
    digest = hashlib.sha256(part.encode()).hexdigest()[:12]
    return f"{part[: limit - 13]}*{digest}"


def _refused(
    result: Result, what: str, error: Exception, event: Event | None = None
) -> UpstreamError:
    stage = f", stage {event.stage!r}" if event is not None and event.stage else ""
    where = f"camera {result.camera!r}{stage}, frame {result.sequence}"
    if isinstance(error, NotJsonError):
        place = "".join(f"[{part!r}]" for part in error.path)
        return UpstreamError(f"{where}: {what}{place}: {error.reason}", retryable=False)
    # The stage changed its own dictionary while it was copied.
    return UpstreamError(f"{where}: {what}: {error}", retryable=False)
