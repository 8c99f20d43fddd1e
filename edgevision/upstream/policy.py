"""When a camera's results become messages.

A policy is told of every result, and of the time when none comes, and answers with what to send, if
anything. It reads no clock, starts no task and keeps no message, so the same calls always give the
same answers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgevision.detections import Detections
from edgevision.result import Result
from edgevision.upstream.aggregate import Aggregate

if TYPE_CHECKING:
    from edgevision.upstream.settings import PublishSettings

__all__ = ["EveryPolicy", "IntervalPolicy", "Policy", "Report", "count_labels", "open_policy"]

Reason = Literal["first", "every", "change", "quiet", "state", "interval", "stop"]


@dataclass(slots=True, frozen=True)
class Report:
    """Something to send about a camera.

    Attributes:
        kind: the kind of message.
        reason: why now: the ``first`` frame, ``every`` frame, a ``change``; nothing to say for a
            heartbeat's time (``quiet``), the camera's ``state``; the end of an ``interval``, or of
            the camera (``stop``).
        result: the frame to tell of; None when none has come since the last message.
        counts: how many of each label count as there.
        changed: what changed, for ``change``.
        frames: results since the last message, this one included.
        aggregate: the summary, for an aggregate.
    """

    kind: Literal["frame", "heartbeat", "aggregate"]
    reason: Reason
    result: Result | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    frames: int = 0
    aggregate: Aggregate | None = None


class Policy(ABC):
    """Decides for one camera. Used by one thread, times never run backwards.

    What all policies share is the heartbeat: after ``heartbeat_s`` without a message there is one,
    with the newest frame if one has come since. There is one at once, without a frame, when the
    camera goes away, comes back or ends.

    Args:
        settings: see `edgevision.upstream.settings.PublishSettings`.
        now_s: the camera's clock.
    """

    def __init__(self, settings: PublishSettings, now_s: float) -> None:
        self.settings = settings
        self._sent_s = now_s
        self._frames = 0
        self._latest: Result | None = None
        self._standing = ""

    def update(self, result: Result, now_s: float) -> Report | None:
        """Take a result, whose values are plain JSON; return what to send now."""
        self._frames += 1
        self._latest = result
        report = self._consider(result, now_s) or self._heartbeat(now_s)
        return self._note(report, now_s)

    def tick(self, now_s: float, state: str = "") -> Report | None:
        """Take the time and the camera's state, if known; return what to send now."""
        if self._turns(state):
            return self._state()
        return self._note(self._due(now_s) or self._heartbeat(now_s), now_s)

    def flush(self, now_s: float, state: str = "") -> list[Report]:
        """Return what is still to be sent when nothing more will come, in order."""
        last = self._note(self._last(now_s), now_s)
        reports = [last] if last is not None else []
        if self._turns(state):
            reports.append(self._state())
        return reports

    @abstractmethod
    def _consider(self, result: Result, now_s: float) -> Report | None:
        """Return what to send about ``result``."""

    def _due(self, now_s: float) -> Report | None:
        """Return what waited for its time."""
        return None

    def _last(self, now_s: float) -> Report | None:
        """Return what waits for a time that will not come."""
        return None

    def _restate(self, result: Result) -> dict[str, int]:
        """Take ``result`` as what a heartbeat tells; return how many of each label are there."""
        return count_labels(result.detections)

    def _heartbeat(self, now_s: float) -> Report | None:
        period_s = self.settings.heartbeat_s
        if not period_s or now_s - self._sent_s < period_s:
            return None
        counts = self._restate(self._latest) if self._latest is not None else {}
        return Report("heartbeat", "quiet", self._latest, counts, frames=self._frames)

    def _state(self) -> Report:
        # It carries no frame and puts nothing off: what has changed in the picture is told as ever.
        frames, self._frames = self._frames, 0
        return Report("heartbeat", "state", frames=frames)

    def _turns(self, state: str) -> bool:
        """Say whether the camera has gone, come back or ended since the last call."""
        standing = _standing(state)
        if standing == "connecting":
            if not self._standing:
                return False
            standing = "down"
        if not standing or standing == self._standing:
            return False
        begins = not self._standing and standing == "live"
        self._standing = standing
        return not begins  # the first frame tells that it lives

    def _note(self, report: Report | None, now_s: float) -> Report | None:
        if report is not None:
            self._sent_s = now_s
            self._frames = 0
            self._latest = None
        return report


class EveryPolicy(Policy):
    """A message for each frame."""

    def _consider(self, result: Result, now_s: float) -> Report | None:
        counts = count_labels(result.detections)
        return Report("frame", "every", result, counts, frames=self._frames)


class IntervalPolicy(Policy):
    """A summary of each interval, also of one without a frame; so it is its own heartbeat."""

    def __init__(self, settings: PublishSettings, now_s: float) -> None:
        super().__init__(settings, now_s)
        self._aggregate = Aggregate(now_s)

    def _consider(self, result: Result, now_s: float) -> Report | None:
        report = self._due(now_s)
        self._aggregate.add(result, count_labels(result.detections))
        return report

    def _due(self, now_s: float) -> Report | None:
        # Intervals keep their beat: the next one begins where this one should have ended, or, after
        # a gap of several, where the last of those should have.
        length_s = self.settings.interval_s
        whole = math.floor((now_s - self._aggregate.started_s) / length_s)
        if whole < 1:
            return None
        return self._close(self._aggregate.started_s + whole * length_s, "interval")

    def _last(self, now_s: float) -> Report | None:
        return self._close(now_s, "stop") if self._aggregate.frames else None

    def _close(self, end_s: float, reason: Reason) -> Report:
        closed = self._aggregate
        closed.length_s = end_s - closed.started_s
        self._aggregate = Aggregate(end_s)
        return Report("aggregate", reason, frames=closed.frames, aggregate=closed)

    def _heartbeat(self, now_s: float) -> Report | None:
        return None


def open_policy(settings: PublishSettings, now_s: float) -> Policy:
    """Return the policy that ``settings.when`` names."""
    from edgevision.upstream.change import ChangePolicy

    kinds: dict[str, type[Policy]] = {
        "every": EveryPolicy,
        "change": ChangePolicy,
        "interval": IntervalPolicy,
    }
    return kinds[settings.when](settings, now_s)


def count_labels(detections: Detections) -> dict[str, int]:
    """Return the number of detections by label."""
    if not len(detections):
        return {}
    return dict(Counter(detections.label.tolist()))


def _standing(state: str) -> str:
    """Return what a reader wants to know at once about a camera's state.

    A camera that is away goes from state to state (backing off, connecting, stalled): all are down.
    """
    known = ("", "connecting", "live", "paused", "ended", "stopped")
    return state if state in known else "down"
