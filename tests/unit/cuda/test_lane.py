"""A camera's lane: who waits for whom, and whose memory is whose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision.cuda.lane import Lane
from edgevision.errors import CudaMemoryError
from edgevision.slot import Slot
from tests.unit.cuda.fake_device import FakeMapped, FakeRuntime

_SHAPE = (6, 8, 3)


def _image(value: int) -> NDArray[np.uint8]:
    return np.full(_SHAPE, value, np.uint8)


def _seen(lane: Lane, slot: Slot) -> int:
    """What the stages see: the pixels once their stream has come to them."""
    mat = lane.receive(slot)
    found: list[int] = []
    lane.cuda_stream.queue.append(lambda: found.append(int(mat.pixels[0, 0, 0])))
    lane.cuda_stream.waitForCompletion()
    lane.finish(slot)
    return found[0]


def _deliver(lane: Lane, slot: Slot, value: int) -> None:
    """A source that decodes into the slot's image when there is one."""
    lane.prepare(slot)
    if slot.image is None or slot.image.shape != _SHAPE:
        slot.image = _image(value)
    else:
        slot.image[:] = value
    lane.send(slot)


@pytest.mark.parametrize("mapped", [False, True])
def test_the_stages_see_each_frame(mapped: bool) -> None:
    lane = Lane(0, runtime=FakeRuntime(), mapped=mapped)
    slots = [Slot(), Slot()]
    for value in range(1, 9):
        slot = slots[value % 2]
        _deliver(lane, slot, value)
        assert _seen(lane, slot) == value


def test_a_source_decodes_into_page_locked_memory_from_the_second_frame_on() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    for value in range(1, 5):
        _deliver(lane, slot, value)
        _seen(lane, slot)
    assert lane.staged == 1


def test_a_source_that_brings_its_own_memory_is_copied_and_counted() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    for value in range(1, 5):
        lane.prepare(slot)
        slot.image = _image(value)
        lane.send(slot)
        assert _seen(lane, slot) == value
    assert lane.staged == 4


def test_neither_thread_waits_for_a_stream() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    for value in range(3):
        _deliver(lane, slot, value)
        lane.receive(slot)
        lane.finish(slot)
    assert (lane.cuda_stream.waits, lane.upload_stream.waits) == (0, 0)


def test_a_frame_is_not_uploaded_over_one_that_is_worked_on() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    _deliver(lane, slot, 1)
    mat = lane.receive(slot)
    found: list[int] = []
    lane.cuda_stream.queue.append(lambda: found.append(int(mat.pixels[0, 0, 0])))
    lane.finish(slot)
    # The work on frame 1 is only queued when frame 2 is uploaded to the same place.
    _deliver(lane, slot, 2)
    lane.upload_stream.waitForCompletion()
    lane.cuda_stream.waitForCompletion()
    assert found == [1]


def test_a_frame_is_not_decoded_over_one_that_is_being_uploaded() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    _deliver(lane, slot, 1)
    mat = lane.receive(slot)
    lane.prepare(slot)
    assert slot.image is not None
    slot.image[:] = 2
    assert (mat.pixels == 1).all()


def test_a_mapped_frame_is_not_decoded_over_while_it_is_worked_on() -> None:
    lane = Lane(0, runtime=FakeRuntime(), mapped=True)
    slot = Slot()
    _deliver(lane, slot, 1)
    mat = lane.receive(slot)
    found: list[int] = []
    lane.cuda_stream.queue.append(lambda: found.append(int(mat.pixels[0, 0, 0])))
    lane.finish(slot)
    _deliver(lane, slot, 2)
    assert found == [1]


def test_mapped_memory_is_never_copied() -> None:
    runtime = FakeRuntime()
    lane = Lane(0, runtime=runtime, mapped=True)
    slot = Slot()
    for value in range(3):
        _deliver(lane, slot, value)
        _seen(lane, slot)
    assert runtime.copies == []
    assert any(isinstance(pool, FakeMapped) for pool in runtime.pools)


def test_memory_is_taken_for_all_slots_at_once_and_then_no_more() -> None:
    runtime = FakeRuntime()
    lane = Lane(0, runtime=runtime, frames=3)
    slots = [Slot() for _ in range(3)]
    _deliver(lane, slots[0], 1)
    assert runtime.mats == 3
    for value in range(9):
        _deliver(lane, slots[value % 3], value)
        _seen(lane, slots[value % 3])
    assert runtime.mats == 3
    assert lane.device_bytes == 3 * np.prod(_SHAPE)
    assert lane.pinned_bytes == 3 * np.prod(_SHAPE)


def test_another_resolution_takes_new_memory_and_forgets_the_old() -> None:
    lane = Lane(0, runtime=FakeRuntime(), frames=2)
    slots = [Slot(), Slot()]
    for slot in slots:
        _deliver(lane, slot, 1)
    for slot in slots:
        lane.prepare(slot)
        slot.image = np.full((4, 10), 7, np.uint8)
        lane.send(slot)
        assert lane.receive(slot).size() == (10, 4)
    assert lane.device_bytes == 2 * 40


def test_a_camera_that_does_not_fit_is_refused_and_holds_nothing() -> None:
    runtime = FakeRuntime(room=4)
    first = Lane(0, runtime=runtime, camera="door", frames=3)
    second = Lane(0, runtime=runtime, camera="yard", frames=3)
    slot, other = Slot(), Slot()
    _deliver(first, slot, 5)
    with pytest.raises(CudaMemoryError, match=r"'yard' on CUDA device 0: 3 frames of 8x6 do not"):
        _deliver(second, other, 1)
    assert second.device_bytes == 0
    _deliver(first, slot, 6)
    assert _seen(first, slot) == 6


def test_what_is_left_to_fetch_is_there_when_it_is_used() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    slot = Slot()
    found: list[int] = []
    fetches: list[Any] = []
    for value in (1, 2):
        _deliver(lane, slot, value)
        mat = lane.receive(slot)
        fetches.append(lane.fetch(mat, lambda a: found.append(int(a[0, 0, 0])), "s", None))
        lane.finish(slot)
    for fetch in fetches:
        fetch.finish()
    assert found == [1, 2]


def test_a_steady_camera_makes_nothing_new() -> None:
    runtime = FakeRuntime()
    lane = Lane(0, runtime=runtime)
    slot = Slot()
    made: list[tuple[int, int]] = []
    for value in range(5):
        _deliver(lane, slot, value)
        mat = lane.receive(slot)
        fetch = lane.fetch(mat, lambda array: None, "s", None)
        lane.finish(slot)
        fetch.finish()
        made.append((runtime.mats, runtime.pools[0].made))
    assert len(set(made[1:])) == 1


def test_close_waits_for_both_streams() -> None:
    runtime = FakeRuntime()
    lane = Lane(2, runtime=runtime)
    _deliver(lane, Slot(), 1)
    lane.close()
    lane.close()
    assert not lane.upload_stream.queue
    assert runtime.pools[0].closed
    assert set(runtime.used) == {2}
