"""Arguments for the functions that look at more than one pixel: colours, filters, features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from tests.unit.cv.pictures import Pictures

__all__ = ["IMAGING", "Arguments"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _call(*args: Any, **kwargs: Any) -> Arguments:
    return args, kwargs


def _convert(p: Pictures) -> list[Arguments]:
    if p.channels == 1:
        return [_call(p.unit(), cv2.COLOR_GRAY2BGR), _call(p.unit(), code=cv2.COLOR_GRAY2BGRA)]
    if p.channels == 4:
        return [_call(p.unit(), cv2.COLOR_BGRA2BGR), _call(p.unit(), cv2.COLOR_BGRA2GRAY)]
    calls = [
        _call(p.unit(), cv2.COLOR_BGR2GRAY),
        _call(p.unit(), cv2.COLOR_BGR2RGB),
        _call(p.unit(), cv2.COLOR_BGR2YCrCb, None, 3),
    ]
    if p.dtype != "16U":
        calls.append(_call(p.unit(), cv2.COLOR_BGR2HSV))
    if p.dtype == "8U":
        whole = np.ascontiguousarray(p.unit()[:36, :52])  # chroma is halved
        calls.append(_call(whole, cv2.COLOR_BGR2YUV_I420))
    return calls


_KERNEL = np.array([[0.0, 0.1, 0.0], [0.2, 0.4, 0.1], [0.0, 0.1, 0.1]], np.float32)
_LINE = np.array([0.25, 0.5, 0.25], np.float32)
_ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 5))


def _derivative_depth(p: Pictures) -> int:
    return {"8U": cv2.CV_16S, "64F": cv2.CV_64F}.get(p.dtype, cv2.CV_32F)


def _morphology(p: Pictures) -> list[Arguments]:
    return [
        _call(p.noise(), _ELLIPSE),
        _call(p.noise(), None),
        _call(p.noise(), _CROSS, None, (-1, -1), 2),
        _call(p.noise(), kernel=_CROSS, borderType=cv2.BORDER_REPLICATE),
    ]


def _morphology_ex(p: Pictures) -> list[Arguments]:
    calls = [
        _call(p.noise(), operation, _ELLIPSE)
        for operation in (
            cv2.MORPH_OPEN,
            cv2.MORPH_CLOSE,
            cv2.MORPH_GRADIENT,
            cv2.MORPH_TOPHAT,
            cv2.MORPH_BLACKHAT,
            cv2.MORPH_ERODE,
        )
    ]
    if p.dtype == "8U" and p.channels == 1:
        hit = np.array([[0, 1, 0], [1, -1, 1], [0, 1, 0]], np.int32)
        calls.append(_call(p.mask(), cv2.MORPH_HITMISS, hit))
    return calls


def _median(p: Pictures) -> list[Arguments]:
    calls = [_call(p.noise(), 3), _call(p.noise(), ksize=5), _call(p.noise(), 1)]
    if p.dtype == "8U":
        calls.append(_call(p.noise(), 9))
    return calls


def _lines(p: Pictures) -> list[Arguments]:
    return [_call(cv2.Canny(p.scene(), 60, 120), 1, np.pi / 180, 12)]


def _match(p: Pictures) -> list[Arguments]:
    image = p.scene()
    part = image[5:17, 8:19]
    return [
        _call(image, part, cv2.TM_CCOEFF_NORMED),
        _call(image, part, method=cv2.TM_SQDIFF),
        _call(image, part, cv2.TM_CCORR_NORMED, None, np.ones_like(part)),
    ]


def _labels(p: Pictures) -> list[Arguments]:
    return [_call(p.mask()), _call(p.mask(), connectivity=4), _call(p.mask(), ltype=cv2.CV_16U)]


def _farneback(p: Pictures) -> list[Arguments]:
    first, second = p.scene(), p.scene(shift_px=1)
    guess = np.full((*first.shape, 2), 0.5, np.float32)
    return [
        _call(first, second, None, 0.5, 2, 7, 2, 5, 1.1, 0),
        _call(first, second, guess, 0.5, 1, 7, 2, 5, 1.1, cv2.OPTFLOW_USE_INITIAL_FLOW),
    ]


def _lucas_kanade(p: Pictures) -> list[Arguments]:
    first, second = p.scene(), p.scene(shift_px=1)
    points = np.array([[[10.0, 9.0]], [[20.5, 15.5]], [[30.0, 20.0]]], np.float32)
    return [_call(first, second, points, None), _call(first, second, points, None, winSize=(9, 9))]


IMAGING: dict[str, Callable[[Pictures], list[Arguments]]] = {
    "cvtColor": _convert,
    "demosaicing": lambda p: [
        _call(p.noise(), cv2.COLOR_BayerBG2BGR),
        _call(p.noise(), cv2.COLOR_BayerGR2GRAY),
        _call(p.noise(), cv2.COLOR_BayerRG2BGR_EA),
        *([_call(p.noise(), cv2.COLOR_BayerBG2BGR_VNG)] if p.dtype == "8U" else []),
    ],
    "equalizeHist": lambda p: [_call(p.noise())],
    "adaptiveThreshold": lambda p: [
        _call(p.scene(), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 7, 2.0),
        _call(p.scene(), 200, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV, 5, C=1.0),
    ],
    "blur": lambda p: [_call(p.noise(), (3, 5)), _call(p.noise(), ksize=(4, 3), anchor=(1, 1))],
    "boxFilter": lambda p: [
        _call(p.noise(), -1, (3, 5)),
        _call(p.noise(), _derivative_depth(p), (5, 3), normalize=False),
    ],
    "GaussianBlur": lambda p: [
        _call(p.noise(), (5, 3), 1.2),
        _call(p.noise(), (0, 0), sigmaX=1.0, sigmaY=2.0),
        _call(p.noise(), (1, 1), 0),
    ],
    "Sobel": lambda p: [
        _call(p.noise(), _derivative_depth(p), 1, 0),
        _call(p.noise(), _derivative_depth(p), 0, 1, ksize=5, scale=0.5, delta=1.0),
    ],
    "Scharr": lambda p: [_call(p.noise(), _derivative_depth(p), 0, 1)],
    "Laplacian": lambda p: [
        _call(p.noise(), _derivative_depth(p)),
        _call(p.noise(), _derivative_depth(p), ksize=3),
    ],
    "filter2D": lambda p: (
        [
            _call(p.noise(), -1, _KERNEL),
            _call(p.noise(), _derivative_depth(p), kernel=_KERNEL, delta=2.0),
        ]
        if p.dtype != "8U"
        else [
            _call(p.noise(), -1, _KERNEL),
            _call(p.noise(), cv2.CV_32F, kernel=_KERNEL, delta=2.0),
        ]
    ),
    "sepFilter2D": lambda p: [
        _call(p.noise(), -1, _LINE, _LINE),
        _call(p.noise(), -1, kernelX=_LINE, kernelY=_LINE, anchor=(0, 1)),
    ],
    "medianBlur": _median,
    "bilateralFilter": lambda p: [
        _call(p.unit(), 5, 30.0, 3.0),
        _call(p.unit(), d=3, sigmaColor=0.2, sigmaSpace=2.0),
    ],
    "erode": _morphology,
    "dilate": _morphology,
    "morphologyEx": _morphology_ex,
    "pyrMeanShiftFiltering": lambda p: [
        _call(p.scene(), 5, 20),
        _call(p.scene(), 4, 10, maxLevel=0),
    ],
    "meanShiftFiltering": lambda p: [_call(p.scene(), 5, 20)],
    "fastNlMeansDenoising": lambda p: [
        _call(p.scene(), None, 6, 3, 9),
        _call(p.scene(), [5.0], templateWindowSize=3, searchWindowSize=7)
        if p.channels == 1
        else _call(p.scene(), [5.0, 6.0, 7.0], None, 3, 7),
    ],
    "fastNlMeansDenoisingColored": lambda p: [_call(p.scene(), None, 5, 5, 3, 7)],
    "Canny": lambda p: [
        _call(p.scene(), 60, 120),
        _call(p.scene(), 60, 120, apertureSize=5, L2gradient=True),
        _call(
            cv2.Sobel(p.scene(), cv2.CV_16S, 1, 0), cv2.Sobel(p.scene(), cv2.CV_16S, 0, 1), 50, 90
        ),
    ],
    "HoughLines": _lines,
    "HoughLinesP": lambda p: [
        *_lines(p),
        _call(cv2.Canny(p.scene(), 60, 120), 1, np.pi / 90, 8, minLineLength=4),
    ],
    "HoughCircles": lambda p: [
        _call(p.scene(), cv2.HOUGH_GRADIENT, 1, 9, param1=100, param2=9, minRadius=3, maxRadius=12)
    ],
    "cornerHarris": lambda p: [_call(p.scene(), 2, 3, 0.04)],
    "cornerMinEigenVal": lambda p: [_call(p.scene(), 3), _call(p.scene(), 3, ksize=5)],
    "goodFeaturesToTrack": lambda p: [
        _call(p.scene(), 20, 0.05, 3),
        _call(p.scene(), 20, 0.05, 3, mask=p.mask(), useHarrisDetector=True),
    ],
    "matchTemplate": _match,
    "connectedComponents": _labels,
    "connectedComponentsWithStats": _labels,
    "connectedComponentsWithAlgorithm": lambda p: [_call(p.mask(), 8, cv2.CV_32S, cv2.CCL_WU)],
    "distanceTransform": lambda p: [
        _call(p.mask(), cv2.DIST_L2, 3),
        _call(p.mask(), cv2.DIST_L1, 3, dstType=cv2.CV_8U),
    ],
    "calcOpticalFlowFarneback": _farneback,
    "calcOpticalFlowPyrLK": _lucas_kanade,
}
