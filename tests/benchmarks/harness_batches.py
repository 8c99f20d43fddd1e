"""Small messages in batches, from the outbox's file to the hub, beside the bare azure-iot-device.

The same documents on both sides, one stand-in hub with TLS in a process of its own, the same
window. The bare SDK sends each by itself and stores nothing. edgevision first has all of them in
the outbox, as after an outage, and sends them in batches; then it stores and sends at the same
time, with ``fsync`` and without. The sides take turns in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from azure.iot.device import Message as SdkMessage
from azure.iot.device.aio import IoTHubModuleClient

from edgevision.harness.edge import EdgeConnector
from edgevision.harness.environment import EdgeEnvironment
from edgevision.harness.wire import Wire
from edgevision.upstream.message import Message
from edgevision.upstream.outbox.batch import Batching
from edgevision.upstream.outbox.forwarder import Forwarder
from edgevision.upstream.outbox.outbox import Outbox
from edgevision.upstream.outbox.wire import WireLimit
from tests.benchmarks._hub_process import HubProcess, Recorder, hub_process

_AT_ONCE = 500


def documents(count: int, prefix: str) -> list[Message]:
    """Return ``count`` results of a camera as the pipeline makes them, one detection each."""
    made = []
    for number in range(count):
        name = f"vision:door:{prefix}:{number}"
        body: dict[str, Any] = {
            "schema": "edgevision.message/1.0",
            "id": name,
            "kind": "frame",
            "output": "results",
            "camera": "door",
            "number": number,
            "detections": [{"label": "person", "confidence": 0.87, "box_xyxy": [10, 20, 110, 220]}],
        }
        one = Message(name, "frame", "results", "door", body)
        one.encode()
        made.append(one)
    return made


async def bare(made: list[Message], window: int) -> float:
    """Return messages per second, each for itself."""
    client = await asyncio.to_thread(IoTHubModuleClient.create_from_edge_environment)
    await client.connect()
    todo = iter(made)
    sdk: Any = SdkMessage

    async def work() -> None:
        for one in todo:
            message = sdk(one.encode(), one.id, "utf-8", "application/json")
            await client.send_message_to_output(message, one.output)

    begun_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(window)))
    taken_s = time.perf_counter() - begun_s
    await client.shutdown()
    return len(made) / taken_s


async def batched(
    hub: HubProcess, made: list[Message], options: argparse.Namespace, *, fsync: bool, stored: bool
) -> float:
    """Return messages per second, through the outbox; ``stored``: it holds them at the start."""
    environment = EdgeEnvironment.read(hub.environment)
    transport = EdgeConnector(environment)()
    await transport.open(Recorder())
    batching = Batching(options.batch, max_bytes=200_000, linger_s=0.1)
    limit = WireLimit(Wire(environment.device, environment.module).size, 262_144)
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox(Path(folder) / "outbox.db", limit, fsync=fsync, batching=batching)
        await outbox.start()
        forwarder = Forwarder(outbox, transport.send, window=options.window)
        begun_s = time.perf_counter()
        if not stored:
            await forwarder.start()
        for first in range(0, len(made), _AT_ONCE):
            await outbox.put_all(made[first : first + _AT_ONCE])
        if stored:
            begun_s = time.perf_counter()
            await forwarder.start()
        if not await forwarder.drain(120):
            raise RuntimeError("not everything was acknowledged")
        taken_s = time.perf_counter() - begun_s
        if forwarder.statistics().messages != len(made):
            raise RuntimeError(f"wanted {len(made)} messages, got {forwarder.statistics()}")
        await forwarder.stop()
        await outbox.stop()
    await transport.close()
    return len(made) / taken_s


async def measure(hub: HubProcess, options: argparse.Namespace) -> dict[str, float]:
    os.environ.update(hub.environment)
    rates: dict[str, list[float]] = {}
    for turn in range(options.rounds):
        made = documents(options.count // 10, f"{turn}b")
        rates.setdefault("bare SDK", []).append(await bare(made, options.window))
        for name, fsync, stored in (
            ("batches, stored before", True, True),
            ("batches, stored meanwhile, fsync", True, False),
            ("batches, stored meanwhile", False, False),
        ):
            made = documents(options.count, f"{turn}{len(rates)}")
            rate = await batched(hub, made, options, fsync=fsync, stored=stored)
            rates.setdefault(name, []).append(rate)
        print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
    return {name: statistics.median(each) for name, each in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=50_000, help="messages in each turn")
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--batch", type=int, default=500, help="most messages of a batch")
    options = parser.parse_args()
    with hub_process() as hub:
        found = asyncio.run(measure(hub, options))
    size = len(documents(1, "size")[0].encode())
    print(f"messages of {size} bytes, batches of up to {options.batch}, window {options.window}")
    for name, rate in found.items():
        print(f"{name:34} {rate:10,.0f} messages/s {rate / found['bare SDK']:7.2f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
