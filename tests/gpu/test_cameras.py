"""Several cameras on one device."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edgevision import Frame, Stage, cv
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.testing.scripted import ScriptedSource, Show
from tests.gpu.stages import Motion
from tests.gpu.trace import traced

_CAMERAS = 4
_FRAMES = 60


class Reads(Stage):
    """Says which picture the device had."""

    def process(self, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)

        def use(array: object) -> None:
            frame.values["value"] = int(np.asarray(array)[17, 40])

        frame.fetch(gray, use)


def _specs(stages: list[type[Stage]], frames: int = _FRAMES) -> list[CameraSpec]:
    def source(camera: int) -> ScriptedSource:
        pictures = [
            np.full((120 + 2 * camera, 201, 3), (number + 50 * camera) % 251, np.uint8)
            for number in range(frames)
        ]
        return ScriptedSource([Show(picture) for picture in pictures], live=False)

    return [
        CameraSpec(f"cam{camera}", partial(source, camera), stages, device="cuda")
        for camera in range(_CAMERAS)
    ]


def test_each_camera_sees_its_own_pictures_in_order() -> None:
    results: list[Result] = []
    runner = Runner(_specs([Reads, Motion]), on_result=results.append)
    assert runner.run(duration_s=60) == 0
    for camera in range(_CAMERAS):
        own = [r for r in results if r.camera == f"cam{camera}"]
        assert [r.sequence for r in own] == list(range(1, _FRAMES + 1))
        expected = [(number + 50 * camera) % 251 for number in range(_FRAMES)]
        assert [r.values["value"] for r in own] == expected


def test_memory_is_reported_bounded_and_given_back() -> None:
    async def scenario() -> None:
        runner = Runner(_specs([Motion]))
        await runner.start()
        try:
            await asyncio.wait_for(runner.wait(), 60)
            statuses = runner.status().cameras
        finally:
            await runner.stop()
        slots = 10
        for number, status in enumerate(statuses):
            frame_bytes = (120 + 2 * number) * 201 * 3
            assert status.device == "cuda:0"
            # Rows are padded to at most 512 bytes, and the job has eight buffers of its own.
            assert slots * frame_bytes <= status.device_bytes <= 3 * (slots + 8) * frame_bytes
            assert [stage.downloads for stage in status.stages] == [_FRAMES]

    free = []
    for _ in range(3):
        asyncio.run(scenario())
        gc.collect()
        free.append(cv2.cuda.DeviceInfo(0).freeMemory())
    assert abs(free[2] - free[1]) < 32 << 20, free


def test_no_camera_uses_the_default_stream_or_allocates_once_it_runs(tmp_path: Path) -> None:
    # Four cameras of 30 and of 90 frames: what the longer run does more is the steady state.
    found = []
    for frames in (30, 90):
        runner = Runner(_specs([Motion], frames))
        found.append(traced(partial(runner.run, duration_s=60), tmp_path))
    short, long = found
    assert long.kernels - short.kernels >= _CAMERAS * 60 * 8
    assert long.allocations.get("cudaMalloc", 0) == short.allocations.get("cudaMalloc", 0)
    mallocs = {n: c for n, c in long.allocations.items() if "Malloc" in n or "Alloc" in n}
    assert mallocs == {
        n: c for n, c in short.allocations.items() if "Malloc" in n or "Alloc" in n
    }, (short, long)
    # What making a filter uploads is all that is not page-locked.
    assert long.pageable == short.pageable, (short, long)
