"""A frame of a CUDA pipeline: which side is current, what is copied, and who pays for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Detections, DropFrame, Frame, Stage
from edgevision.cuda import cuda_stream
from edgevision.cuda.lane import Lane
from edgevision.errors import (
    BufferKeptError,
    ConfigurationError,
    CudaFaultError,
    CudaUnavailableError,
    FrameReleasedError,
    StageError,
)
from edgevision.pipeline import Pipeline, StageSpec
from tests.unit.cuda.fake_device import FakeMat, FakeRuntime

_SHAPE = (6, 8, 3)


def _stage(name: str, function: Callable[[Any, Frame], object]) -> Stage:
    def process(self: Stage, frame: Frame) -> None:
        function(self, frame)

    made: Stage = type(name, (Stage,), {"process": process, "__doc__": "A stage."})()
    return made


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def lane(runtime: FakeRuntime) -> Iterator[Lane]:
    made = Lane(0, runtime=runtime)
    yield made
    made.close()


def _frame(value: int = 7) -> Frame:
    return Frame(np.full(_SHAPE, value, np.uint8), camera="door", sequence=3)


def _run(lane: Lane, *functions: Callable[[Any, Frame], object], **options: Any) -> Pipeline:
    stages = [_stage(f"S{index}", function) for index, function in enumerate(functions)]
    pipeline = Pipeline(stages, camera="door", lane=lane, **options)
    with pipeline:
        pipeline.process(_frame())
    return pipeline


def _copies(pipeline: Pipeline) -> list[tuple[int, int, int]]:
    return [(s.uploads, s.downloads, s.copied_bytes) for s in pipeline.statistics]


def test_the_picture_is_on_the_device_and_the_stream_is_the_lanes(lane: Lane) -> None:
    seen: list[Any] = []

    def look(_: Any, frame: Frame) -> None:
        seen.extend([frame.image, frame.gpu, frame.cuda_stream, cuda_stream.current()])
        assert frame.size_wh == (8, 6)

    pipeline = _run(lane, look)
    assert isinstance(seen[0], FakeMat)
    assert seen[0] is seen[1]
    assert seen[2] is seen[3] is lane.cuda_stream
    assert _copies(pipeline) == [(0, 0, 0)]


def test_the_host_side_is_there_for_nothing_until_the_device_side_was_handed_out(
    lane: Lane,
) -> None:
    pipeline = _run(
        lane,
        lambda _, frame: frame.host,
        lambda _, frame: frame.image,
        lambda _, frame: (frame.host, frame.host),
        lambda _, frame: frame.host,
    )
    assert _copies(pipeline) == [(0, 0, 0), (0, 0, 0), (0, 1, 144), (0, 0, 0)]


def test_a_change_on_the_device_is_seen_on_the_host(lane: Lane) -> None:
    seen: list[int] = []

    def look(_: Any, frame: Frame) -> None:
        seen.append(int(frame.host[0, 0, 0]))

    _run(lane, look, lambda _, frame: frame.image.setTo((42,), frame.cuda_stream), look)
    assert seen == [7, 42]


def test_the_host_side_cannot_be_written(lane: Lane) -> None:
    def write(_: Any, frame: Frame) -> None:
        frame.host[0, 0] = 1

    with pytest.raises(StageError, match="read-only"):
        _run(lane, write)


def test_an_array_as_the_picture_goes_to_the_device_when_it_is_wanted_there(lane: Lane) -> None:
    seen: list[int] = []

    def replace(_: Any, frame: Frame) -> None:
        frame.image = np.full((4, 10), 31, np.uint8)

    def look(_: Any, frame: Frame) -> None:
        assert frame.size_wh == (10, 4)
        mat = frame.image
        frame.cuda_stream.waitForCompletion()  # type: ignore[no-untyped-call,unused-ignore]
        seen.append(int(mat.pixels[0, 0]))

    pipeline = _run(lane, replace, lambda _, frame: frame.host, look)
    assert seen == [31]
    assert _copies(pipeline) == [(0, 0, 0), (0, 0, 0), (1, 0, 40)]


def test_one_copy_more_than_declared_is_the_fault_of_the_stage_that_makes_it(lane: Lane) -> None:
    functions: list[Callable[[Any, Frame], object]] = [
        lambda _, frame: (frame.image, frame.host),
        lambda _, frame: (frame.image, frame.host),
    ]
    _run(lane, *functions, max_copies=2)
    with pytest.raises(StageError, match=r"'s1'.*copy 2 of this frame, and max_copies is 1"):
        _run(lane, *functions, max_copies=1)
    with pytest.raises(ConfigurationError, match="max_copies must be at least 0, got -1"):
        _run(lane, max_copies=-1)


def test_a_fetch_is_not_waited_for_until_it_is_needed(lane: Lane) -> None:
    used: list[int] = []
    stage = _stage(
        "Later",
        lambda _, frame: frame.fetch(frame.image, lambda array: used.append(int(array[0, 0, 0]))),
    )
    with Pipeline([stage], lane=lane) as pipeline:
        first, second = _frame(1), _frame(2)
        pipeline.launch(first)
        pipeline.release(first)
        pipeline.launch(second)
        assert used == []
        assert first.pending
        pipeline.settle(first)
        assert used == [1]
        pipeline.settle(second)
        assert used == [1, 2]
        assert pipeline.statistics[0].downloads == 2


def test_process_leaves_nothing_to_be_done(lane: Lane) -> None:
    def count(_: Any, frame: Frame) -> None:
        frame.fetch(frame.image, lambda array: frame.values.update(sum=int(array.sum())))

    with Pipeline([_stage("Count", count)], lane=lane) as pipeline:
        frame = _frame(2)
        pipeline.process(frame)
        assert frame.values == {"sum": 288}


def test_a_later_stage_sees_what_an_earlier_one_fetched(lane: Lane) -> None:
    seen: list[Any] = []

    def count(_: Any, frame: Frame) -> None:
        frame.fetch(frame.image, lambda array: frame.values.update(sum=int(array.sum())))
        assert frame.values == {}

    _run(lane, count, lambda _, frame: seen.append(dict(frame.values)))
    assert seen == [{"sum": 7 * 144}]


def _mask(lane: Lane, *boxes_xyxy: tuple[int, int, int, int]) -> FakeMat:
    mat = lane.runtime.mat(20, 30, cv2.CV_8UC1)
    mat.pixels[:] = 0
    for left, top, right, bottom in boxes_xyxy:
        mat.pixels[top:bottom, left:right] = 255
    assert isinstance(mat, FakeMat)
    return mat


def test_blobs_of_a_mask_on_the_device_are_those_of_the_array(lane: Lane) -> None:
    found: list[Detections] = []

    def detect(_: Any, frame: Frame) -> None:
        mask = _mask(lane, (2, 3, 9, 8), (20, 10, 25, 19))
        later = frame.detect_blobs(mask, label="thing", min_area=1)
        assert lane.cuda_stream.queue, "something waited"
        found.append(later)

    frame = _frame()
    with Pipeline([_stage("Detect", detect)], lane=lane) as pipeline:
        pipeline.launch(frame)
        pipeline.release(frame)
        expected = Frame(np.zeros(_SHAPE, np.uint8)).detect_blobs(
            _mask(lane, (2, 3, 9, 8), (20, 10, 25, 19)).pixels, label="thing", min_area=1
        )
        assert len(found[0]) == 2
        assert found[0] == expected == frame.detections


def test_boxes_keep_the_order_of_their_stages(lane: Lane) -> None:
    def detect(_: Any, frame: Frame) -> None:
        frame.detect_blobs(_mask(lane, (0, 0, 5, 5)), label="first")
        frame.detect_blobs(_mask(lane, (0, 0, 5, 5)), label="second")

    def add(_: Any, frame: Frame) -> None:
        frame.add(Detections([[0, 0, 1, 1]], label="third"))

    frame = _frame()
    with Pipeline([_stage("A", detect), _stage("B", add)], lane=lane) as pipeline:
        pipeline.process(frame)
        assert list(frame.detections.label) == ["first", "second", "third"]


def test_a_mask_of_another_type_is_refused(lane: Lane) -> None:
    with pytest.raises(StageError, match=r"detect_blobs wants .* got FakeMat of depth 0, 3 chan"):
        _run(lane, lambda _, frame: frame.detect_blobs(frame.image))


def test_an_error_in_what_was_left_to_do_is_its_stages(lane: Lane) -> None:
    def later(_: Any, frame: Frame) -> None:
        frame.fetch(frame.image, lambda array: 1 / 0)
        frame.fetch(frame.image, lambda array: frame.values.update(never=1))

    frame = _frame()
    with Pipeline([_stage("Good", lambda *_: None), _stage("Bad", later)], lane=lane) as pipeline:
        with pytest.raises(StageError, match=r"'bad'.*ZeroDivisionError"):
            pipeline.process(frame)
        assert not frame.pending
        assert frame.values == {}
        assert [s.errors for s in pipeline.statistics] == [0, 1]
    runtime = lane.runtime
    assert isinstance(runtime, FakeRuntime)
    assert len(runtime.pools[0].out) == 1  # what the lane uploads from


def test_what_a_dropped_or_failed_frame_fetched_is_not_used(
    lane: Lane, runtime: FakeRuntime
) -> None:
    used: list[Any] = []

    def end(_: Any, frame: Frame) -> None:
        frame.fetch(frame.image, used.append)
        raise DropFrame("enough") if frame.sequence == 3 else ValueError("broken")

    with Pipeline([_stage("End", end)], lane=lane) as pipeline:
        assert pipeline.process(_frame()) == "end: enough"
        frame = _frame()
        frame.sequence = 4
        with pytest.raises(StageError, match="broken"):
            pipeline.process(frame)
    assert used == []
    assert len(runtime.pools[0].out) == 1  # what the lane uploads from


def test_a_stage_that_is_tried_again_fetches_once(lane: Lane) -> None:
    used: list[int] = []
    tried: list[int] = []

    def flaky(_: Any, frame: Frame) -> None:
        tried.append(1)
        frame.fetch(frame.image, lambda array: used.append(1))
        if len(tried) == 1:
            raise ValueError("once")

    stage = StageSpec(lambda: _stage("Flaky", flaky), on_error="retry")
    with Pipeline([stage], lane=lane) as pipeline:
        pipeline.process(_frame())
    assert (len(tried), len(used)) == (2, 1)


def test_a_steady_pipeline_allocates_nothing(lane: Lane, runtime: FakeRuntime) -> None:
    def work(_: Any, frame: Frame) -> None:
        frame.image = np.full((4, 10), 3, np.uint8)
        frame.image.setTo((5,), frame.cuda_stream)
        assert frame.host[0, 0] == 5
        frame.fetch(frame.image, lambda array: None)

    made: list[tuple[int, int]] = []
    with Pipeline([_stage("Work", work)], lane=lane) as pipeline:
        for _ in range(6):
            pipeline.process(_frame())
            made.append((runtime.mats, runtime.pools[0].made))
    assert len(set(made[1:])) == 1


def test_after_the_release_the_picture_is_gone(lane: Lane) -> None:
    frame = _frame()
    with Pipeline([_stage("S", lambda *_: None)], lane=lane) as pipeline:
        pipeline.process(frame)
        pipeline.release(frame)
        for use in (lambda: frame.image, lambda: frame.gpu, lambda: frame.host):
            with pytest.raises(FrameReleasedError, match=r"cv\.clone\(frame\.image\)"):
                use()


def test_a_stage_that_keeps_the_picture_is_named_and_finds_poison(lane: Lane) -> None:
    def keep(self: Any, frame: Frame) -> None:
        self.kept = frame.image

    stage = _stage("Keeps", keep)
    with pytest.raises(BufferKeptError, match=r"stage keeps \(in self\.kept\) kept the frame's"):  # noqa: PT012, SIM117
        with Pipeline([stage], lane=lane, poison=True) as pipeline:
            frame = _frame()
            pipeline.process(frame)
            pipeline.release(frame)
    lane.cuda_stream.waitForCompletion()
    assert (vars(stage)["kept"].pixels == 0xA5).all()


def test_a_stage_that_keeps_the_downloaded_array_is_named(lane: Lane) -> None:
    def keep(self: Any, frame: Frame) -> None:
        frame.image  # noqa: B018
        self.kept = frame.host

    with pytest.raises(BufferKeptError, match="stage keeps kept a buffer"):  # noqa: PT012, SIM117
        with Pipeline([_stage("Keeps", keep)], lane=lane, poison=True) as pipeline:
            frame = _frame()
            pipeline.process(frame)
            pipeline.release(frame)


def test_a_broken_context_is_told_from_a_stages_own_error(lane: Lane) -> None:
    def broken(_: Any, frame: Frame) -> None:
        raise cv2.error("(-217:Gpu API call) an illegal memory access was encountered in 'upload'")

    with pytest.raises(CudaFaultError, match=r"camera 'door', stage 's0', frame 3: CUDA is broken"):
        _run(lane, broken)


def test_without_a_device_the_cpu_pipeline_says_so() -> None:
    frame = _frame()
    if cv2.cuda.getCudaEnabledDeviceCount() < 1:
        with pytest.raises(CudaUnavailableError, match="OpenCV"):
            frame.gpu  # noqa: B018
    with pytest.raises(CudaUnavailableError, match="does not run on CUDA"):
        frame.cuda_stream  # noqa: B018


def test_on_the_cpu_a_fetch_is_used_at_once() -> None:
    used: list[NDArray[Any]] = []
    frame = _frame()
    frame.fetch(frame.image, used.append)
    assert used[0] is frame.image
    assert frame.host is frame.image


def test_the_preview_may_look_at_a_frame_whose_stages_may_copy_nothing(lane: Lane) -> None:
    frame = _frame()
    stage = _stage("Touches", lambda _, frame: frame.image)
    with Pipeline([stage], lane=lane, max_copies=0) as pipeline:
        pipeline.process(frame)
        assert (frame.host == 7).all()
        assert (frame.channels, frame.size_wh) == (3, (8, 6))
    assert _copies(pipeline) == [(0, 0, 0)]
