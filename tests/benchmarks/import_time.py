"""Seconds that `import edgevision` takes, beside `import cv2, numpy`, in fresh interpreters."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

SIDES = {"edgevision": "import edgevision", "bare": "import cv2, numpy", "python": "pass"}
ROUNDS = 15


def seconds(code: str) -> float:
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun_s


def main() -> None:
    measured: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(ROUNDS + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
        for name, code in SIDES.items():
            taken_s = seconds(code)
            if number:  # the first round fills the disk cache
                measured[name].append(taken_s)
    median = {name: statistics.median(values) for name, values in measured.items()}
    start_s = median["python"]
    own_s, bare_s = median["edgevision"] - start_s, median["bare"] - start_s
    print(f"import edgevision   {own_s:.3f} s")
    print(f"import cv2, numpy   {bare_s:.3f} s")
    print(f"ratio               {own_s / bare_s:.2f}")
    result = {"edgevision_s": own_s, "bare_s": bare_s, "ratio": own_s / bare_s, "rounds": ROUNDS}
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    main()
