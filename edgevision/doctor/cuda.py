"""CUDA's runtime against the driver, and OpenCV's code against the cards."""

from __future__ import annotations

from collections.abc import Iterator

from edgevision.cuda.driver import Driver, DriverError
from edgevision.cuda.probe import Build, explain, status
from edgevision.doctor.expectation import expect
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check_driver", "check_opencv"]

Version = tuple[int, int]


def check_driver(machine: Machine) -> Iterator[Finding]:
    """Start the driver, and ask CUDA's runtime whether it is served."""
    wanted = expect(machine).row is not None or bool(Build.parse(machine.opencv()).cuda)
    try:
        driver = machine.driver()
        count, served = driver.count(), driver.version
    except DriverError as error:
        absence, reason = explain(error)
        if wanted:
            yield problem(
                f"no CUDA ({absence}): {reason}",
                "see what the checks nodes, driver and l4t say; start there",
            )
        else:
            yield ok(f"no CUDA ({absence}): {reason}; pipelines run on the CPU")
        return
    if not count:
        visible = machine.environment.get("CUDA_VISIBLE_DEVICES")
        yield problem(
            "no CUDA (device): the driver shows none",
            f"unset CUDA_VISIBLE_DEVICES, which is {visible!r}"
            if visible is not None
            else "see what the check nodes says",
        )
        return
    names = ", ".join(
        f"{driver.name(index)} ({_dotted(driver.capability(index))})" for index in range(count)
    )
    yield ok(f"the driver serves CUDA {_dotted(served)}; {names}")
    yield from _runtime(machine, driver, served)


def _runtime(machine: Machine, driver: Driver, served: Version) -> Iterator[Finding]:
    runtime = machine.runtime()
    if runtime is None:
        return
    code, _ = runtime.count()
    seen = f"{runtime.path} is CUDA {_dotted(runtime.version)}"
    if code:
        yield problem(
            f"{seen}: {runtime.error_text(code)}; the driver serves {_dotted(served)}",
            "take an image or packages of an older CUDA, or update the host's driver",
        )
    elif runtime.version > served:
        yield warning(
            f"{seen}, newer than the driver, which serves {_dotted(served)}: PTX of that version "
            "does not run",
            "update the host's driver, or take an image of its CUDA",
        )
    else:
        yield ok(f"{seen}, which the driver serves")


def check_opencv(machine: Machine) -> Iterator[Finding]:
    """Compare what OpenCV was built for with the cards there are."""
    build = Build.parse(machine.opencv())
    try:
        driver = machine.driver()
        found = status(driver=driver, build=build)
    except DriverError:
        expected = expect(machine).row
        if build.cuda:
            archs = " ".join(map(_dotted, build.binaries + build.ptx)) or "none"
            yield ok(f"OpenCV is built with CUDA {build.cuda}, for {archs}")
        elif expected:
            yield _replaced(expected.id)
        else:
            yield ok("OpenCV is built without CUDA, and there is no driver")
        return
    if found.absence == "build":
        if not found.devices:
            yield ok("OpenCV is built without CUDA, and the driver shows no device")
            return
        yield _replaced(found.devices[0].name)
        return
    if found.absence:
        yield problem(found.reason, "see the message: it has the way out")
    for device in found.devices:
        if not device.absence:
            yield ok(
                f"OpenCV (CUDA {build.cuda}) holds code for device {device.index}, {device.name} "
                f"({_dotted(device.capability)})"
            )
        elif not found.absence:
            yield warning(
                f"OpenCV cannot use device {device.index}, {device.name}: {device.absence}",
                f"build OpenCV for it: edgevision build wheel --sm {_dotted(device.capability)}",
            )
    if build.cuda and not build.cudnn:
        yield warning(
            "OpenCV is built without cuDNN", "detect runs on the CPU; take an image's cv2"
        )


def _replaced(what: str) -> Finding:
    return warning(
        f"OpenCV is built without CUDA, so {what} stands idle",
        "take the OpenCV of an edgevision image, or build one: edgevision build wheel",
    )


def _dotted(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
