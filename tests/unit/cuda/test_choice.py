"""Which device a camera runs on, and what an error of the device means."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgevision.cuda import dlpack, nv12
from edgevision.cuda.choice import Choice, check, choose
from edgevision.cuda.fault import kind_of, translated
from edgevision.cuda.mapped import MappedPool
from edgevision.cuda.probe import Build, Device, Status
from edgevision.errors import (
    ConfigurationError,
    CudaFaultError,
    CudaMemoryError,
    CudaUnavailableError,
    StageError,
)
from tests.unit.cuda.compile_nv12 import PTX, digest

_CARD = Device(0, "NVIDIA Test", (8, 7), 8 << 30, None, integrated=False)


def test_without_cuda_auto_is_the_cpu_and_says_why() -> None:
    chosen = choose("auto", now=Status("build", "this OpenCV is built without CUDA"))
    assert chosen == Choice(None, "this OpenCV is built without CUDA")
    assert str(chosen) == "the CPU: this OpenCV is built without CUDA"
    assert str(choose("cpu")) == "the CPU"
    assert str(Choice(_CARD)) == "CUDA device 0 (NVIDIA Test, 8 GiB)"


def test_a_device_that_cannot_be_used_after_all_leaves_auto_on_the_cpu() -> None:
    card = Device(91, "NVIDIA Test", (8, 7), 8 << 30, None, integrated=False)
    chosen = choose("auto", now=Status("", "", (card,), (13, 0), Build("13.0")))
    assert chosen.device is None
    assert chosen.reason


def test_asked_for_by_name_it_is_there_or_an_error() -> None:
    with pytest.raises(CudaUnavailableError):
        choose("cuda:93")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA", "cuda:0\n", ""])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a device is auto, cpu, cuda or cuda:N, got"):
        check(name)


def _raised(text: str) -> cv2.error:
    return cv2.error(f"OpenCV(4.14.0) gpu_mat.cu:1: error: (-217:Gpu API call) {text} in 'x'")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_raised("an illegal memory access was encountered"), "fault"),
        (_raised("unspecified launch failure"), "fault"),
        (_raised("misaligned address"), "fault"),
        (RuntimeError("CUDA error: device-side assert triggered"), "fault"),
        (_raised("out of memory"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
        (_raised("invalid argument"), ""),
        (cv2.error("error: (-4:Insufficient memory) Failed to allocate 9 bytes"), ""),
        (ValueError("no"), ""),
        (CudaFaultError("x"), "fault"),
        (CudaMemoryError("x"), "memory"),
    ],
)
def test_what_an_error_means_for_the_device(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind
    outer = StageError("an illegal memory access", camera="c", stage="s", sequence=1)
    outer.__cause__ = error
    assert kind_of(outer) == kind
    found = translated(error, "camera 'door'")
    assert isinstance(found, {"fault": CudaFaultError, "memory": CudaMemoryError}.get(kind, object))
    assert (found is error) == (not kind)


def test_errors_that_refer_to_each_other_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert kind_of(first) == ""


def test_a_dlpack_capsule_is_read_without_being_taken() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[1:, ::2]
    capsule = array.__dlpack__()
    shown = dlpack.interface_of(capsule, device_type=1)
    assert shown["shape"] == (3, 3)
    assert shown["strides"] == (24, 8)
    assert shown["typestr"] == "<f4"
    assert shown["data"] == (array.ctypes.data, False)
    assert (np.from_dlpack(array) == array).all()
    with pytest.raises(ConfigurationError, match="not in the memory of a CUDA device"):
        dlpack.interface_of(capsule)
    with pytest.raises(ConfigurationError, match="no element type for DLPack's code 6"):
        dlpack.interface_of(np.zeros(3, bool).__dlpack__(), device_type=1)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_the_coefficients_map_black_white_and_the_pure_colours(
    matrix: nv12.ColorMatrix, full_range: bool
) -> None:
    scale, offset, red_v, green_u, green_v, blue_u = nv12.coefficients(
        matrix, full_range=full_range
    )
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[matrix]
    low, high, wide = (0, 255, 255) if full_range else (16, 235, 224)
    colors = [*np.eye(3).tolist(), [0, 0, 0], [1, 1, 1], [0.2, 0.5, 0.9]]
    for r, g, b in np.array(colors):
        bright = red * r + (1 - red - blue) * g + blue * b
        luma = low + (high - low) * bright
        u, v = wide * (b - bright) / (2 * (1 - blue)), wide * (r - bright) / (2 * (1 - red))
        light = (luma - offset) * scale
        back = [light + red_v * v, light + green_u * u + green_v * v, light + blue_u * u]
        assert np.allclose(np.array(back) / 255, [r, g, b], atol=1e-6)


def test_the_kernels_code_is_of_its_source() -> None:
    assert PTX.read_text("ascii").splitlines()[0] == digest()


class _FakeDriver:
    """Host memory that stands for memory of both."""

    def __init__(self) -> None:
        self.blocks: dict[int, np.ndarray] = {}

    def allocate_mapped(self, nbytes: int) -> int:
        block = np.zeros(nbytes, np.uint8)
        self.blocks[block.ctypes.data] = block
        return int(block.ctypes.data)

    def device_pointer(self, address: int) -> int:
        return address

    def free_mapped(self, address: int) -> None:
        del self.blocks[address]


def test_mapped_memory_lives_as_long_as_its_arrays() -> None:
    driver = _FakeDriver()
    pool = MappedPool(1000, driver=driver)  # type: ignore[arg-type]
    array = pool.take((6, 8, 3))
    part = array[2:]
    assert (array.shape, str(array.dtype), pool.nbytes) == ((6, 8, 3), "uint8", 144)
    del array
    pool.close()
    assert len(driver.blocks) == 1
    part[:] = 1
    del part
    assert (len(driver.blocks), pool.nbytes) == (0, 0)
    with pytest.raises(CudaUnavailableError, match="the pool's bound is 1000"):
        pool.take((100, 100))
    with pytest.raises(ConfigurationError, match="no elements"):
        pool.take((0, 5))
