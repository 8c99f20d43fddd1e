"""CUDA adapters: methods of objects that keep something between two images."""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2

from edgevision.cv.gpu.call import Adapter

__all__ = ["METHODS"]

cuda: Any = cv2.cuda

# What both classes have getters and setters for.
_MOG2 = (
    "History",
    "NMixtures",
    "BackgroundRatio",
    "VarThreshold",
    "VarThresholdGen",
    "VarInit",
    "VarMin",
    "VarMax",
    "ComplexityReductionThreshold",
    "DetectShadows",
    "ShadowValue",
    "ShadowThreshold",
)


def _mog2(host: Any) -> Adapter:
    model = cuda.createBackgroundSubtractorMOG2()
    getters = tuple(getattr(host, f"get{name}") for name in _MOG2)
    setters = tuple(getattr(model, f"set{name}") for name in _MOG2)
    settings: tuple[Any, ...] = ()

    def run(stream: Any, image: Any, fgmask: Any = None, learningRate: float = -1.0) -> Any:
        nonlocal settings
        # The settings are the host object's, also those that a stage changes while it runs.
        now = tuple(getter() for getter in getters)
        if now != settings:
            for setter, value in zip(setters, now, strict=True):
                setter(value)
            settings = now
        return model.apply(image, learningRate, stream, fgmask)

    return run


def _clahe(host: Any) -> Adapter:
    equaliser = cuda.createCLAHE()
    settings: tuple[Any, ...] = ()

    def run(stream: Any, src: Any, dst: Any = None) -> Any:
        nonlocal settings
        now = (host.getClipLimit(), host.getTilesGridSize())
        if now != settings:
            equaliser.setClipLimit(now[0])
            equaliser.setTilesGridSize(now[1])
            settings = now
        return equaliser.apply(src, stream, dst)

    return run


METHODS: dict[str, Callable[[Any], Adapter]] = {
    "BackgroundSubtractorMOG2.apply": _mog2,
    "CLAHE.apply": _clahe,
}
"""By class and method: from the host's object to the adapter of one object."""
