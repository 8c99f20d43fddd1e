"""The text of `edgevision devicequery` against the published outputs of NVIDIA's sample."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from edgevision.cuda.cudart import CudaRuntime, find
from edgevision.cuda.device_query import query
from edgevision.cuda.driver import Driver
from tests.unit.cli.command import run
from tests.unit.cuda.fake_driver import Card, FakeLibrary

# The names before the values, in the order of the outputs that were published for a Nano with CUDA
# 10.0 and 10.2; numbers in them are left out.
NANO = """\
CUDA Driver Version / Runtime Version
CUDA Capability Major/Minor version number:
Total amount of global memory:
() Multiprocessors, () CUDA Cores/MP:
GPU Max Clock rate:
Memory Clock rate:
Memory Bus Width:
L2 Cache Size:
Maximum Texture Dimension Size (x,y,z)
Maximum Layered 1D Texture Size, (num) layers
Maximum Layered 2D Texture Size, (num) layers
Total amount of constant memory:
Total amount of shared memory per block:
Total number of registers available per block:
Warp size:
Maximum number of threads per multiprocessor:
Maximum number of threads per block:
Max dimension size of a thread block (x,y,z):
Max dimension size of a grid size    (x,y,z):
Maximum memory pitch:
Texture alignment:
Concurrent copy and kernel execution:
Run time limit on kernels:
Integrated GPU sharing Host Memory:
Support host page-locked memory mapping:
Alignment requirement for Surfaces:
Device has ECC support:
Device supports Unified Addressing (UVA):
Device supports Compute Preemption:
Supports Cooperative Kernel Launch:
Supports MultiDevice Co-op Kernel Launch:
Device PCI Domain ID / Bus ID / location ID:
Compute Mode:""".splitlines()

# Made up, and each number another one, so that two that change places are seen.
ATTRIBUTES = {
    1: 1001, 2: 1002, 3: 1003, 4: 1004, 5: 1005, 6: 1006, 7: 1007, 8: 1008, 9: 1009, 10: 31,
    11: 1011, 12: 1012, 13: 921600, 14: 1014, 15: 1, 16: 3, 17: 1, 19: 1, 21: 1021, 22: 1022,
    23: 1023, 24: 1024, 25: 1025, 26: 1026, 27: 1027, 28: 1028, 29: 1029, 30: 1, 32: 0, 33: 5,
    34: 6, 36: 12750, 37: 48, 38: 1038, 39: 1039, 40: 2, 41: 1, 42: 1042, 43: 1043, 50: 4,
    81: 1081, 83: 1, 90: 0, 95: 1, 96: 0,
}  # fmt: skip


class FakeRuntime:
    """A libcudart, as its header says."""

    def __init__(self, version: int = 10000, code: int = 0, count: int = 1) -> None:
        self.version, self.code, self.count = version, code, count

    def cudaRuntimeGetVersion(self, out: Any) -> int:  # noqa: N802
        out._obj.value = self.version
        return 0

    def cudaGetDeviceCount(self, out: Any) -> int:  # noqa: N802
        out._obj.value = self.count
        return self.code

    class cudaGetErrorString:  # noqa: N801
        restype: Any = None

        def __new__(cls, code: int) -> bytes:  # type: ignore[misc]  # ctypes' functions are objects
            return b"the words for %d" % code


def nano(**others: Any) -> Card:
    return Card("Test Nano", (5, 3), 1 << 31, integrated=True, attributes=ATTRIBUTES, **others)


def driver(*cards: Card, version: int = 10000, **others: Any) -> Driver:
    return Driver(FakeLibrary(list(cards), version=version, **others))


def runtime(version: int = 10000, **others: Any) -> CudaRuntime:
    return CudaRuntime("libcudart.so", FakeRuntime(version, **others))


def shown(version: int = 10000, card: Card | None = None) -> str:
    found = query(lambda: driver(card or nano(), version=version), runtime(version))
    assert found.passed
    return str(found)


def labels(text: str) -> list[str]:
    """The name of each line of a device: up to the colon, or to two blanks."""
    found = []
    for line in text.splitlines():
        if line.startswith("  ") and not line.startswith("     "):
            name = re.match(r"  (.*?(?::(?= |$)|(?=  +\d)))", line)
            assert name, line
            found.append(re.sub(r"\( *\d+\)", "()", name[1]))
    return found


def test_fields_and_order_of_a_nano() -> None:
    assert labels(shown()) == NANO


def test_each_value_stands_behind_its_name() -> None:
    lines = {line.strip() for line in shown().splitlines()}
    for line in (
        "CUDA Driver Version / Runtime Version          10.0 / 10.0",
        "CUDA Capability Major/Minor version number:    5.3",
        "Total amount of global memory:                 2048 MBytes (2147483648 bytes)",
        "( 3) Multiprocessors, (128) CUDA Cores/MP:     384 CUDA Cores",
        "GPU Max Clock rate:                            922 MHz (0.92 GHz)",
        "Memory Clock rate:                             13 Mhz",
        "Memory Bus Width:                              48-bit",
        "L2 Cache Size:                                 1038 bytes",
        "Maximum Texture Dimension Size (x,y,z)         "
        "1D=(1021), 2D=(1022, 1023), 3D=(1024, 1025, 1026)",
        "Maximum Layered 1D Texture Size, (num) layers  1D=(1042), 1043 layers",
        "Maximum Layered 2D Texture Size, (num) layers  2D=(1027, 1028), 1029 layers",
        "Total amount of constant memory:               1009 bytes",
        "Total amount of shared memory per block:       1008 bytes",
        "Total number of registers available per block: 1012",
        "Warp size:                                     31",
        "Maximum number of threads per multiprocessor:  1039",
        "Maximum number of threads per block:           1001",
        "Max dimension size of a thread block (x,y,z): (1002, 1003, 1004)",
        "Max dimension size of a grid size    (x,y,z): (1005, 1006, 1007)",
        "Maximum memory pitch:                          1011 bytes",
        "Texture alignment:                             1014 bytes",
        "Concurrent copy and kernel execution:          Yes with 2 copy engine(s)",
        "Run time limit on kernels:                     Yes",
        "Integrated GPU sharing Host Memory:            Yes",
        "Device has ECC support:                        Disabled",
        "Device supports Compute Preemption:            No",
        "Supports Cooperative Kernel Launch:            Yes",
        "Device PCI Domain ID / Bus ID / location ID:   4 / 5 / 6",
    ):
        assert line in lines
    assert any(line.startswith("< Default (") for line in lines)


def test_head_and_end() -> None:
    lines = shown().splitlines()
    assert "Detected 1 CUDA Capable device(s)" in lines
    assert 'Device 0: "Test Nano"' in lines
    assert lines[-2:] == [
        "deviceQuery, CUDA Driver = CUDART, CUDA Driver Version = 10.0, "
        "CUDA Runtime Version = 10.0, NumDevs = 1",
        "Result = PASS",
    ]


@pytest.mark.parametrize(
    ("version", "gained", "lost"),
    [
        (
            12020,
            {"Total shared memory per multiprocessor:", "Device supports Managed Memory:"},
            set(),
        ),
        (
            13010,
            {"Total shared memory per multiprocessor:", "Device supports Managed Memory:"},
            {"Supports MultiDevice Co-op Kernel Launch:"},
        ),
    ],
)
def test_later_samples_have_other_fields(version: int, gained: set[str], lost: set[str]) -> None:
    found = labels(shown(version))
    assert set(found) - set(NANO) == gained
    assert set(NANO) - set(found) == lost
    assert [name for name in found if name in NANO] == [n for n in NANO if n not in lost]
    assert "  (003) Multiprocessors, (128) CUDA Cores/MP:    384 CUDA Cores" in shown(version)


@pytest.mark.parametrize(
    ("capability", "cores"),
    [((6, 0), 64), ((7, 2), 64), ((8, 0), 64), ((8, 7), 128), ((9, 0), 128)],
)
def test_cores_of_a_multiprocessor(capability: tuple[int, int], cores: int) -> None:
    card = Card(capability=capability, attributes=ATTRIBUTES)
    assert f"({cores:03d}) CUDA Cores/MP:    {3 * cores} CUDA Cores" in shown(12020, card)


def test_what_the_driver_does_not_know_is_said() -> None:
    attributes = {number: value for number, value in ATTRIBUTES.items() if number not in (36, 90)}
    card = Card("Old", (5, 3), 1 << 30, attributes=attributes)
    text = shown(card=card)
    assert labels(text) == NANO
    assert re.search(r"Memory Clock rate: +unknown\n", text)
    assert re.search(r"Compute Preemption: +unknown\n", text)


def test_two_devices_tell_who_reaches_whom() -> None:
    cards = nano(), Card("Other", (8, 7), attributes=ATTRIBUTES)
    found = query(lambda: driver(*cards, peers={(0, 1)}), runtime(count=2))
    text = str(found)
    assert "> Peer access from Test Nano (GPU0) -> Other (GPU1) : Yes" in text
    assert "> Peer access from Other (GPU1) -> Test Nano (GPU0) : No" in text
    assert "NumDevs = 2" in text


def test_json_has_every_field() -> None:
    found = query(lambda: driver(nano()), runtime()).to_json()
    assert found["result"] == "PASS"
    (device,) = found["devices"]
    assert len(device) == len(NANO) + 2
    assert device["name"] == "Test Nano"
    assert device["block_size"] == [1002, 1003, 1004]
    assert device["texture"] == {"1d": [1021], "2d": [1022, 1023], "3d": [1024, 1025, 1026]}
    assert device["multiprocessors"] == {"count": 3, "cores_each": 128}


@pytest.mark.parametrize(
    ("code", "absence", "says"),
    [(100, "device", "finds no device"), (803, "driver", "different versions")],
)
def test_a_driver_that_does_not_start(code: int, absence: str, says: str) -> None:
    found = query(lambda: driver(code=code), runtime(code=35, count=0))
    lines = str(found).splitlines()
    assert not found.passed
    assert found.absence == absence
    assert "cudaGetDeviceCount returned 35 (the words for 35)" in str(found)
    assert says in lines[-3]
    assert lines[-2:] == [f"Missing: {absence}", "Result = FAIL"]
    assert found.to_json()["result"] == "FAIL"


def test_no_device() -> None:
    found = query(lambda: driver(), runtime(count=0))
    assert (found.absence, str(found).splitlines()[-1]) == ("device", "Result = FAIL")


def test_a_driver_older_than_the_runtime() -> None:
    found = query(lambda: driver(nano()), runtime(12020, code=35))
    assert found.absence == "driver"
    assert "the words for 35 (the driver serves CUDA 10.0)" in str(found)
    assert str(found).endswith("Result = FAIL")


def test_without_a_runtime_the_driver_alone_is_asked() -> None:
    found = query(lambda: driver(nano()))
    assert found.passed
    assert "10.0 / none" in str(found)


def test_a_runtime_that_does_not_load_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "libcudart.so.1"
    broken.write_bytes(b"")
    found = find({"LD_LIBRARY_PATH": str(tmp_path)})
    assert found is None or found.path != str(broken)


def test_the_runtime_is_looked_for_where_the_variables_say(tmp_path: Path) -> None:
    import _ctypes

    # Any library loads; none that this process has is named so.
    here = tmp_path / "lib64" / "libcudart.so.99"
    here.parent.mkdir()
    here.symlink_to(_ctypes.__file__)
    by_path = find({"LD_LIBRARY_PATH": f"/nowhere:{here.parent}"})
    by_home = find({"CUDA_HOME": str(tmp_path)})
    mapped = "libcudart" in Path("/proc/self/maps").read_text()
    for found in (by_path, by_home):
        assert found is not None
        assert mapped or found.path == str(here)


@pytest.mark.needs("cudart")
def test_a_real_runtime_answers_like_the_fake() -> None:
    real = find()
    assert real is not None
    code, count = real.count()
    assert (10, 0) <= real.version < (99, 0)
    assert (code == 0) == (count > 0)
    if code:
        assert len(real.error_text(code)) > 10


def test_the_command_without_a_device() -> None:
    text = run("devicequery", CUDA_VISIBLE_DEVICES="-1")
    assert text.code == 1
    *_, missing, result = text.out.splitlines()
    assert missing in ("Missing: driver", "Missing: device")
    assert result == "Result = FAIL"
    (found,) = run("devicequery", "--json", CUDA_VISIBLE_DEVICES="-1").lines
    assert (found["result"], found["absence"]) == ("FAIL", missing.removeprefix("Missing: "))
