"""Ten thousand random desired properties, right and wrong: is any of them ever half in force?

After each patch what runs is compared with what is said to be in force: cameras, their order, who
is paused, stages, their order and every parameter. Beside it: how long a patch takes until it is
in force or refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from edgevision.harness.desired import Baseline
from edgevision.harness.twin import Steering

__all__ = ["main"]

PATCHES = 10_000
_AT_ONCE = 50


def main() -> int:
    """Send them all."""
    # This folder is where Python looks, and not the one above it.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from tests.unit.harness.pipelines import pipeline, playing, until
    from tests.unit.harness.wishes import patches
    from tests.unit.harness.wishes import send as send_all

    logging.disable(logging.CRITICAL)
    done: Counter[str] = Counter()
    times_ms: list[float] = []

    async def play(sequence: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = pipeline(Path(folder))
            async with playing(config) as runner:
                steering = Steering(runner, Baseline(config))
                steering.start()
                await until(lambda: all(c.worker.pipeline for c in runner.cameras.values()))
                began_s = time.perf_counter()
                async for status in send_all(runner, steering, sequence):
                    times_ms.append((time.perf_counter() - began_s) * 1e3)
                    done[status] += 1
                    began_s = time.perf_counter()
                await steering.stop()

    @settings(
        max_examples=PATCHES // _AT_ONCE,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(patches(_AT_ONCE))
    def send(sequence: list[dict[str, Any]]) -> None:
        asyncio.run(play(sequence))
        count = sum(done.values())
        if count % 500 == 0:
            print(f"{count} of {PATCHES} patches: {dict(done)}", file=sys.stderr, flush=True)

    send()
    times_ms.sort()
    median_ms, late_ms = times_ms[len(times_ms) // 2], times_ms[int(len(times_ms) * 0.95)]
    print(
        f"{sum(done.values())} patches: {done['applied']} in force, {done['refused']} refused, "
        f"none by half; median {median_ms:.1f} ms, 19 of 20 within {late_ms:.0f} ms"
    )
    print(
        json.dumps(
            {
                "patches": sum(done.values()),
                "applied": done["applied"],
                "refused": done["refused"],
                "median_ms": round(median_ms, 2),
                "p95_ms": round(late_ms, 1),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
