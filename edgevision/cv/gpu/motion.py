"""CUDA adapters: background models and optical flow.

An object of cv2.cuda keeps device memory between two images. Its settings are those of the host's
object, which a stage may change while it runs.
"""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cv.device import Made
from edgevision.cv.gpu.call import Adapter, GpuMat, cached, read, whole

__all__ = ["ADAPTERS", "METHODS"]

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
_FARNEBACK = (
    "NumLevels",
    "PyrScale",
    "FastPyramids",
    "WinSize",
    "NumIters",
    "PolyN",
    "PolySigma",
    "Flags",
)
_CLAHE = ("ClipLimit", "TilesGridSize")
_ITERATIONS = 30


def follow(made: Made, model: Any, names: tuple[str, ...]) -> Callable[[], None]:
    """Return the function that brings an object of cv2.cuda up to the host's settings."""
    getters = tuple(getattr(made.host, f"get{name}") for name in names)
    setters = tuple(getattr(model, f"set{name}") for name in names)
    seen = -1

    def update() -> None:
        nonlocal seen
        if seen != made.version:
            seen = made.version
            for getter, setter in zip(getters, setters, strict=True):
                setter(getter())

    return update


def _mog2(made: Made) -> Adapter:
    model = cuda.createBackgroundSubtractorMOG2()
    update = follow(made, model, _MOG2)

    def run(stream: Any, image: Any, fgmask: Any = None, learningRate: float = -1.0) -> Any:
        update()
        return model.apply(image, learningRate, stream, fgmask)

    return run


def _clahe(made: Made) -> Adapter:
    equaliser = cuda.createCLAHE()
    update = follow(made, equaliser, _CLAHE)

    def run(stream: Any, src: Any, dst: Any = None) -> Any:
        update()
        return equaliser.apply(src, stream, dst)

    return run


def _farneback_object(made: Made) -> Adapter:
    flow_of = cuda.FarnebackOpticalFlow_create()
    update = follow(made, flow_of, _FARNEBACK)

    def run(stream: Any, I0: Any, I1: Any, flow: Any) -> Any:
        update()
        return _flow(stream, flow_of, I0, I1, flow)

    return run


def _flow(stream: Any, model: Any, first: Any, second: Any, flow: Any) -> Any:
    return model.calc(
        whole(stream, first, "flow first"),
        whole(stream, second, "flow second"),
        GpuMat() if flow is None else flow,
        stream,
    )


def _farneback(
    stream: Any,
    prev: Any,
    next: Any,
    flow: Any,
    pyr_scale: float,
    levels: int,
    winsize: int,
    iterations: int,
    poly_n: int,
    poly_sigma: float,
    flags: int,
) -> Any:
    model = cached(
        stream,
        cuda.FarnebackOpticalFlow_create,
        levels,
        pyr_scale,
        False,
        winsize,
        iterations,
        poly_n,
        poly_sigma,
        flags,
    )
    return _flow(stream, model, prev, next, flow)


def _dense_lucas_kanade(made: Made) -> Adapter:
    model = cuda.DensePyrLKOpticalFlow_create(*made.args, **made.kwargs)

    def run(stream: Any, I0: Any, I1: Any, flow: Any) -> Any:
        return _flow(stream, model, I0, I1, flow)

    return run


def _points(stream: Any, points: Any) -> Any:
    """Return points on the device, (1, N) of 32FC2."""
    if isinstance(points, GpuMat):
        return points
    mat = GpuMat()
    mat.upload(np.ascontiguousarray(points, np.float32).reshape(1, -1, 2), stream)
    return mat


def _track(
    stream: Any, model: Any, images: tuple[Any, Any], points: Any, guess: Any
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.float32]]:
    found = model.calc(
        whole(stream, images[0], "flow first"),
        whole(stream, images[1], "flow second"),
        _points(stream, points),
        GpuMat() if guess is None else _points(stream, guess),
        GpuMat(),
        GpuMat(),
        stream,
    )
    moved, status, error = (read(stream, mat) for mat in found)
    shape = moved.reshape(-1, 1, 2).shape if isinstance(points, GpuMat) else np.shape(points)
    return (
        moved.reshape(shape),
        status.astype(np.uint8).reshape(-1, 1),
        error.astype(np.float32).reshape(-1, 1),
    )


def _iterations(criteria: Any) -> int:
    return int(criteria[1]) if criteria[0] & cv2.TERM_CRITERIA_COUNT else _ITERATIONS


def _lucas_kanade(
    stream: Any,
    prevImg: Any,
    nextImg: Any,
    prevPts: Any,
    nextPts: Any,
    status: Any = None,
    err: Any = None,
    winSize: Any = (21, 21),
    maxLevel: int = 3,
    criteria: Any = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, _ITERATIONS, 0.01),
    flags: int = 0,
    minEigThreshold: float = 1e-4,
) -> Any:
    initial = bool(flags & cv2.OPTFLOW_USE_INITIAL_FLOW)
    model = cached(
        stream,
        cuda.SparsePyrLKOpticalFlow_create,
        tuple(winSize),
        maxLevel,
        _iterations(criteria),
        initial,
    )
    return _track(stream, model, (prevImg, nextImg), prevPts, nextPts if initial else None)


def _sparse_lucas_kanade(made: Made) -> Adapter:
    def run(
        stream: Any,
        prevImg: Any,
        nextImg: Any,
        prevPts: Any,
        nextPts: Any,
        status: Any = None,
        err: Any = None,
    ) -> Any:
        host = made.host
        return _lucas_kanade(
            stream,
            prevImg,
            nextImg,
            prevPts,
            nextPts,
            winSize=host.getWinSize(),
            maxLevel=host.getMaxLevel(),
            criteria=host.getTermCriteria(),
            flags=host.getFlags(),
        )

    return run


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "calcOpticalFlowFarneback": lambda: _farneback,
    "calcOpticalFlowPyrLK": lambda: _lucas_kanade,
}
"""By operation: gives its adapter."""

METHODS: dict[str, Callable[[Made], Adapter]] = {
    "BackgroundSubtractorMOG2.apply": _mog2,
    "CLAHE.apply": _clahe,
    "FarnebackOpticalFlow.calc": _farneback_object,
    "DensePyrLKOpticalFlow.calc": _dense_lucas_kanade,
    "SparsePyrLKOpticalFlow.calc": _sparse_lucas_kanade,
}
"""By class and method: from how an object was made to its adapter."""
