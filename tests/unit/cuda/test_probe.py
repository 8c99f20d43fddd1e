"""Every kind of absence, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from edgevision.cuda import Build, devices, require, status
from edgevision.cuda.driver import Driver, DriverError
from edgevision.cuda.probe import l4t_release
from edgevision.errors import CudaUnavailableError
from tests.unit.cuda.fake_driver import Card, FakeLibrary, FakeNvml

WITHOUT = "  NVIDIA CUDA:                   NO\n"
WITH = """\
  NVIDIA CUDA:                   YES (ver 12.6, CUFFT CUBLAS NVCUVID FAST_MATH)
    NVIDIA GPU arch:             72 87
    NVIDIA PTX archs:

  cuDNN:                         YES (ver 9.14.0)
"""
ORIN = Build.parse(WITH)

without_cuda = pytest.mark.skipif(
    bool(Build.parse(cv2.getBuildInformation()).cuda), reason="needs an OpenCV without CUDA"
)


def driver(*cards: Card, nvml: FakeNvml | None = None) -> Driver:
    return Driver(FakeLibrary(list(cards)), nvml)


class Failing(Driver):
    """A driver that started and then fails."""

    def __init__(self, code: int) -> None:
        self.code = code

    @property
    def version(self) -> tuple[int, int]:
        raise DriverError("cuInit failed", self.code)


def test_build_without_cuda() -> None:
    assert Build.parse(WITHOUT) == Build()


def test_build_with_cuda() -> None:
    assert Build("12.6", ((7, 2), (8, 7)), (), "9.14.0", nvdec=True) == ORIN


def test_an_empty_list_of_ptx_does_not_read_the_next_line() -> None:
    text = "NVIDIA CUDA: YES (ver 13.0)\n NVIDIA GPU arch: 90a\n NVIDIA PTX archs:\n\n  cuDNN: NO\n"
    assert Build.parse(text) == Build("13.0", ((9, 0),))


def test_architectures_with_three_digits() -> None:
    text = "NVIDIA CUDA: YES (ver 13.0)\n NVIDIA GPU arch: 90 120\n NVIDIA PTX archs: 110\n"
    build = Build.parse(text)
    assert build.binaries == ((9, 0), (12, 0))
    assert build.ptx == ((11, 0),)


@pytest.mark.parametrize(
    ("capability", "runs"),
    [((8, 7), True), ((8, 9), True), ((8, 6), False), ((9, 0), False), ((7, 5), True)],
)
def test_machine_code_runs_on_later_devices_of_the_same_kind(
    capability: tuple[int, int], runs: bool
) -> None:
    assert ORIN.runs_on(capability) is runs


def test_ptx_runs_on_all_later_devices() -> None:
    build = Build("12.6", (), ((8, 0),))
    assert build.runs_on((12, 0))
    assert not build.runs_on((7, 5))


def test_everything_there() -> None:
    card = Card("Orin", total_bytes=123 << 20)
    found = status(driver=driver(card, nvml=FakeNvml({card.bus: 77})), build=ORIN)
    assert found.available
    assert found.reason == ""
    assert found.driver == (13, 0)
    (device,) = found.devices
    assert (device.name, device.capability, device.total_bytes) == ("Orin", (8, 7), 123 << 20)
    assert device.free_bytes == 77
    assert not device.integrated
    assert not device.absence


def test_free_memory_of_the_right_card() -> None:
    first, second = Card(bus=b"0000:82:00.0"), Card(bus=b"0000:01:00.0")
    nvml = FakeNvml({first.bus: 5, second.bus: 9})
    found = status(driver=driver(first, second, nvml=nvml), build=ORIN)
    assert [device.free_bytes for device in found.devices] == [5, 9]


def test_free_memory_unknown_without_nvml() -> None:
    assert status(driver=driver(Card()), build=ORIN).devices[0].free_bytes is None


def test_integrated_device_has_the_memory_of_the_system() -> None:
    (device,) = status(driver=driver(Card(integrated=True)), build=ORIN).devices
    assert device.integrated
    assert device.free_bytes is not None
    assert device.free_bytes > 1 << 20


def test_cpu_wheel() -> None:
    found = status(driver=driver(Card()), build=Build())
    assert found.absence == "build"
    assert "built without CUDA" in found.reason
    assert len(found.devices) == 1  # shown, so that doctor can say what is idle


def test_cpu_wheel_without_driver() -> None:
    assert status(driver=Failing(0), build=Build()).absence == "build"


@pytest.mark.parametrize(
    ("code", "absence", "says"),
    [
        (0, "driver", "cuInit failed"),
        (803, "driver", "different versions"),
        (999, "driver", "device nodes"),
        (100, "device", "shows no device"),
    ],
)
def test_driver_that_does_not_start(code: int, absence: str, says: str) -> None:
    found = status(driver=Failing(code), build=ORIN)
    assert found.absence == absence
    assert says in found.reason
    assert found.devices == ()


def test_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    found = status(driver=driver(), build=ORIN)
    assert found.absence == "device"
    assert "CUDA_VISIBLE_DEVICES is '7'" in found.reason


def test_prohibited_mode() -> None:
    found = status(driver=driver(Card(mode=2)), build=ORIN)
    assert found.absence == "mode"
    assert "Prohibited" in found.reason


def test_build_for_other_devices() -> None:
    found = status(driver=driver(Card(capability=(9, 0))), build=ORIN)
    assert found.absence == "architecture"
    assert "9.0" in found.reason
    assert "7.2 8.7" in found.reason


def test_one_device_of_two_is_enough() -> None:
    found = status(driver=driver(Card(capability=(6, 1)), Card()), build=ORIN)
    assert found.available
    assert [device.absence for device in found.devices] == ["architecture", ""]


@pytest.mark.parametrize("code", [803, 999])
def test_a_driver_names_its_error(code: int) -> None:
    with pytest.raises(DriverError, match=rf"cuInit: CUDA_ERROR_\w+ \({code}\)") as caught:
        Driver(FakeLibrary(code=code))
    assert caught.value.code == code


def test_an_unknown_error_has_its_number() -> None:
    with pytest.raises(DriverError, match=r"unknown error \(12345\)"):
        Driver(FakeLibrary(code=12345))


def test_l4t_release(tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    assert l4t_release(release) == "36.4.3"
    assert l4t_release(tmp_path / "missing") == ""
    release.write_text("nothing of the kind")
    assert l4t_release(release) == ""


@without_cuda
def test_this_machine() -> None:
    assert status().absence == "build"
    assert devices() == []
    with pytest.raises(CudaUnavailableError, match="built without CUDA"):
        require()


def test_nothing_of_it_is_loaded_by_the_package() -> None:
    code = "import sys, edgevision; assert not [m for m in sys.modules if 'edgevision.cuda' in m]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
