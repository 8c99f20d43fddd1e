"""No allocation in the steady state, and the traps of cv2.cuda."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import POISON
from edgevision.cuda import (
    DeviceArena,
    Fence,
    PinnedPool,
    borrow,
    cuda_stream,
    devices,
    open_stream,
    require,
    share,
)
from edgevision.errors import CudaUnavailableError

GpuMat = cv2.cuda.GpuMat


def _mat(image: NDArray[Any]) -> cv2.cuda.GpuMat:
    mat = cv2.cuda.GpuMat()
    mat.upload(image)
    return mat


def _motion(
    image: cv2.cuda.GpuMat, background: cv.BackgroundSubtractorMOG2
) -> list[cv2.cuda.GpuMat]:
    gray = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv.resize(gray, (96, 54))
    smooth = cv.GaussianBlur(small, (5, 5), 0)
    mask = background.apply(smooth)
    clean = cv.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv.morphologyEx(clean, cv2.MORPH_OPEN, ellipse)
    closed = cv.morphologyEx(opened, cv2.MORPH_CLOSE, ellipse)
    return [gray, small, smooth, mask, clean, opened, closed]


def test_what_the_driver_says_is_what_opencv_sees() -> None:
    found = devices()
    assert len(found) == cv2.cuda.getCudaEnabledDeviceCount()
    info = cv2.cuda.DeviceInfo(0)
    assert found[0].capability == (info.majorVersion(), info.minorVersion())
    assert found[0].total_bytes == info.totalMemory()
    assert found[0].integrated == info.integrated()
    free = found[0].free_bytes
    assert free is None or abs(free - info.freeMemory()) < 2 << 30
    assert require().name == found[0].name


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(CudaUnavailableError, match="no CUDA device 99"):
        require(99)


def test_a_steady_pipeline_allocates_nothing() -> None:
    arena = DeviceArena()
    background = cv.createBackgroundSubtractorMOG2()
    image = _mat(np.random.default_rng(1).integers(0, 255, (108, 192, 3), np.uint8))
    pointers = []
    held = []
    token = arenas.enter(arena)
    try:
        stream = open_stream()
        with cuda_stream.use(stream):
            for _ in range(6):
                results = _motion(image, background)
                pointers.append([int(mat.cudaPtr()) for mat in results])
                held.append(arena.device_nbytes)
                del results
                arena.release()
            stream.waitForCompletion()
    finally:
        arenas.leave(token)
    assert len(set(pointers[0])) == len(pointers[0])
    assert pointers[1:] == pointers[:-1]
    assert len(set(held)) == 1


def test_a_kept_buffer_is_found_and_poisoned() -> None:
    arena = DeviceArena(poison=True)
    image = _mat(np.full((31, 53), 7, np.uint8))
    token = arenas.enter(arena)
    try:
        arena.owner = "keeper"
        kept = cv.flip(image, 1)
        arena.owner = "good"
        cv.flip(image, 0)
        assert arena.release() == ("keeper",)
    finally:
        arenas.leave(token)
    assert (kept.download() == POISON).all()


def test_page_locked_memory_is_fast_and_really_locked() -> None:
    stream = open_stream()
    with PinnedPool() as pool:
        pinned = pool.take((1080, 1920, 3))
        pinned[:] = 5
        mat = cv2.cuda.GpuMat(1080, 1920, cv2.CV_8UC3)
        mat.upload(pinned, stream)
        stream.waitForCompletion()
        # Only a copy from page-locked memory returns before it has ended.
        start = time.perf_counter()
        for _ in range(50):
            mat.upload(pinned, stream)
        queued = not stream.queryIfComplete()
        stream.waitForCompletion()
        assert time.perf_counter() > start
        assert queued
        out = pool.take((1080, 1920, 3))
        mat.download(stream, out)
        stream.waitForCompletion()
        assert (out == 5).all()


def test_many_pools_never_meet_a_mapped_page() -> None:
    for _ in range(20):
        with PinnedPool() as pool:
            for size in (3, 100, 5000):
                array = pool.take((size, 7))
                array[:] = 1
                pool.give(array)


def test_a_fence_orders_two_streams() -> None:
    first, second, fence = open_stream(), open_stream(), Fence()
    with PinnedPool() as pool:
        source, target = pool.take((4000, 4000)), pool.take((4000, 4000))
        mat = cv2.cuda.GpuMat(4000, 4000, cv2.CV_8UC1)
        for value in range(1, 21):
            source[:] = value
            target[:] = 0
            mat.upload(source, first)
            fence.set(first)
            fence.wait(second)
            mat.download(second, target)
            second.waitForCompletion()
            assert fence.passed()
            assert (target == value).all()


def test_share_and_borrow_without_a_copy() -> None:
    cupy = pytest.importorskip("cupy")
    image = np.random.default_rng(2).integers(0, 255, (37, 53, 3), np.uint8)
    mat = _mat(image)
    part = cv2.cuda.GpuMat(mat, (5, 3, 30, 20))
    stream = open_stream()
    with cuda_stream.use(stream):
        seen = cupy.asarray(share(part))
        assert seen.data.ptr == int(part.cudaPtr())
        assert (cupy.asnumpy(seen) == image[3:23, 5:35]).all()
        array = cupy.asarray(image[:, :, 0].astype(np.float32))
        with borrow(array) as borrowed:
            assert int(borrowed.cudaPtr()) == array.data.ptr
            more = cv.add(borrowed, 1.0)
            stream.waitForCompletion()
            assert (more.download() == image[:, :, 0] + np.float32(1)).all()


def test_torch_sees_the_same_memory() -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(3).integers(0, 255, (37, 53, 3), np.uint8)
    mat = _mat(image)
    tensor = torch.as_tensor(share(mat), device="cuda")
    assert tensor.data_ptr() == int(mat.cudaPtr())
    tensor += 0
    tensor[0, 0, 0] = 77
    torch.cuda.synchronize()
    assert mat.download()[0, 0, 0] == 77
    with borrow(tensor) as borrowed:
        assert int(borrowed.cudaPtr()) == tensor.data_ptr()
        assert borrowed.size() == (53, 37)
        assert borrowed.type() == cv2.CV_8UC3
