"""The arena: reuse in call order, growth, poison, and who kept a buffer."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision.arena import POISON, Arena

Image = NDArray[Any]


def _by_numpy(buffer: Image | None, shape: tuple[int, ...] = (5, 7)) -> Image:
    return np.zeros(shape, np.uint8) if buffer is None or buffer.shape != shape else buffer


def _by_cv2(buffer: Image | None, shape: tuple[int, ...] = (5, 7)) -> Image:
    return cv2.bitwise_not(np.zeros(shape, np.uint8), buffer)


MAKERS = pytest.mark.parametrize("make", [_by_numpy, _by_cv2])


def _call(arena: Arena, make: Callable[..., Image], operation: str = "op", **options: Any) -> Image:
    image = make(arena.take(operation), **options)
    arena.put(operation, image)
    return image


@MAKERS
def test_each_call_gets_the_buffer_it_had_on_the_frame_before(make: Callable[..., Image]) -> None:
    arena = Arena()
    first = [id(_call(arena, make)) for _ in range(3)]
    arena.release()
    for _ in range(3):
        assert [id(_call(arena, make)) for _ in range(3)] == first
        assert arena.release() == ()
    assert len(set(first)) == 3


@MAKERS
def test_a_branch_moves_no_other_operation(make: Callable[..., Image]) -> None:
    arena = Arena()
    a = id(_call(arena, make, "a"))
    b = id(_call(arena, make, "b"))
    arena.release()
    assert id(_call(arena, make, "b")) == b
    arena.release()
    assert id(_call(arena, make, "new")) not in (a, b)
    assert id(_call(arena, make, "b")) == b
    assert id(_call(arena, make, "a")) == a


@MAKERS
def test_another_size_takes_the_place_of_the_first(make: Callable[..., Image]) -> None:
    arena = Arena()
    _call(arena, make, shape=(5, 7))
    arena.release()
    assert arena.nbytes == 35
    larger = _call(arena, make, shape=(6, 8))
    assert larger.shape == (6, 8)
    assert arena.nbytes == 48  # in use it counts too
    arena.release()
    assert arena.nbytes == 48


def test_more_calls_than_before_grow_the_arena() -> None:
    arena = Arena()
    _call(arena, _by_numpy)
    arena.release()
    two = {id(_call(arena, _by_numpy)) for _ in range(2)}
    assert len(two) == 2
    arena.release()
    assert {id(_call(arena, _by_numpy)) for _ in range(2)} == two


def test_a_call_that_raised_leaves_nothing_behind() -> None:
    arena = Arena()
    _call(arena, _by_numpy)
    arena.release()
    arena.take("op")
    assert arena.release() == ()
    assert arena.take("op") is None


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (_by_numpy, (5, 7)),
        (_by_cv2, (5, 7)),
        (_by_cv2, (5, 7, 3)),
        (_by_numpy, (1,)),
        (_by_numpy, (0, 4)),
    ],
)
def test_poison_overwrites_what_comes_back(
    make: Callable[..., Image], shape: tuple[int, ...]
) -> None:
    arena = Arena(poison=True)
    _call(arena, make, shape=shape)
    assert arena.release() == ()
    buffer = arena.take("op")
    assert buffer.shape == shape
    assert (buffer == POISON).all()


def test_poison_reaches_every_byte_of_any_type() -> None:
    arena = Arena(poison=True)
    made = [np.zeros((3, 5, 2), kind) for kind in (np.float64, np.int16, np.float32, np.bool_)]
    made += [np.zeros((6, 8), np.uint8)[::2, ::2]]
    for image in made:
        arena.put("op", image)
    kept = arena.release()
    assert len(kept) == len(made)  # the list above holds them
    for image in made[:-1]:
        assert set(image.tobytes()) == {POISON}


@MAKERS
def test_without_poison_nothing_is_touched_and_nothing_found(make: Callable[..., Image]) -> None:
    arena = Arena()
    kept = _call(arena, make)
    before = kept.copy()
    assert arena.release() == ()
    assert np.array_equal(kept, before)


VIEWS: dict[str, Callable[[Image], Any]] = {
    "the buffer itself": lambda image: image,
    "a slice": lambda image: image[1:3],
    "a slice of a slice": lambda image: image[1:4][:, 2:3],
    "a reshaped one": lambda image: image.reshape(-1),
    "a transposed one": lambda image: image.T,
    "a memoryview": lambda image: image.data,
    "within a list": lambda image: [image],
    "within a closure": lambda image: lambda: image,
}


@MAKERS
@pytest.mark.parametrize("keep", VIEWS.values(), ids=VIEWS.keys())
def test_a_kept_buffer_is_put_down_to_its_stage(
    make: Callable[..., Image], keep: Callable[[Image], Any]
) -> None:
    arena = Arena(poison=True)
    held = []
    for _ in range(3):
        arena.owner = "innocent"
        _call(arena, make)
        arena.owner = "guilty"
        held.append(keep(_call(arena, make)))
        arena.owner = "innocent too"
        _call(arena, make)
        assert arena.release() == ("guilty",)
    held.clear()
    arena.owner = "guilty"
    _call(arena, make)
    assert arena.release() == ()


@MAKERS
def test_a_kept_buffer_is_never_handed_out_again(make: Callable[..., Image]) -> None:
    arena = Arena(poison=True)
    kept = _call(arena, make)
    arena.release()
    assert (kept == POISON).all()
    assert _call(arena, make) is not kept


@MAKERS
def test_a_copy_is_nobodys_fault(make: Callable[..., Image]) -> None:
    arena = Arena(poison=True)
    copy = _call(arena, make).copy()
    before = copy.copy()
    assert arena.release() == ()
    assert np.array_equal(copy, before)


def test_a_reference_cycle_is_nobodys_fault() -> None:
    arena = Arena(poison=True)

    def stage() -> None:
        ring: dict[str, Any] = {"image": _call(arena, _by_cv2)}
        ring["itself"] = ring

    gc.disable()
    try:
        stage()
        assert arena.release() == ()
    finally:
        gc.enable()


def test_poison_may_be_switched_between_frames() -> None:
    arena = Arena()
    kept = _call(arena, _by_cv2)
    arena.poison = True
    arena.owner = "later"
    assert arena.release() == ("",)
    assert (kept == POISON).all()


def test_what_is_no_array_is_kept_as_it_is() -> None:
    arena = Arena(poison=True)
    arena.put("op", cv2.cuda.GpuMat())
    assert arena.release() == ()
    assert arena.nbytes == 0
    assert isinstance(arena.take("op"), cv2.cuda.GpuMat)


def test_entering_nests_and_leaving_restores() -> None:
    assert arenas.current() is None
    outer, inner = Arena(), Arena()
    token = arenas.enter(outer)
    assert arenas.current() is outer
    within = arenas.enter(inner)
    assert arenas.current() is inner
    arenas.leave(within)
    assert arenas.current() is outer
    without = arenas.enter(None)
    assert arenas.current() is None
    arenas.leave(without)
    arenas.leave(token)
    assert arenas.current() is None


def test_another_thread_has_no_arena() -> None:
    token = arenas.enter(Arena())
    seen: list[Arena | None] = []
    thread = threading.Thread(target=lambda: seen.append(arenas.current()))
    thread.start()
    thread.join(10)
    arenas.leave(token)
    assert seen == [None]


async def test_tasks_have_the_arena_of_their_context() -> None:
    mine, other = Arena(), Arena()
    token = arenas.enter(mine)

    async def within(arena: Arena) -> Arena | None:
        own = arenas.enter(arena)
        await asyncio.sleep(0)
        seen = arenas.current()
        arenas.leave(own)
        return seen

    first, second = await asyncio.gather(within(other), within(mine))
    assert first is other
    assert second is mine
    assert await asyncio.to_thread(arenas.current) is mine
    arenas.leave(token)


def test_threads_that_share_an_arena_get_different_buffers() -> None:
    arena = Arena()
    rounds, workers = 200, 4
    for _ in range(rounds * workers):
        _call(arena, _by_numpy)
    arena.release()
    taken: list[list[Image]] = [[] for _ in range(workers)]
    start = threading.Barrier(workers)

    def work(mine: list[Image]) -> None:
        start.wait(10)
        mine.extend(_call(arena, _by_numpy) for _ in range(rounds))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({id(image) for mine in taken for image in mine}) == rounds * workers
