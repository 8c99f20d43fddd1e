"""What NVIDIA's sample deviceQuery prints, field for field and in its order, without a compiler.

The attributes come from the driver, the version of the runtime from CUDA's runtime library. Fields
that the sample got with CUDA 11, or lost with 13, follow the version of the runtime; the names and
their order are those of published outputs for CUDA 10.0 to 13.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgevision.cuda.cudart import CudaRuntime
from edgevision.cuda.driver import Driver, DriverError
from edgevision.cuda.probe import Absence, explain

__all__ = ["Answer", "Field", "Query", "query"]

Version = tuple[int, int]

_COMPUTE_MODES = {
    0: "Default (any number of threads and processes may use the device at a time)",
    1: "Exclusive (one thread of one process may use the device)",
    2: "Prohibited (no one may use the device)",
    3: "Exclusive Process (the threads of one process may use the device)",
}
# CUDA C++ Programming Guide, throughput of arithmetic instructions: 32-bit floating-point additions
# in a clock cycle of a multiprocessor. 128 where the list has no other, from 5.0 on.
_CORES = {(6, 0): 64, (7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
_OLDEST_KNOWN, _OLDER_CORES = (5, 0), {3: 192, 2: 32}

# The sample aligns its values; two labels are followed by one blank.
_WIDTH = 46


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a device.

    Attributes:
        key: name of it in JSON, with the unit.
        label: the words before the value.
        value: for programs; None if the driver does not know it.
        text: for people.
    """

    key: str
    label: str
    value: Any
    text: str

    def __str__(self) -> str:
        if self.key == "compute_mode":
            return f"  {self.label}\n     < {self.text} >"
        width = _WIDTH - 1 if self.text.startswith("(") else _WIDTH
        return f"  {self.label:<{width}} {self.text}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One device.

    Attributes:
        index: the driver's number of it.
        name: as the driver gives it.
        fields: in the order of the sample.
    """

    index: int
    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """All devices, or why there is none.

    Attributes:
        driver: newest CUDA version that the driver serves; None without a driver.
        runtime: version of the runtime; None if no runtime library was found.
        runtime_path: where that is.
        devices: what the driver says of each.
        peers: for pairs of devices, whether the first reaches the memory of the second.
        absence: what is missing, in the words of `edgevision.cuda.status`; empty if nothing is.
        reason: the same in words; empty if nothing is.
        call: the call that failed, and what it returned.
    """

    driver: Version | None = None
    runtime: Version | None = None
    runtime_path: str = ""
    devices: tuple[Answer, ...] = ()
    peers: tuple[tuple[int, int, bool], ...] = ()
    absence: Absence = ""
    reason: str = ""
    call: str = ""

    @property
    def passed(self) -> bool:
        """True if there is a device that the runtime can use."""
        return not self.absence

    def __str__(self) -> str:
        """Return the sample's output."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield "edgevision devicequery Starting...\n"
        library = self.runtime_path or "no CUDART found"
        yield f" CUDA Device Query (Runtime API) version ({library})\n"
        if self.absence:
            if self.call:
                yield self.call
            yield f"-> {self.reason}"
            yield f"Missing: {self.absence}"
            yield "Result = FAIL"
            return
        yield f"Detected {len(self.devices)} CUDA Capable device(s)"
        for device in self.devices:
            yield f'\nDevice {device.index}: "{device.name}"'
            yield from map(str, device.fields)
        for index, other, reaches in self.peers:
            one, two = self.devices[index].name, self.devices[other].name
            yield (f"> Peer access from {one} (GPU{index}) -> {two} (GPU{other}) : {_yes(reaches)}")
        yield (
            f"\ndeviceQuery, CUDA Driver = CUDART, CUDA Driver Version = {_dotted(self.driver)}, "
            f"CUDA Runtime Version = {_dotted(self.runtime)}, NumDevs = {len(self.devices)}"
        )
        yield "Result = PASS"

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-serialisable values."""
        return {
            "result": "PASS" if self.passed else "FAIL",
            "absence": self.absence,
            "reason": self.reason,
            "call": self.call,
            "driver_version": self.driver and _dotted(self.driver),
            "runtime_version": self.runtime and _dotted(self.runtime),
            "runtime_path": self.runtime_path,
            "devices": [
                {
                    "index": device.index,
                    "name": device.name,
                    **{field.key: field.value for field in device.fields},
                }
                for device in self.devices
            ],
            "peers": [
                {"from": index, "to": other, "access": access}
                for index, other, access in self.peers
            ],
        }


def query(start: Callable[[], Driver] = Driver, runtime: CudaRuntime | None = None) -> Query:
    """Ask the driver for everything. It makes no context, and does not raise for what is missing.

    Args:
        start: starts the driver.
        runtime: the runtime library, if there is one.
    """
    version = runtime.version if runtime else None
    path = runtime.path if runtime else ""
    try:
        driver = start()
        count = driver.count()
        served = driver.version
    except DriverError as error:
        absence, reason = explain(error)
        call = "" if str(error) == reason else str(error)
        if runtime:
            code, _ = runtime.count()
            call = f"cudaGetDeviceCount returned {code} ({runtime.error_text(code)}); {error}"
        return Query(None, version, path, absence=absence, reason=reason, call=call)
    if runtime and count:
        code, _ = runtime.count()
        if code:
            words = runtime.error_text(code)
            call = f"cudaGetDeviceCount returned {code}"
            reason = f"{words} (the driver serves CUDA {_dotted(served)})"
            return Query(served, version, path, absence="driver", reason=reason, call=call)
    if not count:
        reason = "the driver finds no device"
        return Query(served, version, path, absence="device", reason=reason)
    try:
        devices = tuple(_answer(driver, index, served, version) for index in range(count))
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        peers = tuple((a, b, driver.reaches(a, b)) for a, b in pairs)
    except DriverError as error:
        absence, reason = explain(error)
        return Query(served, version, path, absence=absence, reason=reason, call=str(error))
    return Query(served, version, path, devices, peers)


def _answer(driver: Driver, index: int, served: Version, runtime: Version | None) -> Answer:
    def ask(number: int) -> int | None:
        return driver.attribute(index, number)

    fields = (
        *_identity(driver, index, served, runtime),
        *_sizes(ask, runtime or served),
        *_abilities(ask, runtime or served),
    )
    return Answer(index, driver.name(index), fields)


Ask = Callable[[int], int | None]


def _identity(
    driver: Driver, index: int, served: Version, runtime: Version | None
) -> Iterator[Field]:
    capability = driver.capability(index)
    total = driver.total_bytes(index)
    versions = {"driver": _dotted(served), "runtime": _dotted(runtime)}
    yield Field(
        "cuda_versions",
        "CUDA Driver Version / Runtime Version",
        versions,
        f"{versions['driver']} / {versions['runtime']}",
    )
    dotted = _dotted(capability)
    yield Field("capability", "CUDA Capability Major/Minor version number:", dotted, dotted)
    yield Field(
        "global_memory_bytes",
        "Total amount of global memory:",
        total,
        f"{total / 2**20:.0f} MBytes ({total} bytes)",
    )
    count, each = driver.attribute(index, 16), _cores(capability)
    # CUDA 11's sample began to pad these numbers with zeros.
    pad = "3" if (runtime or served) < (11, 0) else "03"
    shown = f"{count or 0:{'2' if pad == '3' else pad}d}"
    label = f"({shown}) Multiprocessors, ({each or 0:{pad}d}) CUDA Cores/MP:"
    value = {"count": count, "cores_each": each}
    text = f"{count * each} CUDA Cores" if count and each else "unknown"
    yield Field("multiprocessors", label, value, text)


def _sizes(ask: Ask, sample: Version) -> Iterator[Field]:
    clock = ask(13)
    text = "unknown" if clock is None else f"{clock / 1e3:.0f} MHz ({clock / 1e6:.2f} GHz)"
    yield Field("clock_khz", "GPU Max Clock rate:", clock, text)
    clock = ask(36)
    text = "unknown" if clock is None else f"{clock / 1e3:.0f} Mhz"
    yield Field("memory_clock_khz", "Memory Clock rate:", clock, text)
    yield _number(ask, 37, "memory_bus_bits", "Memory Bus Width:", "-bit")
    if ask(38):
        yield _number(ask, 38, "l2_bytes", "L2 Cache Size:", " bytes")
    yield _textures(ask)
    for dimensions, label, (*size, layers) in (
        (1, "Maximum Layered 1D Texture Size, (num) layers", (42, 43)),
        (2, "Maximum Layered 2D Texture Size, (num) layers", (27, 28, 29)),
    ):
        extent, depth = [ask(number) for number in size], ask(layers)
        text = f"{dimensions}D=({_list(extent)}), {_known(depth)} layers"
        value = {"size": extent, "layers": depth}
        yield Field(f"layered_texture_{dimensions}d", label, value, text)
    yield _number(ask, 9, "constant_memory_bytes", "Total amount of constant memory:", " bytes")
    yield _number(
        ask,
        8,
        "shared_memory_per_block_bytes",
        "Total amount of shared memory per block:",
        " bytes",
    )
    if sample >= (11, 0):
        label = "Total shared memory per multiprocessor:"
        yield _number(ask, 81, "shared_memory_per_multiprocessor_bytes", label, " bytes")
    yield _number(ask, 12, "registers_per_block", "Total number of registers available per block:")
    yield _number(ask, 10, "warp_size", "Warp size:")
    label = "Maximum number of threads per multiprocessor:"
    yield _number(ask, 39, "threads_per_multiprocessor", label)
    yield _number(ask, 1, "threads_per_block", "Maximum number of threads per block:")
    for key, label, numbers in (
        ("block_size", "Max dimension size of a thread block (x,y,z):", (2, 3, 4)),
        ("grid_size", "Max dimension size of a grid size    (x,y,z):", (5, 6, 7)),
    ):
        extent = [ask(number) for number in numbers]
        yield Field(key, label, extent, f"({_list(extent)})")
    yield _number(ask, 11, "memory_pitch_bytes", "Maximum memory pitch:", " bytes")
    yield _number(ask, 14, "texture_alignment_bytes", "Texture alignment:", " bytes")


def _textures(ask: Ask) -> Field:
    sizes = {"1d": (21,), "2d": (22, 23), "3d": (24, 25, 26)}
    value = {name: [ask(number) for number in numbers] for name, numbers in sizes.items()}
    text = ", ".join(f"{name.upper()}=({_list(extent)})" for name, extent in value.items())
    return Field("texture", "Maximum Texture Dimension Size (x,y,z)", value, text)


def _abilities(ask: Ask, sample: Version) -> Iterator[Field]:
    overlap, engines = ask(15), ask(40)
    yield Field(
        "copies_beside_kernels",
        "Concurrent copy and kernel execution:",
        {"supported": None if overlap is None else bool(overlap), "copy_engines": engines},
        f"{_yes(overlap)} with {_known(engines)} copy engine(s)",
    )
    always = (0, 0), (99, 0)
    switches: list[tuple[int, str, str, tuple[Version, Version]]] = [
        (17, "run_time_limit", "Run time limit on kernels:", always),
        (18, "integrated", "Integrated GPU sharing Host Memory:", always),
        (19, "maps_host_memory", "Support host page-locked memory mapping:", always),
        (30, "surface_alignment", "Alignment requirement for Surfaces:", always),
        (32, "ecc", "Device has ECC support:", always),
        (41, "unified_addressing", "Device supports Unified Addressing (UVA):", always),
        (83, "managed_memory", "Device supports Managed Memory:", ((11, 0), (99, 0))),
        (90, "compute_preemption", "Device supports Compute Preemption:", always),
        (95, "cooperative_launch", "Supports Cooperative Kernel Launch:", always),
        (
            96,
            "multi_device_launch",
            "Supports MultiDevice Co-op Kernel Launch:",
            ((0, 0), (13, 0)),
        ),
    ]
    for number, key, label, (since, before) in switches:
        if since <= sample < before:
            found = ask(number)
            value = None if found is None else bool(found)
            enabled = {None: "unknown", True: "Enabled", False: "Disabled"}[value]
            yield Field(key, label, value, enabled if key == "ecc" else _yes(found))
    place = [ask(50), ask(33), ask(34)]
    label = "Device PCI Domain ID / Bus ID / location ID:"
    yield Field("pci", label, place, " / ".join(map(_known, place)))
    mode = ask(20)
    text = "unknown" if mode is None else _COMPUTE_MODES.get(mode, f"Unknown ({mode})")
    yield Field("compute_mode", "Compute Mode:", mode, text)


def _number(ask: Ask, number: int, key: str, label: str, unit: str = "") -> Field:
    value = ask(number)
    return Field(key, label, value, "unknown" if value is None else f"{value}{unit}")


def _cores(capability: Version) -> int | None:
    if capability < _OLDEST_KNOWN:
        return _OLDER_CORES.get(capability[0])
    return _CORES.get(capability, 128)


def _dotted(version: Version | None) -> str:
    return f"{version[0]}.{version[1]}" if version else "none"


def _yes(value: int | bool | None) -> str:
    return "unknown" if value is None else "Yes" if value else "No"


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)


def _list(values: list[int | None]) -> str:
    return ", ".join(map(_known, values))
