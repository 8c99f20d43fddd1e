"""Frames of a CUDA pipeline on a real device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Frame, Stage, cv
from edgevision.cuda.lane import Lane
from edgevision.errors import BufferKeptError, StageError
from edgevision.pipeline import Pipeline
from edgevision.slot import Slot
from tests.gpu.stages import Blobs, Motion
from tests.gpu.trace import traced

SIZE_HW = (270, 482)


def _image(number: int = 0) -> NDArray[np.uint8]:
    image = np.random.default_rng(5).integers(0, 90, (*SIZE_HW, 3), np.uint8)
    cv2.rectangle(image, (30 + 9 * number, 40), (90 + 9 * number, 120), (255, 250, 245), -1)
    cv2.circle(image, (300, 180), 31, (255, 255, 255), -1)
    return image


def _stage(function: Callable[[Any, Frame], object]) -> Stage:
    def process(self: Stage, frame: Frame) -> None:
        function(self, frame)

    made: Stage = type("Probe", (Stage,), {"process": process, "__doc__": "A stage."})()
    return made


def test_the_same_stage_finds_the_same_on_either_side() -> None:
    found = {}
    for device in ("cpu", "cuda"):
        with Pipeline([Blobs], device=device) as pipeline:
            frame = Frame(_image())
            pipeline.process(frame)
            found[device] = frame.detections
    assert len(found["cpu"]) == 2
    assert found["cpu"] == found["cuda"]


def test_the_motion_job_counts_the_same_on_either_side() -> None:
    counts: dict[str, list[int]] = {}
    for device in ("cpu", "cuda"):
        with Pipeline([Motion], device=device) as pipeline:
            for number in range(12):
                frame = Frame(_image(number))
                pipeline.process(frame)
                counts.setdefault(device, []).append(frame.values["moving"])
    assert sum(counts["cpu"]) > 1000
    apart = [abs(a - b) for a, b in zip(counts["cpu"], counts["cuda"], strict=True)]
    assert max(apart) <= 0.01 * SIZE_HW[0] * SIZE_HW[1] / 4, counts


def test_every_side_of_the_picture_shows_the_same() -> None:
    image = _image()

    def look(_: Any, frame: Frame) -> None:
        assert (frame.host == image).all()
        assert isinstance(frame.image, cv2.cuda.GpuMat)
        assert (frame.host == image).all()
        assert frame.image.size() == (SIZE_HW[1], SIZE_HW[0])
        frame.image = cv.flip(frame.image, 1)
        assert (frame.host == image[:, ::-1]).all()
        frame.image = np.ascontiguousarray(image[:100, :, 0])
        assert frame.gpu.size() == (SIZE_HW[1], 100)
        assert (frame.host == image[:100, :, 0]).all()

    with Pipeline([_stage(look)], device="cuda") as pipeline:
        for _ in range(3):
            pipeline.process(Frame(image))
        statistics = pipeline.statistics[0]
    assert (statistics.uploads, statistics.downloads) == (3, 9)


def test_a_cpu_pipeline_can_ask_for_the_device() -> None:
    image = _image()

    def look(_: Any, frame: Frame) -> None:
        assert isinstance(frame.image, np.ndarray)
        assert (cv.flip(frame.gpu, 0).download() == image[::-1]).all()

    with Pipeline([_stage(look)]) as pipeline:
        pipeline.process(Frame(image))
        assert pipeline.statistics[0].uploads == 1


def test_one_copy_too_many_is_named() -> None:
    two = [_stage(lambda _, frame: (frame.image, frame.host)) for _ in range(2)]
    with Pipeline(two, device="cuda", max_copies=1) as pipeline:  # noqa: SIM117
        with pytest.raises(StageError, match=r"'probe-2'.*max_copies is 1"):
            pipeline.process(Frame(_image()))


def test_a_kept_picture_is_named_and_overwritten() -> None:
    kept: list[Any] = []

    def keep(self: Any, frame: Frame) -> None:
        self.kept = frame.image
        kept.append(self.kept)

    stage = _stage(keep)
    pipeline = Pipeline([stage], device="cuda", poison=True)
    pipeline.start()
    frame = Frame(_image())
    pipeline.process(frame)
    with pytest.raises(BufferKeptError, match=r"probe \(in self\.kept\)"):
        pipeline.release(frame)
    pipeline.stop()
    assert (kept[0].download() == 0xA5).all()


def test_the_steady_state_allocates_nothing_and_copies_nothing_pageable(tmp_path: Path) -> None:
    lane = Lane(0, frames=3)
    slots = [Slot() for _ in range(3)]

    def run(first: int, count: int) -> None:
        for number in range(first, first + count):
            slot = slots[number % 3]
            lane.prepare(slot)
            if slot.image is None:
                slot.image = _image(number)
            lane.send(slot)
            frame = Frame(slot.image, gpu=lane.receive(slot))
            pipeline.launch(frame)
            pipeline.release(frame)
            lane.finish(slot)
            pipeline.settle(frame)

    with Pipeline([Motion, Blobs], lane=lane) as pipeline:
        run(0, 9)
        found = traced(lambda: run(9, 30), tmp_path)
    lane.close()
    assert found.kernels >= 30 * 8, found
    assert found.allocations == {}, found
    assert found.pageable == {}, found
    pinned = sum(count for name, count in found.copies.items() if "Pinned" in name)
    assert pinned >= 30 * 3, found


@pytest.mark.parametrize("mapped", [False, True])
def test_a_lane_delivers_each_frame_also_from_mapped_memory(mapped: bool) -> None:
    lane = Lane(0, frames=3, mapped=mapped)
    slots = [Slot() for _ in range(3)]
    seen: list[int] = []

    def count(_: Any, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        frame.fetch(gray, lambda array: seen.append(int(array[-1, -1])))

    with Pipeline([_stage(count)], lane=lane) as pipeline:
        for number in range(30):
            slot = slots[number % 3]
            lane.prepare(slot)
            if slot.image is None:
                slot.image = np.zeros((*SIZE_HW, 3), np.uint8)
            slot.image[:] = number
            lane.send(slot)
            frame = Frame(slot.image, gpu=lane.receive(slot))
            pipeline.launch(frame)
            pipeline.release(frame)
            lane.finish(slot)
            pipeline.settle(frame)
    lane.close()
    assert seen == list(range(30))
