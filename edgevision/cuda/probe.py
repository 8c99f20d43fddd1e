"""What CUDA there is on this machine, and if none can be used, which part is missing.

Asking makes no CUDA context and never raises: the driver is asked for the devices, OpenCV's own
build information for what it was built for. Only `require` touches a device.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2

from edgevision.cuda.driver import Driver, DriverError
from edgevision.errors import CudaUnavailableError

__all__ = [
    "Absence",
    "Build",
    "Device",
    "Status",
    "devices",
    "explain",
    "l4t_release",
    "require",
    "status",
]

Absence = Literal["", "build", "driver", "device", "mode", "architecture"]
"""What is missing: nothing; CUDA in OpenCV; the driver; a device; a device that other processes
leave free; OpenCV's code for the device."""

_TEGRA_RELEASE = Path("/etc/nv_tegra_release")
_MEMINFO = Path("/proc/meminfo")
_TEGRA_LINE = re.compile(r"R(\d+)[^,]*,\s*REVISION:\s*([\d.]+)")
_PROHIBITED = 2

# cuda.h, CUresult: what a start of the driver fails with.
_NO_DEVICE = 100
_REASONS = {
    _NO_DEVICE: "the driver finds no device",
    46: "the device is not available to this process",
    101: "CUDA_VISIBLE_DEVICES names no device that is there",
    802: "the system's NVLink fabric is not ready yet",
    803: "the driver in the kernel and its libraries are of different versions",
    804: "the driver is older than the CUDA libraries ask for, and this card takes no newer ones",
    999: "the driver does not answer (in a container it may lack its device nodes)",
}


@dataclass(frozen=True, slots=True)
class Device:
    """One CUDA device.

    Attributes:
        index: number by which `cv2.cuda.setDevice` knows it.
        name: as the driver gives it.
        capability: compute capability, such as (8, 7).
        total_bytes: size of its memory.
        free_bytes: free memory; None where only a context could tell.
        integrated: it shares the memory of the system, as on Jetson.
        absence: why OpenCV cannot use it; empty if it can.
    """

    index: int
    name: str
    capability: tuple[int, int]
    total_bytes: int
    free_bytes: int | None
    integrated: bool
    absence: Absence = ""


@dataclass(frozen=True, slots=True)
class Build:
    """What the running OpenCV was built with.

    Attributes:
        cuda: version of CUDA, such as "13.0"; empty for a build without.
        binaries: compute capabilities that it holds machine code for.
        ptx: compute capabilities that it holds PTX for, which later devices can run, too.
        cudnn: version of cuDNN; empty for a build without.
        nvdec: `cv2.cudacodec` can decode video.
    """

    cuda: str = ""
    binaries: tuple[tuple[int, int], ...] = ()
    ptx: tuple[tuple[int, int], ...] = ()
    cudnn: str = ""
    nvdec: bool = False

    @classmethod
    def parse(cls, text: str) -> Build:
        """Read the text of `cv2.getBuildInformation`."""
        cuda = re.search(r"NVIDIA CUDA:\s*YES \(ver ([\d.]+)([^)]*)", text)
        if not cuda:
            return cls()
        cudnn = re.search(r"cuDNN:\s*YES(?: \(ver ([\d.]+))?", text)
        return cls(
            cuda[1],
            _capabilities(text, "NVIDIA GPU arch"),
            _capabilities(text, "NVIDIA PTX archs"),
            (cudnn[1] or "unknown") if cudnn else "",
            "NVCUVID" in cuda[2],
        )

    def runs_on(self, capability: tuple[int, int]) -> bool:
        """Tell whether its code runs on a device of this compute capability.

        Machine code runs on devices of the same major and no lesser minor number, PTX on all later
        ones: CUDA C++ Programming Guide, "Application Compatibility".
        """
        major, minor = capability
        return any(major == own and minor >= least for own, least in self.binaries) or any(
            capability >= oldest for oldest in self.ptx
        )


def _capabilities(text: str, head: str) -> tuple[tuple[int, int], ...]:
    # The list ends with its line: an empty one is followed by other words.
    found = re.search(rf"{head}:[ \t]*(.*)", text)
    numbers = re.findall(r"(\d+)[a-z]?", found[1]) if found else []
    return tuple((int(n[:-1] or 0), int(n[-1])) for n in numbers)


@dataclass(frozen=True, slots=True)
class Status:
    """What CUDA there is.

    Attributes:
        absence: what is missing; empty if OpenCV can use at least one device.
        reason: the same in a sentence, with the way out.
        devices: all devices that the driver shows, those that OpenCV cannot use included.
        driver: newest CUDA version that the driver serves; None without a driver.
        build: what OpenCV was built with.
        l4t: release of Jetson Linux, such as "36.4.3"; empty elsewhere.
    """

    absence: Absence
    reason: str
    devices: tuple[Device, ...] = ()
    driver: tuple[int, int] | None = None
    build: Build = field(default_factory=Build)
    l4t: str = ""

    @property
    def available(self) -> bool:
        """True if OpenCV can use at least one device."""
        return not self.absence


