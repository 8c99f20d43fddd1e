"""Image buffers that are handed out per operation and come back when the frame is released.

The n-th call of an operation on a frame gets the buffer that its n-th call got on the frame before.
OpenCV's own ``create()`` keeps a buffer whose size and type fit and makes another one otherwise, so
a steady pipeline allocates nothing, and a camera that changes its resolution allocates once.
Counting per operation, not over all calls, keeps the buffers in place when a stage takes another
branch: the calls after the branch still find buffers of their own kind.

An image that must outlive its frame is copied (`edgevision.cv.clone`). With poisoning on, a buffer
that somebody still holds when its frame is released is found at once, its pixels are overwritten,
and it is never handed out again.
"""

from __future__ import annotations

import gc
import sys
from contextvars import ContextVar, Token
from typing import Any, TypeAlias

import numpy as np

__all__ = ["POISON", "Arena", "Lane", "current", "enter", "leave"]

POISON = 0xA5
"""The byte written over every released buffer while poisoning is on."""

Lane: TypeAlias = "list[Any]"
"""The free buffers of one operation; the next to hand out is the last."""

_current: ContextVar[Arena | None] = ContextVar("edgevision_arena", default=None)

current = _current.get
"""``current()`` returns the arena of the frame that this thread or task processes, or None."""


class Arena:
    """The buffers of one frame in flight.

    One thread uses it at a time, but handing out is a single ``list.pop``, so two threads that
    share a context (`asyncio.to_thread` copies it) never get the same buffer.

    Args:
        poison: overwrite released buffers and report those that somebody kept.

    Attributes:
        owner: name of the stage that is running; a kept buffer is put down to it.
        poison: as above; may be switched between two frames.
    """

    __slots__ = ("_lanes", "_used", "owner", "poison")

    def __init__(self, *, poison: bool = False) -> None:
        self._lanes: dict[str, Lane] = {}
        self._used: list[tuple[Lane, Any, str]] = []
        self.owner = ""
        self.poison = poison

    def take(self, operation: str = "") -> tuple[Lane, Any]:
        """Return the operation's lane and a buffer from it, or None where it has none free.

        A buffer that is taken and not `put` back (because the call raised) is forgotten.
        """
        lane = self._lanes.get(operation)
        if lane is None:
            lane = self._lanes[operation] = []
        # Two threads may both see the last buffer; the one that comes second finds none.
        try:
            return lane, lane.pop() if lane else None
        except IndexError:
            return lane, None

    def put(self, lane: Lane, buffer: Any) -> None:
        """Keep ``buffer``, in use until the frame's release, to hand out from ``lane`` again."""
        self._used.append((lane, buffer, self.owner))

    @property
    def nbytes(self) -> int:
        """Bytes of host memory held, in use or free."""
        held = [buffer for _, buffer, _ in self._used]
        for lane in self._lanes.values():
            held += lane
        return sum(buffer.nbytes for buffer in held if isinstance(buffer, np.ndarray))

    def release(self) -> tuple[str, ...]:
        """Take all buffers back. Return the owners (stages) of those that somebody kept.

        Whoever calls it holds no image of the frame any more. Without poisoning it costs some 50 ns
        a buffer and finds nothing.
        """
        used, self._used = self._used, []
        if self.poison:
            return _release_poisoned(used)
        # Backwards, so that the n-th call finds the n-th buffer on top of its lane.
        for lane, buffer, _ in reversed(used):
            lane.append(buffer)
        return ()


def _references(used: list[tuple[Lane, Any, str]]) -> list[int]:
    """Count the references to each buffer, those of the arena's own book-keeping included."""
    return [sys.getrefcount(buffer) for _, buffer, _ in used]


# What the count above is for a buffer that nobody else holds. Interpreters differ, so it is
# measured.
_UNSHARED_REFERENCES = _references([([], np.empty(0), "")])[0]


def _release_poisoned(used: list[tuple[Lane, Any, str]]) -> tuple[str, ...]:
    counts = _references(used)
    if any(count > _UNSHARED_REFERENCES for count in counts):
        # A reference cycle, such as an exception's traceback, keeps nothing that anybody can use.
        gc.collect()
        counts = _references(used)
    kept: list[str] = []
    for (lane, buffer, owner), count in zip(reversed(used), reversed(counts), strict=True):
        if isinstance(buffer, np.ndarray):
            pixels = buffer.reshape(-1) if buffer.flags.c_contiguous else buffer
            pixels.view(np.uint8).fill(POISON) if pixels is not buffer else buffer.fill(0)
        if count > _UNSHARED_REFERENCES:
            kept.append(owner)
        else:
            lane.append(buffer)
    return tuple(reversed(kept))


def enter(arena: Arena | None) -> Token[Arena | None]:
    """Make ``arena`` the current one of this thread or task; give the token to `leave`."""
    return _current.set(arena)


def leave(token: Token[Arena | None]) -> None:
    """Undo the matching `enter`."""
    _current.reset(token)
