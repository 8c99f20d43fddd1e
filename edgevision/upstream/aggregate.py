"""What one camera's frames came to over an interval."""

from __future__ import annotations

from typing import Any

from edgevision.result import Result

__all__ = ["Aggregate", "LabelSummary", "NumberSummary"]


class NumberSummary:
    """Smallest, largest, mean and last of a number."""

    __slots__ = ("count", "last", "max", "min", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.min = self.max = self.last = 0.0

    def add(self, value: float) -> None:
        """Take one more number."""
        self.min = min(self.min, value) if self.count else value
        self.max = max(self.max, value) if self.count else value
        self.last = value
        self.total += value
        self.count += 1

    @property
    def mean(self) -> float:
        """Mean over the numbers taken; at least one."""
        return self.total / self.count


class LabelSummary:
    """Detections per frame of one label, and the tracks that had it.

    Attributes:
        frames: frames with at least one.
        total: detections over all frames.
        max: most in one frame.
        fewest: fewest in a frame that had any.
        track_ids: the different tracks seen.
    """

    __slots__ = ("fewest", "frames", "max", "total", "track_ids")

    def __init__(self) -> None:
        self.frames = 0
        self.total = 0
        self.max = 0
        self.fewest = 0
        self.track_ids: set[int] = set()

    def add(self, count: int) -> None:
        """Take the count of one frame, above 0."""
        self.fewest = min(self.fewest, count) if self.frames else count
        self.max = max(self.max, count)
        self.total += count
        self.frames += 1

    def min(self, frames: int) -> int:
        """Return the fewest in one of all ``frames``: 0 if one of them had none."""
        return self.fewest if self.frames == frames else 0


class Aggregate:
    """A running summary of results; what it holds does not grow with the number of frames.

    Attributes:
        started_s: when the interval began, by the camera's clock.
        length_s: seconds that it covers, set when it is closed.
        frames: results taken.
        first: the first of them, if any.
        last: the last of them, if any.
        labels: detections by label.
        numbers: values that are numbers, by name.
        others: the last of each value that is not a number, by name.
        latency: seconds from capture to result.
    """

    __slots__ = (
        "first",
        "frames",
        "labels",
        "last",
        "latency",
        "length_s",
        "numbers",
        "others",
        "started_s",
    )

    def __init__(self, started_s: float) -> None:
        self.started_s = started_s
        self.length_s = 0.0
        self.frames = 0
        self.first: Result | None = None
        self.last: Result | None = None
        self.labels: dict[str, LabelSummary] = {}
        self.numbers: dict[str, NumberSummary] = {}
        self.others: dict[str, Any] = {}
        self.latency = NumberSummary()

    def add(self, result: Result, counts: dict[str, int]) -> None:
        """Take one more result with its detections counted by label."""
        self.frames += 1
        self.first = self.first or result
        self.last = result
        self.latency.add(result.latency_s)
        for label, count in counts.items():
            self.labels.setdefault(label, LabelSummary()).add(count)
        if counts:
            detections = result.detections
            labels = detections.label.tolist()
            for label, track_id in zip(labels, detections.track_id.tolist(), strict=True):
                if track_id >= 0:
                    self.labels[label].track_ids.add(track_id)
        for name, value in result.values.items():
            if type(value) in (int, float):
                self.others.pop(name, None)
                self.numbers.setdefault(name, NumberSummary()).add(value)
            elif value is not None or name not in self.numbers:
                self.others[name] = value
