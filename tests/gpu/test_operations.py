"""Each operation on a GpuMat against the same on an array, as the table of operations promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.cuda import DeviceArena, cuda_stream, open_stream
from edgevision.cv import gpu
from edgevision.cv.table import OPERATIONS
from edgevision.errors import CudaUnsupportedError
from tests.gpu.parity import device, host, unlike
from tests.unit.cv.inputs import CALLS
from tests.unit.cv.pictures import Pictures

_HOST = {"M", "Q", "kernel", "kernelX", "kernelY", "lut", "levels", "hist", "prevPts", "nextPts"}
_SIZES = ((53, 37), (64, 31))


def _names() -> list[str]:
    return sorted(gpu.supported() & set(OPERATIONS))


def _kinds(name: str) -> list[Pictures]:
    row = OPERATIONS[name]
    channels = row.channels if 4 in row.channels else (*row.channels, 4)
    return [
        Pictures(dtype, count, _SIZES[region], region=region)
        for dtype in row.dtypes.split()
        for count in (channels if 1 in row.channels and 3 in row.channels else row.channels)
        for region in (False, True)
    ]


@pytest.fixture
def frame() -> Iterator[DeviceArena]:
    """A stream and an arena, as a pipeline has them."""
    arena = DeviceArena()
    token = arenas.enter(arena)
    with cuda_stream.use(open_stream()):
        yield arena
        arena.release()
    arenas.leave(token)


@pytest.mark.parametrize("name", _names())
def test_cuda_agrees_with_the_cpu(name: str, frame: DeviceArena) -> None:
    row = OPERATIONS[name]
    function = getattr(cv, name)
    stream = cuda_stream.current()
    assert stream is not None
    wrong: list[str] = []
    refused: dict[str, str] = {}
    worked: set[str] = set()
    for of in _kinds(name):
        kind = f"{of.dtype}C{of.channels}"
        try:
            calls = CALLS[name](of)
        except cv2.error:
            continue
        for number, (args, kwargs) in enumerate(calls):
            copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
            token = arenas.enter(None)
            try:
                expected = function(*copies, **kwargs)
            except (cv2.error, ValueError):
                continue  # the CPU does not do it either
            finally:
                arenas.leave(token)
            names = row.parsed.parameters
            sent = [
                a if n in _HOST else device(a, region=of.region)
                for n, a in zip(names, args, strict=False)
            ]
            named = {n: a if n in _HOST else device(a, region=of.region) for n, a in kwargs.items()}
            try:
                returned = function(*sent, **named)
            except CudaUnsupportedError as error:
                refused[kind] = f"{kind} #{number}: {error}"
                continue
            stream.waitForCompletion()
            got = host(returned)
            worked.add(kind)
            if row.compared_on_cuda(kind):
                apart = unlike(row, args, expected, got)
                if apart:
                    wrong.append(f"{kind} #{number} region {of.region}: {apart}")
        frame.release()
    claimed = row.takes_on_cuda()
    wrong += [why for kind, why in refused.items() if kind in claimed - worked]
    wrong += [f"{kind} works, and the table does not say so" for kind in sorted(worked - claimed)]
    assert worked, f"nothing ran; refused: {refused}"
    assert not wrong, "\n".join(wrong[:12])


def test_an_operation_without_a_cuda_side_names_the_alternative() -> None:
    mat = device(np.zeros((5, 7), np.uint8), region=False)
    with pytest.raises(CudaUnsupportedError, match="createBoxFilter, subtract and threshold"):
        cv.adaptiveThreshold(mat, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 3, 2.0)


def test_an_array_beside_a_gpu_mat_is_named() -> None:
    image = np.zeros((5, 7), np.uint8)
    with pytest.raises(CudaUnsupportedError, match=r"both arrays \(src2\) and GpuMats"):
        cv.absdiff(device(image, region=False), image)


def test_what_cuda_refuses_says_type_and_reason() -> None:
    mat = device(np.zeros((5, 7, 3), np.uint16), region=False)
    with pytest.raises(CudaUnsupportedError, match=r"cv\.blur on CUDA .* src 7x5 16UC3: "):
        cv.blur(mat, (3, 3))


def test_a_result_may_take_the_place_of_its_source(frame: DeviceArena) -> None:
    image = Pictures("8U", 1, (61, 41)).noise()
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    stream = cuda_stream.current()
    assert stream is not None
    runs: list[Callable[[Any, Any], Any]] = [
        lambda src, dst: cv.dilate(src, ellipse, dst),
        lambda src, dst: cv.morphologyEx(src, cv2.MORPH_CLOSE, ellipse, dst, iterations=2),
        lambda src, dst: cv.medianBlur(src, 5, dst),
        lambda src, dst: cv.GaussianBlur(src, (5, 5), 0, dst),
    ]
    for run in runs:
        mat = device(image, region=True)
        got = run(mat, mat)
        stream.waitForCompletion()
        expected = run(image.copy(), None)
        assert np.abs(got.download().astype(int) - expected).max() <= 2
        assert (mat.download() == got.download()).all()


@pytest.mark.parametrize("side", [3, 5, 9, 15, 31])
@pytest.mark.parametrize("channels", [1, 3])
def test_rectangles_ellipses_and_medians_of_any_size(
    side: int, channels: int, frame: DeviceArena
) -> None:
    image = Pictures("8U", channels, (131, 67)).noise()
    mat = device(image, region=True)
    stream = cuda_stream.current()
    assert stream is not None
    for shape in (cv2.MORPH_RECT, cv2.MORPH_ELLIPSE):
        kernel = cv2.getStructuringElement(shape, (side, side - 2))
        for operation in (cv2.MORPH_DILATE, cv2.MORPH_OPEN, cv2.MORPH_GRADIENT):
            got = cv.morphologyEx(mat, operation, kernel)
            stream.waitForCompletion()
            assert (got.download() == cv2.morphologyEx(image, operation, kernel)).all()
        frame.release()
    if side < 31 or channels == 1:
        got = cv.medianBlur(mat, side)
        stream.waitForCompletion()
        assert (got.download() == cv2.medianBlur(image, side)).all()


@pytest.mark.parametrize("size_wh", [(31, 23), (200, 111), (131, 80)])
def test_bicubic_resize_has_the_pixel_centres_of_cv2(
    size_wh: tuple[int, int], frame: DeviceArena
) -> None:
    stream = cuda_stream.current()
    assert stream is not None
    image = Pictures("8U", 3, (131, 67)).noise()
    got = cv.resize(device(image, region=True), size_wh, interpolation=cv2.INTER_CUBIC)
    stream.waitForCompletion()
    expected = cv2.resize(image, size_wh, interpolation=cv2.INTER_CUBIC)
    assert np.abs(got.download().astype(int) - expected).max() <= 1
