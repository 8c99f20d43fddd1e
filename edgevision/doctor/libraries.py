"""Libraries of NVIDIA's driver: where they are, and whether they load."""

from __future__ import annotations

from collections.abc import Iterator

from edgevision.doctor.expectation import expect
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check"]

_CUDA = "libcuda.so.1"
_OTHERS = {
    "libnvidia-ptxjitcompiler.so.1": "kernels that come as PTX cannot run",
    "libnvidia-ml.so.1": "the free memory of a card is not known",
    "libnvcuvid.so.1": "nvdec: cannot decode",
}


def check(machine: Machine) -> Iterator[Finding]:
    """Look for the libraries, and load them."""
    row = expect(machine).row
    folders = row.library_dirs if row else ()
    path = machine.library(_CUDA, folders)
    where = (
        "start the container with the GPU (edgevision manifest writes the options)"
        if machine.in_container and not (row and row.is_jetson)
        else "install NVIDIA's driver; on a Jetson take an edgevision image, which holds it"
    )
    if not path:
        if row is None:
            yield ok(f"no {_CUDA}: pipelines run on the CPU")
        else:
            yield problem(f"there is no {_CUDA} for {row.id}", where)
        return
    reason = machine.why_not_loaded(path)
    if "file too short" in reason:
        # Images that expect the host's libraries hold empty files in their place.
        yield problem(
            f"{path} is empty: the image expects the host's libraries in its place",
            "start the container with NVIDIA's runtime (--runtime nvidia)",
        )
    elif reason:
        yield problem(f"{path} does not load: {reason}", where)
    else:
        yield ok(f"{path} loads")
    links = row.release.driver.links.value if row and row.release.driver.links else []
    broken = [link.path for link in links if not machine.at(link.path).exists()]
    if broken:
        yield problem(
            f"links of {row.id if row else ''} lead nowhere: {', '.join(broken)}",
            "build the image again: edgevision build l4t",
        )
    elif links:
        yield ok(f"{len(links)} links of the driver's libraries are in order")
    if not (row and row.is_jetson):
        for name, loss in _OTHERS.items():
            other = machine.library(name, folders)
            if not other:
                fix = "give the container NVIDIA_DRIVER_CAPABILITIES=all, or install the library"
                yield warning(f"there is no {name}: {loss}", fix)
            elif why := machine.why_not_loaded(other):
                yield warning(f"{other} does not load: {why}", "install NVIDIA's driver again")
