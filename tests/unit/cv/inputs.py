"""Arguments for every function of the table. A row without an entry here fails the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from tests.unit.cv.imaging_inputs import IMAGING, Arguments
from tests.unit.cv.pictures import DTYPES, Image, Pictures

__all__ = ["CALLS", "Arguments"]


def _call(*args: Any, **kwargs: Any) -> Arguments:
    return args, kwargs


def _scalar(p: Pictures) -> tuple[float, ...]:
    return (3.0, 1.0, 2.0, 5.0)


def _two(p: Pictures) -> list[Arguments]:
    return [_call(p.noise(1), p.noise(2))]


def _masked(p: Pictures) -> list[Arguments]:
    return [
        _call(p.noise(1), p.noise(2)),
        _call(p.noise(1), p.noise(2), mask=p.mask()),
        _call(p.noise(1), p.noise(2), None, p.mask()),
        _call(p.noise(1), _scalar(p)),
    ]


def _arithmetic(p: Pictures) -> list[Arguments]:
    return [*_masked(p), _call(p.noise(1), p.noise(2), dtype=cv2.CV_32F)]


def _scaled(p: Pictures) -> list[Arguments]:
    return [
        _call(p.noise(1), p.noise(2)),
        _call(p.noise(1), p.noise(2), scale=0.25),
        _call(p.noise(1), p.noise(2), None, 0.5, cv2.CV_64F),
        _call(p.noise(1), _scalar(p)),
    ]


def _with_scalar(p: Pictures) -> list[Arguments]:
    return [*_two(p), _call(p.noise(1), _scalar(p))]


def _one(p: Pictures) -> list[Arguments]:
    return [_call(p.noise())]


def _one_masked(p: Pictures) -> list[Arguments]:
    return [_call(p.noise()), _call(p.noise(), mask=p.mask()), _call(p.noise(), None, p.mask())]


def _sums(p: Pictures) -> list[Arguments]:
    return [_call(p.noise()), _call(p.noise(), p.mask()), _call(p.noise(), mask=p.mask())]


def _in_range(p: Pictures) -> list[Arguments]:
    low, high = np.minimum(p.noise(1), p.noise(2)), np.maximum(p.noise(1), p.noise(2))
    return [_call(p.noise(), low, high), _call(p.noise(), (-1.0,) * 4, (90.0,) * 4)]


def _threshold(p: Pictures) -> list[Arguments]:
    calls = [
        _call(p.noise(), 0.3, 1.0, cv2.THRESH_BINARY),
        _call(p.noise(), 0.3, 1.0, cv2.THRESH_TRUNC),
        _call(p.noise(), thresh=0.3, maxval=1.0, type=cv2.THRESH_TOZERO_INV),
    ]
    if p.dtype == "8U" and p.channels == 1:
        calls.append(_call(p.scene(), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU))
        if hasattr(cv2, "THRESH_DRYRUN"):
            calls.append(_call(p.scene(), 0, 255, cv2.THRESH_OTSU | cv2.THRESH_DRYRUN))
    return calls


def _normalize(p: Pictures) -> list[Arguments]:
    return [
        _call(p.scene(), None, 0, 100, cv2.NORM_MINMAX),
        _call(p.scene(), None, 0, 1, cv2.NORM_MINMAX, cv2.CV_32F),
        _call(p.scene(), dst=None, alpha=2.0, norm_type=cv2.NORM_L2),
        *(
            [_call(p.scene(), None, 0, 90, cv2.NORM_MINMAX, mask=p.mask())]
            if p.channels == 1
            else []
        ),
    ]


def _gemm(p: Pictures) -> list[Arguments]:
    left, right = p.noise(1), p.noise(2).swapaxes(0, 1).copy()
    height = left.shape[0]
    third = np.ones((height, height, *left.shape[2:]), left.dtype)
    return [_call(left, right, 0.5, third, 2.0), _call(left, right, 1.0, None, 0.0)]


def _dft(p: Pictures) -> list[Arguments]:
    calls = [_call(p.noise()), _call(p.noise(), flags=cv2.DFT_SCALE)]
    if p.channels == 1:
        calls.append(_call(p.noise(), None, cv2.DFT_COMPLEX_OUTPUT))
        calls.append(_call(p.noise(), None, cv2.DFT_COMPLEX_OUTPUT, p.size_wh[1] - 2))
    else:
        calls.append(_call(p.noise(), flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT))
    return calls


def _extra(p: Pictures, count: int) -> list[Image]:
    return [p.noise(salt) for salt in range(count)]


def _remap(p: Pictures) -> list[Arguments]:
    width, height = p.size_wh
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wave = (x + 3 * np.sin(y / 6)).astype(np.float32), (y + 2 * np.cos(x / 5)).astype(np.float32)
    return [
        _call(p.unit(), *wave, cv2.INTER_LINEAR),
        _call(p.unit(), *wave, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE),
        _call(p.unit(), *wave, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, (1, 2, 3, 4)),
    ]


_AFFINE = np.array([[0.9, 0.2, 3.0], [-0.1, 1.1, -2.0]])
_PERSPECTIVE = np.array([[0.9, 0.2, 3.0], [-0.1, 1.1, -2.0], [0.001, 0.0005, 1.0]])


def _warp(matrix: Image) -> Callable[[Pictures], list[Arguments]]:
    return lambda p: [
        _call(p.unit(), matrix, p.size_wh),
        _call(p.unit(), matrix, (31, 47), flags=cv2.INTER_NEAREST),
        _call(p.unit(), matrix, (61, 23), borderMode=cv2.BORDER_REPLICATE),
    ]


def _resize(p: Pictures) -> list[Arguments]:
    calls = [
        _call(p.unit(), (31, 47)),
        _call(p.unit(), None, None, 0.5, 0.5, cv2.INTER_NEAREST),
        _call(p.unit(), dsize=(70, 20), interpolation=cv2.INTER_LINEAR),
    ]
    if p.dtype != "8S":
        calls.append(_call(p.unit(), (20, 15), interpolation=cv2.INTER_AREA))
    return calls


def _histogram(p: Pictures) -> list[Arguments]:
    top = 4.0 if p.dtype == "32F" else float(np.iinfo(DTYPES[p.dtype]).max) + 1
    calls = [
        _call([p.noise()], [0], None, [16], [0.0, top]),
        _call([p.noise()], [0], p.mask(), [16], [0.0, top]),
    ]
    if p.channels == 3:
        calls.append(_call([p.noise()], [0, 2], None, [4, 5], [0.0, top, 0.0, top]))
    return calls


def _back_project(p: Pictures) -> list[Arguments]:
    top = 4.0 if p.dtype == "32F" else float(np.iinfo(DTYPES[p.dtype]).max) + 1
    hist = cv2.calcHist([p.noise()], [0], None, [16], [0.0, top])
    return [_call([p.noise()], [0], hist, [0.0, top], 1.0)]


def _normed(p: Pictures) -> list[Arguments]:
    return [
        _call(p.noise()),
        _call(p.noise(), cv2.NORM_L1),
        _call(p.noise(), normType=cv2.NORM_INF, mask=p.mask()),
        _call(p.noise(1), p.noise(2)),
        _call(p.noise(1), p.noise(2), cv2.NORM_L2),
    ]


def _reduce(p: Pictures) -> list[Arguments]:
    sums = {"8U": cv2.CV_32S, "64F": cv2.CV_64F}.get(p.dtype, cv2.CV_32F)
    return [
        _call(p.noise(), 0, cv2.REDUCE_SUM, dtype=sums),
        _call(p.noise(), 1, cv2.REDUCE_MAX),
        _call(p.noise(), 1, cv2.REDUCE_AVG, None, sums),
    ]


def _integral(p: Pictures) -> list[Arguments]:
    return [_call(p.noise()), _call(p.noise(), sdepth=cv2.CV_64F)]


def _depth_image(p: Pictures) -> list[Arguments]:
    q = np.array([[1, 0, 0, -20], [0, 1, 0, -15], [0, 0, 0, 50], [0, 0, 0.1, 0]], np.float64)
    return [_call(p.positive(), q), _call(p.positive(), q, None, True)]


def _convert_to(p: Pictures) -> list[Arguments]:
    return [
        _call(p.noise(), cv2.CV_32F),
        _call(p.noise(), cv2.CV_8U),
        _call(p.noise(), cv2.CV_16S, alpha=0.5),
        _call(p.noise(), cv2.CV_64F, None, 0.25, 3.0),
        _call(p.noise(), -1, alpha=0.5, beta=1.0),
    ]


def _levels(p: Pictures) -> Image:
    low, high = (-1.5, 1.5) if p.dtype == "32F" else (10, 200)
    return np.linspace(low, high, 6).astype(np.float32 if p.dtype == "32F" else np.int32)


CALLS: dict[str, Callable[[Pictures], list[Arguments]]] = {
    "add": _arithmetic,
    "subtract": _arithmetic,
    "multiply": _scaled,
    "divide": lambda p: [*_scaled(p), _call(7.0, p.noise(2))],
    "absdiff": _with_scalar,
    "addWeighted": lambda p: [
        _call(p.noise(1), 0.5, p.noise(2), 0.25, 1.0),
        _call(p.noise(1), 0.5, p.noise(2), beta=0.5, gamma=0.0, dtype=cv2.CV_32F),
    ],
    "abs": _one,
    "sqr": _one,
    "sqrt": lambda p: [_call(p.positive())],
    "exp": _one,
    "log": lambda p: [_call(p.positive())],
    "pow": lambda p: [_call(p.positive(), 2.0), _call(p.positive(), power=3)],
    "compare": lambda p: [
        _call(p.noise(1), p.noise(2), cv2.CMP_GT),
        _call(p.noise(1), p.noise(2), cmpop=cv2.CMP_LE),
    ],
    "bitwise_and": _masked,
    "bitwise_or": _masked,
    "bitwise_xor": _masked,
    "bitwise_not": _one_masked,
    "lshift": lambda p: [_call(p.noise(), 2), _call(p.noise(), (1, 2, 3, 4))],
    "rshift": lambda p: [_call(p.noise(), 2), _call(p.noise(), (1, 2, 3, 4))],
    "min": _with_scalar,
    "max": _with_scalar,
    "inRange": _in_range,
    "threshold": _threshold,
    "magnitude": _two,
    "magnitudeSqr": _two,
    "phase": lambda p: [*_two(p), _call(p.noise(1), p.noise(2), angleInDegrees=True)],
    "cartToPolar": lambda p: [*_two(p), _call(p.noise(1), p.noise(2), None, None, True)],
    "polarToCart": lambda p: [*_two(p), _call(p.noise(1), p.noise(2), None, None, True)],
    "convertScaleAbs": lambda p: [_call(p.noise()), _call(p.noise(), alpha=0.5, beta=3.0)],
    "convertTo": _convert_to,
    "normalize": _normalize,
    "LUT": lambda p: [
        _call(p.noise(), np.arange(255, -1, -1, dtype=np.uint8)),
        _call(p.noise(), lut=np.linspace(0, 1, 256, dtype=np.float32)),
    ],
    "gemm": _gemm,
    "dft": _dft,
    "mulSpectrums": lambda p: [
        _call(p.noise(1), p.noise(2), 0),
        _call(p.noise(1), p.noise(2), 0, conjB=True),
    ],
    "mulAndScaleSpectrums": lambda p: [
        _call(p.noise(1), p.noise(2), 0, 0.5),
        _call(p.noise(1), p.noise(2), 0, 0.5, None, True),
    ],
    "merge": lambda p: [_call(_extra(p, 3)), _call(tuple(_extra(p, 2)))],
    "split": lambda p: [_call(p.noise()), _call(m=p.noise())],
    "extractChannel": lambda p: [_call(p.noise(), 1), _call(p.noise(), coi=2)],
    "transpose": _one,
    "flip": lambda p: [_call(p.noise(), 0), _call(p.noise(), 1), _call(p.noise(), flipCode=-1)],
    "rotate": lambda p: [
        _call(p.noise(), cv2.ROTATE_90_CLOCKWISE),
        _call(p.noise(), cv2.ROTATE_180),
        _call(p.noise(), cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
    "copyMakeBorder": lambda p: [
        _call(p.noise(), 1, 2, 3, 4, cv2.BORDER_REFLECT),
        _call(p.noise(), 2, 1, 0, 3, cv2.BORDER_CONSTANT, value=(1, 2, 3, 4)),
    ],
    "copyTo": lambda p: [_call(p.noise(), p.mask()), _call(p.noise(), None)],
    "setTo": lambda p: [_call(p.noise(), (1, 2, 3, 4)), _call(p.noise(), 9.6, p.mask())],
    "blendLinear": lambda p: [_call(p.unit(1), p.unit(2), p.weights(3), p.weights(4))],
    "alphaComp": lambda p: [_call(p.unit(1), p.unit(2), code) for code in range(13)],
    "resize": _resize,
    "remap": _remap,
    "warpAffine": _warp(_AFFINE),
    "warpPerspective": _warp(_PERSPECTIVE),
    "buildWarpAffineMaps": lambda p: [
        _call(_AFFINE, False, (31, 23)),
        _call(_AFFINE, True, (9, 7)),
    ],
    "buildWarpPerspectiveMaps": lambda p: [
        _call(_PERSPECTIVE, False, (31, 23)),
        _call(_PERSPECTIVE, True, (9, 7)),
    ],
    "pyrDown": lambda p: [_call(p.noise()), _call(p.noise(), borderType=cv2.BORDER_REPLICATE)],
    "pyrUp": _one,
    "reprojectImageTo3D": _depth_image,
    "sumElems": _one,
    "sum": _sums,
    "absSum": _sums,
    "sqrSum": _sums,
    "mean": _sums,
    "meanStdDev": lambda p: [_call(p.noise()), _call(p.noise(), mask=p.mask())],
    "norm": _normed,
    "minMax": _sums,
    "minMaxLoc": _sums,
    "countNonZero": lambda p: [_call(p.noise()), _call(p.noise() * 0)],
    "hasNonZero": lambda p: [_call(p.noise()), _call(p.noise() * 0)],
    "reduce": _reduce,
    "calcHist": _histogram,
    "histEven": lambda p: [_call(p.noise(), 7, 3, 240)],
    "histRange": lambda p: [_call(p.noise(), _levels(p))],
    "evenLevels": lambda p: [_call(9, 0, 256), _call(4, 10, 111)],
    "integral": _integral,
    "integral2": _integral,
    "sqrIntegral": _one,
    "moments": lambda p: [_call(p.positive()), _call(p.positive(), binaryImage=True)],
    "calcBackProject": _back_project,
    **IMAGING,
}
"""For each function: from pictures of one type to the calls to try."""
