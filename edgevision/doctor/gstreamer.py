"""GStreamer: in OpenCV, and its elements that edgevision's sources use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgevision.doctor.expectation import expect
from edgevision.doctor.finding import Finding, ok, problem, warning
from edgevision.doctor.machine import Machine

__all__ = ["check"]

# What an element is for.
_EVERYWHERE = {"appsink": "gst:", "videoconvert": "gst:", "rtspsrc": "RTSP by gst:"}
_ON_JETSON = {
    "nvarguscamerasrc": "csi:",
    "nvvidconv": "csi: and nvdec:",
    "nvv4l2decoder": "nvdec:",
}


def check(machine: Machine) -> Iterator[Finding]:
    """Read OpenCV's build information, then ask gst-inspect for the elements."""
    row = expect(machine).row
    found = re.search(r"GStreamer:\s*(NO|YES)(?: \(([\d.]+)\))?", machine.opencv())
    on_jetson = row is not None and row.is_jetson
    if not found or found[1] == "NO":
        if on_jetson:
            yield problem(
                "OpenCV is built without GStreamer: no csi: cameras, no hardware decoder",
                "take the OpenCV of an edgevision image; pip's wheels have no GStreamer",
            )
        else:
            yield ok("OpenCV is built without GStreamer; only gst: and csi: need it")
        return
    yield ok(f"OpenCV is built with GStreamer {found[2] or ''}".rstrip())
    wanted = {**_EVERYWHERE, **(_ON_JETSON if on_jetson else {})}
    codes = {name: machine.run(["gst-inspect-1.0", "--exists", name]) for name in wanted}
    if any(code is None for code in codes.values()):
        yield ok("gst-inspect-1.0 is not installed, so its elements are not known")
        return
    missing = [name for name, code in codes.items() if code]
    for name in missing:
        fix = (
            "take an image of this Jetson's L4T: the element is part of it"
            if name in _ON_JETSON
            else "install gstreamer1.0-plugins-base and gstreamer1.0-plugins-good"
        )
        yield warning(f"GStreamer has no {name}, which is for {wanted[name]}", fix)
    if not missing:
        yield ok(f"GStreamer has {', '.join(wanted)}")
