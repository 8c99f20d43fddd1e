"""How close CUDA and CPU must be, as the table of operations says, and how that is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edgevision.cv.operation import ROUNDING, Operation
from tests.unit.cv.pictures import Image

__all__ = ["SPECIAL", "device", "distance", "host", "unlike"]

_NEAR_PX = 2.0


def device(value: Any, *, region: bool) -> Any:
    """Upload an array; as a region of a larger image if asked."""
    if isinstance(value, list | tuple) and value and isinstance(value[0], np.ndarray):
        return [device(item, region=region) for item in value]
    if not isinstance(value, np.ndarray):
        return value
    mat = cv2.cuda.GpuMat()
    if not region:
        mat.upload(np.ascontiguousarray(value))
        return mat
    height, width = value.shape[:2]
    larger = np.full((height + 6, width + 9, *value.shape[2:]), 99, value.dtype)
    larger[2 : 2 + height, 5 : 5 + width] = value
    mat.upload(larger)
    return cv2.cuda.GpuMat(mat, (5, 2, width, height))


def host(value: Any) -> Any:
    """Download what a call returned; the work on the default stream has ended."""
    if isinstance(value, cv2.cuda.GpuMat):
        return value.download()
    if isinstance(value, list | tuple):
        return tuple(host(item) for item in value)
    return value


def unlike(row: Operation, args: tuple[Any, ...], expected: Any, got: Any) -> str:
    """Return in what the results of a call differ by more than the row allows, or nothing."""
    special = SPECIAL.get(row.name)
    if special is not None:
        return special(args, expected, got)
    return distance(expected, got, row)


def distance(expected: Any, got: Any, row: Operation) -> str:
    """Return how far results are apart, or nothing when that is within the row's bounds."""
    if isinstance(expected, dict):
        return "".join(distance(value, got[name], row) for name, value in expected.items())
    if isinstance(expected, list | tuple):
        if len(expected) != len(got):
            return f"{len(expected)} results against {len(got)}"
        return "".join(distance(e, g, row) for e, g in zip(expected, got, strict=True))
    left: Image = np.asarray(expected)
    right: Image = np.asarray(got)
    if left.ndim == 3 and left.shape[2] == 1 and right.ndim == 2:
        left = left[..., 0]
    if left.shape != right.shape or (
        isinstance(expected, np.ndarray) and left.dtype != right.dtype
    ):
        return f"{left.dtype} {left.shape} against {right.dtype} {right.shape}"
    apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
    if left.dtype.kind in "iub":
        bound, unit = float(row.steps), "steps"
        if left.dtype.itemsize == 2:
            # Steps are those of bytes; where the bound is a share, it is one of the range.
            bound = max(bound, row.relative * float(np.ptp(left.astype(np.int64))))
    else:
        bound, unit = row.relative or ROUNDING, "relative"
        apart = apart / (float(np.abs(left).max(initial=0.0)) or 1.0)
    beyond = int(np.count_nonzero(~(apart <= bound)))
    if beyond <= row.outliers * apart.size:
        return ""
    return f"{beyond} of {apart.size} apart, by {float(apart.max()):.3g} {unit}"


def _values_at_places(args: tuple[Any, ...], expected: Any, got: Any) -> str:
    """Of equal values any place will do."""
    low, high, at_low, at_high = got
    if (low, high) != tuple(expected[:2]):
        return f"{expected} against {got}"
    image = args[0]
    if (image[at_low[::-1]], image[at_high[::-1]]) != (low, high):
        return f"{got}: other values are there"
    return ""


def _same_blobs(_: tuple[Any, ...], expected: Any, got: Any) -> str:
    count, labels = expected
    if got[0] != count or got[1].shape != labels.shape:
        return f"{count} blobs against {got[0]}"
    pairs = {*zip(labels.ravel().tolist(), got[1].ravel().tolist(), strict=True)}
    if len(pairs) != count or (0, 0) not in pairs:
        return f"{count} labels against pairs {sorted(pairs)[:9]}"
    numbers = sorted(number for _, number in pairs)
    return "" if numbers == list(range(count)) else f"numbers {numbers[:9]}"


def _same_set(_: tuple[Any, ...], expected: Any, got: Any) -> str:
    """The same lines or points in any order, to a thousandth."""
    left, right = (
        sorted(np.asarray([] if found is None else found).round(3).reshape(-1, 2).tolist())
        for found in (expected, got)
    )
    return "" if left == right else f"{len(left)} against {len(right)}: {left[:3]} {right[:3]}"


def _on_edges(args: tuple[Any, ...], expected: Any, got: Any) -> str:
    """Another choice of segments, which lie on the edges too."""
    if expected is None or got is None:
        return ""
    apart = cv2.distanceTransform(255 - args[0], cv2.DIST_L2, 5)
    for x0, y0, x1, y1 in got.reshape(-1, 4).tolist():
        if max(apart[y0, x0], apart[y1, x1]) > _NEAR_PX:
            return f"segment {x0, y0, x1, y1} is on no edge"
    return ""


def _near_circles(_: tuple[Any, ...], expected: Any, got: Any) -> str:
    """The strongest circle of the CPU is among those found."""
    if expected is None:
        return ""
    if got is None:
        return "no circle found"
    best = expected.reshape(-1, 3)[0]
    nearest = np.abs(got.reshape(-1, 3) - best).max(axis=1).min()
    return "" if nearest <= 2 * _NEAR_PX else f"{best} is not among {got.reshape(-1, 3)[:4]}"


def _near_points(_: tuple[Any, ...], expected: Any, got: Any) -> str:
    """Points that both could follow are at the same places, to a pixel."""
    if got[0].shape != expected[0].shape or got[1].shape != expected[1].shape:
        return f"shapes {[g.shape for g in got]} against {[e.shape for e in expected]}"
    both = (expected[1] & got[1]).ravel() > 0
    if not both.any() and expected[1].any():
        return "nothing could be followed"
    apart = np.abs(expected[0] - got[0]).reshape(-1, 2)[both].max(initial=0.0)
    return "" if apart <= 1.0 else f"{apart:.3g} px apart"


SPECIAL: dict[str, Callable[[tuple[Any, ...], Any, Any], str]] = {
    "minMaxLoc": _values_at_places,
    "connectedComponents": _same_blobs,
    "connectedComponentsWithAlgorithm": _same_blobs,
    "HoughLines": _same_set,
    "HoughLinesP": _on_edges,
    "HoughCircles": _near_circles,
    "goodFeaturesToTrack": _same_set,
    "calcOpticalFlowPyrLK": _near_points,
}
"""Operations whose results are compared otherwise: why, the function says."""
