"""The known traps of cv2.cuda, each of which must be impossible here, or an error.

1. Page-locked memory that is none: `test_arrays_of_the_pool_are_page_locked`.
2. Page-locked memory that goes away: `test_page_locked_memory_can_be_taken_again`.
3. Streams that wait for the default stream: `test_a_pipeline_does_not_wait_for_the_default_stream`.
4. Results allocated for each call: test_frames.py, in the steady state, by CUPTI's record.
5. Signatures that are not cv2's: test_operations.py calls each operation as cv2 has it.
6. A cv2.cuda without CUDA: tests/unit/cuda/test_probe.py.
7. Threads that hold each other up: test_cameras.py, by CUPTI's record.
8. Graphs that others capture: `test_a_pipeline_runs_while_another_thread_captures_a_graph`.
9. A cv2 without cascades or FFmpeg: tests/unit/cuda/test_build.py.
10. A CUDA cv2 that another package has replaced: tests/unit/cuda/test_build.py.
"""

from __future__ import annotations

import ctypes
import gc
import threading

import cv2
import numpy as np
import pytest

from edgevision import Frame, cv
from edgevision.cuda import PinnedPool
from edgevision.pipeline import Pipeline
from tests.gpu.stages import Motion

_MEMORY_TYPE = 2  # cuda.h, CU_POINTER_ATTRIBUTE_MEMORY_TYPE
_HOST = 1


def _is_page_locked(array: np.ndarray) -> bool:
    kind = ctypes.c_uint()
    code = ctypes.CDLL("libcuda.so.1").cuPointerGetAttribute(
        ctypes.byref(kind), _MEMORY_TYPE, ctypes.c_void_p(array.ctypes.data)
    )
    return code == 0 and kind.value == _HOST


def _image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (120, 210, 3), np.uint8)


def test_arrays_of_the_pool_are_page_locked() -> None:
    cv2.cuda.GpuMat(1, 1, cv2.CV_8UC1)
    with PinnedPool() as pool:
        array = pool.take((37, 53, 3))
        assert _is_page_locked(array)
        assert _is_page_locked(array[5:, 7:])
        assert not _is_page_locked(_image())


def test_page_locked_memory_can_be_taken_again() -> None:
    kept = []
    for _ in range(12):
        with PinnedPool() as pool:
            array = pool.take((211, 97))
            array[:] = 3
            kept.append(array)
        del kept[:-3]
        gc.collect()
    assert all((array == 3).all() for array in kept)


def test_a_pipeline_does_not_wait_for_the_default_stream() -> None:
    torch = pytest.importorskip("torch")
    busy = torch.cuda.Event()
    with Pipeline([Motion], device="cuda") as pipeline:
        pipeline.process(Frame(_image()))
        # About a second of nothing on the default stream.
        torch.cuda._sleep(2_000_000_000)
        busy.record()
        for _ in range(3):
            pipeline.process(Frame(_image()))
        done_while_busy = not busy.query()
        torch.cuda.synchronize()
    assert done_while_busy


def test_a_pipeline_runs_while_another_thread_captures_a_graph() -> None:
    torch = pytest.importorskip("torch")
    captured, go_on = threading.Event(), threading.Event()
    graph = torch.cuda.CUDAGraph()
    x = torch.zeros(1000, device="cuda")
    errors: list[BaseException] = []

    def capture() -> None:
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                captured.set()
                assert go_on.wait(30)
                x.add_(1)
        except BaseException as error:
            errors.append(error)
            captured.set()

    with Pipeline([Motion], device="cuda") as pipeline:
        pipeline.process(Frame(_image()))
        thread = threading.Thread(target=capture)
        thread.start()
        assert captured.wait(30)
        try:
            for _ in range(5):
                pipeline.process(Frame(_image()))
        finally:
            go_on.set()
            thread.join()
    assert not errors, errors
    graph.replay()
    torch.cuda.synchronize()
    assert float(x[0]) == 1.0


def test_signatures_are_those_of_cv2() -> None:
    mat = cv2.cuda.GpuMat()
    mat.upload(np.ascontiguousarray(_image()[:, :, 0]))
    background = cv.createBackgroundSubtractorMOG2(100, 16.0, False)
    assert background.apply(mat, None, 0.1).size() == (210, 120)
    assert cv.createCLAHE(2.0, (4, 4)).apply(mat).size() == (210, 120)
    assert cv.GaussianBlur(mat, (5, 5), 1.0).size() == (210, 120)
