"""Token renewals, one every ten seconds under load: 30 minutes of them are two days of a device.

A device renews its token once an hour. 50 messages a second of 1 KiB, ten in flight. Counts
renewals, messages lost and repeated, the longest wait for an acknowledgement, and what the process
holds at both ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgevision.errors import UpstreamError
from edgevision.harness.edge import EdgeConnector, EdgeSettings
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.hub_check import is_reachable
from edgevision.harness.supervisor import Supervisor
from edgevision.harness.transport import Packet
from tests.benchmarks._hub_process import HubProcess, Recorder, held, hub_process, percentile


async def measure(hub: HubProcess, minutes: float, every_s: float, rate: int) -> dict[str, object]:
    settings = EdgeSettings(token_life_s=2 * every_s, renew_before_s=every_s)
    supervisor = Supervisor(
        EdgeConnector(EdgeEnvironment.read(hub.environment), settings),
        Recorder(),
        reachable=lambda: is_reachable(hub.host),
    )
    running = asyncio.ensure_future(supervisor.run())
    await supervisor.ready()
    ends_s = time.monotonic() + minutes * 60
    times_ms: list[float] = []
    acknowledged: set[str] = set()
    errors = 0

    async def work(worker: int, workers: int) -> None:
        nonlocal errors
        due_s = time.monotonic() + worker / rate
        number = 0
        while time.monotonic() < ends_s:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            due_s += workers / rate
            packet = Packet(f"{worker}-{number}", "load", b"x" * 1024)
            number += 1
            begun_s = time.perf_counter()
            while packet.id not in acknowledged:
                try:
                    await supervisor.send(packet)
                    acknowledged.add(packet.id)
                except UpstreamError:
                    errors += 1
            times_ms.append((time.perf_counter() - begun_s) * 1000)

    working = asyncio.gather(*(work(worker, 10) for worker in range(10)))
    # After the first renewals, when everything that is made once has been made.
    await asyncio.sleep(3 * every_s)
    gc.collect()
    before = held()
    await working
    gc.collect()
    after = held()
    status = supervisor.status()
    await supervisor.stop()
    await running
    counts = hub.ask("counts")
    return {
        "minutes": minutes,
        "renewals": status.lost.get("token", 0),
        "other_losses": {k: v for k, v in status.lost.items() if k != "token"},
        "messages": len(times_ms),
        "lost": len(acknowledged - set(counts)),
        "duplicates": sum(count - 1 for count in counts.values()),
        "errors": errors,
        "latency_p50_ms": round(percentile(times_ms, 50), 1),
        "latency_max_ms": round(max(times_ms), 1),
        "before": before,
        "after": after,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between renewals")
    parser.add_argument("--rate", type=int, default=50, help="messages per second")
    options = parser.parse_args()
    with hub_process() as hub:
        result = asyncio.run(measure(hub, options.minutes, options.every, options.rate))
    print(
        f"{result['renewals']} renewals in {result['minutes']} min, {result['lost']} of "
        f"{result['messages']} messages lost, {result['duplicates']} duplicates, longest wait "
        f"{result['latency_max_ms']} ms"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
