"""The outbox's messages per second, in and out, beside bare SQLite and beside no outbox at all.

In: one message after the other, 64 coroutines at a time, and groups of 256, with and without
waiting for the disk; bare SQLite commits each message by itself and has no index, no bound and no
thread. Out: from the file through the forwarder into a transport that acknowledges at once, each
message for itself and 100 to a packet; without an outbox the same transport is called directly,
ten at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from edgevision.harness.transport import Packet
from edgevision.harness.wire import Wire
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.forwarder import Forwarder
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.wire import WireLimit

ROUNDS = 5
ONE_BY_ONE = 300
MANY = 10_000
TEXT = "x" * 420  # a message of about 600 bytes

LIMIT = WireLimit(Wire("device", "module").size, 262_144)


def message(number: int, camera: str = "door") -> Message:
    name = f"vision:{camera}:0123456789ab:{number}"
    body: dict[str, Any] = {
        "schema": "edgevision.message/1.0",
        "id": name,
        "kind": "frame",
        "text": TEXT,
    }
    body |= {"output": "results", "camera": camera, "number": number}
    return Message(name, "frame", "results", camera, body)


def bare(folder: Path, count: int, *, fsync: bool) -> float:
    """Messages per second into a table of SQLite, one transaction each."""
    with contextlib.closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute(f"PRAGMA synchronous={'FULL' if fsync else 'NORMAL'}")
        file.execute("CREATE TABLE message (seq INTEGER PRIMARY KEY, body BLOB)")
        bodies = [message(number).encode() for number in range(count)]
        begun_s = time.perf_counter()
        for body in bodies:
            file.execute("INSERT INTO message (body) VALUES (?)", (body,))
        return count / (time.perf_counter() - begun_s)


async def put(folder: Path, count: int, *, fsync: bool, at_once: int, grouped: bool) -> float:
    """Messages per second into the outbox."""
    outbox = Outbox(folder / "outbox.db", LIMIT, fsync=fsync)
    await outbox.start()
    made = [message(number) for number in range(count)]
    for one in made:
        one.encode()
    begun_s = time.perf_counter()
    if grouped:
        for first in range(0, count, at_once):
            await outbox.put_all(made[first : first + at_once])
    else:
        todo = iter(made)

        async def work() -> None:
            for one in todo:
                await outbox.put(one)

        await asyncio.gather(*(work() for _ in range(at_once)))
    taken_s = time.perf_counter() - begun_s
    await outbox.stop()
    return count / taken_s


async def acknowledge(packet: Packet) -> None:
    await asyncio.sleep(0)


async def through(folder: Path, *, batching: Batching) -> float:
    """Messages per second from `put` to the acknowledgement."""
    outbox = Outbox(folder / "outbox.db", LIMIT, batching=batching)
    await outbox.start()
    forwarder = Forwarder(outbox, acknowledge)
    await forwarder.start()
    made = [message(number) for number in range(MANY)]
    for one in made:
        one.encode()
    begun_s = time.perf_counter()
    for first in range(0, MANY, 256):
        await outbox.put_all(made[first : first + 256])
    if not await forwarder.drain(60):
        raise RuntimeError("not everything was acknowledged")
    taken_s = time.perf_counter() - begun_s
    await forwarder.stop()
    await outbox.stop()
    return MANY / taken_s


async def directly(folder: Path) -> float:
    """Messages per second without an outbox."""
    made = [message(number) for number in range(MANY)]
    begun_s = time.perf_counter()
    todo = iter(made)

    async def work() -> None:
        for one in todo:
            await acknowledge(Packet(one.id, one.output, one.encode(), one.properties))

    await asyncio.gather(*(work() for _ in range(10)))
    return MANY / (time.perf_counter() - begun_s)


def awaited(call: Callable[[Path], Coroutine[Any, Any, float]]) -> Callable[[Path], float]:
    return lambda folder: asyncio.run(call(folder))


JOBS: dict[str, Callable[[Path], float]] = {
    "in: bare SQLite, fsync": lambda f: bare(f, ONE_BY_ONE, fsync=True),
    "in: one by one, fsync": awaited(
        lambda f: put(f, ONE_BY_ONE, fsync=True, at_once=1, grouped=False)
    ),
    "in: 64 coroutines, fsync": awaited(
        lambda f: put(f, MANY, fsync=True, at_once=64, grouped=False)
    ),
    "in: groups of 256, fsync": awaited(
        lambda f: put(f, MANY, fsync=True, at_once=256, grouped=True)
    ),
    "in: bare SQLite": lambda f: bare(f, MANY, fsync=False),
    "in: one by one": awaited(lambda f: put(f, MANY, fsync=False, at_once=1, grouped=False)),
    "in: groups of 256": awaited(lambda f: put(f, MANY, fsync=False, at_once=256, grouped=True)),
    "through: no outbox": awaited(directly),
    "through: one a packet": awaited(lambda f: through(f, batching=Batching())),
    "through: 100 a packet": awaited(lambda f: through(f, batching=Batching(100, linger_s=0))),
}


def main() -> None:
    measured: dict[str, list[float]] = {name: [] for name in JOBS}
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        for name, job in JOBS.items():
            with tempfile.TemporaryDirectory() as folder:
                measured[name].append(job(Path(folder)))
    median = {name: statistics.median(values) for name, values in measured.items()}
    for name, rate in median.items():
        spread = f"{min(measured[name]):,.0f} to {max(measured[name]):,.0f}"
        print(f"{name:26} {rate:9,.0f} messages/s   ({spread})")
    ratio = median["in: 64 coroutines, fsync"] / median["in: bare SQLite, fsync"]
    print(f"64 coroutines that share commits beside bare SQLite: {ratio:.1f} times")
    numbers = {name: round(rate) for name, rate in median.items()}
    print(json.dumps({**numbers, "ratio": round(ratio, 2), "rounds": ROUNDS}))


if __name__ == "__main__":
    main()
