"""CUDA adapters: people and faces, key points and their matches.

What they find comes back to the host: boxes, weights, key points, matches. Descriptors stay on the
device.
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
from edgevision.cv.gpu.call import Adapter, GpuMat, read, scratch, whole
from edgevision.errors import CudaUnsupportedError

__all__ = ["METHODS"]

cuda: Any = cv2.cuda

_MAX_OBJECTS = 1000
_ORB = (
    "MaxFeatures",
    "ScaleFactor",
    "NLevels",
    "EdgeThreshold",
    "FirstLevel",
    "WTA_K",
    "ScoreType",
    "PatchSize",
    "FastThreshold",
)


def _bytes(stream: Any, image: Any, key: str, color: int, channels: int) -> Any:
    """Return a colour image as the detectors take it; another as it is, in memory of its own."""
    if image.channels() == 3:
        return scratch(
            f"cuda {key} converted",
            lambda buffer: cuda.cvtColor(image, color, buffer, channels, stream),
        )
    return whole(stream, image, key)


def _gray(stream: Any, image: Any, key: str) -> Any:
    return _bytes(stream, image, key, cv2.COLOR_BGR2GRAY, 1)


class _Hog:
    """cv2.cuda's detector with the settings of a host's one."""

    def __init__(self, made: Made) -> None:
        self._made = made
        self._seen = -1
        self._model: Any = None

    def model(self) -> Any:
        """Return the detector, made anew when the host's was changed."""
        if self._seen != self._made.version:
            self._seen = self._made.version
            host = self._made.host
            model = cuda.HOG_create(
                host.winSize, host.blockSize, host.blockStride, host.cellSize, host.nbins
            )
            model.setWinSigma(host.winSigma)
            model.setL2HysThreshold(host.L2HysThreshold)
            model.setGammaCorrection(host.gammaCorrection)
            model.setNumLevels(host.nlevels)
            weights = np.asarray(host.svmDetector, np.float32)
            if not weights.size:
                raise CudaUnsupportedError(
                    "cv.HOGDescriptor on CUDA needs a detector: setSVMDetector"
                )
            model.setSVMDetector(weights.reshape(1, -1))
            self._model = model
        return self._model

    def prepared(self, threshold: float, stride: Any, padding: Any) -> Any:
        """Return the detector for one call."""
        if padding is not None and any(padding):
            raise CudaUnsupportedError(
                "cv.HOGDescriptor on CUDA has no padding: put a border around the image "
                "(cv.copyMakeBorder)"
            )
        model = self.model()
        model.setHitThreshold(threshold)
        given = tuple(stride) if stride else (0, 0)
        model.setWinStride(given if any(given) else self._made.host.blockStride)
        return model


