"""Facts about the device and the image, as reported properties tell them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["IMAGE_PREFIX", "device_facts", "image_facts"]

IMAGE_PREFIX = "EDGEVISION_IMAGE_"
"""Environment variables of this prefix are labels of the image: ``EDGEVISION_IMAGE_REVISION``."""

_MODEL = Path("/proc/device-tree/model")


def device_facts(model: Path = _MODEL) -> dict[str, Any]:
    """Return what this machine is and what runs on it.

    Asks the CUDA driver, which may take a while: call it once, off the event loop.
    """
    import cv2

    from edgevision import __version__
    from edgevision.cuda.probe import status

    cuda = status()
    facts: dict[str, Any] = {
        "edgevision": __version__,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "arch": platform.machine(),
        "cpus": os.cpu_count() or 0,
        "cuda": cuda.available,
    }
    if cuda.available:
        facts["gpus"] = [device.name for device in cuda.devices]
        facts["sm"] = ["{}.{}".format(*device.capability) for device in cuda.devices]
    else:
        facts["cuda_missing"] = cuda.reason
    if cuda.l4t:
        facts["l4t"] = cuda.l4t
    # Only boards have a device tree. A string in it ends with a NUL.
    if model.exists():
        facts["model"] = model.read_text("utf-8", "replace").strip("\0\n ")
    return facts


def image_facts(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the labels of the image that this process runs in, as its build left them."""
    given = os.environ if environment is None else environment
    return {
        name.removeprefix(IMAGE_PREFIX).lower(): value
        for name, value in sorted(given.items())
        if name.startswith(IMAGE_PREFIX) and value
    }
