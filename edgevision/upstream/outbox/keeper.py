"""What the outbox decides: batches, room, order, age, damage. One thread, no asyncio."""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from edgevision.upstream.message import Message
from edgevision.upstream.outbox.age import AgeClock
from edgevision.upstream.outbox.batch import OpenBatch
from edgevision.upstream.outbox.bounds import Bounds
from edgevision.upstream.outbox.camera import ALL, CameraQueue
from edgevision.upstream.outbox.damage import salvage, set_aside
from edgevision.upstream.outbox.packet import (
    DropReason,
    OutboxStatistics,
    StoredPacket,
    Taken,
)
from edgevision.upstream.outbox.store import (
    Backlog,
    DamagedError,
    Row,
    Store,
    is_damage,
    pages_of,
)

__all__ = ["Keeper", "Outcome"]

_log = logging.getLogger("edgevision.upstream.outbox")

Outcome = Literal["stored", "duplicate", "dropped", "wait"]
"""What became of a message that was put; ``wait``: there is no room for it yet."""

_KEEP_CLOCKALL_S = 10.0
_DROP_MESSAGES = 256
_MOST_DROPPED = 2048
_DELETED_TOGETHER = 512
_COMPACT_PAGES = 256
_GROUP_PAGES = 4


class Keeper:
    """The outbox without its thread.

    Args:
        bounds: what it may take.
        monotonic: monotonic seconds.
        wall: UTC seconds since 1970.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._bounds = bounds
        self._monotonic = monotonic
        self._wall = wall
        self._store = Store(bounds.path, max_bytes=bounds.max_bytes, fsync=bounds.fsync)
        self._clock = AgeClock(monotonic=monotonic, wall=wall)
        self._clock_kept_s = -math.inf
        self._cameras: dict[str, CameraQueue] = {}
        self._out: dict[tuple[str, int], StoredPacket] = {}
        self._removals: dict[tuple[str, int], tuple[int, int]] = {}
        self._next_seq = 1
        self._turn = 0
        self._waiting = self._bytes = 0
        self._stored = self._duplicates = self._delivered = 0
        self._dropped: Counter[str] = Counter()
        self._corrupt_files = self._salvaged = 0

    @property
    def opened(self) -> bool:
        """Whether the file is open."""
        return self._store.opened

    @property
    def removals(self) -> int:
        """Packets that are done with and still in the file."""
        return len(self._removals)

    @property
    def waiting(self) -> int:
        """Messages in the file."""
        return self._waiting

    def open(self) -> None:
        """Open the file; one that is corrupt is set aside and what can be read of it is kept.

        Raises:
            OSError: the corrupt file cannot be set aside.
            sqlite3.Error: the file cannot be opened now.
        """
        try:
            backlog = self._store.open()
        except DamagedError as error:
            self._replace(error)
        else:
            self._clock = AgeClock(*backlog.clock, monotonic=self._monotonic, wall=self._wall)
            self._adopt(backlog)

    def close(self) -> None:
        """Delete what is done with, and close the file."""
        try:
            self.settle()
        finally:
            self._store.close(clock=self._clock.kept() if self._store.opened else None)

    def abandon(self) -> None:
        """Close the file as it is, after an error; `open` looks at it again."""
        try:
            self._store.close()
        except sqlite3.Error as error:
            _log.debug("the outbox did not close: %s", error)

    def add(self, messages: Sequence[tuple[Message, int]]) -> list[Outcome]:
        """Store messages in one transaction, with what is to be deleted.

        Args:
            messages: each with the bound of what its packet takes beside the bodies.

        Returns:
            What became of each, in order.

        Raises:
            sqlite3.Error: nothing has changed.
        """
        outcomes: list[Outcome] = []
        cameras: dict[str, CameraQueue] = {}
        dropped: list[tuple[str, int, int, int]] = []
        removals = self._next_removals()
        with self._store.transaction(durable=True):
            self._store.remove(removals)
            known = self._store.known([message.id for message, _ in messages])
            seq, now_s, rows = self._next_seq, self._clock.now_s(), list[Row]()
            room = self._store.room_pages() - _GROUP_PAGES
            used = 0.0
            for message, overhead_bytes in messages:
                if message.id in known:
                    outcomes.append("duplicate")
                    continue
                row, camera = self._row(message, overhead_bytes, seq, now_s, cameras)
                pages = pages_of(row)
                if used + pages > room and self._bounds.when_full == "drop oldest":
                    room = self._make_room(math.ceil(used + pages), dropped)
                if used + pages > room:
                    break
                used += pages
                cameras[message.camera] = camera
                known.add(message.id)
                rows.append(row)
                seq += 1
                outcomes.append("stored")
            self._store.insert(rows)
            if now_s - self._clock_kept_s > _KEEP_CLOCKALL_S:
                self._store.keep_clock(self._clock.kept())
                self._clock_kept_s = now_s
        self._next_seq = seq
        self._removed(removals)
        self._drop(dropped, "full")
        for name, camera in cameras.items():
            mine = self._cameras.setdefault(name, CameraQueue())
            mine.count += camera.count
            mine.last, mine.open = camera.last, camera.open
        self._stored += len(rows)
        self._waiting += len(rows)
        self._bytes += sum(len(row[8]) for row in rows)
        self._duplicates += outcomes.count("duplicate")
        left = len(messages) - len(outcomes)
        if left and self._bounds.when_full == "drop newest":
            self._dropped["full"] += left
            return outcomes + ["dropped"] * left
        return outcomes + ["wait"] * left

    def drop_new(self, count: int, reason: DropReason) -> None:
        """Count messages that were never stored."""
        self._dropped[reason] += count

    def take(
        self, limit: int, skip: Collection[tuple[str, bool]] = (), *, flush: bool = False
    ) -> Taken:
        """Hand out up to ``limit`` packets, each once, fairly from camera to camera.

        Args:
            limit: most packets.
            skip: cameras, each with whether its live part is meant, of which none is wanted.
            flush: hand out batches that have not waited for long enough, too.
        """
        due_in_s: float | None = None
        befores: dict[tuple[str, bool], int] = {}
        for name, camera in self._cameras.items():
            before, wait_s = self._ripe_before(camera, flush=flush)
            if wait_s is not None:
                due_in_s = wait_s if due_in_s is None else min(due_in_s, wait_s)
            ends = {False: min(before, camera.parted_at + 1), True: before}
            for live, end in ends.items():
                cursor = camera.cursor_of(live)
                if (name, live) not in skip and cursor < min(end - 1, camera.last):
                    befores[name, live] = end
        cursors = {key: self._cameras[key[0]].cursor_of(key[1]) for key in befores}
        packets: list[StoredPacket] = []
        try:
            more = self._hand_out_fairly(befores, limit, packets)
        except sqlite3.Error:
            for (name, live), cursor in cursors.items():  # whoever asked gets nothing of it
                self._cameras[name].move(live, cursor)
            for packet in packets:
                self._out.pop(packet.key, None)
            raise
        return Taken(packets, more, due_in_s)

    def rewind(self, *, part: bool = False) -> None:
        """Hand everything out again that is not done with, batches as they are.

        Args:
            part: what is there now is backlog, what comes is live; the two are handed out side by
                side.
        """
        self._out.clear()
        for camera in self._cameras.values():
            camera.cursor = 0
            camera.open = None
            camera.parted_at = camera.live = camera.last if part else ALL

    def done(self, packet: StoredPacket) -> None:
        """Take note that the hub has ``packet``; `settle` or `add` deletes it."""
        if self._out.pop(packet.key, None) is not None:
            self._removals[packet.key] = (packet.count, packet.body_bytes)
            self._delivered += packet.count

    def discard(self, packet: StoredPacket, reason: DropReason) -> None:
        """Take note that ``packet`` will not be delivered; `settle` or `add` deletes it."""
        if self._out.pop(packet.key, None) is not None:
            self._removals[packet.key] = (packet.count, packet.body_bytes)
            self._dropped[reason] += packet.count

    def split(self, packet: StoredPacket) -> None:
        """Make a packet of its own of each message of ``packet``, to be handed out next."""
        with self._store.transaction(durable=False):
            self._store.split(packet.camera, packet.number)
        camera = self._cameras[packet.camera]
        camera.move(packet.live, packet.number - 1)
        camera.open = None
        camera.last = self._next_seq - 1
        for other in [other for other in self._out.values() if other.stream == packet.stream]:
            if other.number >= packet.number:
                del self._out[other.key]

    def settle(self) -> None:
        """Delete what is done with."""
        while self._removals:
            removals = self._next_removals()
            with self._store.transaction(durable=False):
                self._store.remove(removals)
            self._removed(removals)

    def expired(self, packet: StoredPacket) -> bool:
        """Tell whether ``packet`` has waited for longer than ``max_age_s``."""
        return self._clock.now_s() - packet.stored_at_s > self._bounds.max_age_s

    def tidy(self) -> bool:
        """Drop what is too old and give unused pages back; return whether more is to be done."""
        limit_s = self._clock.now_s() - self._bounds.max_age_s
        oldest_s = self._store.oldest_stored_at_s()
        if oldest_s is not None and oldest_s < limit_s:
            dropped: list[tuple[str, int, int, int]] = []
            with self._store.transaction(durable=False):
                self._drop_oldest(dropped, limit_s)
            self._drop(dropped, "too old")
            if dropped:
                return True
        return self._store.compact(_COMPACT_PAGES)

    def make_room(self) -> bool:
        """Drop some of the oldest on a full disk; return whether there were any."""
        dropped: list[tuple[str, int, int, int]] = []
        self._store.checkpoint()
        with self._store.transaction(durable=False):
            self._drop_oldest(dropped, None)
        self._drop(dropped, "full")
        return bool(dropped)

    def replace(self, error: Exception) -> None:
        """Set the file aside after ``error`` and go on with what can be read of it."""
        self._store.close()
        self._replace(error)

    def statistics(self) -> OutboxStatistics:
        """Return the counters at this moment."""
        waiting = self._waiting - sum(count for count, _ in self._removals.values())
        oldest_s: float | None = None
        if waiting and self._store.opened:
            with contextlib.suppress(sqlite3.Error):  # told by whatever touches the file next
                oldest_s = self._store.oldest_stored_at_s()
        return OutboxStatistics(
            waiting=waiting,
            waiting_bytes=self._bytes - sum(size for _, size in self._removals.values()),
            oldest_age_s=0.0 if oldest_s is None else max(0.0, self._clock.now_s() - oldest_s),
            stored=self._stored,
            duplicates=self._duplicates,
            delivered=self._delivered,
            dropped=dict(self._dropped),
            file_bytes=self._store.file_bytes(),
            corrupt_files=self._corrupt_files,
            salvaged=self._salvaged,
        )

    def _row(
        self,
        message: Message,
        overhead_bytes: int,
        seq: int,
        now_s: float,
        planned: dict[str, CameraQueue],
    ) -> tuple[Row, CameraQueue]:
        """Return a message's row, and what its camera's state is with it (counting from here)."""
        before = planned.get(message.camera)
        batching = self._bounds.batching
        kept = before or self._cameras.get(message.camera)
        batch: OpenBatch | None = None
        if batching.enabled:
            if kept is not None and kept.open is not None:
                batch = kept.open.joined(message, batching, self._bounds.max_wire_bytes)
            if batch is None:
                batch = OpenBatch.begin(seq, message, overhead_bytes, self._monotonic())
        packet = batch.number if batch else seq
        row = (
            seq,
            message.id,
            message.camera,
            packet,
            message.output,
            message.kind,
            int(batching.enabled),
            now_s,
            message.encode(),
        )
        return row, CameraQueue((before.count if before else 0) + 1, packet, 0, batch)

    def _ripe_before(self, camera: CameraQueue, *, flush: bool) -> tuple[int, float | None]:
        """Return below which number packets may be handed out, and for how long that holds."""
        batch = camera.open
        if batch is None or batch.number <= camera.cursor_of(batch.number > camera.parted_at):
            return ALL, None
        left_s = batch.opened_s + self._bounds.batching.linger_s - self._monotonic()
        if flush or left_s <= 0 or batch.count >= self._bounds.batching.max_messages:
            camera.open = None
            return ALL, None
        return batch.number, left_s

    def _hand_out_fairly(
        self, befores: dict[tuple[str, bool], int], limit: int, packets: list[StoredPacket]
    ) -> bool:
        """Hand out packets of the cameras in turn; return whether there may be more."""
        keys = sorted(befores)
        self._turn = self._turn % len(keys) if keys else 0
        keys = keys[self._turn :] + keys[: self._turn]
        while keys and len(packets) < limit:
            share = max(1, (limit - len(packets)) // len(keys))
            for key in list(keys):
                wanted = min(share, limit - len(packets))
                if not wanted:
                    break
                found = self._hand_out(key, befores[key], wanted)
                packets += found
                if len(found) < wanted:
                    keys.remove(key)
                else:
                    self._turn += 1
        return bool(keys)

    def _hand_out(self, key: tuple[str, bool], before: int, limit: int) -> list[StoredPacket]:
        name, live = key
        camera = self._cameras[name]
        wanted: list[StoredPacket] = []
        while len(wanted) < limit:
            cursor = camera.cursor_of(live)
            found = self._store.take(name, cursor, before, limit - len(wanted), live=live)
            if not found:
                # Nothing below the end: what was there has been dropped meanwhile.
                camera.move(live, max(cursor, min(before - 1, camera.last)))
                break
            camera.move(live, found[-1].number)
            wanted += [packet for packet in found if packet.key not in self._removals]
        self._out.update((packet.key, packet) for packet in wanted)
        return wanted

    def _make_room(self, pages: int, dropped: list[tuple[str, int, int, int]]) -> int:
        """Drop the oldest until ``pages`` fit; return how many do. Within a transaction."""
        while True:
            room = self._store.room_pages() - _GROUP_PAGES
            if room >= pages or sum(item[2] for item in dropped) >= _MOST_DROPPED:
                return room
            if not self._drop_oldest(dropped, None):
                return room

    def _drop_oldest(
        self, dropped: list[tuple[str, int, int, int]], stored_before_s: float | None
    ) -> bool:
        """Delete the oldest packets that are not on their way, and note them in ``dropped``."""
        look_at = _DROP_MESSAGES
        while True:
            found = [
                item
                for item in self._store.oldest(look_at, stored_before_s)
                if item[:2] not in self._out and item[:2] not in self._removals
            ]
            if found or look_at > self._waiting:
                break
            look_at *= 4
        self._store.remove([item[:2] for item in found])
        dropped += found
        return bool(found)

    def _next_removals(self) -> list[tuple[str, int]]:
        """Return as much of what is done with as fits into one transaction of the log."""
        found: list[tuple[str, int]] = []
        count = 0
        for key, (messages, _) in self._removals.items():
            count += messages
            if found and count > _DELETED_TOGETHER:
                break
            found.append(key)
        return found

    def _removed(self, keys: Sequence[tuple[str, int]]) -> None:
        for key in keys:
            count, size = self._removals.pop(key)
            self._forget(key, count, size)

    def _drop(self, dropped: Sequence[tuple[str, int, int, int]], reason: DropReason) -> None:
        for name, number, count, size in dropped:
            self._forget((name, number), count, size)
            self._dropped[reason] += count

    def _forget(self, key: tuple[str, int], count: int, size: int) -> None:
        self._waiting -= count
        self._bytes -= size
        camera = self._cameras.get(key[0])
        if camera is None:
            return
        camera.count -= count
        if camera.open is not None and camera.open.number == key[1]:
            camera.open = None
        if camera.count <= 0:
            del self._cameras[key[0]]

    def _adopt(self, backlog: Backlog) -> None:
        """Take over what a file holds; what was handed out stays so."""
        before = self._cameras
        self._cameras = {}
        for name, (count, last) in backlog.cameras.items():
            camera = self._cameras[name] = before.get(name, CameraQueue())
            camera.count, camera.last, camera.open = count, last, None
        self._waiting, self._bytes = backlog.waiting, backlog.bytes
        self._next_seq = max(self._next_seq, backlog.last_seq + 1)
        if backlog.newest_s > self._clock.now_s():  # the kept clock was lost with a corrupt file
            self._clock = AgeClock(backlog.newest_s, monotonic=self._monotonic, wall=self._wall)

    def _replace(self, error: Exception) -> None:
        path = self._bounds.path
        had = self._waiting
        aside = set_aside(path, self._bounds.keep_corrupt)
        self._corrupt_files += 1
        self._store.open()
        saved = 0
        try:
            saved, _ = salvage(aside, self._store)
        except sqlite3.Error as reason:
            if is_damage(reason):
                raise
            _log.warning("what is left of %s cannot be copied: %s", aside, reason)
        self._salvaged += saved
        self._dropped["corrupt"] += max(0, had - saved)
        self._adopt(self._store.look())
        _log.error(
            "the outbox %s cannot be read (%s); it is set aside as %s, %d messages of it are kept",
            path,
            error,
            aside.name,
            saved,
        )
