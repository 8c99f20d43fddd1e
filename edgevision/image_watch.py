"""Find a stage that keeps the picture it was given."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgevision.frame import Frame
    from edgevision.stage import Stage

__all__ = ["ImageWatch", "memory_of", "reachable"]

_DEEPEST = 6
_MOST = 100_000


class ImageWatch:
    """Counts the references to a frame's picture before and after the stages.

    The picture's memory belongs to the source, which fills it again. Whatever a stage keeps of it,
    a part or the whole, is a reference to that memory.

    Args:
        frame: before the first stage.
    """

    __slots__ = ("_before", "_memory")

    def __init__(self, frame: Frame) -> None:
        self._memory = memory_of(frame._picture())
        self._before = _references(self._memory)

    def kept(self, frame: Frame) -> bool:
        """Say, after the last stage, whether one of them kept the picture."""
        if self._excess(frame) > 0:
            # A reference cycle, such as an exception's traceback, keeps nothing that can be used.
            gc.collect()
        return self._excess(frame) > 0

    def find(self, stages: Sequence[Stage]) -> str:
        """Return the name and the attribute of the stage that kept it, or "" if none shows it."""
        known = {id(memory) for memory in self._memory}
        for stage in stages:
            for path, value in reachable(stage):
                if known & set(map(id, memory_of(value))):
                    return f"{stage.name} (in {path})"
        return ""

    def _excess(self, frame: Frame) -> int:
        """Return how many references there are that are not the frame's own."""
        excess = _references(self._memory) - self._before
        now = memory_of(frame._picture())
        if now[0] is self._memory[0]:
            return excess
        # The frame has let go of the picture, and shows something else.
        excess += 1
        known = {id(memory) for memory in self._memory}
        views = [part for part in now if id(part) not in known]
        if len(views) < len(now):
            # A part of the picture: the view refers to it, and only the frame to the view.
            excess += _references(views) - len(views) * (_ALONE + 2) - 1
        return excess


def memory_of(image: Any) -> list[Any]:
    """Return the array and what its memory belongs to, down to the owner."""
    chain = [image]
    while isinstance(chain[-1], np.ndarray) and chain[-1].base is not None:
        chain.append(chain[-1].base)
    return chain


def reachable(root: object) -> Iterator[tuple[str, Any]]:
    """Give what can be reached from ``root`` by attributes, items and keys, with the way there."""
    waiting: deque[tuple[str, Any, int]] = deque(
        (f"self.{name}", value, 0) for name, value in vars(root).items()
    )
    seen = {id(root)}
    while waiting and len(seen) < _MOST:
        path, value, depth = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield path, value
        if depth < _DEEPEST:
            waiting.extend((*part, depth + 1) for part in _parts(path, value))


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield f"{path}[{key!r}]", item
    elif isinstance(value, (list, tuple, deque, set, frozenset)):
        for index, item in enumerate(list(value)):
            yield f"{path}[{index}]", item
    else:
        names = list(getattr(value, "__dict__", {})) if not isinstance(value, type) else []
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ())
            names += [slots] if isinstance(slots, str) else list(slots)
        for name in names:
            item = getattr(value, name, None)
            if item is not None:
                yield f"{path}.{name}", item


def _references(objects: list[Any]) -> int:
    return sum(map(sys.getrefcount, objects))


# What this counts for something that only the list given to it refers to. Interpreters differ, so
# it is measured.
_ALONE = _references([np.empty(0)])
