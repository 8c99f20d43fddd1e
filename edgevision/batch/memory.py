"""The buffers of a batch.

`edgevision.cv` takes the buffers of a frame from its camera's arena. What a batch computes belongs
to the frames of several cameras, so a batch has an arena of its own, which is used again when the
last of its frames has been released.
"""

from __future__ import annotations

from edgevision.arena import Arena

__all__ = ["BatchMemory", "Lease"]


class Lease:
    """The arena of one batch, until all its frames are released.

    Attributes:
        arena: where the buffers come from.
        holders: frames that may still show one of them.
    """

    __slots__ = ("arena", "holders")

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.holders = 0


class BatchMemory:
    """Hands arenas out to batches. Its owner's lock guards it.

    As many are made as batches have frames that are not released: two in most cases, and never more
    than there are cameras, and one.
    """

    def __init__(self) -> None:
        self._free: list[Lease] = []
        self._kind: type[Arena] | None = None
        self._poison = False

    def take(self, pattern: Arena | None, holders: int) -> Lease | None:
        """Return an arena for a batch of ``holders`` frames, None where its cameras have none.

        Args:
            pattern: the arena of one of the cameras; ours is of the same kind.
            holders: how often `give` will be called.
        """
        if pattern is None:
            return None
        if self._kind is not type(pattern) or self._poison != pattern.poison:
            self._kind, self._poison = type(pattern), pattern.poison
            self._free.clear()
        lease = self._free.pop() if self._free else Lease(self._kind(poison=self._poison))
        lease.holders = holders
        return lease

    def give(self, lease: Lease) -> tuple[str, ...]:
        """Say that one frame of the batch has been released; return who kept a buffer of it.

        With poisoning on, the names are found when the last frame is released; else never.
        """
        lease.holders -= 1
        if lease.holders:
            return ()
        kept = lease.arena.release()
        if type(lease.arena) is self._kind and lease.arena.poison == self._poison:
            self._free.append(lease)
        return kept
