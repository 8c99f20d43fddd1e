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
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgevision.copies import CopyMeter

__all__ = ["POISON", "Arena", "current", "enter", "leave"]

POISON = 0xA5
"""The byte written over every released buffer while poisoning is on."""

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
        meter: counts the copies between host and device; None outside a pipeline.
    """

    __slots__ = ("_free", "_used", "meter", "owner", "poison")

    def __init__(self, *, poison: bool = False) -> None:
        # The free buffers of each operation; the next to hand out is the last.
        self._free: dict[str, list[Any]] = {}
        # Operation, buffer and owner of what is in use, in the order of the calls.
        self._used: list[tuple[str, Any, str]] = []
        self.owner = ""
        self.poison = poison
        self.meter: CopyMeter | None = None

    def take(self, operation: str = "") -> Any:
        """Return a free buffer of the operation, or None if it has none.

        A buffer that is taken and not `put` back (because the call raised) is forgotten.
        """
        try:
            return self._free[operation].pop()
        except (KeyError, IndexError):
            return None

    def put(self, operation: str, buffer: Any) -> None:
        """Count ``buffer`` as in use; from the frame's release on, `take` hands it out again."""
        self._used.append((operation, buffer, self.owner))

    @property
    def nbytes(self) -> int:
        """Bytes of host memory held, in use or free."""
        held = [buffer for _, buffer, _ in self._used]
        for free in self._free.values():
            held += free
        return sum(buffer.nbytes for buffer in held if isinstance(buffer, np.ndarray))

    def release(self) -> tuple[str, ...]:
        """Take all buffers back. Return the owners (stages) of those that somebody kept.

        Whoever calls it holds no image of the frame any more. Without poisoning it costs some 50 ns
        a buffer and finds nothing.
        """
        used, self._used = self._used, []
        kept = _poison(used) if self.poison else ()
        free = self._free
        # Backwards, so that the n-th call finds the n-th buffer last in its list.
        for operation, buffer, _ in reversed(used):
            try:
                free[operation].append(buffer)
            except KeyError:
                free[operation] = [buffer]
        return kept


def _references(used: list[tuple[str, Any, str]]) -> list[int]:
    """Count the references to each buffer, those of the arena's own book-keeping included."""
    return [sys.getrefcount(buffer) for _, buffer, _ in used]


# What the count above is for a buffer that nobody else holds. Interpreters differ, so it is
# measured.
_UNSHARED_REFERENCES = _references([("", np.empty(0), "")])[0]


def _poison(used: list[tuple[str, Any, str]]) -> tuple[str, ...]:
    """Overwrite all buffers, take those that somebody kept off the list, and name their owners."""
    counts = _references(used)
    if any(count > _UNSHARED_REFERENCES for count in counts):
        # A reference cycle, such as an exception's traceback, keeps nothing that anybody can use.
        gc.collect()
        counts = _references(used)
    for _, buffer, _ in used:
        if isinstance(buffer, np.ndarray):
            if buffer.flags.c_contiguous:
                buffer.reshape(-1).view(np.uint8).fill(POISON)
            else:
                buffer.fill(0)
    shared = [count > _UNSHARED_REFERENCES for count in counts]
    kept = tuple(owner for (_, _, owner), held in zip(used, shared, strict=True) if held)
    used[:] = [entry for entry, held in zip(used, shared, strict=True) if not held]
    return kept


def enter(arena: Arena | None) -> Token[Arena | None]:
    """Make ``arena`` the current one of this thread or task; give the token to `leave`."""
    return _current.set(arena)


def leave(token: Token[Arena | None]) -> None:
    """Undo the matching `enter`."""
    _current.reset(token)
