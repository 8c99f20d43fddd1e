"""Finds the group that a camera's stage belongs to."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from edgevision.batch.group import Group
from edgevision.batch.membership import Key, Member

if TYPE_CHECKING:
    from edgevision.batch.stage import BatchStage

__all__ = ["join", "leave"]

# Of the whole process: cameras of two runners share a network as well as those of one.
_lock = threading.Lock()
_groups: list[Group] = []


def join(stage: BatchStage) -> Member:
    """Make a camera's stage a member of the group of its kind, which is started if need be.

    On the camera's worker thread.

    Raises:
        Exception: whatever the shared instance's ``start`` raises; its ``stop`` has been called,
            and the stage is no member.
    """
    key = Key.of(stage)
    while True:
        with _lock:
            group = next((g for g in _groups if g.key == key and g.open), None)
            if group is None:
                group = Group(key, stage)
                _groups.append(group)
            member = group.add(stage)
        try:
            if group.start():
                return member
        except BaseException:
            leave(member)
            raise
        # Another camera's start of it has failed, and this one has not been tried.
        leave(member)


def leave(member: Member) -> None:
    """End a membership; the last one to leave stops the shared instance. It may raise."""
    group = member.group
    with _lock:
        last = group.remove(member)
        if last:
            _groups.remove(group)
    if last:
        group.stop()
