"""Each method of an object on GpuMats against the same on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.cuda import DeviceArena, cuda_stream, open_stream
from edgevision.cv import gpu
from edgevision.cv.operation import Operation
from edgevision.cv.table import TYPES
from edgevision.errors import CudaUnsupportedError
from tests.gpu.parity import SPECIAL, device, distance, host
from tests.unit.cv.pictures import Image, Pictures
from tests.unit.cv.test_filters import OWN
from tests.unit.cv.test_objects import METHODS

ROWS = {f"{kind.name}.{row.name}": row for kind in TYPES.values() for row in kind.methods}
OF = Pictures("8U", 1, (161, 113))
# Not on CUDA: what is compared as numbers in test_operations, or below.
OTHERWISE = {
    "BFMatcher.match",
    "BFMatcher.knnMatch",
    "BFMatcher.radiusMatch",
    "CascadeClassifier.detectMultiScale",
    "FastFeatureDetector.detect",
    "HOGDescriptor.detect",
    "HOGDescriptor.detectMultiScale",
    "ORB.detect",
    "ORB.detectAndCompute",
}
_POINTS_AT = 2  # in the arguments of SparsePyrLKOpticalFlow.calc


@pytest.fixture(autouse=True)
def _frame() -> Iterator[None]:
    """A stream and an arena, as a pipeline has them."""
    arena = DeviceArena()
    token = arenas.enter(arena)
    with cuda_stream.use(open_stream()):
        yield
        arena.release()
    arenas.leave(token)


def _finished(value: Any) -> Any:
    stream = cuda_stream.current()
    assert stream is not None
    stream.waitForCompletion()
    return host(value)


def _sent(args: tuple[Any, ...], *, region: bool) -> list[Any]:
    return [
        a if number >= _POINTS_AT else device(a, region=region) for number, a in enumerate(args)
    ]


def _on_the_cpu(function: Callable[..., Any], *args: Any) -> Any:
    token = arenas.enter(None)
    try:
        return function(*args)
    finally:
        arenas.leave(token)


def _alike(row: Operation, key: str, args: tuple[Any, ...], expected: Any, got: Any) -> str:
    if key == "SparsePyrLKOpticalFlow.calc":
        return SPECIAL["calcOpticalFlowPyrLK"](args, expected, got)
    return distance(expected, got, row)


@pytest.mark.parametrize("key", sorted((set(METHODS) & gpu.supported()) - OTHERWISE))
@pytest.mark.parametrize("region", [False, True])
def test_objects_agree(key: str, region: bool) -> None:
    make, calls = METHODS[key]
    row = ROWS[key]
    method = row.name
    ours, theirs = make(cv), make(cv)
    for number, args in enumerate(calls(OF)):
        expected = _on_the_cpu(getattr(theirs, method), *args)
        got = _finished(getattr(ours, method)(*_sent(args, region=region)))
        apart = _alike(row, key, args, expected, got)
        assert not apart, f"call {number}: {apart}"


def _loose(name: str) -> Operation:
    """The bound of what an object of our own does is that of the function it stands for."""
    from edgevision.cv.table import OPERATIONS

    return OPERATIONS[
        {
            "createBoxFilter": "boxFilter",
            "createGaussianFilter": "GaussianBlur",
            "createSobelFilter": "Sobel",
            "createScharrFilter": "Scharr",
            "createDerivFilter": "Sobel",
            "createLaplacianFilter": "Laplacian",
            "createLinearFilter": "filter2D",
            "createSeparableLinearFilter": "sepFilter2D",
            "createHarrisCorner": "cornerHarris",
            "createMinEigenValCorner": "cornerMinEigenVal",
            "createTemplateMatching": "matchTemplate",
            "DensePyrLKOpticalFlow_create": "calcOpticalFlowFarneback",
        }.get(name, "flip")
    ]


# Another choice of segments and circles; where a picture is flat, dense flow goes its own way.
CHOOSING = {
    "createHoughSegmentDetector",
    "createHoughCirclesDetector",
    "DensePyrLKOpticalFlow_create",
}


@pytest.mark.parametrize("name", sorted(OWN))
@pytest.mark.parametrize("region", [False, True])
def test_filters_and_detectors_agree(name: str, region: bool) -> None:
    make, method, arguments, _ = OWN[name]
    args = arguments(OF)
    made = make()
    expected = _on_the_cpu(getattr(made, method), *args)
    got = _finished(getattr(made, method)(*(device(a, region=region) for a in args)))
    if name in CHOOSING:
        assert got.ndim == expected.ndim
        assert got.dtype == expected.dtype
        assert got.shape[2] == expected.shape[2]
    elif "Hough" in name or "GoodFeatures" in name:
        assert SPECIAL["HoughLines"](args, expected, got) == ""
    else:
        assert distance(expected, got, _loose(name)) == ""


def test_a_background_model_follows_its_settings() -> None:
    ours, theirs = (cv.createBackgroundSubtractorMOG2(20, 9) for _ in range(2))
    for salt in range(6):
        image = Pictures("8U", 3, (321, 203)).scene(salt)
        if salt == 3:
            ours.setDetectShadows(False)
            theirs.setDetectShadows(False)
        got = _finished(ours.apply(device(image, region=False)))
        assert (got == _on_the_cpu(theirs.apply, image)).all()


def test_a_setter_kept_for_later_is_followed_too() -> None:
    ours, theirs = (cv.createCLAHE(2.0, (4, 3)) for _ in range(2))
    keep, image = ours.setClipLimit, Pictures("8U", 1, (321, 203)).noise()
    mat = device(image, region=False)
    _finished(ours.apply(mat))
    keep(20.0)
    theirs.setClipLimit(20.0)
    expected = _on_the_cpu(theirs.apply, image)
    assert np.abs(_finished(ours.apply(mat)).astype(int) - expected).max() <= 1


def _walkway() -> Image:
    from tests.unit.stages.scoring import frames

    options = {"width": 640, "height": 360, "people": 4, "faces": 1}
    return np.array(next(iter(frames(options, range(40, 41)))).image)


def test_people_are_found_where_the_cpu_finds_them() -> None:
    image = _walkway()
    hog: Any = cv.HOGDescriptor()
    hog.setSVMDetector(np.array(cv.HOGDescriptor_getDefaultPeopleDetector(), np.float32))
    places, weights = _on_the_cpu(lambda: hog.detect(image, 0.0, (8, 8)))
    found, scores = hog.detect(device(image, region=False), 0.0, (8, 8))
    assert found.dtype == np.int32
    assert len(found) == len(scores)
    sure = {
        tuple(p)
        for p, w in zip(np.reshape(places, (-1, 2)), np.ravel(weights), strict=True)
        if w > 0.2
    }
    seen = {tuple(p) for p in found.tolist()}
    assert sure <= seen, (sorted(sure - seen), len(seen))
    windows, scores = hog.detectMultiScale(device(image, region=False), groupThreshold=0)
    assert windows.shape == (len(scores), 4)
    assert len(windows) > 0
    with pytest.raises(CudaUnsupportedError, match="groupThreshold=0"):
        hog.detectMultiScale(device(image, region=False))
    with pytest.raises(CudaUnsupportedError, match="copyMakeBorder"):
        hog.detect(device(image, region=False), padding=(8, 8))


def test_a_cascade_that_cuda_does_not_read_is_named() -> None:
    from edgevision.stages.faces import _default_cascade

    cascade = cv.CascadeClassifier(str(_default_cascade()))
    with pytest.raises(CudaUnsupportedError, match="does not read"):
        cascade.detectMultiScale(device(_walkway(), region=False))


def _key_points(found: Any) -> set[tuple[int, int]]:
    return {(round(k.pt[0]), round(k.pt[1])) for k in found}


def test_the_same_corners_are_found() -> None:
    detector = cv.FastFeatureDetector_create(20)
    image = OF.scene()
    expected = _key_points(_on_the_cpu(detector.detect, image))
    assert _key_points(detector.detect(device(image, region=False))) == expected
    mask = OF.mask()
    inside = _key_points(detector.detect(device(image, region=True), device(mask, region=True)))
    assert inside == _key_points(_on_the_cpu(detector.detect, image, mask))


def test_orb_finds_what_it_finds_on_the_cpu() -> None:
    image = cv2.cvtColor(_walkway(), cv2.COLOR_BGR2GRAY)
    orb = cv.ORB_create(200)
    expected = _key_points(_on_the_cpu(orb.detect, image))
    found, described = orb.detectAndCompute(device(image, region=False), None)
    assert len(found) == described.size()[1] > 0
    assert described.size()[0] == 32
    near = sum(
        any(abs(x - u) < 3 and abs(y - v) < 3 for u, v in expected) for x, y in _key_points(found)
    )
    assert near >= 0.4 * len(found), f"{near} of {len(found)} near {len(expected)}"


@pytest.mark.parametrize("method", ["match", "knnMatch", "radiusMatch"])
def test_matches_agree(method: str) -> None:
    random = np.random.default_rng(3)
    query, train = (random.random((23, 32), np.float32) for _ in range(2))
    extra = {"match": (), "knnMatch": (2,), "radiusMatch": (2.2,)}[method]
    matcher = cv.BFMatcher(cv2.NORM_L2)
    expected = _on_the_cpu(getattr(matcher, method), query, train, *extra)
    got = getattr(matcher, method)(device(query, region=False), device(train, region=False), *extra)

    def rows(found: Any) -> list[Any]:
        if isinstance(found, tuple | list):
            return [rows(item) for item in found]
        return [found.queryIdx, found.trainIdx, round(float(found.distance), 3)]

    assert rows(got) == rows(expected)
