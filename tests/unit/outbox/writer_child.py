"""A process that puts messages until it is killed, and says which ones were taken.

``python -m tests.unit.outbox.writer_child PATH FIRST BATCH``: numbers from FIRST on, in groups from
several coroutines; each line on standard output is a camera and a number whose put has returned, or
``gone`` and a number that is about to be deleted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.outbox import Outbox
from tests.unit.outbox.outbox_bed import LIMIT, message, numbers

CAMERAS = ("door", "till", "yard")


async def write(outbox: Outbox, camera: str, first: int) -> None:
    for number in itertools.count(first):
        await outbox.put(message(number, camera, text="x" * (number % 700)))
        os.write(1, f"{camera} {number}\n".encode())


async def main(path: Path, first: int, batch: int) -> None:
    outbox = Outbox(path, LIMIT, batching=Batching(batch, linger_s=0.01))
    await outbox.start()
    os.write(1, b"started\n")
    await asyncio.gather(*(write(outbox, camera, first) for camera in CAMERAS), forward(outbox))


async def forward(outbox: Outbox) -> None:
    """Take and finish a part of it, so that deletions are under way, too."""
    while True:
        for packet in (await outbox.take(3)).packets:
            if packet.camera == "yard":
                os.write(1, "".join(f"gone {n}\n" for n in numbers([packet], "yard")).encode())
                outbox.done(packet)
        await asyncio.sleep(0.003)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
