"""Microseconds a frame spends in the framework: three no-op stages and a sink, at 1280x720.

Three sides in one run: edgevision (capture thread, worker thread, event loop), streamvision 0.1.3
(one no-op handler and a sink, its own threads), and a bare loop that calls four functions. No side
touches a pixel. streamvision is installed into an environment of its own under out/bench, since it
pins other versions than ours; without access to a package index its side is left out and said so.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np

from edgevision import Frame, Stage
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.slot import Slot
from edgevision.sources.source import Source

FRAMES = 50_000
PEER_FRAMES = 10_000
ROUNDS = 5
PICTURE = np.zeros((720, 1280, 3), np.uint8)
PEER = "streamvision==0.1.3"
HOME = Path("out/bench/streamvision")

PEER_PROGRAM = f"""
import time, numpy as np
from streamvision.stream.pipeline import InferencePipeline
from streamvision.camera.entities import VideoFrameProducer, SourceProperties
from streamvision.camera.video_source import BufferConsumptionStrategy, BufferFillingStrategy
picture = np.zeros((720, 1280, 3), np.uint8)
class Producer(VideoFrameProducer):
    left = {PEER_FRAMES}
    def grab(self):
        self.left -= 1
        return self.left >= 0
    def retrieve(self): return True, picture
    def release(self): pass
    def isOpened(self): return self.left > 0
    def discover_source_properties(self):
        return SourceProperties(width=1280, height=720, total_frames={PEER_FRAMES}, is_file=True,
                                fps=30.0)
count = 0
def sink(result, frame):
    global count
    count += 1
pipeline = InferencePipeline.init_with_custom_logic(
    video_reference=Producer, on_video_frame=lambda frames: [None for _ in frames],
    on_prediction=sink,
    source_buffer_filling_strategy=BufferFillingStrategy.WAIT,
    source_buffer_consumption_strategy=BufferConsumptionStrategy.LAZY)
begun = time.perf_counter()
pipeline.start(use_main_thread=False)
pipeline.join()
print((time.perf_counter() - begun) / {PEER_FRAMES} * 1e6, count)
"""


class NoOp(Stage):
    """Does nothing."""

    def process(self, frame: Frame) -> None: ...


class Endowed(Source):
    """Hands out one picture again and again."""

    live = False
    uri = "endowed:"

    def open(self) -> None:
        self.left = FRAMES

    def read(self, slot: Slot) -> bool:
        self.left -= 1
        slot.image = PICTURE
        return self.left >= 0

    def close(self) -> None: ...


def own_us() -> float:
    results: list[Result] = []
    runner = Runner([CameraSpec("bench", Endowed, [NoOp, NoOp, NoOp])], on_result=results.append)
    begun_s = time.perf_counter()
    runner.run()
    taken_s = time.perf_counter() - begun_s
    if len(results) != FRAMES:
        raise RuntimeError(f"{len(results)} of {FRAMES} results came")
    return taken_s / FRAMES * 1e6


def bare_us() -> float:
    def step(frame: np.ndarray) -> None: ...

    results: list[np.ndarray] = []
    begun_s = time.perf_counter()
    for _ in range(FRAMES):
        step(PICTURE)
        step(PICTURE)
        step(PICTURE)
        results.append(PICTURE)
    return (time.perf_counter() - begun_s) / FRAMES * 1e6


def peer_python() -> Path | None:
    """Return an interpreter that has streamvision, making one if need be."""
    python = HOME / "bin" / "python"
    if not python.exists():
        print(f"installing {PEER} into {HOME} ...", file=sys.stderr, flush=True)
        venv.create(HOME, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "-q", PEER]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        print(f"left out: {PEER} cannot be installed here:\n{done.stderr}", file=sys.stderr)
        return None
    return python


def peer_us(python: Path) -> float:
    out = subprocess.run(
        [str(python), "-c", PEER_PROGRAM], capture_output=True, text=True, check=True
    )
    taken_us, count = out.stdout.split()[-2:]
    if int(count) != PEER_FRAMES:
        raise RuntimeError(f"{count} of {PEER_FRAMES} results came from {PEER}")
    return float(taken_us)


def main() -> None:
    python = peer_python()
    measured: dict[str, list[float]] = {"edgevision": [], "bare": [], "streamvision": []}
    for number in range(1, ROUNDS + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {ROUNDS} ", end="", file=sys.stderr, flush=True)
        measured["edgevision"].append(own_us())
        measured["bare"].append(bare_us())
        if python is not None:
            measured["streamvision"].append(peer_us(python))
    median = {name: statistics.median(values) for name, values in measured.items() if values}
    for name, value_us in median.items():
        low, high = min(measured[name]), max(measured[name])
        print(f"{name:<13} {value_us:7.2f} us a frame (best {low:.2f}, worst {high:.2f})")
    result = {f"{name}_us": round(value, 3) for name, value in median.items()}
    if "streamvision" in median:
        result["streamvision_to_edgevision"] = round(
            median["streamvision"] / median["edgevision"], 2
        )
        print(f"streamvision / edgevision   {result['streamvision_to_edgevision']:.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