def explain(error: DriverError) -> tuple[Absence, str]:
    """Return what is missing when the driver does not start, and why in words."""
    absence: Absence = "device" if error.code == _NO_DEVICE else "driver"
    return absence, _REASONS.get(error.code, str(error))


def l4t_release(path: Path = _TEGRA_RELEASE) -> str:
    """Return the release of Jetson Linux, such as "36.4.3"; empty elsewhere."""
    try:
        found = _TEGRA_LINE.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return f"{found[1]}.{found[2]}" if found else ""


def status(*, driver: Driver | None = None, build: Build | None = None) -> Status:
    """Return what CUDA there is. It never raises and makes no context.

    Args:
        driver: whom to ask; default the system's.
        build: what OpenCV was built with; default the running one's.
    """
    own = Build.parse(cv2.getBuildInformation()) if build is None else build
    l4t = l4t_release()
    try:
        asked = Driver() if driver is None else driver
        version = asked.version
        found = tuple(_device(asked, own, index) for index in range(asked.count()))
    except DriverError as error:
        absence = explain(error)[0] if own.cuda else "build"
        return Status(absence, _reason(absence, own, error=error), build=own, l4t=l4t)
    absence = "device" if not found else ""
    if found and all(device.absence for device in found):
        absence = found[0].absence
    if not own.cuda:
        absence = "build"
    reason = _reason(absence, own, found)
    return Status(absence, reason, found, version, own, l4t)


def devices() -> list[Device]:
    """Return the devices that OpenCV can use, in the order of their index."""
    return [device for device in status().devices if not device.absence]


def require(index: int = 0) -> Device:
    """Return a device after having used it once.

    This makes the process's CUDA context on it, which takes up to seconds and some 100 MB.

    Args:
        index: the device's number.

    Raises:
        CudaUnavailableError: it cannot be used; the message says which part is missing and what to
            do about it.
    """
    now = status()
    found = next((device for device in now.devices if device.index == index), None)
    if now.available and found is None:
        raise CudaUnavailableError(
            f"there is no CUDA device {index}; the driver shows {len(now.devices)}"
        )
    if found is None or not now.available or found.absence:
        absence = now.absence or (found.absence if found else "device")
        shown = (found,) if found else ()
        raise CudaUnavailableError(now.reason or _reason(absence, now.build, shown))
    try:
        cv2.cuda.setDevice(index)
        cv2.cuda.GpuMat(1, 1, cv2.CV_8UC1).release()
    except cv2.error as error:
        raise CudaUnavailableError(
            f"CUDA device {index} ({found.name}) cannot be used: {error}. Another "
            "process may hold it for itself or fill its memory: nvidia-smi shows which"
        ) from error
    return found


def _device(driver: Driver, build: Build, index: int) -> Device:
    capability = driver.capability(index)
    integrated = driver.integrated(index)
    absence: Absence = "" if build.runs_on(capability) or not build.cuda else "architecture"
    if driver.compute_mode(index) == _PROHIBITED:
        absence = "mode"
    return Device(
        index,
        driver.name(index),
        capability,
        driver.total_bytes(index),
        _system_free_bytes() if integrated else driver.free_bytes(index),
        integrated,
        absence,
    )


def _system_free_bytes() -> int | None:
    """Return what an integrated device can still have: the free memory of the system."""
    try:
        found = re.search(r"MemAvailable:\s*(\d+) kB", _MEMINFO.read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _reason(
    absence: Absence,
    build: Build,
    found: tuple[Device, ...] = (),
    error: DriverError | None = None,
) -> str:
    if absence == "build":
        return (
            f"this OpenCV {cv2.__version__} ({Path(cv2.__file__).parent}) is built without CUDA. "
            "The wheels on PyPI are: take the OpenCV of an edgevision image, or build one with "
            "WITH_CUDA. If a CUDA build was installed, another package may have replaced it"
        )
    if absence == "driver":
        why = explain(error)[1] if error else "no driver"
        return (
            f"OpenCV is built with CUDA {build.cuda}, but NVIDIA's driver cannot be used: {why}. "
            "Install it, or start the container with --gpus all (on Jetson: --runtime nvidia)"
        )
    if absence == "device":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = (
            ""
            if visible is None
            else f"; CUDA_VISIBLE_DEVICES is {visible!r}, which may hide those there are"
        )
        return f"NVIDIA's driver is there, but it shows no device{hidden}"
    if absence == "mode":
        return (
            f"CUDA device {found[0].index} ({found[0].name}) lets no process compute: its compute "
            "mode is Prohibited. nvidia-smi -c DEFAULT changes that"
        )
    if absence == "architecture":
        major, minor = found[0].capability
        has = " ".join(f"{a}.{b}" for a, b in build.binaries + build.ptx) or "none"
        return (
            f"CUDA device {found[0].index} ({found[0].name}) has compute capability "
            f"{major}.{minor}, and this OpenCV holds code for {has}. Build it with "
            f"CUDA_ARCH_BIN={major}.{minor}"
        )
    return ""
