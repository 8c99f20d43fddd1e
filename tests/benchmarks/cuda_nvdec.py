"""NVDEC: cameras decoded on the card, with the motion job, against the bare decoder.

1080p H.264 from a file that begins again and again. One camera against a loop that decodes and does
nothing else; then eight cameras. Needs a CUDA device, PyNvVideoCodec, and the video
(EDGEVISION_CLIPS, or ffmpeg).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgevision.runner import CameraSpec, Runner
from edgevision.sources import open_source
from tests.benchmarks import _cuda as common
from tests.benchmarks.cuda_cameras import Motion
from tests.gpu.clips import clip

__all__: list[str] = []

ROUNDS = 3
SECONDS = 1.0
MANY = 8


def bare(path: Path, threads: int, seconds: float) -> float:
    """Frames per second of decoders in threads of their own, whose pictures nobody looks at."""
    codec = import_module("PyNvVideoCodec")
    counts = [0] * threads
    stop = threading.Event()

    def decode(index: int) -> None:
        demuxer = codec.CreateDemuxer(filename=str(path))
        decoder = codec.CreateDecoder(gpuid=0, codec=demuxer.GetNvCodecId(), usedevicememory=True)
        while not stop.is_set():
            for packet in demuxer:
                counts[index] += len(decoder.Decode(packet))
                if stop.is_set():
                    return
            demuxer = codec.CreateDemuxer(filename=str(path))

    workers = [threading.Thread(target=decode, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)
    before, begun_s = sum(counts), time.perf_counter()
    time.sleep(seconds)
    rate = (sum(counts) - before) / (time.perf_counter() - begun_s)
    stop.set()
    for worker in workers:
        worker.join()
    return rate


def ours(path: Path, stages: list[Any], cameras: int, seconds: float) -> float:
    """Frames per second of cameras in a runner."""
    uri = f"nvdec:{path}?pace=fast&loop=true"

    async def run() -> float:
        specs = [
            CameraSpec(f"cam{n}", partial(open_source, uri), stages, policy="wait", device="cuda")
            for n in range(cameras)
        ]
        runner = Runner(specs)
        await runner.start()
        try:
            return await common.counted(runner, seconds)
        finally:
            await runner.stop()

    return asyncio.run(run())


def main() -> None:
    """Measure the sides in turn and print their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = clip("h264-1080p", Path(folder))
        sides = {
            "bare decoder": partial(bare, path, 1, SECONDS),
            "one camera, motion": partial(ours, path, [Motion], 1, SECONDS),
            "eight bare decoders": partial(bare, path, MANY, SECONDS),
            "eight cameras, motion": partial(ours, path, [Motion], MANY, SECONDS),
        }
        median = common.report("cuda_nvdec", common.medians(sides, ROUNDS))
    one = median["one camera, motion"] / median["bare decoder"]
    many = median["eight cameras, motion"] / median["eight bare decoders"]
    print(f"one camera is {one:.3f} of the bare decoder, eight are {many:.3f} of eight")


if __name__ == "__main__":
    main()
