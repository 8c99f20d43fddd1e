"""The harness's transport beside the bare azure-iot-device, against one stand-in hub.

Messages of 1 KiB. Throughput: so many workers as the window, each sends one after the other.
Latency: one worker, from the call to the acknowledgement. The two sides take turns in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from azure.iot.device import Message
from azure.iot.device.aio import IoTHubModuleClient

from edgevision.harness.edge import EdgeConnector
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.transport import Packet
from tests.benchmarks._hub_process import HubProcess, Recorder, hub_process, percentile

_Send = Callable[[str], Awaitable[None]]
_BODY = json.dumps({"x": "y" * 1000}).encode()


async def throughput(send: _Send, count: int, window: int, prefix: str) -> float:
    """Return messages per second."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await send(f"{prefix}{number}")

    begun_s = time.monotonic()
    await asyncio.gather(*(work() for _ in range(window)))
    return count / (time.monotonic() - begun_s)


async def latencies(send: _Send, count: int, prefix: str) -> list[float]:
    """Return milliseconds from the call to the acknowledgement."""
    times = []
    for number in range(count):
        begun_s = time.perf_counter()
        await send(f"{prefix}l{number}")
        times.append((time.perf_counter() - begun_s) * 1000)
        # Not back to back, where the hub's turn of one message is the next one's wait.
        await asyncio.sleep(0.002)
    return times


async def measure(hub: HubProcess, rounds: int, count: int, window: int) -> dict[str, object]:
    os.environ.update(hub.environment)
    rates: dict[str, list[float]] = {"bare": [], "edgevision": []}
    times: dict[str, list[float]] = {"bare": [], "edgevision": []}
    connector = EdgeConnector(EdgeEnvironment.read(hub.environment))
    for number in range(rounds):
        client = await asyncio.to_thread(IoTHubModuleClient.create_from_edge_environment)
        await client.connect()

        async def send_bare(name: str, client: IoTHubModuleClient = client) -> None:
            sdk: Any = Message
            message = sdk(_BODY, name, "utf-8", "application/json")
            await client.send_message_to_output(message, "load")

        await throughput(send_bare, 200, window, f"w{number}b")
        rates["bare"].append(await throughput(send_bare, count, window, f"{number}b"))
        times["bare"] += await latencies(send_bare, count // 10, f"{number}b")
        await client.shutdown()

        transport = connector()
        await transport.open(Recorder())

        async def send_ours(name: str, transport: object = transport) -> None:
            await transport.send(Packet(name, "load", _BODY))  # type: ignore[attr-defined]

        await throughput(send_ours, 200, window, f"w{number}e")
        rates["edgevision"].append(await throughput(send_ours, count, window, f"{number}e"))
        times["edgevision"] += await latencies(send_ours, count // 10, f"{number}e")
        await transport.close()
    bare, ours = (statistics.median(rates[name]) for name in ("bare", "edgevision"))
    return {
        "window": window,
        "messages": rounds * count,
        "bare_per_s": round(bare),
        "edgevision_per_s": round(ours),
        "ratio": round(ours / bare, 2),
        **{
            f"{name}_latency_{label}_ms": round(percentile(times[name], percent), 2)
            for name in ("bare", "edgevision")
            for label, percent in (("p50", 50), ("p95", 95))
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=3000, help="messages in each round and side")
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 10, 20])
    options = parser.parse_args()
    results = []
    print(f"{'window':>6} {'bare/s':>8} {'ours/s':>8} {'ratio':>6}   latency p50, p95 in ms")
    for window in options.windows:
        with hub_process() as hub:
            found = asyncio.run(measure(hub, options.rounds, options.count, window))
        results.append(found)
        print(
            f"{window:6} {found['bare_per_s']:8} {found['edgevision_per_s']:8} "
            f"{found['ratio']:6}   bare {found['bare_latency_p50_ms']}, "
            f"{found['bare_latency_p95_ms']}; edgevision {found['edgevision_latency_p50_ms']}, "
            f"{found['edgevision_latency_p95_ms']}"
        )
    for found in results:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
