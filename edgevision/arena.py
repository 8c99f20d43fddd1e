"""Buffers that are handed out in call order and come back when the frame is released.

The first `edgevision.cv` call on a frame gets the buffer that the first call got on an earlier
frame, the second call that of the second, and so on. OpenCV's own ``create()`` keeps a buffer whose
size and type fit and makes another one otherwise, so a steady pipeline allocates nothing and a
camera that changes its resolution allocates once.

An image that must outlive its frame is copied (``image.copy()``). With poisoning on, a buffer that
somebody still holds when its frame is released is found at once and its pixels are overwritten.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

import numpy as np

__all__ = ["POISON", "Arena", "current", "enter", "leave"]

POISON = 0xA5
"""The byte written over every released buffer while poisoning is on."""

# What sys.getrefcount reports for a buffer that nobody but the arena holds: the list, the loop
# variable and the argument of getrefcount itself.
_UNSHARED_REFERENCES = 3

_current: ContextVar[Arena | None] = ContextVar("edgevision_arena", default=None)


class Arena:
    """The buffers of one frame; used by one thread at a time.

    Args:
        poison: overwrite released buffers and report those that somebody kept.
    """

    __slots__ = ("_buffers", "_next", "_owners", "owner", "poison")

    def __init__(self, *, poison: bool = False) -> None:
        self._buffers: list[Any] = []
        self._owners: list[str] = []
        self._next = 0
        self.owner = ""
        self.poison = poison

    def take(self) -> tuple[int, Any]:
        """Return this call's position and the buffer last seen there, or None the first time."""
        position = self._next
        self._next = position + 1
        if position == len(self._buffers):
            self._buffers.append(None)
            self._owners.append("")
        return position, self._buffers[position]

    def put(self, position: int, buffer: Any) -> None:
        """Keep ``buffer`` as the one to hand out at ``position`` on the next frame."""
        self._buffers[position] = buffer
        self._owners[position] = self.owner

    @property
    def nbytes(self) -> int:
        """Bytes of host memory held."""
        return sum(b.nbytes for b in self._buffers if isinstance(b, np.ndarray))

    def release(self) -> tuple[str, ...]:
        """Take all buffers back. Return the owners (stages) of those that somebody kept.

        Without poisoning this costs one assignment and finds nothing.
        """
        used, self._next = self._next, 0
        if not self.poison:
            return ()
        kept: list[str] = []
        for position in range(used):
            buffer = self._buffers[position]
            if not isinstance(buffer, np.ndarray):
                continue
            buffer.view(np.uint8).fill(POISON) if buffer.flags.c_contiguous else buffer.fill(0)
            # 2 here: the list does not count twice, the local name and the argument do.
            if sys.getrefcount(buffer) > _UNSHARED_REFERENCES:
                kept.append(self._owners[position])
                self._buffers[position] = None
        return tuple(kept)


def current() -> Arena | None:
    """Return the arena of the frame that this thread or task is processing, if any."""
    return _current.get()


def enter(arena: Arena | None) -> Any:
    """Make ``arena`` the current one; give the returned token to `leave`."""
    return _current.set(arena)


def leave(token: Any) -> None:
    """Undo the matching `enter`."""
    _current.reset(token)
