"""Every function of the table: bit for bit what cv2 gives, outside and inside an arena."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import arena as arenas
from edgevision import cv
from edgevision.arena import Arena
from edgevision.cv import reference
from edgevision.cv.operation import Operation
from edgevision.cv.table import OPERATIONS, TYPES
from tests.unit.cv.inputs import CALLS, Arguments
from tests.unit.cv.pictures import Image, Pictures, equal

FUNCTIONS = {name: row for name, row in OPERATIONS.items() if row.parsed.returns[0] not in TYPES}
# The position of dst holds something else in the other form of these, so it gets no buffer.
OTHER_FORMS = {"Canny", "fastNlMeansDenoising"}
POOLED = {name: row for name, row in FUNCTIONS.items() if row.pooled}


def native(row: Operation) -> Any:
    return getattr(reference if row.reference else cv2, row.name)


def pictures(row: Operation, seed: int = 1, region: bool = False) -> list[Pictures]:
    """Make one set for each type that the row claims; one in all where it takes no image."""
    return [
        Pictures(dtype, channels, seed=seed, region=region)
        for dtype in row.dtypes.split() or ["8U"]
        for channels in row.channels or (1,)
    ]


def calls(name: str, of: Pictures) -> list[Arguments]:
    return CALLS[name](of)


@contextmanager
def frame(arena: Arena) -> Iterator[None]:
    token = arenas.enter(arena)
    try:
        yield
    finally:
        arenas.leave(token)


def images(row: Operation, result: Any) -> list[Image]:
    """The images among the results."""
    if row.pooled == ("mv",):
        return list(result)
    returns = row.parsed.returns
    found = [result[returns.index(name)] if len(returns) > 1 else result for name in row.pooled]
    return [image for image in found if image is not None]


def test_every_row_has_inputs_and_every_input_a_row() -> None:
    assert set(CALLS) == set(FUNCTIONS)


@pytest.fixture(autouse=True)
def same_bits_wherever_the_result_lies(request: pytest.FixtureRequest) -> Iterator[None]:
    """cv2.magnitude with IPP differs from itself in the last bit, by the address of its result."""
    used = cv2.ipp.useIPP()
    if "[magnitude]" in request.node.name:
        cv2.ipp.setUseIPP(False)
    yield
    cv2.ipp.setUseIPP(used)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_outside_a_pipeline_it_is_cv2(name: str) -> None:
    row = FUNCTIONS[name]
    for region in (False, True):
        for of in pictures(row, region=region):
            expected = [native(row)(*a, **k) for a, k in calls(name, of)]
            got = [getattr(cv, name)(*a, **k) for a, k in calls(name, of)]
            for index, (left, right) in enumerate(zip(got, expected, strict=True)):
                assert equal(left, right), (of, index)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_an_arena_full_of_other_pixels_it_is_still_cv2(name: str) -> None:
    """Types, sizes and contents change from frame to frame; all buffers are poisoned between."""
    row = FUNCTIONS[name]
    arena = Arena(poison=True)
    arena.owner = "the stage"
    kinds = pictures(row)
    order = [p for kind in kinds for p in (kind, replace(kind, seed=2))]
    order += [replace(kind, seed=3, region=True) for kind in reversed(kinds)]
    order += [replace(kinds[0], size_wh=(41, 61)), kinds[0], kinds[0]]
    for of in order:
        if name == "demosaicing" and of.size_wh != kinds[0].size_wh:
            continue  # a Bayer pattern of another size is no other case
        expected = [native(row)(*a, **k) for a, k in calls(name, of)]
        with frame(arena):
            got = [getattr(cv, name)(*a, **k) for a, k in calls(name, of)]
        for index, (left, right) in enumerate(zip(got, expected, strict=True)):
            assert equal(left, right), (of, index)
        left = right = None
        del got
        assert arena.release() == (), of


@pytest.mark.parametrize("name", POOLED)
def test_the_steady_state_allocates_nothing(name: str) -> None:
    row = POOLED[name]
    for of in pictures(row):
        arena = Arena()
        seen: list[list[int]] = []
        sizes: list[int] = []
        for _ in range(3):
            made = calls(name, of)
            with frame(arena):
                results = [getattr(cv, name)(*a, **k) for a, k in made]
            seen.append([id(image) for result in results for image in images(row, result)])
            sizes.append(arena.nbytes)
            del results, made
            arena.release()
        if row.unpooled or name in OTHER_FORMS:
            # One of the calls gets no buffer on purpose.
            assert set(seen[1]) & set(seen[2]), of
        else:
            assert seen[0] == seen[1] == seen[2], of
        assert sizes[0] == sizes[2] > 0, of


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - POOLED.keys()))
def test_numbers_are_the_callers_own(name: str) -> None:
    row = FUNCTIONS[name]
    arena = Arena(poison=True)
    of = pictures(row)[0]
    expected = [native(row)(*a, **k) for a, k in calls(name, of)]
    with frame(arena):
        got = [getattr(cv, name)(*a, **k) for a, k in calls(name, of)]
    assert arena.release() == ()
    assert arena.nbytes == 0
    assert all(equal(left, right) for left, right in zip(got, expected, strict=True))


@pytest.mark.parametrize("name", POOLED)
def test_an_explicit_result_is_written_to_and_no_buffer_taken(name: str) -> None:
    row = POOLED[name]
    parsed = row.parsed
    of = pictures(row)[0]
    args, kwargs = calls(name, of)[0]
    args = tuple(None if parsed.parameters[i] in row.pooled else a for i, a in enumerate(args))
    fresh = native(row)(*args, **kwargs)
    mine = [np.zeros_like(image) for image in images(row, fresh)]
    arena = Arena()
    planes = row.pooled == ("mv",)
    given = {"mv": mine} if planes else dict(zip(row.pooled, mine, strict=True))
    by_name = {**dict(zip(parsed.parameters, args, strict=False)), **kwargs, **given}
    with frame(arena):
        got = getattr(cv, name)(**by_name)
    assert equal(got, fresh)
    for image, own in zip(images(row, got), mine, strict=True):
        assert image is own
    if len(args) <= parsed.parameters.index(row.pooled[0]) and len(row.pooled) == 1:
        for image in mine:
            image.fill(0)
        padded = args + (None,) * (parsed.parameters.index(row.pooled[0]) - len(args))
        if None not in padded[len(args) :]:
            with frame(arena):
                got = getattr(cv, name)(*padded, *given.values(), **kwargs)
            assert equal(got, fresh)
            assert images(row, got)[0] is mine[0] if row.pooled != ("mv",) else got[0] is mine[0]
    assert arena.nbytes == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_arguments_may_be_given_by_name(name: str) -> None:
    row = FUNCTIONS[name]
    arena = Arena(poison=True)
    of = pictures(row)[0]
    args, kwargs = calls(name, of)[0]
    expected = native(row)(*args, **kwargs)
    for _ in range(2):
        args, kwargs = calls(name, of)[0]
        by_name = dict(zip(row.parsed.parameters, args, strict=False))
        with frame(arena):
            got = getattr(cv, name)(**by_name, **kwargs)
        assert equal(got, expected)
        del got
        assert arena.release() == ()


def test_calls_in_another_order_find_buffers_of_their_own_kind() -> None:
    image = Pictures("8U", 3).noise()
    gray = Pictures("8U", 1).noise()
    steps: dict[str, Callable[[], Any]] = {
        "cvtColor": lambda: cv.cvtColor(image, cv2.COLOR_BGR2GRAY),
        "Sobel": lambda: cv.Sobel(gray, cv2.CV_16S, 1, 0),
        "resize": lambda: cv.resize(image, (30, 20)),
        "split": lambda: cv.split(image),
        "phase": lambda: cv.phase(gray.astype(np.float32), gray.astype(np.float32)),
    }
    expected = {}
    for name, step in steps.items():
        expected[name] = step()
    arena = Arena(poison=True)
    names = list(steps)
    held = 0
    for turn in range(12):
        order = names[turn % 5 :] + names[: turn % 3]
        with frame(arena):
            for name in order:
                assert equal(steps[name](), expected[name]), (turn, order)
        assert arena.release() == ()
        if turn == 5:
            held = arena.nbytes
    assert arena.nbytes == held


def test_one_call_with_other_types_each_frame() -> None:
    """The worst a branch can do: the same position, another type each time."""
    arena = Arena(poison=True)
    kinds = [
        Pictures(dtype, channels, size)
        for size in ((53, 37), (21, 80))
        for dtype in ("8U", "32F", "16S", "64F")
        for channels in (1, 3, 4)
    ]
    for of in [*kinds, *reversed(kinds)]:
        with frame(arena):
            assert equal(cv.flip(of.noise(), 1), cv2.flip(of.noise(), 1))
            assert equal(cv.add(of.noise(1), of.noise(2)), cv2.add(of.noise(1), of.noise(2)))
        assert arena.release() == ()


@pytest.mark.parametrize("name", ["warpAffine", "warpPerspective"])
def test_what_leaves_pixels_as_they_were_gets_no_old_frame(name: str) -> None:
    arena = Arena()
    of = Pictures("8U", 3)
    matrix = np.eye(3)[:2] if name == "warpAffine" else np.eye(3)
    flags, mode = cv2.INTER_NEAREST, cv2.BORDER_TRANSPARENT
    with frame(arena):
        used = getattr(cv, name)(of.noise(), matrix, of.size_wh)
    arena.release()
    with frame(arena):
        by_position = getattr(cv, name)(of.noise(), matrix, of.size_wh, None, flags, mode)
        by_name = getattr(cv, name)(of.noise(), matrix, of.size_wh, flags=flags, borderMode=mode)
        under = np.full_like(used, 9)
        matrix[0, 2] = 20
        over = getattr(cv, name)(of.noise(), matrix, of.size_wh, under, flags, mode)
    assert by_position is not used
    assert by_name is not used
    assert over is under
    assert (under[:, :20] == 9).all()
    assert equal(under[:, 20:], of.noise()[:, :-20])


@pytest.mark.skipif(not hasattr(cv2, "THRESH_DRYRUN"), reason="needs OpenCV 4.12")
def test_a_threshold_that_is_only_computed_gives_no_old_frame() -> None:
    arena = Arena()
    image = Pictures().scene()
    mode = cv2.THRESH_OTSU | cv2.THRESH_DRYRUN
    with frame(arena):
        for _ in range(4):
            cv.threshold(image, 0, 255, cv2.THRESH_BINARY)
    arena.release()
    expected = cv2.threshold(image, 0, 255, mode)
    with frame(arena):
        assert equal(cv.threshold(image, 0, 255, mode), expected)
        assert equal(cv.threshold(image, 0, 255, type=mode), expected)
        assert equal(cv.threshold(image, 0, 255, mode, None), expected)


def test_a_source_from_the_arena_is_not_overwritten_by_its_own_operation() -> None:
    arena = Arena(poison=True)
    for seed in range(3):
        image = Pictures("8U", 1, seed=seed).noise()
        with frame(arena):
            first = cv.flip(image, 0)
            second = cv.flip(first, 1)
            third = cv.flip(second, 0)
            assert equal(third, cv2.flip(image, 1))
            assert equal(first, cv2.flip(image, 0))
        del first, second, third
        assert arena.release() == ()


def test_a_umat_stays_a_umat_and_out_of_the_arena() -> None:
    image = Pictures("8U", 1).noise()
    functions: Any = cv  # a UMat is not among the types that the stub names
    umat: Any = cv2.UMat
    arena = Arena(poison=True)
    for _ in range(2):
        with frame(arena):
            assert isinstance(functions.bitwise_not(umat(image)), cv2.UMat)
            assert isinstance(functions.add(image, umat(image)), cv2.UMat)
        assert arena.release() == ()
        with frame(arena):
            assert equal(cv.bitwise_not(image), cv2.bitwise_not(image))
            assert equal(cv.add(image, image), cv2.add(image, image))
        assert arena.release() == ()


def test_errors_are_those_of_cv2() -> None:
    image = Pictures("8U", 1).noise()
    blur: Any = cv.GaussianBlur
    arena = Arena()
    for _ in range(2):
        with frame(arena):
            with pytest.raises(cv2.error) as ours:
                cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
            with pytest.raises(cv2.error) as theirs:
                cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            assert str(ours.value) == str(theirs.value)
            with pytest.raises(cv2.error):
                blur()
            with pytest.raises(cv2.error):
                blur(image)
            assert equal(cv.flip(image, 0), cv2.flip(image, 0))
        arena.release()


def test_lists_and_numbers_go_to_cv2_as_they_are() -> None:
    image = Pictures("32F", 1).positive()
    arena = Arena()
    with frame(arena):
        assert equal(cv.divide(2.0, image), cv2.divide(2.0, image))
        assert equal(cv.merge([image, image]), cv2.merge([image, image]))
        assert equal(cv.add(1.0, image), cv2.add(np.full((4, 1), 1.0), image))
