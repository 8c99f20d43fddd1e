"""Eight HTTP cameras in one process; two die and come back, the other six lose nothing.

640x480 at 10 frames/s with the motion stage each. The servers run in another process, as they would
in life. Prints the frames that each surviving camera lost (by the stamps in its pictures) and the
seconds from a server's return to the camera being live again.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import multiprocessing.connection
import time
from functools import partial

from edgevision import Frame, Stage
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.sources import open_source
from edgevision.stages import load
from edgevision.testing.cameras import MjpegCamera
from edgevision.testing.stamps import read_stamp

CAMERAS = 8
DYING = (2, 5)
AWAY_S = 6.0


def serve(pipe: multiprocessing.connection.Connection) -> None:
    """Run the cameras; obey ("stop" | "start", index) and None to end."""
    cameras = [MjpegCamera(size_wh=(640, 480), fps=10) for _ in range(CAMERAS)]
    for camera in cameras:
        camera.start()
    pipe.send([camera.url for camera in cameras])
    while (order := pipe.recv()) is not None:
        action, index = order
        getattr(cameras[index], action)()
        pipe.send(time.monotonic())
    for camera in cameras:
        camera.stop()


class Stamps(Stage):
    """Reads the number that is printed into each picture."""

    def process(self, frame: Frame) -> None:
        found = read_stamp(frame.image)
        if found is None:
            raise ValueError("a picture without a stamp")
        frame.values["number"] = found.counter


async def measure(
    pipe: multiprocessing.connection.Connection, urls: list[str]
) -> dict[str, object]:
    numbers: dict[str, list[int]] = {f"cam{i}": [] for i in range(CAMERAS)}
    came_s: dict[str, float] = {}
    came = asyncio.Event()

    def note(result: Result) -> None:
        numbers[result.camera].append(result.values["number"])
        came_s[result.camera] = time.monotonic()
        came.set()

    motion = load("motion")
    specs = [
        CameraSpec(f"cam{i}", partial(open_source, url), [Stamps, motion])
        for i, url in enumerate(urls)
    ]
    runner = Runner(specs, on_result=note)
    await runner.start()
    loop = asyncio.get_running_loop()

    def order(action: str, index: int) -> float:
        pipe.send((action, index))
        return float(pipe.recv())

    await asyncio.sleep(5)
    for index in DYING:
        await loop.run_in_executor(None, order, "stop", index)
    await asyncio.sleep(AWAY_S)
    back_s = {}
    for index in DYING:
        returned_s = await loop.run_in_executor(None, order, "start", index)
        while came_s[f"cam{index}"] < returned_s:
            came.clear()
            await came.wait()
        back_s[f"cam{index}"] = round(came_s[f"cam{index}"] - returned_s, 3)
    await asyncio.sleep(5)
    await runner.stop()
    lost = {
        name: seen[-1] - seen[0] + 1 - len(seen)
        for name, seen in numbers.items()
        if int(name[3:]) not in DYING
    }
    status = {c.name: c for c in runner.status().cameras}
    for name, camera in status.items():
        total = camera.processed + sum(camera.dropped.values()) + camera.in_flight
        if camera.captured != total:
            raise RuntimeError(f"the books of {name} do not balance")
    return {
        "frames": sum(len(seen) for seen in numbers.values()),
        "lost_by_survivors": sum(lost.values()),
        "back_s": back_s,
        "latency_p95_ms": round(max(c.latency_p95_ms or 0.0 for c in status.values()), 1),
    }


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    # Forked before this process has threads of its own.
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    try:
        urls = ours.recv()
        begun_s = time.process_time()
        begun_wall_s = time.monotonic()
        result = asyncio.run(measure(ours, urls))
        cores = (time.process_time() - begun_s) / (time.monotonic() - begun_wall_s)
        result["cores_used"] = round(cores, 2)
    finally:
        ours.send(None)
        server.join()
    print(
        f"{result['frames']} frames; the six others lost {result['lost_by_survivors']}; live again "
        f"after {result['back_s']} s; {result['cores_used']} cores"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
