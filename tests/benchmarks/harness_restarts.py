"""A hub that is killed and comes back, again and again, under load.

20 messages in flight, 100 a second, 1 KiB each; the hub ends all connections and its listener (by a
TCP reset, by an end of TCP alone, by an end of TLS, in turn) and listens again after 0.05 to 0.5 s.
Counts what the harness calls delivered and the hub has not got (lost), what arrived more than once
(always with the same id), and the seconds from the hub's return to the first message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgevision.errors import UpstreamError
from edgevision.harness.edge import EdgeConnector
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.hub_check import is_reachable
from edgevision.harness.supervisor import Supervisor
from edgevision.harness.transport import Packet
from tests.benchmarks._hub_process import HubProcess, Recorder, held, hub_process, percentile

_HOW = ("reset", "tcp", "tls")


async def measure(hub: HubProcess, restarts: int, rate: int, window: int) -> dict[str, object]:
    supervisor = Supervisor(
        EdgeConnector(EdgeEnvironment.read(hub.environment)),
        Recorder(),
        reachable=lambda: is_reachable(hub.host),
    )
    running = asyncio.ensure_future(supervisor.run())
    waiting: deque[Packet] = deque()
    came = asyncio.Event()
    acknowledged: set[str] = set()
    repeated = 0
    ending = False

    async def produce() -> int:
        number = 0
        begun_s = time.monotonic()
        while not ending:
            while number < (time.monotonic() - begun_s) * rate:
                waiting.append(Packet(f"m{number}", "load", b"x" * 1024))
                number += 1
            came.set()
            await asyncio.sleep(0.01)
        return number

    async def work() -> None:
        nonlocal repeated
        while not ending or waiting:
            if not waiting:
                came.clear()
                await came.wait()
                continue
            packet = waiting.popleft()
            while packet.id not in acknowledged:
                try:
                    await supervisor.send(packet)
                    acknowledged.add(packet.id)
                except UpstreamError:
                    repeated += 1

    loop = asyncio.get_running_loop()
    await supervisor.ready()
    producing = asyncio.ensure_future(produce())
    workers = [asyncio.ensure_future(work()) for _ in range(window)]
    before = held()
    chance = random.Random(1)
    back_s: list[float] = []
    for index in range(restarts):
        await asyncio.sleep(chance.uniform(0.3, 0.8))
        await loop.run_in_executor(None, hub.ask, "down", _HOW[index % 3])
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        up_s = await loop.run_in_executor(None, hub.ask, "up")
        while (first_s := await loop.run_in_executor(None, hub.ask, "first")) is None:
            if time.monotonic() - up_s > 30:
                raise RuntimeError(f"no message 30 s after restart {index}; {supervisor.status()}")
            await asyncio.sleep(0.005)
        back_s.append(first_s - up_s)
    ending = True
    made = await producing
    came.set()
    await asyncio.wait_for(asyncio.gather(*workers), 60)
    after = held()
    status = supervisor.status()
    await supervisor.stop()
    await running
    counts = hub.ask("counts")
    return {
        "restarts": restarts,
        "recoveries": len(back_s),
        "messages": made,
        "lost": made - len(acknowledged & set(counts)),
        "unknown_ids": len(set(counts) - acknowledged),
        "duplicates": sum(count - 1 for count in counts.values()),
        "sends_repeated": repeated,
        "back_p50_s": round(percentile(back_s, 50), 3),
        "back_p95_s": round(percentile(back_s, 95), 3),
        "back_max_s": round(max(back_s), 3),
        "lost_connections": dict(status.lost),
        "before": before,
        "after": after,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100, help="messages per second")
    parser.add_argument("--window", type=int, default=20, help="messages in flight")
    options = parser.parse_args()
    with hub_process() as hub:
        result = asyncio.run(measure(hub, options.restarts, options.rate, options.window))
    print(
        f"{result['recoveries']} of {result['restarts']} recoveries, {result['lost']} of "
        f"{result['messages']} messages lost, {result['duplicates']} duplicates; back after "
        f"{result['back_p50_s']} s (median), {result['back_p95_s']} s (p95), "
        f"{result['back_max_s']} s (longest)"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