def _hog_many(made: Made) -> Adapter:
    hog = _Hog(made)

    def run(
        stream: Any,
        img: Any,
        hitThreshold: float = 0.0,
        winStride: Any = None,
        padding: Any = None,
        scale: float = 1.05,
        groupThreshold: float = 2.0,
        useMeanshiftGrouping: bool = False,
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        if groupThreshold or useMeanshiftGrouping:
            raise CudaUnsupportedError(
                "cv.HOGDescriptor.detectMultiScale on CUDA gives weights of single windows only: "
                "groupThreshold=0"
            )
        model = hog.prepared(hitThreshold, winStride, padding)
        model.setScaleFactor(scale)
        model.setGroupThreshold(0)
        image = _bytes(stream, img, "HOG", cv2.COLOR_BGR2BGRA, 4)
        # It runs on streams of its own, which do not wait for this one.
        stream.waitForCompletion()
        windows, weights = model.detectMultiScale(image)
        return np.array(windows, np.int32).reshape(-1, 4), np.array(weights, np.float64)

    return run


def _hog_single(made: Made) -> Adapter:
    hog = _Hog(made)

    def run(
        stream: Any,
        img: Any,
        hitThreshold: float = 0.0,
        winStride: Any = None,
        padding: Any = None,
        searchLocations: Any = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        if searchLocations is not None:
            raise CudaUnsupportedError("cv.HOGDescriptor.detect on CUDA looks everywhere")
        model = hog.prepared(hitThreshold, winStride, padding)
        image = _bytes(stream, img, "HOG", cv2.COLOR_BGR2BGRA, 4)
        stream.waitForCompletion()
        places, weights = model.detect(image)
        return np.array(places, np.int32).reshape(-1, 2), np.array(weights, np.float64)

    return run


def _cascade(made: Made) -> Adapter:
    file = made.settings.get("load", made.args or tuple(made.kwargs.values()))
    name = str(file[0]) if file else ""
    try:
        model = cuda.CascadeClassifier_create(name)
    except cv2.error as error:
        raise CudaUnsupportedError(
            f"cv2.cuda.CascadeClassifier does not read {name!r} (it takes cascades of the old "
            "format only); download the image"
        ) from error
    model.setMaxNumObjects(_MAX_OBJECTS)

    def run(
        stream: Any,
        image: Any,
        scaleFactor: float = 1.1,
        minNeighbors: int = 3,
        flags: int = 0,
        minSize: Any = None,
        maxSize: Any = None,
    ) -> NDArray[np.int32]:
        model.setScaleFactor(scaleFactor)
        model.setMinNeighbors(minNeighbors)
        model.setMinObjectSize(tuple(minSize) if minSize else (0, 0))
        model.setMaxObjectSize(tuple(maxSize) if maxSize else (0, 0))
        found = model.detectMultiScale(_gray(stream, image, "cascade"), None, stream)
        if found.empty():
            return np.empty((0, 4), np.int32)
        return np.asarray(read(stream, found), np.int32).reshape(-1, 4)

    return run


def _matcher(made: Made) -> Any:
    given = dict(zip(("normType", "crossCheck"), made.args, strict=False)) | made.kwargs
    if given.get("crossCheck"):
        raise CudaUnsupportedError("cv.BFMatcher on CUDA has no crossCheck")
    return cuda.DescriptorMatcher_createBFMatcher(given.get("normType", cv2.NORM_L2))


def _match(made: Made) -> Adapter:
    matcher = _matcher(made)

    def run(
        stream: Any, queryDescriptors: Any, trainDescriptors: Any, mask: Any = None
    ) -> tuple[Any, ...]:
        # It runs on the default stream, which does not wait for this one.
        stream.waitForCompletion()
        return tuple(matcher.match(queryDescriptors, trainDescriptors, mask))

    return run


def _match_nearest(made: Made) -> Adapter:
    matcher = _matcher(made)

    def run(
        stream: Any,
        queryDescriptors: Any,
        trainDescriptors: Any,
        k: int,
        mask: Any = None,
        compactResult: bool = False,
    ) -> tuple[Any, ...]:
        stream.waitForCompletion()
        return tuple(matcher.knnMatch(queryDescriptors, trainDescriptors, k, mask, compactResult))

    return run


def _match_within(made: Made) -> Adapter:
    matcher = _matcher(made)

    def run(
        stream: Any,
        queryDescriptors: Any,
        trainDescriptors: Any,
        maxDistance: float,
        mask: Any = None,
        compactResult: bool = False,
    ) -> tuple[Any, ...]:
        stream.waitForCompletion()
        return tuple(
            matcher.radiusMatch(
                queryDescriptors, trainDescriptors, maxDistance, mask, compactResult
            )
        )

    return run


def _fast(made: Made) -> Adapter:
    host = made.host

    def run(stream: Any, image: Any, mask: Any = None) -> tuple[Any, ...]:
        if host.getType() != cv2.FAST_FEATURE_DETECTOR_TYPE_9_16:
            raise CudaUnsupportedError("cv.FastFeatureDetector on CUDA has TYPE_9_16 only")
        width, height = image.size()
        model = cuda.FastFeatureDetector_create(
            host.getThreshold(),
            host.getNonmaxSuppression(),
            cv2.FAST_FEATURE_DETECTOR_TYPE_9_16,
            max(width * height // 4, 1),
        )
        found = _key_points(stream, model, image, None)
        if mask is None or not found:
            return found
        # In cv2 a corner outside the mask still outdoes its neighbours; in cv2.cuda it does not.
        inside = read(stream, mask)
        return tuple(one for one in found if inside[_nearest(one.pt[1]), _nearest(one.pt[0])])

    return run


def _nearest(place: float) -> int:
    return int(place + 0.5)


def _key_points(stream: Any, model: Any, image: Any, mask: Any) -> tuple[Any, ...]:
    inside = None if mask is None else whole(stream, mask, "key points mask")
    found = model.detectAsync(_gray(stream, image, "key points"), None, inside, stream)
    stream.waitForCompletion()
    return () if found.empty() else tuple(model.convert(found))


def _orb_model(made: Made) -> Callable[[], Any]:
    """Return the function that gives the detector; its setters alone leave parts as they were."""
    seen, model = -1, None

    def current() -> Any:
        nonlocal seen, model
        if seen != made.version:
            seen = made.version
            model = cuda.ORB_create(*(getattr(made.host, f"get{name}")() for name in _ORB))
        return model

    return current


def _orb(made: Made) -> Adapter:
    model = _orb_model(made)

    def run(stream: Any, image: Any, mask: Any = None) -> tuple[Any, ...]:
        return _key_points(stream, model(), image, mask)

    return run


def _orb_described(made: Made) -> Adapter:
    model = _orb_model(made)

    def run(
        stream: Any,
        image: Any,
        mask: Any,
        descriptors: Any = None,
        useProvidedKeypoints: bool = False,
    ) -> tuple[tuple[Any, ...], Any]:
        if useProvidedKeypoints:
            raise CudaUnsupportedError("cv.ORB on CUDA finds its key points itself")
        orb = model()
        gray = _gray(stream, image, "key points")
        inside = GpuMat() if mask is None else whole(stream, mask, "key points mask")
        found, described = orb.detectAndComputeAsync(gray, inside, None, descriptors, False, stream)
        stream.waitForCompletion()
        return (() if found.empty() else tuple(orb.convert(found))), described

    return run


METHODS: dict[str, Callable[[Made], Adapter]] = {
    "HOGDescriptor.detect": _hog_single,
    "HOGDescriptor.detectMultiScale": _hog_many,
    "CascadeClassifier.detectMultiScale": _cascade,
    "BFMatcher.match": _match,
    "BFMatcher.knnMatch": _match_nearest,
    "BFMatcher.radiusMatch": _match_within,
    "FastFeatureDetector.detect": _fast,
    "ORB.detect": _orb,
    "ORB.detectAndCompute": _orb_described,
}
"""By class and method: from how an object was made to its adapter."""
