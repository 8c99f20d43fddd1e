"""The SQLite file of the outbox: one connection, one thread, no asyncio."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevision.upstream.outbox.packet import StoredPacket

__all__ = [
    "MIN_BYTES",
    "SCHEMA_VERSION",
    "Backlog",
    "DamagedError",
    "Row",
    "Store",
    "is_damage",
    "pages_of",
]

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x45564F42  # "EVOB"

_PAGE_BYTES = 4096
# The log is written from its start again after this many pages, so it holds these and the largest
# transaction. It keeps its size: on a full disk there is still room to delete.
_LOG_PAGES = 256
_LOG_BYTES = 2 * 1024 * 1024
# Fewer pages than this are not worth a write.
_COMPACT_PAGES = 64
# Splits of index pages in one transaction go a little above what was asked for.
_SLACK_PAGES = 64

MIN_BYTES = 2 * _LOG_BYTES
"""The least that an outbox's ``max_bytes`` may be."""

_SCHEMA = """
CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    camera TEXT NOT NULL,
    packet INTEGER NOT NULL,
    output TEXT NOT NULL,
    kind TEXT NOT NULL,
    batched INTEGER NOT NULL,
    stored_at_s REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX queue ON message (camera, packet);
CREATE TABLE state (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
"""
# One statement for many rows: each step of a statement gives the interpreter's lock away, and in a
# busy process it takes milliseconds to get it back.
_CHUNKS = (64, 16, 4, 1)

Row = tuple[int, str, str, int, str, str, int, float, bytes]
"""A message in the order of the table's columns: seq, id, camera, packet, output, kind, batched,
stored_at_s, body."""


class DamagedError(Exception):
    """The file is no outbox, or no longer one; it must be set aside."""


@dataclass(slots=True)
class Backlog:
    """What a file holds when it is opened.

    Attributes:
        cameras: messages and the number of the last packet, by camera.
        waiting: messages.
        bytes: of their documents.
        last_seq: of the newest.
        newest_s: age clock at which it was stored.
        clock: the age clock as it was kept last, and the date then.
    """

    cameras: dict[str, tuple[int, int]] = field(default_factory=dict)
    waiting: int = 0
    bytes: int = 0
    last_seq: int = 0
    newest_s: float = 0.0
    clock: tuple[float, float] = (0.0, 0.0)


