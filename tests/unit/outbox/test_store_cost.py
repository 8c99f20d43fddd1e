"""What the store does for a packet does not grow with the backlog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgevision.upstream.outbox.store import Row, Store
from tests.unit.outbox.outbox_bed import MIB, message

COUNT = 20_000
STEP = 100


def row(number: int) -> Row:
    one = message(number, f"camera{number % 4}")
    return (number, one.id, one.camera, number, "results", "frame", 0, number / 50, one.encode())


def filled(path: Path) -> Store:
    store = Store(path, max_bytes=64 * MIB, fsync=False)
    store.open()
    with store.transaction(durable=False):
        store.insert([row(number) for number in range(1, COUNT + 1)])
    return store


def steps(store: Store, work: Callable[[], object]) -> int:
    """Steps of SQLite's machine, in hundreds rounded down."""
    made = 0

    def count() -> int:
        nonlocal made
        made += STEP
        return 0

    assert store._connection is not None
    store._connection.set_progress_handler(count, STEP)
    work()
    store._connection.set_progress_handler(None, 0)
    return made


def test_nothing_that_happens_all_the_time_looks_at_the_whole_backlog(tmp_path: Path) -> None:
    store = filled(tmp_path / "outbox.db")
    keys = [(f"camera{number % 4}", number) for number in range(1, 51)]
    jobs: dict[str, Callable[[], object]] = {
        "remove": lambda: store.remove(keys),
        "take": lambda: store.take("camera1", 5000, 1 << 62, 20),
        "known": lambda: store.known([row(number)[1] for number in range(100, 150)]),
        "insert": lambda: store.insert([row(number) for number in range(COUNT + 1, COUNT + 51)]),
        "oldest": lambda: store.oldest(50),
        "too old": lambda: store.oldest(50, 1e9),
        "oldest_stored_at_s": store.oldest_stored_at_s,
        "split": lambda: store.split("camera1", 5001),
        "room": store.room_pages,
    }
    made = {name: steps(store, job) for name, job in jobs.items()}
    store.close()
    assert {name: count for name, count in made.items() if count > COUNT // 2} == {}
