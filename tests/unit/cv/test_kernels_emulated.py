"""edgevision's own kernels, run on the CPU, against cv2."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision.cuda.kernel import Kernels
from edgevision.cv.gpu import call, native
from tests.unit.cv.compile import SOURCE
from tests.unit.cv.pictures import DTYPES, Image, Pictures

pytestmark = pytest.mark.needs("g++")

ELEMENTS = {
    "ellipse": cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)),
    "cross": cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 5)),
    "rectangle": np.ones((7, 9), np.uint8),
    "corner": np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0]], np.uint8),
}
_STEP = cv2.CV_8UC2  # between two numbers of channels: 8 up to OpenCV 4, 32 from 5 on


class Mat:
    """An array that looks like a GpuMat; its rows are not adjacent."""

    array: Image

    def __init__(self, made: Any, place: Any) -> None:
        if isinstance(made, Mat):
            x, y, width, height = place
            self.array = made.array[y : y + height, x : x + width]
        else:
            width, height = made
            depth = list(DTYPES.values())[place % _STEP]
            larger = np.zeros((height + 1, width + 3, place // _STEP + 1), depth)
            self.array = larger[:height, :width]

    @classmethod
    def of(cls, image: Image) -> Mat:
        """Copy an array."""
        channels = image.shape[2] if image.ndim == 3 else 1
        depth = list(DTYPES.values()).index(image.dtype)
        made = cls((image.shape[1], image.shape[0]), depth + (channels - 1) * _STEP)
        made.array[...] = image.reshape(made.array.shape)
        return made

    @property
    def image(self) -> Image:
        """As cv2 has it."""
        found: Image = self.array[..., 0] if self.array.shape[2] == 1 else self.array
        return found

    @property
    def step(self) -> int:
        return int(self.array.strides[0])

    def size(self) -> tuple[int, int]:
        return self.array.shape[1], self.array.shape[0]

    def channels(self) -> int:
        return int(self.array.shape[2])

    def depth(self) -> int:
        return list(DTYPES.values()).index(self.array.dtype)

    def type(self) -> int:
        return self.depth() + (self.channels() - 1) * _STEP

    def elemSize(self) -> int:  # noqa: N802
        return int(self.array.itemsize) * self.channels()

    def cudaPtr(self) -> int:  # noqa: N802
        return int(self.array.ctypes.data)

    def setTo(self, value: Any, stream: Any) -> None:  # noqa: N802
        self.array[...] = value[0]

    def copyTo(self, stream: Any, dst: Any) -> Any:  # noqa: N802
        dst.array[...] = self.array
        return dst

    def download(self, stream: Any) -> Image:
        return self.image


class Stream:
    """Does everything at once."""

    def cudaPtr(self) -> int:  # noqa: N802
        return 0

    def waitForCompletion(self) -> None:  # noqa: N802
        pass


class Emulator:
    """A driver that runs what it is given to launch."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._names: list[str] = []

    def cuCtxGetCurrent(self, context: Any) -> int:  # noqa: N802
        context._obj.value = 1
        return 0

    def cuModuleLoadData(self, module: Any, code: bytes) -> int:  # noqa: N802
        module._obj.value = 1
        return 0

    def cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> int:  # noqa: N802
        self._names.append(name.decode())
        function._obj.value = len(self._names)
        return 0

    def cuLaunchKernel(self, function: Any, *rest: Any) -> int:  # noqa: N802
        assert rest[6].value <= 48 * 1024
        run = getattr(self._library, f"run_{self._names[function.value - 1]}")
        run(rest[0], rest[1], rest[8])
        return 0


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    target = tmp_path_factory.mktemp("emulator") / "emulator.so"
    source = Path(__file__).with_name("emulator.cpp")
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", "-Wno-unknown-pragmas"]
    command = ["g++", *flags, f"-I{SOURCE.parent}", "-x", "c++", str(source), "-o", str(target)]
    subprocess.run(command, check=True)
    return Kernels(Emulator(ctypes.CDLL(str(target))), b"")


@pytest.fixture(autouse=True)
def _emulated(emulator: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "kernels", lambda: emulator)
    monkeypatch.setattr(native, "GpuMat", Mat)
    monkeypatch.setattr(call, "GpuMat", Mat)
    monkeypatch.setattr(call, "null_stream", Stream)
    monkeypatch.setattr(call, "_objects", call._Objects())


