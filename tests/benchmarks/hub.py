"""Messages per second into the stand-in hub, beside Mosquitto, with the same client.

One client sends messages of QoS 1 and 1 KiB over TLS, with a number of them unacknowledged at a
time. The stand-in is in a process of its own, as Mosquitto is. At the end the time is measured in
which the stand-in is killed and started again.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.unit.hub.brokers import MosquittoBroker, StandInBroker
from tests.unit.hub.raw_client import CONNACK, PUBACK, RawClient

ROUNDS = 5
MESSAGES = 2000
RESTARTS = 200
BODY = b"x" * 1024
TOPIC = "devices/edge-device/modules/bench/messages/events/"


def _serve(pipe: multiprocessing.connection.Connection) -> None:
    from edgevision.testing.hub import HubStandIn

    with HubStandIn(max_messages=1000) as hub:
        pipe.send((hub.host, hub.port, hub.authority.pem, StandInBroker(hub).hello("bench")))
        while pipe.recv():
            begun_s = time.perf_counter()
            hub.restart()
            pipe.send(time.perf_counter() - begun_s)


@contextlib.contextmanager
def stand_in() -> Iterator[multiprocessing.connection.Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield ours
    finally:
        ours.send(False)
        process.join()


def rate(client: RawClient, window: int) -> float:
    """Return messages per second."""
    begun_s = time.perf_counter()
    for number in range(MESSAGES):
        client.publish(TOPIC, BODY, packet_id=number % 60_000 + 1)
        if number >= window - 1:
            client.expect(PUBACK)
    for _ in range(window - 1):
        client.expect(PUBACK)
    return MESSAGES / (time.perf_counter() - begun_s)


def main() -> None:
    numbers: dict[str, float] = {}
    with stand_in() as pipe, MosquittoBroker() as mosquitto:
        host, port, pem, hello = pipe.recv()
        with RawClient(host, port, pem) as ours, mosquitto.connect("bench")[0] as theirs:
            ours.send(hello)
            ours.expect(CONNACK)
            for window in (1, 20):
                measured: dict[str, list[float]] = {"stand-in": [], "mosquitto": []}
                for number in range(ROUNDS + 1):
                    for name, client in (("stand-in", ours), ("mosquitto", theirs)):
                        found = rate(client, window)
                        if number:  # the first round warms up
                            measured[name].append(found)
                for name, rates in measured.items():
                    numbers[f"{name}_{window}"] = statistics.median(rates)
                ratio = numbers[f"stand-in_{window}"] / numbers[f"mosquitto_{window}"]
                numbers[f"ratio_{window}"] = ratio
                print(
                    f"{window:2} unacknowledged  stand-in {numbers[f'stand-in_{window}']:6,.0f} /s"
                    f"  mosquitto {numbers[f'mosquitto_{window}']:6,.0f} /s  ratio {ratio:.2f}"
                )
        taken_s = []
        for _ in range(RESTARTS):
            pipe.send(True)
            taken_s.append(pipe.recv())
    numbers["restart_ms"] = 1000 * statistics.median(taken_s)
    print(f"killed and started again in {numbers['restart_ms']:.2f} ms (median of {RESTARTS})")
    print(json.dumps({name: round(value, 3) for name, value in numbers.items()}))


if __name__ == "__main__":
    main()
