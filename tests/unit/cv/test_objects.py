"""The objects: in step with cv2's own, in an arena as well, and open to all that cv2 offers."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import Arena
from edgevision.cv.operation import ObjectType, Operation
from edgevision.cv.table import TYPES
from tests.unit.cv.pictures import Image, Pictures, equal

Calls = list[tuple[Any, ...]]

# OpenCV's own stub lacks some of its functions.
NATIVE_CV2: Any = cv2
CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"


def _pair(of: Pictures) -> tuple[Image, Image]:
    return of.scene(), of.scene(shift_px=1)


def _people(module: Any) -> Any:
    hog = module.HOGDescriptor()
    hog.setSVMDetector(module.HOGDescriptor.getDefaultPeopleDetector())
    return hog


def _large(of: Pictures) -> Image:
    return replace(of, size_wh=(96, 160)).scene()


def _descriptors(of: Pictures) -> tuple[Image, Image]:
    return of.noise(1)[:20, :32].copy(), of.noise(2)[:20, :32].copy()


def _points() -> Image:
    return np.array([[[10.0, 9.0]], [[20.5, 15.5]], [[30.0, 20.0]]], np.float32)


def _key_points(of: Pictures) -> Any:
    return NATIVE_CV2.ORB_create(20).detect(_large(of))


def _with_template(name: str) -> Callable[[Any], Any]:
    def make(module: Any) -> Any:
        hough = getattr(module, name)()
        if name.endswith("Guil"):
            hough.setLevels(30)
            hough.setPosThresh(5)
            hough.setAngleStep(90)
            hough.setMaxAngle(90)
            hough.setScaleStep(0.5)
            hough.setMaxScale(1.0)
            hough.setMinScale(1.0)
        else:
            hough.setVotesThreshold(5)
        template = np.zeros((12, 12), np.uint8)
        template[3:9, 3:9] = 255
        hough.setTemplate(template)
        return hough

    return make


def _squares(of: Pictures) -> Image:
    image = np.zeros(of.size_wh[::-1], np.uint8)
    image[8 + of.seed : 14 + of.seed, 20:26] = 255
    return image


_BALLARD = _with_template("createGeneralizedHoughBallard")
_GUIL = _with_template("createGeneralizedHoughGuil")
_SQUARE = np.pad(np.full((6, 6), 255, np.uint8), 3)

# For each method: how an object is made, and what it is called with.
METHODS: dict[str, tuple[Callable[[Any], Any], Callable[[Pictures], Calls]]] = {
    "BackgroundSubtractorMOG2.apply": (
        lambda m: m.createBackgroundSubtractorMOG2(history=20, varThreshold=9),
        lambda of: [(of.scene(salt),) for salt in range(3)] + [(of.scene(4), None, 0.5)],
    ),
    "BackgroundSubtractorKNN.apply": (
        lambda m: m.createBackgroundSubtractorKNN(history=20),
        lambda of: [(of.scene(salt),) for salt in range(3)] + [(of.scene(4), None, 0.5)],
    ),
    "CLAHE.apply": (lambda m: m.createCLAHE(2.0, (4, 3)), lambda of: [(of.noise(),)]),
    "FarnebackOpticalFlow.calc": (
        lambda m: m.FarnebackOpticalFlow_create(numLevels=2, winSize=7),
        lambda of: [(*_pair(of), None)],
    ),
    "DISOpticalFlow.calc": (
        lambda m: m.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST),
        lambda of: [(*_pair(replace(of, size_wh=(80, 61))), None)],
    ),
    "SparsePyrLKOpticalFlow.calc": (
        lambda m: m.SparsePyrLKOpticalFlow_create(winSize=(9, 9)),
        lambda of: [(*_pair(of), _points(), None)],
    ),
    "HOGDescriptor.compute": (_people, lambda of: [(_large(of),)]),
    "HOGDescriptor.detect": (_people, lambda of: [(_large(of), -2.0)]),
    "HOGDescriptor.detectMultiScale": (_people, lambda of: [(_large(of), -0.5)]),
    "CascadeClassifier.detectMultiScale": (
        lambda m: m.CascadeClassifier(str(CASCADE)),
        lambda of: [(_large(of), 1.3, 0)],
    ),
    "CascadeClassifier.detectMultiScale2": (
        lambda m: m.CascadeClassifier(str(CASCADE)),
        lambda of: [(_large(of), 1.3, 0)],
    ),
    "CascadeClassifier.detectMultiScale3": (
        lambda m: m.CascadeClassifier(str(CASCADE)),
        lambda of: [(_large(of), 1.3, 0, 0, (20, 20), (90, 90), True)],
    ),
    "ORB.detect": (lambda m: m.ORB_create(30), lambda of: [(_large(of),)]),
    "ORB.compute": (lambda m: m.ORB.create(30), lambda of: [(_large(of), _key_points(of))]),
    "ORB.detectAndCompute": (lambda m: m.ORB_create(30), lambda of: [(_large(of), None)]),
    "FastFeatureDetector.detect": (
        lambda m: m.FastFeatureDetector_create(20),
        lambda of: [(of.scene(),), (of.scene(), of.mask())],
    ),
    "BFMatcher.match": (lambda m: m.BFMatcher(cv2.NORM_L2), lambda of: [_descriptors(of)]),
    "BFMatcher.knnMatch": (
        lambda m: m.BFMatcher_create(cv2.NORM_L2),
        lambda of: [(*_descriptors(of), 2)],
    ),
    "BFMatcher.radiusMatch": (
        lambda m: m.BFMatcher.create(cv2.NORM_L2),
        lambda of: [(*_descriptors(of), 1e4)],
    ),
    "StereoBM.compute": (
        lambda m: m.StereoBM_create(16, 9),
        lambda of: [_pair(replace(of, size_wh=(90, 61)))],
    ),
    "StereoSGBM.compute": (
        lambda m: m.StereoSGBM_create(numDisparities=16, blockSize=5),
        lambda of: [_pair(replace(of, size_wh=(90, 61)))],
    ),
    "GeneralizedHoughBallard.setTemplate": (_BALLARD, lambda of: [(_SQUARE,)]),
    "GeneralizedHoughBallard.detect": (_BALLARD, lambda of: [(_squares(of),)]),
    "GeneralizedHoughGuil.setTemplate": (_GUIL, lambda of: [(_SQUARE,)]),
    "GeneralizedHoughGuil.detect": (_GUIL, lambda of: [(_squares(of),)]),
}

NATIVE = {
    f"{kind.name}.{row.name}": (kind, row)
    for kind in TYPES.values()
    if not kind.reference
    for row in kind.methods
}


def _marks(kind: ObjectType) -> list[pytest.MarkDecorator]:
    present = hasattr(cv2, kind.name) and (kind.name != "CascadeClassifier" or CASCADE.exists())
    return [] if present else [pytest.mark.needs("opencv-4")]


BESIDE = [pytest.param(name, id=name, marks=_marks(kind)) for name, (kind, _) in NATIVE.items()]


def pictures(row: Operation) -> list[Pictures]:
    return [Pictures(dtype, count) for dtype in row.dtypes.split() for count in row.channels]


def within(arena: Arena, function: Callable[..., Any], *args: Any) -> Any:
    token = arenas.enter(arena)
    try:
        return function(*args)
    finally:
        arenas.leave(token)


def test_every_method_is_tried() -> None:
    assert set(METHODS) == set(NATIVE)


@pytest.mark.parametrize("name", BESIDE)
def test_it_keeps_in_step_with_cv2(name: str) -> None:
    """The same images to both, with other types and sizes between, all buffers poisoned."""
    row = NATIVE[name][1]
    make, calls = METHODS[name]
    for in_arena in (False, True):
        arena = Arena(poison=True)
        ours, theirs = make(cv), make(cv2)
        kinds = pictures(row)
        order = [of for each in kinds for of in (each, replace(each, seed=2))]
        # DIS takes no regions, in cv2 either.
        order += [replace(kinds[0], region=name != "DISOpticalFlow.calc"), kinds[0]]
        for of in order:
            for args in calls(of):
                cv2.setRNGSeed(1)
                expected = getattr(theirs, row.name)(*args)
                cv2.setRNGSeed(1)
                method = getattr(ours, row.name)
                got = within(arena, method, *args) if in_arena else method(*args)
                assert equal(got, expected), of
                del got
                assert arena.release() == ()


@pytest.mark.parametrize("name", [name for name, (_, row) in NATIVE.items() if row.pooled])
def test_its_images_come_from_the_arena(name: str) -> None:
    row = NATIVE[name][1]
    make, calls = METHODS[name]
    arena = Arena()
    ours = make(cv)
    seen = []
    of = pictures(row)[0]
    for _ in range(3):
        seen.append([id(within(arena, getattr(ours, row.name), *args)) for args in calls(of)])
        arena.release()
    assert seen[0] == seen[1] == seen[2]
    assert arena.nbytes > 0


def test_a_flow_that_starts_from_a_given_one_gets_no_buffer() -> None:
    first, second = _pair(Pictures())
    guess = np.full((*first.shape, 2), 0.5, np.float32)
    arena = Arena()
    ours = cv.FarnebackOpticalFlow_create(numLevels=1, winSize=7)
    theirs: Any = NATIVE_CV2.FarnebackOpticalFlow_create(numLevels=1, winSize=7)
    within(arena, ours.calc, first, second, None)
    arena.release()
    for each in (ours, theirs):
        each.setFlags(cv2.OPTFLOW_USE_INITIAL_FLOW)
    for _ in range(2):
        mine = guess.copy()
        assert within(arena, ours.calc, first, second, mine) is mine
        assert equal(mine, theirs.calc(first, second, guess.copy()))
        arena.release()

    dense = cv.DensePyrLKOpticalFlow_create(useInitialFlow=True)
    plain = cv.DensePyrLKOpticalFlow_create()
    for _ in range(2):
        got = within(arena, dense.calc, first, second, None)
        assert equal(got, plain.calc(first, second, None))
        arena.release()
    assert not equal(dense.calc(first, second, guess.copy() * 9), plain.calc(first, second, None))


def test_a_mask_of_known_foreground_goes_through() -> None:
    model: Any = cv.createBackgroundSubtractorMOG2()
    if "knownForegroundMask" not in (cv2.BackgroundSubtractorMOG2.apply.__doc__ or ""):
        return
    of = Pictures("8U", 3)
    native: Any = cv2.createBackgroundSubtractorMOG2()
    arena = Arena(poison=True)
    for seed in range(3):
        image, known = replace(of, seed=seed).scene(), of.mask(seed)
        got = within(arena, lambda i, k: model.apply(i, knownForegroundMask=k), image, known)
        assert equal(got, native.apply(image, knownForegroundMask=known))
        del got
        assert arena.release() == ()


def test_every_other_attribute_is_cv2s() -> None:
    model = cv.createBackgroundSubtractorMOG2(history=20)
    assert model.getHistory() == 20
    model.setHistory(7)
    assert model.getHistory() == 7
    assert {"apply", "getHistory", "setHistory"} <= set(dir(model))
    assert "BackgroundSubtractorMOG2" in repr(model)
    with pytest.raises(AttributeError, match="misspelt"):
        _ = model.misspelt  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        model.history = 3  # type: ignore[attr-defined]


def test_it_is_an_instance_of_its_class_and_made_as_cv2_makes_it() -> None:
    assert isinstance(cv.createCLAHE(), cv.CLAHE)
    assert isinstance(cv.ORB.create(5), cv.ORB)
    assert isinstance(cv.BFMatcher(), cv.BFMatcher)
    assert isinstance(cv.createBoxFilter(0, 0, (3, 3)), cv.Filter)
    with pytest.raises(TypeError, match=r"cv\.CLAHE is made by cv\.createCLAHE, not by its class"):
        cv.CLAHE()
    filters: Any = cv.Filter
    with pytest.raises(TypeError, match=r"cv\.createBoxFilter, cv\.createGaussianFilter"):
        filters()


def test_a_method_may_be_called_through_its_class() -> None:
    image = Pictures().noise()
    assert equal(cv.CLAHE.apply(cv.createCLAHE(), image), cv2.createCLAHE().apply(image))
    assert list(inspect.signature(cv.CLAHE.apply).parameters) == ["self", "src", "dst"]


def test_wrong_arguments_fail_as_in_cv2() -> None:
    make: Any = cv.createCLAHE
    with pytest.raises(TypeError, match="clipLimit"):
        make("no number")
    with pytest.raises(cv2.error):
        make().apply()


def test_an_object_dies_with_its_last_reference() -> None:
    """A background model of a large picture holds hundreds of megabytes."""

    class Stage:
        def __init__(self) -> None:
            self.model = cv.createBackgroundSubtractorMOG2()
            self.model.apply(Pictures("8U", 3).scene())

    gc.disable()
    try:
        stage = Stage()
        gone = weakref.ref(stage.model)
        del stage
        assert gone() is None
    finally:
        gc.enable()


def test_two_objects_share_no_buffer() -> None:
    arena = Arena()
    image = Pictures().noise()
    first, second = cv.createCLAHE(2.0), cv.createCLAHE(9.0)

    def stage() -> tuple[Image, Image]:
        return first.apply(image), second.apply(image)

    for _ in range(2):
        one, other = within(arena, stage)
        assert one is not other
        assert equal(one, cv2.createCLAHE(2.0).apply(image))
        assert equal(other, cv2.createCLAHE(9.0).apply(image))
        arena.release()
