"""What a month of connections leaves behind: memory, threads and descriptors over 400 clients.

Each connects, sends a message and closes. Prints what the process holds after 100 and after 400,
and the milliseconds that a connection takes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgevision.harness.edge import EdgeConnector
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.transport import Packet
from tests.benchmarks._hub_process import HubProcess, Recorder, held, hub_process, percentile

CLIENTS = 400


async def measure(hub: HubProcess) -> dict[str, object]:
    connector = EdgeConnector(EdgeEnvironment.read(hub.environment))
    times_ms = []
    early: dict[str, float] = {}
    for number in range(CLIENTS):
        if number == 100:
            gc.collect()
            early = held()
        transport = connector()
        begun_s = time.perf_counter()
        await transport.open(Recorder())
        times_ms.append((time.perf_counter() - begun_s) * 1000)
        await transport.send(Packet(f"m{number}", "load", b"x" * 1024))
        await transport.close()
    gc.collect()
    return {
        "clients": CLIENTS,
        "messages": sum(hub.ask("counts").values()),
        "after_100": early,
        "after_all": held(),
        "connect_p50_ms": round(percentile(times_ms, 50), 1),
        "connect_p95_ms": round(percentile(times_ms, 95), 1),
    }


def main() -> None:
    with hub_process() as hub:
        result = asyncio.run(measure(hub))
    print(
        f"{result['clients']} clients: {result['after_100']} after 100, {result['after_all']} at "
        f"the end; {result['connect_p50_ms']} ms to connect (median), "
        f"{result['connect_p95_ms']} (p95)"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
