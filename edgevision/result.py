"""What leaves a camera's worker thread for the event loop: everything but the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgevision.detections import Detections

__all__ = ["Event", "Result"]


@dataclass(slots=True, frozen=True)
class Event:
    """An event of a stage's own, from ``frame.publish(output, body)``.

    Attributes:
        output: name of the output it goes to.
        body: what to send, JSON-serialisable.
        stage: name of the stage that published it.
    """

    output: str
    body: Mapping[str, Any]
    stage: str = ""


@dataclass(slots=True, eq=False)
class Result:
    """One processed frame's findings.

    Attributes:
        camera: name of the camera.
        sequence: number of the frame, counted from 1 at the camera's start.
        captured_at_s: UTC seconds since 1970 of the capture.
        size_wh: width and height in pixels of the image that the boxes refer to.
        detections: boxes in pixels of that image.
        values: JSON-serialisable values by name.
        events: events of the stages' own, in the order they were published.
        latency_s: seconds from the end of the capture to the end of the last stage.
    """

    camera: str
    sequence: int
    captured_at_s: float
    size_wh: tuple[int, int]
    detections: Detections
    values: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    latency_s: float = 0.0
