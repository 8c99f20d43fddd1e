"""edgevision's own kernels, as far as they can be seen without a device."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision.cuda.kernel import Element, Kernels, Plane
from tests.unit.cv.compile import PTX, SOURCE, digest


class Driver:
    """Takes every call of the driver that `Kernels` makes, and remembers the launches."""

    def __init__(self, *, refuses: str = "") -> None:
        self.refuses = refuses
        self.context = 0
        self.loaded = 0
        self.names: list[bytes] = []
        self.launches: list[tuple[Any, ...]] = []
        self.cuLaunchKernel = _Launching(self)

    def cuCtxGetCurrent(self, context: Any) -> int:  # noqa: N802
        context._obj.value = self.context
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> int:  # noqa: N802
        context._obj.value = 100 + device
        return 0

    def cuCtxSetCurrent(self, context: Any) -> int:  # noqa: N802
        self.context = context.value
        return 0

    def cuModuleLoadData(self, module: Any, code: bytes) -> int:  # noqa: N802
        assert code.endswith(b"\0")
        self.loaded += 1
        module._obj.value = self.loaded
        return 222 if self.refuses == "code" else 0

    def cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> int:  # noqa: N802
        self.names.append(name)
        function._obj.value = len(self.names)
        return 500 if self.refuses == "name" else 0

    def cuGetErrorName(self, code: int, name: Any) -> int:  # noqa: N802
        name._obj.value = b"CUDA_ERROR_LAUNCH_FAILED" if code == 719 else b"CUDA_ERROR_NOT_FOUND"
        return 0


class _Launching:
    argtypes: Any = None

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __call__(self, *args: Any) -> int:
        # Read now: the driver copies the arguments when it is called.
        parameters = [ctypes.string_at(pointer, 72) for pointer in args[9]]
        self._driver.launches.append((*(arg.value for arg in args[:9]), parameters))
        return 719 if self._driver.refuses == "launch" else 0


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.cuda, "getDevice", lambda: 0)


def test_the_code_is_compiled_from_the_source() -> None:
    assert PTX.read_text("ascii").splitlines()[0] == digest(), "python -m tests.unit.cv.compile"


def test_the_structs_are_those_of_the_source() -> None:
    source = SOURCE.read_text("ascii")
    assert "#define POINTS 940" in source
    element = Element.of([(0, 0)])
    assert element is not None
    assert len(element.packed) == 6 + 2 * 940
    # What a kernel may take in all.
    assert 2 * len(element.packed) + struct.calcsize("QQqqiiiiiiiiff") <= 4096


def test_a_module_is_loaded_once_for_each_context() -> None:
    driver = Driver()
    loaded = Kernels(driver, b"code")
    assert loaded.usable()
    assert driver.context == 100  # a thread without a context gets that of its device
    loaded.launch("median3_8U")
    loaded.launch("median3_8U")
    assert driver.loaded == 1
    assert driver.names == [b"median3_8U"]
    driver.context = 7
    loaded.launch("median3_8U")
    assert driver.loaded == 2


def test_a_launch_covers_the_destination() -> None:
    driver = Driver()
    launch = Kernels(driver, b"code").launch("morphology_8U", (64, 16), 1234)
    dst = Plane(0x2000, 256, 53, 37, 3)
    launch(9, Plane(0x1000, 512, 53, 37, 3), dst, passes=2, operations=1)
    function, gx, gy, gz, bx, by, bz, shared, stream, (packed,) = driver.launches[0]
    assert function == 1
    assert (gx, gy, gz) == (3, 3, 1)  # 159 elements, 37 rows
    assert (bx, by, bz) == (32, 8, 1)
    assert (shared, stream) == (1234, 9)
    values = struct.unpack("QQqqiiiiiiiiff", packed)
    assert values[:7] == (0x1000, 0x2000, 512, 256, 159, 37, 3)
    assert values[7:12] == (2, 1, 0, 53, 37)
    # The next frame lies elsewhere; then the camera changes its size, and the stream.
    launch(9, Plane(0x3000, 640, 53, 37, 3), dst, passes=2, operations=1)
    launch(8, Plane(0x3000, 640, 64, 40, 1), Plane(0x2000, 256, 64, 40, 1), passes=1)
    second, third = (struct.unpack("QQqqiiiiiiiiff", one[9][0]) for one in driver.launches[1:])
    assert second[:4] == (0x3000, 0x2000, 640, 256)
    assert second[4:] == values[4:]
    assert third[4:8] == (64, 40, 1, 1)
    assert driver.launches[2][1:3] == (1, 3)
    assert driver.launches[2][8] == 8


def test_what_the_driver_refuses() -> None:
    assert not Kernels(Driver(refuses="code"), b"code").usable()
    with pytest.raises(cv2.error, match=r"cuModuleGetFunction no_such: |CUDA_ERROR_NOT_FOUND"):
        Kernels(Driver(refuses="name"), b"code").launch("no_such")
    launch = Kernels(Driver(refuses="launch"), b"code").launch("median3_8U")
    plane = Plane(1, 64, 8, 8, 1)
    with pytest.raises(cv2.error, match=r"CUDA_ERROR_LAUNCH_FAILED \(719\) in cuLaunchKernel"):
        launch(0, plane, plane)


def test_an_element_knows_its_reach() -> None:
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    points = [(int(x) - 2, int(y) - 2) for y, x in np.argwhere(ellipse)]
    element = Element.of(points)
    assert element is not None
    assert element[1:] == (-2, 2, -2, 2)
    assert struct.unpack_from("hbbbb", element.packed) == (len(points), -2, 2, -2, 2)
    assert Element.of([(3, 1)]) is not None
    assert Element.of([(3, 1)])[1:] == (0, 3, 0, 1)  # type: ignore[index]
    assert Element.of([]) is None
    assert Element.of([(128, 0)]) is None
    assert Element.of([(0, 0)] * 941) is None
