"""Kill a module's process at random moments, and look whether every message it stored arrives.

The module publishes as fast as it can and notes the id of each message when publish has returned.
After each kill it is started again with the same outbox; in the end every noted id must have
reached the hub. Beside it: how long a start takes until the first message is through.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from edgevision.testing.hub import HubStandIn

__all__ = ["Outcome", "kill_and_restart", "main"]

KILLS = 100
_ROOT = Path(__file__).resolve().parents[2]

_CHILD = """
import asyncio, os, sys
from edgevision.upstream.builder import MessageBuilder
from edgevision.upstream.iotedge import IotEdgeUpstream
from edgevision.upstream.policy import Report
from edgevision.upstream.settings import IotEdgeSettings, OutboxSettings

async def main():
    folder, fsync = sys.argv[1], sys.argv[2] == "fsync"
    settings = IotEdgeSettings(outbox=OutboxSettings(path=folder + "/outbox.sqlite", fsync=fsync))
    upstream = IotEdgeUpstream(settings)
    await upstream.start()
    noted = os.open(folder + "/noted", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    builder = MessageBuilder("gate")
    print("started", flush=True)
    # While standard input is open; the last run ends when everything is through.
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, ended.set)

    async def publish(camera):
        while not ended.is_set():
            message = builder.report(camera, Report("heartbeat", "quiet"))
            await upstream.send(message)
            os.write(noted, (message.id + "\\n").encode())
            await asyncio.sleep(0.002)

    await asyncio.gather(*(publish(f"camera-{n}") for n in range(4)))
    while upstream.describe()["outbox"]["waiting"]:
        await asyncio.sleep(0.05)
    await upstream.stop()

asyncio.run(main())
"""


@dataclass
class Outcome:
    """What became of the messages.

    Attributes:
        noted: messages whose publish had returned.
        lost: those of them that the hub never got.
        received: messages at the hub, repetitions included.
        repeated: how many of them were repetitions.
        first_s: times from a start of the process to the first message at the hub.
    """

    noted: int = 0
    lost: list[str] = field(default_factory=list)
    received: int = 0
    repeated: int = 0
    first_s: list[float] = field(default_factory=list)


def kill_and_restart(
    kills: int, *, seed: int = 1, longest_s: float = 1.5, fsync: bool = False, note: bool = False
) -> Outcome:
    """Run the module, kill it ``kills`` times, run it to its end once; return what arrived.

    Args:
        kills: how often.
        seed: of the moments.
        longest_s: the longest life after the first message.
        fsync: the outbox waits for the disk. A killed process loses nothing without, either.
        note: say how far it is.
    """
    moments = random.Random(seed)
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder, HubStandIn(max_messages=10**6) as hub:
        for number in range(kills + 1):
            last = number == kills
            before = hub.message_count
            began_s = time.monotonic()
            process = _start(hub, folder, fsync)
            try:
                hub.wait_for_messages(before + 1, timeout_s=30)
                outcome.first_s.append(time.monotonic() - began_s)
                time.sleep(moments.uniform(0, longest_s))
                if last:
                    process.communicate(b"end\n", timeout=60)
                    if process.returncode != 0:
                        raise AssertionError(f"the last run ended with {process.returncode}")
            finally:
                process.kill()
                process.communicate()
            if note and number % 10 == 0:
                print(f"{number} of {kills} kills, {hub.message_count} messages", file=sys.stderr)
        arrived = [message.id for message in hub.messages]
        # The last line may be a part of one: the process was killed while it wrote.
        noted = (Path(folder) / "noted").read_text().split("\n")[:-1]
    outcome.noted = len(noted)
    outcome.received = len(arrived)
    outcome.repeated = len(arrived) - len(set(arrived))
    known = set(arrived)
    outcome.lost = [each for each in noted if each not in known]
    return outcome


def _start(hub: HubStandIn, folder: str, fsync: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, folder, "fsync" if fsync else "no"],
        env={**os.environ, **hub.environment(module="gate"), "PYTHONPATH": str(_ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def main() -> int:
    """Kill it a hundred times."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    outcome = kill_and_restart(KILLS, note=True)
    first_s = sorted(outcome.first_s)
    print(
        f"{KILLS} kills: {outcome.noted} messages published, {len(outcome.lost)} of them lost, "
        f"{outcome.repeated} repeated with the same id; start to first message "
        f"{first_s[len(first_s) // 2]:.2f} s"
    )
    print(
        json.dumps(
            {
                "kills": KILLS,
                "published": outcome.noted,
                "lost": len(outcome.lost),
                "repeated": outcome.repeated,
                "start_to_first_message_s": round(first_s[len(first_s) // 2], 3),
            }
        )
    )
    return 1 if outcome.lost else 0


if __name__ == "__main__":
    sys.exit(main())
