"""The pool's promises: registered once, alive while registered, unregistered before it goes."""

from __future__ import annotations

import gc
import threading
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision.cuda import PinnedPool
from edgevision.errors import ConfigurationError, CudaUnavailableError

PAGE = 4096


class Registry:
    """What CUDA does with page-locked memory: refuses pages that it has, and those it has not."""

    def __init__(self) -> None:
        self.ranges: dict[int, int] = {}
        self.calls = 0

    def register(self, array: NDArray[np.uint8]) -> None:
        start, length = int(array.ctypes.data), array.nbytes
        pages = range(start // PAGE, -(-(start + length) // PAGE))
        for other, size in self.ranges.items():
            taken = range(other // PAGE, -(-(other + size) // PAGE))
            if pages.start < taken.stop and taken.start < pages.stop:
                raise cv2.error("part or all of the memory range is already mapped")
        self.calls += 1
        self.ranges[start] = length

    def unregister(self, array: NDArray[np.uint8]) -> None:
        if self.ranges.pop(int(array.ctypes.data), None) != array.nbytes:
            raise cv2.error("not registered")
        array[:] = 1  # the memory must still be there

    def pool(self, **settings: Any) -> PinnedPool:
        return PinnedPool(register=self.register, unregister=self.unregister, **settings)


def test_shape_and_type() -> None:
    registry = Registry()
    with registry.pool() as pool:
        image = pool.take((7, 11, 3))
        assert image.shape == (7, 11, 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert image.flags.writeable
        flow = pool.take((5, 9, 2), np.float32)
        flow[:] = 1.5
        assert flow.sum() == 5 * 9 * 2 * 1.5
        assert pool.take(13).shape == (13,)


def test_small_arrays_share_no_page() -> None:
    registry = Registry()
    with registry.pool() as pool:
        for _ in range(20):
            pool.take((3, 5))
        assert len(registry.ranges) == 20


def test_a_given_block_is_used_again_and_registered_once() -> None:
    registry = Registry()
    with registry.pool() as pool:
        addresses = set()
        for shape in [(30, 50, 3), (50, 30, 3), (4500,)] * 10:
            image = pool.take(shape)
            addresses.add(image.ctypes.data)
            pool.give(image)
        assert len(addresses) == 1
        assert registry.calls == 1
        assert pool.nbytes == 2 * PAGE


def test_two_that_are_out_are_two() -> None:
    with Registry().pool() as pool:
        first, second = pool.take((30, 50)), pool.take((30, 50))
        first[:] = 1
        second[:] = 2
        assert (first == 1).all()


def test_close_unregisters_all_and_leaves_the_memory() -> None:
    registry = Registry()
    pool = registry.pool()
    held, free = pool.take((30, 50)), pool.take((60, 50))
    pool.give(free)
    pool.close()
    pool.close()
    assert registry.ranges == {}
    held[:] = 9
    assert int(held.sum()) == 30 * 50 * 9
    pool.give(held)  # a late worker's; nothing happens
    with pytest.raises(ConfigurationError, match="closed"):
        pool.take((3, 3))


def test_a_forgotten_pool_unregisters() -> None:
    registry = Registry()
    pool = registry.pool()
    pool.take((30, 50))
    del pool
    gc.collect()
    assert registry.ranges == {}


def test_the_bound() -> None:
    registry = Registry()
    with registry.pool(max_bytes=3 * PAGE) as pool:
        first = pool.take(PAGE)
        pool.take(PAGE)
        with pytest.raises(CudaUnavailableError, match="bound is 12288"):
            pool.take(2 * PAGE)
        pool.give(first)
        pool.take(2 * PAGE)  # the free block makes room
        assert pool.nbytes == 3 * PAGE
        assert len(registry.ranges) == 2


def test_refused_registration() -> None:
    def refuse(array: NDArray[np.uint8]) -> None:
        raise cv2.error("out of memory")

    with PinnedPool(register=refuse, unregister=refuse) as pool:
        with pytest.raises(CudaUnavailableError, match="out of memory"):
            pool.take((3, 3))
        assert pool.nbytes == 0


def test_giving_what_is_not_the_pools() -> None:
    with Registry().pool() as pool:
        image = pool.take((30, 50))
        with pytest.raises(ConfigurationError, match="not taken from this pool"):
            pool.give(np.zeros((30, 50), np.uint8))
        with pytest.raises(ConfigurationError, match="not taken from this pool"):
            pool.give(image[1:])
        pool.give(image)
        with pytest.raises(ConfigurationError, match="given back already"):
            pool.give(image)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, 3)])
def test_nothing_to_lock(shape: tuple[int, ...]) -> None:
    with Registry().pool() as pool, pytest.raises(ConfigurationError, match="no elements"):
        pool.take(shape)


def test_a_bound_below_one_page() -> None:
    with pytest.raises(ConfigurationError, match="max_bytes is 10"):
        PinnedPool(10)


def test_threads() -> None:
    registry = Registry()
    errors: list[BaseException] = []
    with registry.pool() as pool:

        def work(mark: int) -> None:
            try:
                for _ in range(200):
                    image = pool.take((30, 50))
                    image[:] = mark
                    assert (image == mark).all()
                    pool.give(image)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert errors == []
        assert registry.calls <= 4
