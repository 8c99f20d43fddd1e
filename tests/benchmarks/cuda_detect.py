"""detect beside the bare network call, one camera and eight; on CUDA where cv2.dnn can use it.

The bare side is given its input ready made: `setInput` and `forward` of cv2.dnn on a blob of one
picture or eight. Our side gets 1080p frames (on CUDA in device memory, as the capture leaves them),
of one camera or eight with a thread each, fits them into the input, runs the network, and makes
boxes. The network has the size of YOLOv8n and random weights.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import cv2
import numpy as np

from edgevision import Frame, Pipeline
from edgevision.stages import Detect
from tests.benchmarks.yolo_graph import yolo_graph

__all__: list[str] = []

WARM_UP = 3
SIZE_WH = (1920, 1080)
CUDA = len(cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA)) > 0
STEPS = 200 if CUDA else 15


@contextmanager
def bare(model: Path, precision: str, batch: int) -> Iterator[Callable[[], None]]:
    """The network call alone."""
    net = cv2.dnn.readNetFromONNX(str(model))
    if CUDA:
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        half = precision == "fp16"
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA_FP16 if half else cv2.dnn.DNN_TARGET_CUDA)
    blob = np.random.default_rng(1).random((batch, 3, 640, 640), np.float32)

    def run() -> None:
        net.setInput(blob)
        net.forward()

    yield run


@contextmanager
def detect(model: Path, precision: str, batch: int) -> Iterator[Callable[[], None]]:
    """Cameras with a thread each; a step is one frame of each."""
    coarse = np.random.default_rng(2).integers(0, 256, (54, 96, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, SIZE_WH), np.uint8)
    settings: dict[str, Any] = {"model": model, "precision": precision, "deadline_ms": 1000}
    step = threading.Barrier(batch + 1)
    over = threading.Event()

    def camera(pipeline: Pipeline) -> None:
        shown: dict[str, Any] = {}
        if CUDA:
            shown["gpu"] = cv2.cuda.GpuMat()
            shown["gpu"].upload(image)
        while True:
            step.wait()
            if over.is_set():
                return
            frame = Frame(None if CUDA else image, **shown)
            pipeline.process(frame)
            found[0] = len(frame.detections)
            step.wait()

    found = [0]
    with ExitStack() as stack:
        pipelines = [
            stack.enter_context(
                Pipeline([Detect(**settings)], camera=str(n), device="cuda" if CUDA else "cpu")
            )
            for n in range(batch)
        ]
        threads = [threading.Thread(target=camera, args=(pipeline,)) for pipeline in pipelines]
        for thread in threads:
            thread.start()

        def run() -> None:
            step.wait()
            step.wait()

        yield run
        over.set()
        step.wait()
        for thread in threads:
            thread.join()
        batches: Any = pipelines[0].stages[0]
        if batches.batches.mean_size < batch:
            raise RuntimeError(f"batches of {batches.batches.mean_size:.2f}, not {batch}")
        print(f"# {found[0]} boxes in the last frame", file=sys.stderr)


def step_ms(run: Callable[[], None]) -> float:
    """Return the time of one step."""
    begun_s = time.perf_counter()
    run()
    return (time.perf_counter() - begun_s) * 1e3


def main() -> None:
    """Run a step of each side in turn, and print their medians and ratios."""
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = yolo_graph(Path(folder) / "yolo.onnx")
        for precision in ("fp32", "fp16") if CUDA else ("fp32",):
            for batch in (1, 8):
                with ExitStack() as sides:
                    both = {
                        "bare": sides.enter_context(bare(model, precision, batch)),
                        "detect": sides.enter_context(detect(model, precision, batch)),
                    }
                    times: dict[str, list[float]] = {name: [] for name in both}
                    for run in both.values():
                        for _ in range(WARM_UP):
                            run()
                    for number in range(1, STEPS + 1):
                        if sys.stderr.isatty():
                            print(f"\rstep {number} of {STEPS} ", end="", file=sys.stderr)
                        for name, run in both.items():
                            times[name].append(step_ms(run))
                    middle = {name: statistics.median(values) for name, values in times.items()}
                    low, _, high = statistics.quantiles(
                        d / b for b, d in zip(times["bare"], times["detect"], strict=True)
                    )
                    results[f"{precision} batch {batch}"] = {
                        "bare_ms": round(middle["bare"], 2),
                        "detect_ms": round(middle["detect"], 2),
                        "ratio": round(middle["detect"] / middle["bare"], 3),
                        "low": round(low, 3),
                        "high": round(high, 3),
                    }
    where = "CUDA" if CUDA else f"CPU {platform.machine()}"
    print(f"OpenCV {cv2.__version__}, {where}")
    print(f"{'':16}{'bare ms':>10}{'detect ms':>11}{'ratio':>8}   middle half of the steps")
    for name, row in results.items():
        print(
            f"{name:16}{row['bare_ms']:10.2f}{row['detect_ms']:11.2f}{row['ratio']:8.3f}   "
            f"{row['low']:.3f} to {row['high']:.3f}"
        )
    print(json.dumps({"benchmark": "cuda_detect", "where": where, **results}))


if __name__ == "__main__":
    main()
