"""Send a message when something came, went or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevision.detections import Detections
from edgevision.result import Result
from edgevision.upstream.policy import Policy, Reason, Report, count_labels
from edgevision.upstream.presence import Presence

if TYPE_CHECKING:
    from edgevision.upstream.settings import PublishSettings

__all__ = ["ChangePolicy"]

_TRACK = "track_id"


class ChangePolicy(Policy):
    """A message for each change of what is there. What counts as one:

    - the number of detections of a label, with the delays ``appear_s`` and ``hold_s``;
    - a track, or a text in a detection's data (the text of a code), not seen for ``hold_s``;
    - a value: any difference; for a number with a dead band, a move beyond that band from the one
      last sent; floats without a dead band never, since they differ from frame to frame;
    - with ``box_iou``, a box that has moved away from where the last message had it.

    At most one message comes in ``min_interval_s``. Changes in between wait for the end of that
    time, and are sent with the frame that shows them. If all has become again as it was last sent,
    nothing is. An appearance is sent even when it is over by then, and its end after it; only a
    later appearance may take its place. With ``hold_s`` at least ``min_interval_s``, as it is by
    default, the counts of that message still name the first one.

    A message's counts are those that count as there, so for up to ``hold_s`` they may name more
    than its detections show.
    """

    def __init__(self, settings: PublishSettings, now_s: float) -> None:
        super().__init__(settings, now_s)
        self._presence = Presence(settings.appear_s, settings.hold_s)
        self._marks: dict[tuple[str, object], float] = {}
        self._sent: _Sent | None = None
        self._waiting: _Waiting | None = None
        self._ignored = frozenset(settings.ignore)

    def _consider(self, result: Result, now_s: float) -> Report | None:
        seen = count_labels(result.detections)
        new_marks = self._follow_marks(result.detections, now_s)
        if self._sent is None:
            self._presence.reset(seen)
            return self._send(_Waiting(result, seen, (), True), "first")
        self._presence.update(seen, now_s)
        changed, appeared = self._changes(result, new_marks, self._sent)
        if changed:
            self._wait_with(result, seen, changed, appeared)
        elif self._waiting is not None and not self._waiting.appeared:
            self._waiting = None
        return self._due(now_s)

    def _due(self, now_s: float) -> Report | None:
        if self._waiting is None or now_s - self._sent_s < self.settings.min_interval_s:
            return None
        return self._send(self._waiting, "change")

    def _last(self, now_s: float) -> Report | None:
        return self._send(self._waiting, "change") if self._waiting is not None else None

    def _restate(self, result: Result) -> dict[str, int]:
        counts = dict(self._presence.counts)
        self._remember(result, counts)
        return counts

    def _send(self, waiting: _Waiting, reason: Reason) -> Report:
        self._remember(waiting.result, waiting.counts)
        return Report(
            "frame", reason, waiting.result, waiting.counts, waiting.changed, self._frames
        )

    def _remember(self, result: Result, counts: Mapping[str, int]) -> None:
        self._sent = _Sent(dict(counts), result.detections, result.values)
        self._waiting = None

    def _wait_with(
        self, result: Result, seen: dict[str, int], changed: tuple[str, ...], appeared: bool
    ) -> None:
        """Choose the frame to send.

        That is the newest which shows all that counts as there, but none that lacks an appearance
        replaces one that has it.
        """
        waiting = self._waiting
        shows_all = seen == self._presence.counts
        lacks_appearance = waiting is not None and waiting.appeared and not appeared
        if (
            waiting is None
            or (appeared and not waiting.appeared)
            or (shows_all and not lacks_appearance)
        ):
            counts = dict(self._presence.counts)
            self._waiting = _Waiting(result, counts, changed, appeared)

    def _follow_marks(self, detections: Detections, now_s: float) -> set[str]:
        """Note the tracks and texts of a frame; return the columns that hold new ones."""
        marks = self._marks
        for mark in [m for m, at_s in marks.items() if now_s - at_s > self.settings.hold_s]:
            del marks[mark]
        new: set[str] = set()
        for name, column in _mark_columns(detections, self._ignored):
            for value in column:
                if (name, value) not in marks:
                    new.add(_TRACK if name == _TRACK else f"data.{name}")
                marks[name, value] = now_s
        return new

    def _changes(
        self, result: Result, new_marks: set[str], sent: _Sent
    ) -> tuple[tuple[str, ...], bool]:
        """Return what differs from what was sent, and whether something appeared."""
        counts = self._presence.counts
        changed = sorted(new_marks)
        appeared = bool(new_marks)
        if counts != sent.counts:
            labels = sorted(counts.keys() | sent.counts.keys())
            labels = [name for name in labels if counts.get(name, 0) != sent.counts.get(name, 0)]
            changed += [f"counts.{name}" for name in labels]
            appeared = appeared or any(
                counts.get(name, 0) > sent.counts.get(name, 0) for name in labels
            )
        elif self.settings.box_iou and _moved(
            sent.detections, result.detections, self.settings.box_iou
        ):
            changed.append("box_xyxy")
        if result.values or sent.values:
            changed += self._changed_values(sent.values, result.values)
        return tuple(changed), appeared

    def _changed_values(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
        bands = self.settings.deadband
        names = sorted((old.keys() | new.keys()) - self._ignored)
        return [
            f"values.{name}"
            for name in names
            if _differs(old.get(name), new.get(name), bands.get(name))
        ]


@dataclass(slots=True, frozen=True, eq=False)
class _Sent:
    """What the last message said."""

    counts: dict[str, int]
    detections: Detections
    values: Mapping[str, Any]


@dataclass(slots=True, frozen=True, eq=False)
class _Waiting:
    """A change that has not been sent yet."""

    result: Result
    counts: dict[str, int]
    changed: tuple[str, ...]
    appeared: bool


def _mark_columns(
    detections: Detections, ignored: frozenset[str]
) -> list[tuple[str, list[object]]]:
    """Return the columns whose entries tell one detection from another of the same label."""
    if not len(detections):
        return []
    columns: list[tuple[str, list[object]]] = []
    if _TRACK not in ignored:
        columns.append((_TRACK, [i for i in detections.track_id.tolist() if i >= 0]))
    for name, column in detections.data.items():
        if column.dtype.kind in "UO" and column.ndim == 1 and name not in ignored:
            texts: list[object] = [
                text for text in column.tolist() if text and isinstance(text, str)
            ]
            columns.append((name, texts))
    return columns


def _differs(old: Any, new: Any, band: float | None) -> bool:
    """Say whether a value has changed by more than noise; both are plain JSON."""
    if type(old) is float or type(new) is float:
        if isinstance(old, (int, float)) and isinstance(new, (int, float)):
            return band is not None and abs(new - old) > band
        return band is not None or not (old is None or new is None)
    if type(old) is not type(new):
        return True
    if type(old) is dict:
        names = old.keys() | new.keys()
        return any(_differs(old.get(name), new.get(name), band) for name in names)
    if type(old) is list:
        pairs = zip(old, new, strict=False)
        return len(old) != len(new) or any(_differs(a, b, band) for a, b in pairs)
    if type(old) is int and band is not None:
        return bool(abs(new - old) > band)
    return bool(old != new)


def _moved(old: Detections, new: Detections, least_iou: float) -> bool:
    """Say whether a box of one has no partner of its label and track in the other."""
    if len(old) != len(new) or not len(old):
        return False  # a detector's miss; the counts tell when it is more than that
    same = old.label[:, None] == new.label[None]
    tracked = (old.track_id[:, None] >= 0) & (new.track_id[None] >= 0)
    same &= (old.track_id[:, None] == new.track_id[None]) | ~tracked
    iou = old.iou(new) * same
    return bool((iou.max(axis=0) < least_iou).any() or (iou.max(axis=1) < least_iou).any())
