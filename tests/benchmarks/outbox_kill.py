"""A process that writes to an outbox is killed 100 times: what it was promised must be there.

Three cameras put messages from their own coroutines, one of them is forwarded and deleted
meanwhile. After each ``kill -9``, at a random moment, the file is opened, compared with what the
process had written to its standard output once each ``put`` had returned, and used again.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.unit.outbox.outbox_bed import everything, numbers, started
from tests.unit.outbox.test_outbox_kill import kill_a_writer

KILLS = 100


async def found_in(path: Path) -> tuple[dict[str, list[int]], int]:
    async with started(path) as outbox:
        packets = await everything(outbox)
        found = {camera: numbers(packets, camera) for camera in ("door", "till", "yard")}
        corrupt = outbox.statistics().corrupt_files
        for packet in packets:
            outbox.done(packet)
        return found, corrupt


def main() -> None:
    chance = random.Random(100)
    promised_in_all = lost = disordered = corrupt_files = 0
    open_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        for turn in range(KILLS):
            first = 1 + turn * 1_000_000
            lines = chance.choice([1, 2, chance.randint(3, 50), chance.randint(50, 1500)])
            promised = kill_a_writer(path, first, chance.choice([1, 1, 20]), lines)
            begun_s = time.perf_counter()
            found, corrupt = asyncio.run(found_in(path))
            open_s.append(time.perf_counter() - begun_s)
            corrupt_files += corrupt
            for camera, there in found.items():
                there = [number for number in there if number >= first]
                gone = set(promised.get("gone", ())) if camera == "yard" else set()
                lost += len(set(promised.get(camera, ())) - set(there) - gone)
                promised_in_all += len(promised.get(camera, ()))
                disordered += there != sorted(set(there))
            if turn % 10 == 9:
                print(f"{turn + 1} of {KILLS} kills, {lost} lost", file=sys.stderr)
    print(f"{KILLS} kills, {promised_in_all:,} messages whose put had returned")
    print(f"{lost} lost, {disordered} cameras out of order, {corrupt_files} corrupt files")
    print(f"opened and read after a kill: {1e3 * sorted(open_s)[KILLS // 2]:.0f} ms in the median")
    print(
        json.dumps(
            {
                "kills": KILLS,
                "promised": promised_in_all,
                "lost": lost,
                "disordered": disordered,
                "corrupt_files": corrupt_files,
            }
        )
    )


if __name__ == "__main__":
    main()