@pytest.mark.parametrize("dtype", ["8U", "16U", "16S", "32F"])
@pytest.mark.parametrize("element", ELEMENTS)
def test_morphology(dtype: str, element: str) -> None:
    image = Pictures(dtype, 3 if element == "ellipse" else 1, (67, 19)).noise()
    mat, shape = Mat.of(image), ELEMENTS[element]
    for operation in (cv2.MORPH_DILATE, cv2.MORPH_OPEN, cv2.MORPH_GRADIENT, cv2.MORPH_BLACKHAT):
        steps = native.plan_morphology(operation, mat.depth(), mat.channels(), shape, (-1, -1), 1)
        if steps is None:
            assert (element, operation) == ("rectangle", cv2.MORPH_BLACKHAT)
            continue
        got = native.morphology(Stream(), steps, mat, None, "test")
        assert (got.image == cv2.morphologyEx(image, operation, shape)).all(), operation


def test_an_opening_of_two_iterations_in_place() -> None:
    image = Pictures("8U", 1, (67, 19)).noise()
    mat, shape = Mat.of(image), ELEMENTS["cross"]
    steps = native.plan_morphology(cv2.MORPH_OPEN, 0, 1, shape, (-1, -1), 2)
    assert steps is not None
    arena = arenas.Arena()
    token = arenas.enter(arena)
    native.morphology(Stream(), steps, mat, mat, "test")
    arenas.leave(token)
    assert (mat.image == cv2.morphologyEx(image, cv2.MORPH_OPEN, shape, iterations=2)).all()


@pytest.mark.parametrize(
    ("dtype", "side"), [("8U", 3), ("16S", 3), ("32F", 5), ("8U", 5), ("8U", 9)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_medians(dtype: str, side: int, channels: int) -> None:
    image = Pictures(dtype, channels, (41, 19)).noise()
    got = native.median(Stream(), Mat.of(image), side, None)
    assert (got.image == cv2.medianBlur(image, side)).all()


@pytest.mark.parametrize("size_wh", [(31, 23), (70, 30)])
def test_bicubic_resize(size_wh: tuple[int, int]) -> None:
    image = Pictures("8U", 3, (41, 19)).noise()
    scale = (41 / size_wh[0], 19 / size_wh[1])
    got = native.cubic(Stream(), Mat.of(image), size_wh, scale, None)
    expected = cv2.resize(image, size_wh, interpolation=cv2.INTER_CUBIC)
    assert np.abs(got.image.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dtype", ["8U", "16S", "64F"])
def test_turning(dtype: str) -> None:
    image = Pictures(dtype, 3, (41, 19)).noise()
    mat, stream = Mat.of(image), Stream()
    turned = native.turned
    assert (turned(stream, mat, None, swaps=True).image == cv2.transpose(image)).all()
    clockwise = turned(stream, mat, None, swaps=True, down=True)
    assert (clockwise.image == cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)).all()
    back = turned(stream, clockwise, None, swaps=True, across=True)
    assert (back.image == image).all()
    half = turned(stream, mat, None, swaps=False, across=True, down=True)
    assert (half.image == cv2.flip(image, -1)).all()


@pytest.mark.parametrize("side", [3, 5, 7])
def test_gradients_within_a_border_of_zero(side: int) -> None:
    image = Pictures("8U", 1, (41, 19)).noise()
    both = Mat((43, 42), cv2.CV_32S)
    native.gradients(Stream(), Mat.of(image), side, both)
    for top, (dx, dy) in ((0, (1, 0)), (21, (0, 1))):
        expected = cv2.Sobel(image, cv2.CV_64F, dx, dy, ksize=side, borderType=cv2.BORDER_REPLICATE)
        assert (both.image[top : top + 21] == np.pad(expected, 1)).all()


def test_labels_are_numbered_from_one_on() -> None:
    mask = Pictures("8U", 1, (41, 19)).mask() * (Pictures("8U", 1, (41, 19)).mask(9) > 0)
    count, labels = cv2.connectedComponents(mask)
    scattered = np.random.default_rng(1).permutation(41 * 19)[:count].astype(np.int32) + 1
    scattered[0] = 0
    mat = Mat.of(scattered[labels])
    assert native.compacted(Stream(), mat) == count - 1
    pairs = {*zip(labels.ravel().tolist(), mat.image.ravel().tolist(), strict=True)}
    assert sorted(number for _, number in pairs) == list(range(count))
    assert (0, 0) in pairs
