"""Each operation on a GpuMat against the same on an array."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.cuda import DeviceArena, cuda_stream, open_stream
from edgevision.cv import gpu
from edgevision.cv.table import OPERATIONS
from edgevision.errors import CudaUnsupportedError
from tests.gpu.parity import CLOSE, Close, device, distance, host, must_work
from tests.unit.cv.inputs import CALLS
from tests.unit.cv.pictures import Pictures

_HOST = {"M", "Q", "kernel", "kernelX", "kernelY", "lut", "levels"}
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
    close = CLOSE.get(name, Close())
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
            if kind not in close.inexact.split():
                apart = distance(expected, got, close)
                if apart:
                    wrong.append(f"{kind} #{number} region {of.region}: {apart}")
        frame.release()
    wrong += [
        why
        for kind, why in refused.items()
        if kind not in worked and must_work(name, kind, row.dtypes, row.channels)
    ]
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


def test_background_subtraction_agrees_and_follows_its_settings() -> None:
    ours, theirs = (cv.createBackgroundSubtractorMOG2(20, 9) for _ in range(2))
    for salt in range(6):
        image = Pictures("8U", 3, (321, 203)).scene(salt)
        if salt == 3:
            ours.setDetectShadows(False)
            theirs.setDetectShadows(False)
        got = ours.apply(device(image, region=False)).download()
        assert (got == theirs.apply(image)).all()


def test_clahe_agrees() -> None:
    image = Pictures("8U", 1, (321, 203)).noise()
    got = cv.createCLAHE(2.0, (4, 3)).apply(device(image, region=False)).download()
    assert distance(cv2.createCLAHE(2.0, (4, 3)).apply(image), got, Close(steps=1)) == ""
