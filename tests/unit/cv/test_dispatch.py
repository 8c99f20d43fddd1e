"""Where a call goes: GpuMats, missing names, threads, tasks; and what clone and zeros give."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import Arena
from edgevision.cv import device, dispatch, memory
from edgevision.cv.operation import Operation
from edgevision.cv.table import OPERATIONS, TYPES
from edgevision.errors import ConfigurationError, CudaUnavailableError, CudaUnsupportedError
from tests.unit.cv.pictures import Image, Pictures, equal

GPU_MAT = cv2.cuda.GpuMat()
IMAGE = Pictures("8U", 1).noise()
REFUSED = (CudaUnavailableError, CudaUnsupportedError)


def arguments(row: Operation) -> list[Any]:
    """A GpuMat, or a list of one, and then numbers."""
    first = row.parsed.parameters[0]
    return [[GPU_MAT] if first in ("images", "mv") else GPU_MAT] + [1] * (row.parsed.required - 1)


@pytest.mark.parametrize(
    "name", [name for name, row in OPERATIONS.items() if row.channels and name not in TYPES]
)
def test_a_gpu_mat_is_refused_by_name(name: str) -> None:
    row = OPERATIONS[name]
    function = getattr(cv, name)
    with pytest.raises(REFUSED, match=rf"cv\.{name} was given a GpuMat|cv\.{name} takes no GpuMat"):
        function(*arguments(row))
    by_name = dict(zip(row.parsed.parameters, arguments(row), strict=False))
    with pytest.raises(REFUSED, match=name):
        function(**by_name)


def test_a_build_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2.cuda, "cvtColor", raising=False)
    with pytest.raises(CudaUnavailableError, match="is built without CUDA"):
        device.adapter(OPERATIONS["cvtColor"])


def test_a_build_without_a_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.cuda, "cvtColor", object(), raising=False)
    monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: -1)
    with pytest.raises(CudaUnavailableError, match="no CUDA device with a driver"):
        device.adapter(OPERATIONS["cvtColor"])


def test_with_a_device_the_error_names_what_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.cuda, "cvtColor", object(), raising=False)
    monkeypatch.setattr(cv2.cuda, "getCudaEnabledDeviceCount", lambda: 1)
    row = Operation("later(src)", "", cuda="later", cuda_call="later(src, stream)")
    with pytest.raises(CudaUnsupportedError, match=r"cv2\.cuda\.later: later\(src, stream\)"):
        device.adapter(row)
    with pytest.raises(CudaUnsupportedError, match=r"use GpuMat\.later$"):
        device.adapter(Operation("later(src)", "", cuda="GpuMat.later"))
    made = device.Made(Operation("createLater() -> Later", ""), (), {}, None)
    with pytest.raises(CudaUnsupportedError, match=r"cv\.Later\.later takes no GpuMat"):
        device.adapter(row, made)
    with pytest.raises(CudaUnsupportedError, match="has none"):
        device.adapter(OPERATIONS["distanceTransform"])


def test_arrays_beside_gpu_mats_are_refused_in_plain_words() -> None:
    for function in (cv.absdiff, cv.cartToPolar, cv.norm, cv.magnitudeSqr):
        mixed: Any = function
        with pytest.raises(CudaUnsupportedError, match="both arrays and GpuMats"):
            mixed(IMAGE, GPU_MAT)


def test_a_registered_adapter_takes_over_without_a_change_of_the_dispatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The seam that the CUDA side fills in."""
    asked: list[str] = []

    def adapter(row: Operation, made: device.Made | None = None) -> Any:
        asked.append(row.name)
        host = made.host if made else None
        return lambda *args, **kwargs: (row.name, len(args), sorted(kwargs), host)

    monkeypatch.setattr(dispatch, "adapter", adapter)
    flip = dispatch.bind(OPERATIONS["flip"], cv2.flip)
    for _ in range(2):
        assert flip(GPU_MAT, 1) == ("flip", 2, [], None)
    assert flip(src=GPU_MAT, flipCode=1) == ("flip", 0, ["flipCode", "src"], None)
    assert asked == ["flip"]
    assert equal(flip(IMAGE, 1), cv2.flip(IMAGE, 1))
    merge = dispatch.bind(OPERATIONS["merge"], cv2.merge)
    assert merge([GPU_MAT])[0] == "merge"
    assert dispatch.bind(OPERATIONS["split"], cv2.split)(GPU_MAT)[0] == "split"
    assert dispatch.bind(OPERATIONS["cartToPolar"], cv2.cartToPolar)(GPU_MAT, GPU_MAT)[1] == 2
    assert dispatch.bind(OPERATIONS["sumElems"], cv2.sumElems)(GPU_MAT)[0] == "sumElems"
    clahe: Any = cv.createCLAHE(3.0)
    assert clahe.apply(GPU_MAT)[:2] == ("apply", 1)
    assert clahe.apply(GPU_MAT)[3].getClipLimit() == 3.0


def test_a_name_that_opencv_lacks_fails_when_used_and_says_what_brings_it() -> None:
    gone = dispatch.missing(Operation("HOGDescriptor()", "", package="opencv-contrib-python"))
    with pytest.raises(ConfigurationError, match=r"opencv-contrib-python of the same version"):
        gone()
    newer = dispatch.missing(Operation("later(src)", ""))
    with pytest.raises(ConfigurationError, match=r"cv2\.later.*install a newer opencv-python"):
        newer(IMAGE)


