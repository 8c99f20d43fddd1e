"""Which board and which L4T: the host's against the image's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgevision.cuda.probe import l4t_release
from edgevision.doctor.expectation import HOST_RELEASE_FILES, RELEASE_FILE, expect, soc
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check_l4t", "check_platform"]

_MODELS = (
    "/proc/device-tree/model",
    "/sys/firmware/devicetree/base/model",
    # Docker hides the device tree; this copy of the host's file is an agreement of NVIDIA's images.
    "/tmp/nv_jetson_model",
)
_ARCHS = {"aarch64": "arm64", "x86_64": "amd64"}
_KERNEL_DRIVER = "/proc/driver/nvidia/version"


def check_platform(machine: Machine) -> Iterator[Finding]:
    """Say which row of the table this is, and whether board and processor fit to it."""
    expected = expect(machine)
    if expected.mistake:
        yield problem(expected.mistake, "edgevision build --list shows the platforms")
        return
    model = next(filter(None, map(machine.text, _MODELS)), "")
    board = f"{model or 'an unnamed board'}, {machine.arch}, kernel {machine.kernel}"
    if expected.row is None:
        yield ok(f"{board}; no platform is named, and there is no {RELEASE_FILE}")
        return
    row = expected.row
    arch = _ARCHS.get(machine.arch, machine.arch)
    chip = soc(machine)
    if arch != row.arch:
        yield problem(
            f"{board}; but {row.id} ({expected.how}) is {row.arch}",
            "take the image of this machine's platform: edgevision build --list",
        )
    elif chip and chip != row.soc:
        yield problem(
            f"{board} has the chip {chip}; but {row.id} ({expected.how}) has {row.soc}",
            "take the image of this machine's platform: edgevision build --list",
        )
    else:
        yield ok(f"{board}; {row.id}, {expected.how}")


def check_l4t(machine: Machine) -> Iterator[Finding]:
    """Compare the releases of host and image: kernel driver and libraries belong together."""
    yield from _kernel_driver(machine)
    image = l4t_release(machine.at(RELEASE_FILE))
    hosts = [l4t_release(machine.at(path)) for path in HOST_RELEASE_FILES]
    host = next(filter(None, hosts), "")
    on_jetson = "tegra" in machine.kernel or bool(soc(machine)) or bool(host)
    if not image and not on_jetson:
        yield ok("no Jetson Linux here")
        return
    if image and not on_jetson and machine.arch != "aarch64":
        yield problem(
            f"the image holds L4T {image}, and this is no Jetson ({machine.arch})",
            "take the image of this machine's platform: edgevision build --list",
        )
        return
    if not image:
        yield problem(
            f"the host is a Jetson ({machine.kernel}), and the image holds no {RELEASE_FILE}",
            "take an image of this Jetson's platform: edgevision build --list",
        )
    elif host:
        yield _compared(host, image)
    elif machine.in_container:
        yield warning(
            f"the image holds L4T {image}; the host's is not known",
            f"let the container see it: -v {RELEASE_FILE}:{HOST_RELEASE_FILES[0]}:ro",
        )
    else:
        yield ok(f"L4T {image}")


def _compared(host: str, image: str) -> Finding:
    if host == image:
        return ok(f"host and image are both L4T {image}")
    seen = f"the host has L4T {host}, the image {image}"
    fix = f"take an image for L4T {host}, or update the host to {image}"
    if host.split(".")[0] != image.split(".")[0]:
        return problem(f"{seen}: its libraries do not fit to the host's kernel driver", fix)
    if host.split(".")[:2] != image.split(".")[:2]:
        return warning(f"{seen}: its libraries may not fit to the host's kernel driver", fix)
    return ok(f"{seen}: the same line")


def _kernel_driver(machine: Machine) -> Iterator[Finding]:
    """NVIDIA's driver refuses libraries that are not of its kernel module's version."""
    text = machine.text(_KERNEL_DRIVER)
    found = re.search(r"\s(\d{3}\.[\d.]+)\s", text)
    if not found:
        return
    path = machine.library("libcuda.so.1")
    real = machine.at(path).resolve().name if path else ""
    library = real.partition("libcuda.so.")[2]
    if not re.fullmatch(r"\d{3}\.[\d.]+", library):
        yield ok(f"kernel module {found[1]}")
    elif library != found[1]:
        yield problem(
            f"the kernel has driver {found[1]}, {path} is of {library}",
            "start the container again, so that it gets the host's libraries; on the host: reboot",
        )
    else:
        yield ok(f"kernel module and libraries are both {library}")