class Store:
    """Messages in a file. Used by one thread; every method may raise `sqlite3.Error`.

    The database is in WAL mode. With ``fsync``, what a transaction stored is on the disk when it
    ends (``synchronous=FULL``); transactions that only delete are not waited for. Without, a power
    cut may take the last transactions, never the file. The connection holds an exclusive lock, so
    the index of the log lives in memory and a checkpoint always completes.

    Args:
        path: of the file.
        max_bytes: most bytes of database and log together.
        fsync: see above.
    """

    def __init__(self, path: Path, *, max_bytes: int, fsync: bool) -> None:
        self.path = path
        self._max_pages = (max_bytes - _LOG_BYTES) // _PAGE_BYTES - _SLACK_PAGES
        self._fsync = fsync
        self._connection: sqlite3.Connection | None = None

    @property
    def opened(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def open(self) -> Backlog:
        """Open or make the file, and look what is in it.

        Raises:
            DamagedError: it is no outbox of this version, or it is broken.
            sqlite3.Error: not now.
        """
        empty = not self.path.exists() or self.path.stat().st_size == 0
        # Whoever closes the file properly leaves no log; after a crash each page is looked at.
        crashed = Path(f"{self.path}-wal").exists()
        # The module itself refuses a call from another thread.
        self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.0)
        try:
            if empty:
                self._run(f"PRAGMA page_size={_PAGE_BYTES}")
                self._run("PRAGMA auto_vacuum=INCREMENTAL")
            self._configure()
            if not self._run("SELECT 1 FROM sqlite_master LIMIT 1"):
                self._create()
            self._check(thoroughly=crashed)
            backlog = self.look()
        except BaseException as error:
            self.close()
            if is_damage(error):
                raise DamagedError(str(error)) from error
            raise
        if empty:
            _sync_folder(self.path.parent)
        return backlog

    def look(self) -> Backlog:
        """Return what is in the file."""
        backlog = Backlog()
        for camera, count, last in self._run(
            "SELECT camera, count(*), max(packet) FROM message GROUP BY camera"
        ):
            backlog.cameras[camera] = (count, last)
        row = self._run(
            "SELECT count(*), total(length(body)), ifnull(max(seq), 0), ifnull(max(stored_at_s), 0)"
            " FROM message"
        )[0]
        backlog.waiting, backlog.bytes = row[0], int(row[1])
        backlog.last_seq, backlog.newest_s = row[2], float(row[3])
        state = dict(self._run("SELECT name, value FROM state"))
        backlog.clock = (state.get("age_s", 0.0), state.get("wall_s", 0.0))
        return backlog

    def close(self, *, clock: tuple[float, float] | None = None) -> None:
        """Close the file; with ``clock``, keep the age clock in it first."""
        if self._connection is None:
            return
        try:
            if clock is not None:
                self.keep_clock(clock)
        finally:
            connection, self._connection = self._connection, None
            connection.close()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """Do what is in the block together; ``durable``: and have it on the disk at the end."""
        full = "FULL" if durable and self._fsync else "NORMAL"
        self._run(f"PRAGMA synchronous={full}")
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._run("ROLLBACK")
            raise

    def insert(self, rows: Sequence[Row]) -> None:
        """Add ``rows``."""
        for chunk in _chunks(rows):
            marks = ",".join(["(?,?,?,?,?,?,?,?,?)"] * len(chunk))
            values = [value for row in chunk for value in row]
            self._run(f"INSERT INTO message VALUES {marks}", values)

    def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of ``ids`` that are in the file."""
        found: set[str] = set()
        for chunk in _chunks(ids):
            marks = ",".join("?" * len(chunk))
            rows = self._run(f"SELECT id FROM message WHERE id IN ({marks})", chunk)
            found.update(row[0] for row in rows)
        return found

    def remove(self, keys: Sequence[tuple[str, int]]) -> None:
        """Delete packets, each given by its camera and number."""
        for chunk in _chunks(keys):
            marks = ",".join(["(?,?)"] * len(chunk))
            values = [value for key in chunk for value in key]
            # Told as a join, for SQLite looks at the whole table for a list of pairs.
            self._run(
                "DELETE FROM message WHERE seq IN (SELECT m.seq"
                f" FROM (VALUES {marks}) v CROSS JOIN message m"
                " ON m.camera = v.column1 AND m.packet = v.column2)",
                values,
            )

    def split(self, camera: str, number: int) -> None:
        """Make a packet of its own of each message of a packet; their order stays."""
        self._run(
            "UPDATE message SET packet = seq WHERE camera = ? AND packet = ?", (camera, number)
        )

    def take(
        self, camera: str, after: int, before: int, limit: int, *, live: bool = False
    ) -> list[StoredPacket]:
        """Return the camera's next packets whose numbers lie between ``after`` and ``before``.

        ``live`` is passed on to them. The bodies are joined by SQLite, so a packet of many messages
        is one step.
        """
        rows = self._run(
            "SELECT camera, packet, id, count(*), output, kind, batched, stored_at_s,"
            " sum(length(body)), CAST(group_concat(body, ',') AS BLOB), min(seq)"
            " FROM message WHERE camera = ? AND packet > ? AND packet < ?"
            " GROUP BY packet ORDER BY packet LIMIT ?",
            (camera, after, before, limit),
        )
        return [
            StoredPacket(
                camera=row[0],
                number=row[1],
                id=row[2],
                count=row[3],
                output=row[4],
                kind=row[5],
                batched=bool(row[6]),
                stored_at_s=row[7],
                body_bytes=row[8],
                body=row[9],
                live=live,
            )
            for row in rows
        ]

    def oldest(
        self, messages: int, stored_before_s: float | None = None
    ) -> list[tuple[str, int, int, int]]:
        """Return camera, number, count and bytes of the packets that the oldest messages are in.

        Args:
            messages: how many messages to look at.
            stored_before_s: only at those stored before this time of the age clock.
        """
        rows = self._run(
            "SELECT m.camera, m.packet, count(*), sum(length(m.body)) FROM message m"
            " JOIN (SELECT DISTINCT camera, packet FROM"
            " (SELECT camera, packet, stored_at_s FROM message ORDER BY seq LIMIT ?)"
            " WHERE ? IS NULL OR stored_at_s < ?"
            ") o ON m.camera = o.camera AND m.packet = o.packet"
            " GROUP BY m.camera, m.packet ORDER BY min(m.seq)",
            (messages, stored_before_s, stored_before_s),
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    def oldest_stored_at_s(self) -> float | None:
        """Return when the oldest message was stored, by the age clock; None when there is none."""
        rows = self._run("SELECT stored_at_s FROM message ORDER BY seq LIMIT 1")
        return float(rows[0][0]) if rows else None

    def keep_clock(self, clock: tuple[float, float]) -> None:
        """Keep the age clock."""
        for item in zip(("age_s", "wall_s"), clock, strict=True):
            self._run("INSERT OR REPLACE INTO state VALUES (?, ?)", item)

    def room_pages(self) -> int:
        """Return how many pages may still be filled; below 0 when the limit was lowered."""
        return self._max_pages - (self._pragma("page_count") - self._pragma("freelist_count"))

    def compact(self, pages: int) -> bool:
        """Give up to ``pages`` unused pages back to the disk; return whether more are left.

        A quarter of the file is kept for what comes next.
        """
        free = self._pragma("freelist_count")
        spare = free - max(_LOG_PAGES, self._pragma("page_count") // 4)
        if spare < _COMPACT_PAGES:
            return False
        with self.transaction(durable=False):
            self._run(f"PRAGMA incremental_vacuum({min(pages, spare)})")
        if spare <= pages:
            self.checkpoint()  # which shortens the file
        return spare > pages

    def checkpoint(self) -> None:
        """Move the log's pages into the database, so that the log begins at its start again."""
        self._run("PRAGMA wal_checkpoint(RESTART)")

    def file_bytes(self) -> int:
        """Return the bytes of database and log on the disk."""
        total = 0
        for path in (self.path, Path(f"{self.path}-wal")):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def _configure(self) -> None:
        self._run("PRAGMA locking_mode=EXCLUSIVE")
        self._run("PRAGMA secure_delete=OFF")
        self._run("PRAGMA temp_store=MEMORY")
        self._run("PRAGMA journal_mode=WAL")
        self._run(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        self._run(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        # A file that is larger already, since the limit was lowered, may still be used.
        pages = max(self._max_pages + _SLACK_PAGES, self._pragma("page_count"))
        self._run(f"PRAGMA max_page_count={pages}")

    def _create(self) -> None:
        with self.transaction(durable=True):
            for statement in _SCHEMA.split(";"):
                self._run(statement)
            self._run(f"PRAGMA application_id={_APPLICATION_ID}")
            self._run(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _check(self, *, thoroughly: bool) -> None:
        if self._pragma("application_id") != _APPLICATION_ID:
            raise DamagedError("it is a database, but no outbox")
        if self._pragma("user_version") != SCHEMA_VERSION:
            raise DamagedError(
                f"wanted an outbox of version {SCHEMA_VERSION}, got {self._pragma('user_version')}"
            )
        if thoroughly:
            found = self._run("PRAGMA quick_check(1)")[0][0]
            if found != "ok":
                raise DamagedError(str(found))

    def _pragma(self, name: str) -> int:
        return int(self._run(f"PRAGMA {name}")[0][0])

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        if self._connection is None:
            raise sqlite3.OperationalError("the outbox file is not open")
        return self._connection.execute(statement, values).fetchall()


def is_damage(error: BaseException) -> bool:
    """Tell whether an error says that the file itself is broken.

    The module `sqlite3` raises plain DatabaseError for SQLITE_CORRUPT and SQLITE_NOTADB only; a
    table that is missing is an OperationalError, and no outbox either.
    """
    if isinstance(error, DamagedError) or type(error) is sqlite3.DatabaseError:
        return True
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(
        ("no such table", "no such column", "malformed")
    )


def pages_of(row: Row) -> float:
    """Return how many pages a row takes at most, its entries in the indexes included."""
    entries = 2 * (len(row[1]) + len(row[2])) + len(row[4]) + len(row[5]) + 48
    body_bytes = len(row[8])
    if entries + body_bytes < _PAGE_BYTES * 3 // 4:
        return 1.35 * (entries + body_bytes) / _PAGE_BYTES
    # A long body has pages of its own, less four bytes each that lead to the next.
    return body_bytes // (_PAGE_BYTES - 4) + 2 + 1.35 * entries / _PAGE_BYTES


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    begin = 0
    for size in _CHUNKS:
        while len(items) - begin >= size:
            yield items[begin : begin + size]
            begin += size


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file on the disk, too."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