def test_hog_and_cascade_work_or_say_what_brings_them() -> None:
    for name in ("HOGDescriptor", "CascadeClassifier"):
        made: Any = getattr(cv, name)
        if hasattr(cv2, name):
            assert isinstance(made(), made)
        else:
            with pytest.raises(ConfigurationError, match=f"cv.{name} needs cv2.{name}, which"):
                made()
    if not hasattr(cv2, "HOGDescriptor"):
        with pytest.raises(ConfigurationError, match="opencv-contrib-python"):
            cv.HOGDescriptor.getDefaultPeopleDetector()


def test_two_threads_with_two_arenas() -> None:
    start = threading.Barrier(2)
    failures: list[str] = []

    def work(seed: int) -> None:
        of = Pictures("8U", 3, seed=seed)
        image = of.noise()
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        soft = cv2.GaussianBlur(gray, (5, 5), 0)
        arena = Arena(poison=True)
        arenas.enter(arena)
        start.wait(10)
        for _ in range(200):
            mine = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
            blurred = cv.GaussianBlur(mine, (5, 5), 0)
            if not (equal(mine, gray) and equal(blurred, soft)):
                failures.append(f"thread {seed}: other pixels")
            del mine, blurred
            if arena.release():
                failures.append(f"thread {seed}: kept")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


async def test_tasks_use_the_arenas_of_their_contexts() -> None:
    async def camera(seed: int) -> list[int]:
        arena = Arena(poison=True)
        image = Pictures("8U", 1, seed=seed).noise()
        expected = cv2.bitwise_not(image)
        seen = []
        token = arenas.enter(arena)
        for _ in range(20):
            mine = cv.bitwise_not(image)
            await asyncio.sleep(0)
            assert equal(mine, expected)
            seen.append(id(mine))
            del mine
            assert arena.release() == ()
        arenas.leave(token)
        return seen

    first, second = await asyncio.gather(camera(1), camera(2))
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


async def test_work_sent_to_threads_shares_the_arena_without_sharing_buffers() -> None:
    arena = Arena()
    token = arenas.enter(arena)
    images = [Pictures("8U", 3, seed=seed, size_wh=(320, 200)).noise() for seed in range(8)]
    for _ in range(10):
        results = await asyncio.gather(
            *(asyncio.to_thread(cv.GaussianBlur, image, (5, 5), 0) for image in images)
        )
        for image, result in zip(images, results, strict=True):
            assert equal(result, cv2.GaussianBlur(image, (5, 5), 0))
        assert len({id(result) for result in results}) == len(images)
        del results, result
        arena.release()
    arenas.leave(token)


def within(arena: Arena, function: Any, *args: Any) -> Any:
    token = arenas.enter(arena)
    try:
        return function(*args)
    finally:
        arenas.leave(token)


@pytest.mark.parametrize("region", [False, True])
def test_a_clone_outlives_its_frame(region: bool) -> None:
    arena = Arena(poison=True)
    source = Pictures("8U", 3, region=region).noise()
    mine = within(arena, lambda: cv.clone(cv.flip(source, 0)))
    assert arena.release() == ()
    assert equal(mine, cv2.flip(source, 0))
    copy = cv.clone(source)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, source)


def test_a_gpu_mat_is_cloned_on_its_side(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mat:  # a subclass of cv2's class would crash when it is freed
        def clone(self) -> str:
            return "a copy on the device"

    monkeypatch.setattr(memory, "GpuMat", Mat)
    image: Any = Mat()
    assert cv.clone(image) == "a copy on the device"


def test_zeros_are_zeros_again_on_each_frame() -> None:
    arena = Arena(poison=True)

    def stage() -> tuple[Image, Image, Image]:
        return (
            cv.zeros((5, 7, 3)),
            cv.zeros((4, 6), np.float32),
            cv.zeros(9, "int16"),
        )

    identities = []
    for _ in range(3):
        images = within(arena, stage)
        assert [image.shape for image in images] == [(5, 7, 3), (4, 6), (9,)]
        assert [image.dtype for image in images] == [np.uint8, np.float32, np.int16]
        assert not any(image.any() for image in images)
        identities.append([id(image) for image in images])
        for image in images:
            image.fill(3)
        del images, image
        assert arena.release() == ()
    assert identities[0] == identities[1] == identities[2]
    outside = cv.zeros((2, 3))
    assert outside.shape == (2, 3)
    assert not outside.any()


@pytest.mark.parametrize(("shape", "dtype"), [((6, 7), "uint8"), ((5, 7), "int8"), (35, "uint8")])
def test_zeros_of_another_kind_are_new(shape: int | tuple[int, ...], dtype: str) -> None:
    arena = Arena()
    first = within(arena, cv.zeros, (5, 7))
    arena.release()
    second = within(arena, cv.zeros, shape, dtype)
    assert second.shape == np.zeros(shape).shape
    assert second.dtype == dtype
    assert second is not first


def test_importing_it_loads_nothing_heavy() -> None:
    root = Path(__file__).parents[3]
    code = (
        "import sys, cv2, numpy, edgevision\n"
        "before = set(sys.modules)\n"
        "import edgevision.cv\n"
        "new = {name for name in set(sys.modules) - before if not name.startswith('edgevision')}\n"
        "print(*sorted(new))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == []
