"""Resident memory over 100,000 frames through the motion stage: it must stay flat.

The frames are the walkway at 160x120, so that the run ends in minutes; what could leak (frames,
results, queues, statistics) does not depend on their size.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.sources import open_source
from edgevision.stages import load

FRAMES = 100_000
WARM_UP = 5_000
EVERY = 5_000


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    seen: list[tuple[int, float]] = []
    begun_s = time.monotonic()

    def note(result: Result) -> None:
        if result.sequence % EVERY == 0:
            seen.append((result.sequence, resident_mb()))
            rate = result.sequence / (time.monotonic() - begun_s)
            print(
                f"{result.sequence:>7} frames  {seen[-1][1]:7.1f} MB  {rate:6.0f} frames/s",
                file=sys.stderr,
            )

    uri = f"synthetic:?width=160&height=120&frames={FRAMES}&pace=fast&people=3&seed=1"
    runner = Runner(
        [CameraSpec("bench", lambda: open_source(uri), [load("motion")], policy="wait")],
        on_result=note,
    )
    runner.run()
    status = runner.status().cameras[0]
    if status.processed != FRAMES:
        raise RuntimeError(f"{status.processed} of {FRAMES} frames came through")
    after = [mb for sequence, mb in seen if sequence >= WARM_UP]
    growth_mb = after[-1] - after[0]
    print(f"{after[0]:.1f} MB after {WARM_UP} frames, {after[-1]:.1f} MB after {FRAMES}")
    print(f"growth {growth_mb:+.1f} MB")
    print(json.dumps({"frames": FRAMES, "growth_mb": round(growth_mb, 2), "last_mb": after[-1]}))


if __name__ == "__main__":
    main()
