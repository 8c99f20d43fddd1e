"""Seconds from `edgevision demo` to the first picture at its address, and to the first box."""

from __future__ import annotations

import json
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from urllib.error import URLError

import cv2
import numpy as np

from edgevision.annotation import color_of

ROUNDS = 5
LIMIT_S = 20.0


def picture(url: str) -> np.ndarray | None:
    """Return what the page shows now, or None while there is nothing."""
    try:
        with urllib.request.urlopen(f"{url}cameras/walkway/snapshot.jpg", timeout=5) as answer:
            return cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
    except (URLError, ConnectionError):
        return None


def has_box(image: np.ndarray) -> bool:
    """Say whether the colour of a motion box is drawn somewhere."""
    distance = np.abs(image.astype(int) - np.array(color_of("motion"))).max(axis=2)
    return int((distance < 25).sum()) > 100


def measure() -> tuple[float, float]:
    """Start the demo; return the seconds to the first picture and to the first box."""
    begun_s = time.monotonic()
    command = [sys.executable, "-m", "edgevision", "demo", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            if demo.stderr is None:
                raise RuntimeError("the demo has no output")
            url = None
            while url is None:
                found = re.search(r"http://127\.0\.0\.1:\d+/", demo.stderr.readline())
                url = found and found[0]
            first_s = None
            while time.monotonic() - begun_s < LIMIT_S:
                image = picture(url)
                if image is None:
                    continue
                now_s = time.monotonic() - begun_s
                first_s = first_s or now_s
                if has_box(image):
                    return first_s, now_s
            raise RuntimeError(f"no box within {LIMIT_S} s")
        finally:
            demo.send_signal(signal.SIGINT)


def main() -> None:
    rounds = [measure() for _ in range(ROUNDS)]
    first_s = statistics.median(first for first, _ in rounds)
    box_s = statistics.median(box for _, box in rounds)
    print(f"first picture {first_s:.2f} s, first box {box_s:.2f} s after the command")
    print(json.dumps({"first_picture_s": round(first_s, 3), "first_box_s": round(box_s, 3)}))


if __name__ == "__main__":
    main()
