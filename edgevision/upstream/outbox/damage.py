"""Set a corrupt outbox file aside, and read what can be read of it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from edgevision.upstream.message import Message
from edgevision.upstream.outbox.store import Row, Store

__all__ = ["salvage", "set_aside"]

_ROWS = 256
_COMPANIONS = ("-wal", "-shm", "-journal")


def set_aside(path: Path, keep: int, *, now: datetime | None = None) -> Path:
    """Rename a file and its log to ``<name>.corrupt-<UTC time>`` and return the new path.

    Args:
        path: of the file.
        keep: how many such files stay, this one included; older ones are deleted.
        now: default the present.

    Raises:
        OSError: it cannot be renamed (a read-only disk).
    """
    stamp = (now or datetime.now(timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    aside = Path(f"{path}.corrupt-{stamp}")
    number = 2
    while aside.exists():
        aside = Path(f"{path}.corrupt-{stamp}.{number}")
        number += 1
    os.rename(path, aside)
    for end in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{aside}{end}")
    found = sorted(
        (
            file
            for file in path.parent.iterdir()
            if file.name.startswith(f"{path.name}.corrupt-") and not file.name.endswith(_COMPANIONS)
        ),
        key=lambda file: (file != aside, -file.stat().st_mtime),
    )
    for old in found[max(1, keep) :]:
        for end in ("", *_COMPANIONS):
            with contextlib.suppress(OSError):
                os.unlink(f"{old}{end}")
    return aside


def salvage(source: Path, store: Store) -> tuple[int, int]:
    """Copy the messages that can still be read from ``source`` into an empty store.

    The table is read from its start up to the broken part, then from its end down to it, without
    the indexes. Each message is taken for what its document says.

    Returns:
        Messages copied, and the bytes of their documents.

    Raises:
        sqlite3.Error: the store cannot take them.
    """
    copied = copied_bytes = 0
    seen: set[int] = set()
    rows: list[Row] = []

    def flush() -> None:
        nonlocal copied, copied_bytes
        with store.transaction(durable=True):
            known = store.known([row[1] for row in rows])
            fresh = {row[1]: row for row in rows if row[1] not in known}
            store.insert(list(fresh.values()))
        copied += len(fresh)
        copied_bytes += sum(len(row[8]) for row in fresh.values())
        rows.clear()

    for row in _readable(source):
        if row[0] not in seen and store.room_pages() > _ROWS:
            seen.add(row[0])
            rows.append(row)
        if len(rows) >= _ROWS:
            flush()
    if rows:
        flush()
    return copied, copied_bytes


def _readable(source: Path) -> Iterator[Row]:
    for order in ("ASC", "DESC"):
        try:
            connection = sqlite3.connect(source, isolation_level=None, timeout=0.0)
        except sqlite3.Error:
            return
        with contextlib.closing(connection):
            try:
                connection.execute("PRAGMA cell_size_check=ON")
                # Without it SQLite reads nothing of a file that is shorter than its header says.
                connection.execute("PRAGMA writable_schema=ON")
                for found in connection.execute(
                    "SELECT seq, packet, batched, stored_at_s, body FROM message NOT INDEXED"
                    f" ORDER BY seq {order}"
                ):
                    row = _row(*found)
                    if row is not None:
                        yield row
            except (sqlite3.Error, OverflowError):
                continue
            return


def _row(
    seq: object, packet: object, batched: object, stored_at_s: object, body: object
) -> Row | None:
    """Return a row if its parts are what they should be."""
    if not (
        isinstance(seq, int)
        and isinstance(packet, int)
        and batched in (0, 1)
        and isinstance(stored_at_s, float)
        and isinstance(body, bytes)
        and 0 < packet <= seq
    ):
        return None
    try:
        message = Message.decode(body)
    except (ValueError, RecursionError, json.JSONDecodeError):
        return None
    names = (message.id, message.camera, message.output, message.kind)
    if not all(isinstance(name, str) for name in names):
        return None
    return (
        seq,
        message.id,
        message.camera,
        packet,
        message.output,
        message.kind,
        int(bool(batched)),
        stored_at_s,
        body,
    )
