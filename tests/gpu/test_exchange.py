"""Frames shared with torch, CuPy and whatever speaks DLPack."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Frame, Stage, cv
from edgevision.cuda import borrow, cuda_stream, open_stream, share
from edgevision.errors import ConfigurationError
from edgevision.pipeline import Pipeline


def _image() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 255, (37, 53, 3), np.uint8)


def _mat(image: NDArray[np.uint8]) -> cv2.cuda.GpuMat:
    mat = cv2.cuda.GpuMat()
    mat.upload(image)
    return mat


def test_torch_takes_an_image_by_dlpack() -> None:
    torch = pytest.importorskip("torch")
    image = _image()
    mat = _mat(image)
    with cuda_stream.use(open_stream()):
        tensor = torch.from_dlpack(share(mat))
        assert tensor.data_ptr() == int(mat.cudaPtr())
        assert tuple(tensor.shape) == image.shape
        assert (tensor.cpu().numpy() == image).all()


def test_cupy_takes_a_region_by_dlpack() -> None:
    cupy = pytest.importorskip("cupy")
    image = _image()
    part = cv2.cuda.GpuMat(_mat(image), (5, 3, 30, 20))
    with cuda_stream.use(open_stream()):
        array = cupy.from_dlpack(share(part))
        assert array.data.ptr == int(part.cudaPtr())
        assert (cupy.asnumpy(array) == image[3:23, 5:35]).all()


class _OnlyDlpack:
    """An array of a library without the CUDA array interface."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, *, stream: int | None = None) -> Any:
        return self._array.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._array.__dlpack_device__()
        return device


@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_an_image_is_borrowed_by_dlpack(library: str) -> None:
    module = pytest.importorskip(library)
    image = _image()
    array = module.asarray(image) if library == "cupy" else module.from_numpy(image).cuda()
    pointer = array.data.ptr if library == "cupy" else array.data_ptr()
    stream = open_stream()
    with cuda_stream.use(stream), borrow(_OnlyDlpack(array)) as mat:
        assert int(mat.cudaPtr()) == pointer
        flipped = cv.flip(mat, 1)
        stream.waitForCompletion()
        assert (flipped.download() == image[:, ::-1]).all()


def test_an_array_on_the_host_is_no_image_of_the_device() -> None:
    with pytest.raises(ConfigurationError, match="device memory"), borrow(_image()):
        pass


class Doubles(Stage):
    """Halves the brightness with torch, on the pipeline's stream and in its picture."""

    def process(self, frame: Frame) -> None:
        torch = import_module("torch")
        pointer = int(frame.cuda_stream.cudaPtr())
        with torch.cuda.stream(torch.cuda.ExternalStream(pointer)):
            tensor = torch.as_tensor(share(frame.image), device="cuda")
            tensor //= 2


def test_torch_works_on_the_pipelines_stream_without_a_copy() -> None:
    pytest.importorskip("torch")
    image = _image()
    found: list[NDArray[Any]] = []

    class Look(Stage):
        """Keeps a copy."""

        def process(self, frame: Frame) -> None:
            frame.fetch(cv.flip(frame.image, 1), lambda array: found.append(array.copy()))

    with Pipeline([Doubles, Look], device="cuda") as pipeline:
        for _ in range(5):
            pipeline.process(Frame(image))
        assert [(s.uploads, s.downloads) for s in pipeline.statistics] == [(0, 0), (0, 5)]
    for array in found:
        assert (array == image[:, ::-1] // 2).all()
