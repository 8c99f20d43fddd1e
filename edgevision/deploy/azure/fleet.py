"""A fleet as its devices report themselves, and which of them a release fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgevision.deploy.platforms import Platform
from edgevision.errors import ConfigurationError

__all__ = ["QUERY", "DeviceReport", "fit_faults", "read_fleet"]

QUERY = "SELECT * FROM devices.modules WHERE is_defined(properties.reported.device.edgevision)"
"""What IoT Hub is asked: the modules that report themselves as edgevision does."""

_ARCHITECTURES = {"aarch64": "arm64", "x86_64": "amd64", "arm64": "arm64", "amd64": "amd64"}


@dataclass(frozen=True)
class DeviceReport:
    """One module of one device.

    Attributes:
        device: its id.
        module: its id.
        connected: as IoT Hub says.
        edgevision: version in the image.
        image: labels of the image.
        arch: Docker's name of the processor, or what the device said.
        l4t: version of L4T in the image, "" on a PC.
        sm: compute capabilities of its GPUs, such as ``("8.7",)``.
        model: what the board calls itself.
        cameras: state of each camera by name.
        desired: version of the desired properties that IoT Hub holds.
        applied: version that is in force.
        reason: why the last ones were refused, "" if they were not.
    """

    device: str
    module: str
    connected: bool = False
    edgevision: str = ""
    image: dict[str, str] = field(default_factory=dict)
    arch: str = ""
    l4t: str = ""
    sm: tuple[str, ...] = ()
    model: str = ""
    cameras: dict[str, str] = field(default_factory=dict)
    desired: int = 0
    applied: int = 0
    reason: str = ""

    @property
    def live(self) -> int:
        """Number of cameras that deliver frames."""
        return sum(state == "live" for state in self.cameras.values())

    @property
    def current(self) -> bool:
        """True if the desired properties that the hub holds are in force."""
        return not self.reason and self.applied == self.desired


def read_fleet(answer: Any) -> list[DeviceReport]:
    """Return what ``az iot hub query`` with `QUERY` answered, in order of device and module.

    Raises:
        ConfigurationError: it is no such answer.
    """
    if not isinstance(answer, list):
        raise ConfigurationError(
            f"wanted the list that 'az iot hub query' prints, got {type(answer).__name__}"
        )
    found = []
    for number, twin in enumerate(answer):
        if not isinstance(twin, Mapping) or "deviceId" not in twin or "moduleId" not in twin:
            raise ConfigurationError(
                "wanted module twins with deviceId and moduleId; the query is: " + QUERY,
                path=f"[{number}]",
            )
        found.append(_report(twin))
    return sorted(found, key=lambda report: (report.device, report.module))


def fit_faults(report: DeviceReport, platform: Platform) -> list[str]:
    """Return why a platform's image cannot run on a device; [] if nothing that it told forbids it.

    Args:
        report: of the device.
        platform: what the image is built for.
    """
    faults = []
    if report.arch and report.arch != platform.arch:
        faults.append(f"its processor is {report.arch}, and the image is for {platform.arch}")
    if report.sm and not any(_runs(platform, sm) for sm in report.sm):
        faults.append(
            f"its GPU has compute capability {', '.join(report.sm)}, and the image is for "
            f"{', '.join(platform.sm)}"
        )
    if platform.l4t and report.l4t and _major(report.l4t) != _major(platform.l4t):
        faults.append(
            f"it runs L4T {report.l4t}, and the image holds the libraries of {platform.l4t}, which "
            "fit one major release"
        )
    if platform.l4t and not report.l4t and report.arch:
        faults.append("it is no Jetson")
    if not platform.l4t and report.l4t:
        faults.append(f"it is a Jetson (L4T {report.l4t}), and the image is for a PC")
    return faults


def _runs(platform: Platform, sm: str) -> bool:
    """Tell whether machine code of the image runs, or its PTX can be made into some."""
    wanted = _number(sm)
    return any(
        _number(have)[0] == wanted[0] and _number(have) <= wanted for have in platform.sm
    ) or any(_number(have) <= wanted for have in platform.ptx)


def _number(sm: str) -> tuple[int, int]:
    major, _, minor = sm.partition(".")
    return int(major), int(minor or 0)


def _major(version: str) -> str:
    return re.sub(r"^\D*", "", version).partition(".")[0]


def _report(twin: Mapping[str, Any]) -> DeviceReport:
    properties = _mapping(twin.get("properties"))
    reported, desired = _mapping(properties.get("reported")), _mapping(properties.get("desired"))
    device, outcome = _mapping(reported.get("device")), _mapping(reported.get("desired"))
    cameras = _mapping(reported.get("cameras"))
    arch = str(device.get("arch", ""))
    sm = device.get("sm", ())
    return DeviceReport(
        device=str(twin["deviceId"]),
        module=str(twin["moduleId"]),
        connected=twin.get("connectionState") == "Connected",
        edgevision=str(device.get("edgevision", "")),
        image={key: str(value) for key, value in _mapping(reported.get("image")).items()},
        arch=_ARCHITECTURES.get(arch, arch),
        l4t=str(device.get("l4t", "")),
        sm=tuple(str(one) for one in sm if re.fullmatch(r"\d+(\.\d+)?", str(one)))
        if isinstance(sm, Sequence) and not isinstance(sm, str)
        else (),
        model=str(device.get("model", "")),
        cameras={name: str(_mapping(camera).get("state", "")) for name, camera in cameras.items()},
        desired=int(desired.get("$version", 0) or 0),
        applied=int(outcome.get("applied_version", 0) or 0),
        reason=str(outcome.get("reason", "")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
