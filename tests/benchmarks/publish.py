"""Messages per second through policy, building and encoding, beside `json.dumps` of the same dict.

Three jobs on one thread of the event loop, with a result of three people each time:

- ``every``: each result becomes a message.
- ``change``: nothing changes, which is what most frames are; no message is made.
- ``interval``: each result is taken into a summary.

The bare side encodes the dictionary of the finished message and does nothing else: no decision, no
id, no copy, no conversion from NumPy.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgevision.detections import Detections
from edgevision.result import Result
from edgevision.upstream.builder import MessageBuilder, plain_values
from edgevision.upstream.policy import open_policy
from edgevision.upstream.settings import PublishSettings

ROUNDS = 9
FRAMES = 2000


def result(sequence: int) -> Result:
    rng = np.random.default_rng(sequence % 100)
    found = Detections(
        rng.uniform(0, 600, (3, 4)).astype(np.float32),
        rng.uniform(0.5, 1, 3).astype(np.float32),
        "person",
        [1, 2, 3],
        {"area_px": rng.uniform(100, 900, 3).astype(np.float32)},
    )
    values = {"inside": 3, "brightness": float(rng.uniform(0, 255))}
    return Result("door", sequence, 1.78e9 + sequence / 30, (1280, 720), found, values)


def publish(when: str, results: list[Result]) -> Callable[[], None]:
    """What `Publisher.publish` does with each result, less the queues."""
    settings = PublishSettings.model_validate({"when": when, "interval_s": 1e6})
    builder = MessageBuilder("vision")
    policy = open_policy(settings, 0.0)

    def job() -> None:
        for shown in results:
            plain = replace(shown, values=plain_values(shown))
            report = policy.update(plain, 0.0)
            if report is not None:
                builder.report("door", report).encode()

    return job


def dump(results: list[Result]) -> Callable[[], None]:
    builder, policy = MessageBuilder("vision"), open_policy(PublishSettings(when="every"), 0.0)
    bodies = []
    for shown in results:
        report = policy.update(shown, 0.0)
        assert report is not None
        bodies.append(builder.report("door", report).body)

    def job() -> None:
        for body in bodies:
            json.dumps(body).encode()

    return job


def main() -> None:
    results = [result(sequence) for sequence in range(1, FRAMES + 1)]
    jobs = {when: publish(when, results) for when in ("every", "change", "interval")}
    jobs["json.dumps"] = dump(results)
    measured: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(ROUNDS + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
        for name, job in jobs.items():
            begun_s = time.perf_counter()
            job()
            taken_s = time.perf_counter() - begun_s
            if number:  # the first round warms up
                measured[name].append(taken_s / FRAMES)
    median = {name: statistics.median(values) for name, values in measured.items()}
    bare_s = median["json.dumps"]
    for name, each_s in median.items():
        ratio = each_s / bare_s
        print(
            f"{name:10}  {1e6 * each_s:6.1f} us a frame  {1 / each_s:9,.0f} /s  ratio {ratio:.2f}"
        )
    numbers = {f"{name}_us": round(1e6 * each_s, 2) for name, each_s in median.items()}
    print(json.dumps({**numbers, "ratio": round(median["every"] / bare_s, 3), "rounds": ROUNDS}))


if __name__ == "__main__":
    main()
