"""What the live policy makes of a 29.6 frames/s camera with a 5 ms and with a 50 ms stage.

A fast stage must lose no frame. A slow one must be kept busy (the share of its possible rate that
it reached) on frames that are fresh (the age of the result, in stage times).
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np

from edgevision import Frame, Stage
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.slot import Slot
from edgevision.sources.source import Source

FPS = 29.6
SECONDS = 12.0


class Metronome(Source):
    """A camera that delivers at a steady rate, by the monotonic clock."""

    live = True
    uri = "metronome:"

    def open(self) -> None:
        self.due_s = time.monotonic()

    def read(self, slot: Slot) -> bool:
        self.due_s += 1 / FPS
        time.sleep(max(0.0, self.due_s - time.monotonic()))
        if slot.image is None:
            slot.image = np.zeros((480, 640, 3), np.uint8)
        return True

    def close(self) -> None: ...


def slow_stage(stage_s: float) -> type[Stage]:
    class Works(Stage):
        def process(self, frame: Frame) -> None:
            time.sleep(stage_s)

    return Works


def measure(stage_s: float) -> dict[str, float]:
    results: list[Result] = []
    spec = CameraSpec("bench", Metronome, [slow_stage(stage_s)])
    runner = Runner([spec], on_result=results.append)
    runner.run(duration_s=SECONDS)
    status = runner.status().cameras[0]
    possible_fps = min(FPS, 1 / stage_s)
    steady = results[5:-1]
    span_s = steady[-1].captured_at_s - steady[0].captured_at_s
    ages_s = [r.latency_s for r in steady]
    return {
        "stage_ms": stage_s * 1e3,
        "captured": status.captured,
        "processed": status.processed,
        "overrun": status.dropped.get("overrun", 0),
        "rate_share": round((len(steady) - 1) / span_s / possible_fps, 4),
        "age_median_stages": round(statistics.median(ages_s) / stage_s, 3),
        "age_longest_stages": round(max(ages_s) / stage_s, 3),
    }


def main() -> None:
    for stage_s in (0.005, 0.050):
        row = measure(stage_s)
        print(
            f"{row['stage_ms']:.0f} ms stage: {row['processed']} of {row['captured']} frames, "
            f"{row['overrun']} overrun, {row['rate_share']:.3f} of the possible rate, result age "
            f"median {row['age_median_stages']:.2f}, longest {row['age_longest_stages']:.2f} stages"
        )
        print(json.dumps(row))


if __name__ == "__main__":
    main()
