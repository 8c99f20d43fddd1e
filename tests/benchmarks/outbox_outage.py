"""An hour without a hub at 50 messages/s: memory, disk, and how old messages are on arrival after.

The hour's 180,000 messages of four cameras are stored as fast as the outbox takes them, while the
forwarder tries in vain. Then the hub is back, takes 2,000 packets/s one after another, and the
cameras go on at 50 messages/s. Three ways: in order with batches of up to 50; new messages beside
the backlog (``live_first``); in order without batches, which takes as long, so ten minutes' worth.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevision.harness.transport import Packet, TransportError
from edgevision.harness.wire import Wire
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.forwarder import Forwarder
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.wire import WireLimit

CAMERAS = ("door", "till", "yard", "gate")
RATE = 50
HOUR = 3600 * RATE
TEN_MINUTES = 600 * RATE
PACKETS_PER_S = 2000
MAX_BYTES = 256 * 1024 * 1024
TEXT = "x" * 420
EVERY_S = 1.0
BARS = " .:-=+*#%@"

LIMIT = WireLimit(Wire("device", "module").size, 262_144)


@dataclass
class Hub:
    """Takes packets at a fixed pace, and notes when those of live messages come."""

    online: bool = False
    free_s: float = 0.0
    messages: int = 0
    packets: int = 0
    live_since_s: float = 0.0
    born_s: dict[str, float] = field(default_factory=dict)
    ages_s: list[tuple[float, float]] = field(default_factory=list)

    async def send(self, packet: Packet) -> None:
        if not self.online:
            raise TransportError("no hub", "offline")
        now_s = time.perf_counter()
        self.free_s = max(now_s, self.free_s) + 1 / PACKETS_PER_S
        if self.free_s - now_s > 0.002:
            await asyncio.sleep(self.free_s - now_s)
        self.packets += 1
        documents = json.loads(packet.payload)
        for document in documents if isinstance(documents, list) else [documents]:
            self.messages += 1
            born_s = self.born_s.pop(document["id"], None)
            if born_s is not None:
                now_s = time.perf_counter()
                self.ages_s.append((now_s - self.live_since_s, now_s - born_s))


def message(number: int) -> Message:
    camera = CAMERAS[number % len(CAMERAS)]
    name = f"vision:{camera}:0123456789ab:{number // len(CAMERAS)}"
    body: dict[str, Any] = {
        "schema": "edgevision.message/1.0",
        "id": name,
        "kind": "frame",
        "text": TEXT,
    }
    body |= {"output": "results", "camera": camera, "number": number // len(CAMERAS)}
    return Message(name, "frame", "results", camera, body)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def plot(name: str, values: list[float], unit: str) -> None:
    """Print values over time as a line of characters, darker for more."""
    width = 60
    chunks = [values[i * len(values) // width : (i + 1) * len(values) // width] for i in range(60)]
    means = [statistics.fmean(chunk) for chunk in chunks if chunk]
    top = max(means) or 1.0
    line = "".join(BARS[min(9, int(9 * value / top))] for value in means)
    print(f"  {name:16} |{line}| 0 to {top:,.1f} {unit}")


async def run(
    folder: Path, backlog: int, *, live_first: bool, batching: Batching | None
) -> dict[str, float]:
    hub = Hub()
    outbox = Outbox(folder / "outbox.db", LIMIT, max_bytes=MAX_BYTES, batching=batching)
    await outbox.start()
    forwarder = Forwarder(outbox, hub.send, live_first=live_first, longest_retry_s=0.5)
    await forwarder.start()
    seen: list[tuple[float, float, float]] = []
    ended = asyncio.Event()

    async def watch() -> None:
        while not ended.is_set():
            counted = outbox.statistics()
            seen.append((resident_mb(), counted.file_bytes / 1e6, counted.waiting))
            await asyncio.sleep(EVERY_S / 4)

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0.5)
    before_mb = resident_mb()
    begun_s = time.perf_counter()
    for first in range(0, backlog, 250):
        await outbox.put_all([message(number) for number in range(first, first + 250)])
    stored_s = time.perf_counter() - begun_s
    hub.online = True
    hub.live_since_s = begun_s = time.perf_counter()
    number = backlog
    drained_s = 0.0
    while not drained_s or len(hub.ages_s) < number - backlog:
        if not drained_s or time.perf_counter() - begun_s < drained_s + 3:
            one = message(number)
            number += 1
            hub.born_s[one.id] = time.perf_counter()
            await outbox.put(one)
        await asyncio.sleep(max(0.0, begun_s + (number - backlog) / RATE - time.perf_counter()))
        if number % (10 * RATE) == 0:
            print(f"{hub.messages:,} of {backlog:,} sent", file=sys.stderr)
        if not drained_s and outbox.statistics().waiting < RATE:
            drained_s = time.perf_counter() - begun_s
    ended.set()
    await watching
    await forwarder.stop()
    await outbox.stop()
    counted = outbox.statistics()
    during = sorted(age for at_s, age in hub.ages_s if at_s <= drained_s)
    after = sorted(age for at_s, age in hub.ages_s if at_s > drained_s)
    plot("memory", [item[0] for item in seen], "MB")
    plot("disk", [item[1] for item in seen], "MB")
    plot("waiting", [item[2] for item in seen], "messages")
    lost = number - hub.messages
    return {
        "backlog": backlog,
        "stored_per_s": round(backlog / stored_s),
        "drained_s": round(drained_s, 1),
        "drained_per_s": round(backlog / drained_s),
        "packets": hub.packets,
        "lost": max(0, lost),
        "repeated": max(0, -lost),
        "dropped": sum(counted.dropped.values()),
        "memory_growth_mb": round(max(item[0] for item in seen) - before_mb, 1),
        "disk_most_mb": round(max(item[1] for item in seen), 1),
        "disk_last_mb": round(seen[-1][1], 1),
        "live_age_while_draining_p50_s": round(during[len(during) // 2], 3) if during else -1.0,
        "live_age_while_draining_p95_s": round(during[int(0.95 * len(during))], 3)
        if during
        else -1.0,
        "live_age_while_draining_max_s": round(during[-1], 3) if during else -1.0,
        "live_age_after_p50_s": round(after[len(after) // 2], 3) if after else -1.0,
    }


def main() -> None:
    ways = {
        "an hour, in order, batches of 50": (HOUR, False, Batching(50, linger_s=0.5)),
        "an hour, live first": (HOUR, True, None),
        "ten minutes, in order": (TEN_MINUTES, False, None),
    }
    for name, (backlog, live_first, batching) in ways.items():
        print(f"{name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            print(name, flush=True)
            found = asyncio.run(
                run(Path(folder), backlog, live_first=live_first, batching=batching)
            )
        for what, value in found.items():
            print(f"  {what:30} {value:,}")
        print(json.dumps({"way": name, **found}), flush=True)


if __name__ == "__main__":
    main()
