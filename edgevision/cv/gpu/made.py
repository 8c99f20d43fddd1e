"""CUDA adapters: filters and detectors that are made once, by the names of cv2.cuda.

Those that are a function of `edgevision.cv` with its parameters run that function's adapter, so
that they give the same result.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edgevision.cv import detectors, filters
from edgevision.cv.device import Made
from edgevision.cv.gpu import arithmetic, features, filtering, morphology
from edgevision.cv.gpu.call import Adapter, cached
from edgevision.errors import ConfigurationError

__all__ = ["METHODS"]

cuda: Any = cv2.cuda


def _arguments(made: Made) -> dict[str, Any]:
    """Return what the constructor was given, by name, defaults included."""
    name = made.constructor.name
    maker = getattr(filters, name, None) or getattr(detectors, name)
    bound = inspect.signature(maker).bind(*made.args, **made.kwargs)
    bound.apply_defaults()
    return bound.arguments


def _check(image: Any, wanted: int) -> None:
    if image.type() != wanted:
        raise ConfigurationError(
            f"made for images of type {filters.type_name(wanted)}, got "
            f"{filters.type_name(image.type())}"
        )


def _filter(made: Made) -> Adapter:
    name, given = made.constructor.name, _arguments(made)
    source = given["srcType"]
    depth = filters.depth_of(given.get("dstType", -1))
    if name == "createMedianFilter":
        side = given["windowSize"]
        run: Adapter = lambda stream, src, dst: filtering.median(stream, src, side, dst)  # noqa: E731
    elif name == "createMorphologyFilter":
        tail = (given["anchor"], given["iterations"])
        run = lambda stream, src, dst: morphology.morphology(  # noqa: E731
            stream, src, given["op"], given["kernel"], dst, *tail
        )
    elif name == "createLaplacianFilter":
        run = lambda stream, src, dst: filtering.laplacian(  # noqa: E731
            stream, src, depth, dst, given["ksize"], given["scale"], 0.0, given["borderMode"]
        )
    elif name == "createLinearFilter":
        run = lambda stream, src, dst: filtering.filter_2d(  # noqa: E731
            stream, src, depth, given["kernel"], dst, given["anchor"], 0.0, given["borderMode"]
        )
    else:
        maker, values = getattr(cuda, name), tuple(given.values())
        run = lambda stream, src, dst: cached(stream, maker, *values).apply(  # noqa: E731
            src, dst, stream
        )

    def apply(stream: Any, src: Any, dst: Any = None) -> Any:
        _check(src, source)
        return run(stream, src, dst)

    return apply


def _canny(made: Made) -> Adapter:
    low, high, aperture, l2_gradient = _arguments(made).values()

    def detect(stream: Any, image: Any, edges: Any = None) -> Any:
        return features.canny(stream, image, low, high, edges, aperture, l2_gradient)

    return detect


def _row(found: Any, width: int, dtype: Any) -> Any:
    """Return what was found as (1, N, width), as these detectors do on the CPU."""
    if found is None:
        return np.empty((1, 0, width), dtype)
    return found.reshape(1, -1, width)


def _lines(made: Made) -> Adapter:
    given = _arguments(made)

    def detect(stream: Any, src: Any, lines: Any = None) -> Any:
        found = features.lines(
            stream,
            src,
            given["rho"],
            given["theta"],
            given["threshold"],
            limit=given["maxLines"],
        )
        return _row(found, 2, np.float32)

    return detect


def _segments(made: Made) -> Adapter:
    given = _arguments(made)
    votes = given["minLineLength"] if given["threshold"] < 0 else given["threshold"]

    def detect(stream: Any, src: Any, lines: Any = None) -> Any:
        found = features.segments(
            stream,
            src,
            given["rho"],
            given["theta"],
            votes,
            None,
            given["minLineLength"],
            given["maxLineGap"],
            given["maxLines"],
        )
        return _row(found, 4, np.int32)

    return detect


def _circles(made: Made) -> Adapter:
    dp, distance, canny, votes, least, most, limit = _arguments(made).values()

    def detect(stream: Any, src: Any, circles: Any = None) -> Any:
        found = features.circles(
            stream,
            src,
            cv2.HOUGH_GRADIENT,
            dp,
            distance,
            None,
            canny,
            votes,
            least,
            most,
            limit,
        )
        return _row(found, 3, np.float32)

    return detect


def _corners(made: Made) -> Adapter:
    source, limit, quality, distance, block, harris, k = _arguments(made).values()

    def detect(stream: Any, image: Any, corners: Any = None, mask: Any = None) -> Any:
        _check(image, source)
        found = features.corners(
            stream, image, limit, quality, distance, None, mask, block, harris, k
        )
        return _row(found, 2, np.float32)

    return detect


def _cornerness(made: Made) -> Adapter:
    given = _arguments(made)
    harris = made.constructor.name == "createHarrisCorner"

    def compute(stream: Any, src: Any, dst: Any = None) -> Any:
        _check(src, given["srcType"])
        block, ksize, border = given["blockSize"], given["ksize"], given["borderType"]
        if harris:
            return features.corner_harris(stream, src, block, ksize, given["k"], dst, border)
        return features.corner_min_eigen(stream, src, block, dst, ksize, border)

    return compute


def _template(made: Made) -> Adapter:
    given = _arguments(made)

    def match(stream: Any, image: Any, templ: Any, result: Any = None) -> Any:
        _check(image, given["srcType"])
        return features.match_template(stream, image, templ, given["method"], result)

    return match


def _look_up(made: Made) -> Adapter:
    # A copy, as on the CPU: the caller may change the table later.
    table = np.array(_arguments(made)["lut"])

    def transform(stream: Any, src: Any, dst: Any = None) -> Any:
        return arithmetic.look_up(stream, src, table, dst)

    return transform


METHODS: dict[str, Callable[[Made], Adapter]] = {
    "Filter.apply": _filter,
    "CannyEdgeDetector.detect": _canny,
    "HoughLinesDetector.detect": _lines,
    "HoughSegmentDetector.detect": _segments,
    "HoughCirclesDetector.detect": _circles,
    "CornersDetector.detect": _corners,
    "CornernessCriteria.compute": _cornerness,
    "TemplateMatching.match": _template,
    "LookUpTable.transform": _look_up,
}
"""By class and method: from how an object was made to its adapter."""
