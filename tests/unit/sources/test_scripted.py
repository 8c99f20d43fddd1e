"""The scripted source plays what it was given and notices a caller that breaks the contract."""

import threading

import numpy as np
import pytest

from edgevision.errors import ConfigurationError, SourceTruncatedError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.testing.scripted import (
    Block,
    BlockOpen,
    End,
    Fail,
    Raise,
    RefuseOpen,
    Repeat,
    ScriptedSource,
    Show,
    Truncate,
)


def picture(value: int, size_wh: tuple[int, int] = (8, 6)) -> np.ndarray:
    return np.full((size_wh[1], size_wh[0], 3), value, np.uint8)


def test_plays_every_step_in_order() -> None:
    source = ScriptedSource(
        [
            RefuseOpen("no route"),
            RefuseOpen("wrong", ConfigurationError),
            Show(picture(1), captured_at_s=5.0),
            Repeat(picture(2), 2),
            Fail("cable pulled"),
            Truncate("cut off"),
            Raise(KeyError("bug")),
            End(),
            Show(picture(3, (4, 10))),
        ]
    )
    slot = Slot()
    with pytest.raises(SourceUnavailableError, match="scripted:: no route"):
        source.open()
    with pytest.raises(ConfigurationError, match="wrong"):
        source.open()
    source.open()
    assert source.read(slot)
    assert slot.captured_at_s == 5.0
    first = slot.image
    for _ in range(2):
        assert source.read(slot)
        assert slot.image is first
        assert np.all(slot.image == 2)
    with pytest.raises(SourceUnavailableError, match="cable pulled"):
        source.read(slot)
    with pytest.raises(SourceTruncatedError, match="cut off"):
        source.read(slot)
    with pytest.raises(KeyError):
        source.read(slot)
    assert not source.read(slot)
    source.close()
    source.close()
    source.open()
    assert source.read(slot)
    assert slot.image is not None
    assert slot.image.shape == (10, 4, 3)
    assert not source.finished.is_set()
    assert not source.read(slot)
    assert source.finished.is_set()
    source.close()
    with pytest.raises(SourceUnavailableError, match="script is over"):
        source.open()
    assert (source.opened, source.refused, source.closed, source.reads) == (2, 3, 2, 4)
    assert source.violations == []


def test_a_read_that_arrives_at_a_refused_open_has_lost_the_connection() -> None:
    source = ScriptedSource([Show(picture(1)), RefuseOpen("rebooting"), Show(picture(2))])
    slot = Slot()
    source.open()
    assert source.read(slot)
    assert not source.read(slot)
    source.close()
    with pytest.raises(SourceUnavailableError, match="rebooting"):
        source.open()
    source.open()
    assert source.read(slot)


def test_blocks_until_the_event() -> None:
    opening, gate = threading.Event(), threading.Event()
    source = ScriptedSource([BlockOpen(opening), Show(picture(1)), Block(gate), Show(picture(2))])
    slot = Slot()

    def play() -> None:
        source.open()
        while source.read(slot):
            pass
        source.close()

    thread = threading.Thread(target=play)
    thread.start()
    with pytest.raises(TimeoutError, match="opened=0"):
        source.wait_until(lambda s: s.opened == 1, timeout_s=0.02)
    opening.set()
    source.wait_until(lambda s: s.reads == 1)
    with pytest.raises(TimeoutError, match="reads=1"):
        source.wait_until(lambda s: s.reads == 2, timeout_s=0.02)
    gate.set()
    source.wait_until(lambda s: s.closed == 1)
    thread.join(5)
    assert source.reads == 2


def test_an_event_that_never_comes_does_not_hang_the_test() -> None:
    source = ScriptedSource([Block(threading.Event(), timeout_s=0.01)])
    source.open()
    with pytest.raises(TimeoutError, match="event of a Block"):
        source.read(Slot())


def test_notes_a_caller_that_breaks_the_contract() -> None:
    source = ScriptedSource([Repeat(picture(1), None)])
    with pytest.raises(RuntimeError, match="read while not open"):
        source.read(Slot())
    source.open()
    with pytest.raises(RuntimeError, match="open while open"):
        source.open()

    def close_elsewhere() -> None:
        with pytest.raises(RuntimeError, match="close from another thread"):
            source.close()

    thread = threading.Thread(target=close_elsewhere)
    thread.start()
    thread.join(5)
    assert len(source.violations) == 3


def test_two_calls_at_a_time_are_noticed() -> None:
    entered, gate = threading.Event(), threading.Event()

    class Announcing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            entered.set()
            return gate.wait(timeout)

    source = ScriptedSource([Block(Announcing()), Show(picture(1))])

    def play() -> None:
        source.open()
        assert source.read(Slot())

    thread = threading.Thread(target=play)
    thread.start()
    assert entered.wait(5)
    with pytest.raises(RuntimeError, match="close while another call runs"):
        source.close()
    gate.set()
    thread.join(5)
    assert source.violations == ["close while another call runs"]


def test_has_a_probe_only_when_given_one() -> None:
    assert not ScriptedSource([]).probes
    answers = iter([False, True])
    source = ScriptedSource([], reachable=lambda: next(answers))
    assert source.probes
    assert not source.reachable()
    assert source.reachable()
    assert source.probed == 2


def test_a_repeat_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Repeat(picture(1), 0)
