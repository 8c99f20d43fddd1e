"""How many of each label count as there, although the detector flickers."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Presence"]


class Presence:
    """Counts per label with a delay on the way up and on the way down.

    A count rises once more have been seen without a gap for ``appear_s``, to the fewest seen in
    that time. It falls once fewer have been seen without a gap for ``hold_s``, to the most seen in
    that time. With ``appear_s`` 0 the first frame that shows something is enough.

    Attributes:
        counts: how many of each label count as there; labels at 0 are left out.
    """

    __slots__ = ("_appear_s", "_drifts", "_hold_s", "counts")

    def __init__(self, appear_s: float, hold_s: float) -> None:
        self._appear_s = appear_s
        self._hold_s = hold_s
        self._drifts: dict[str, _Drift] = {}
        self.counts: dict[str, int] = {}

    def update(self, seen: Mapping[str, int], now_s: float) -> None:
        """Take the counts of one frame; the first frame is taken as it is by `reset`."""
        if not self._drifts and seen == self.counts:
            return
        for label in {**seen, **self.counts, **self._drifts}:
            self._follow(label, seen.get(label, 0), now_s)

    def reset(self, seen: Mapping[str, int]) -> None:
        """Take ``seen`` as what is there."""
        self.counts = dict(seen)
        self._drifts.clear()

    def _follow(self, label: str, seen: int, now_s: float) -> None:
        count = self.counts.get(label, 0)
        if seen == count:
            self._drifts.pop(label, None)
            return
        rising = seen > count
        drift = self._drifts.get(label)
        if drift is None or drift.rising != rising:
            drift = self._drifts[label] = _Drift(rising, now_s, seen)
        elif rising:
            drift.nearest = min(drift.nearest, seen)
        else:
            drift.nearest = max(drift.nearest, seen)
        if now_s - drift.since_s < (self._appear_s if rising else self._hold_s):
            return
        del self._drifts[label]
        if drift.nearest:
            self.counts[label] = drift.nearest
        else:
            del self.counts[label]


class _Drift:
    """The frames since a label's count was last what it counts as."""

    __slots__ = ("nearest", "rising", "since_s")

    def __init__(self, rising: bool, since_s: float, nearest: int) -> None:
        self.rising = rising
        self.since_s = since_s
        self.nearest = nearest  # the count among those frames that is nearest to the old one
