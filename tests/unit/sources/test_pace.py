"""Frames come at their own times, without drift."""

import pytest

from edgevision.sources import pace
from edgevision.sources.pace import Pace


class Clock:
    """Stands in for the time module: sleeping is what makes time pass, and takes too long."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.late_s = late_s

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        if seconds:
            self.now_s += seconds + self.late_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_each_frame_is_due_at_its_own_time(clock: Clock) -> None:
    frames = Pace(0.04, real=True)
    times = [0.0, 0.04, 0.08, 0.4, 0.44]
    came = []
    for at_s in times:
        frames.wait(5.0 + at_s)
        came.append(clock.now_s - 100.0)
    assert came == pytest.approx(times)
    assert frames.position_s == pytest.approx(0.44)


def test_late_sleeps_do_not_add_up(clock: Clock) -> None:
    clock.late_s = 0.003
    frames = Pace(0.04, real=True)
    for number in range(1001):
        frames.wait(number * 0.04)
    assert clock.now_s - 100.0 == pytest.approx(40.0, abs=0.004)


def test_a_late_reader_gets_what_is_due_at_once(clock: Clock) -> None:
    frames = Pace(0.1, real=True)
    frames.wait(0.0)
    clock.now_s += 0.35
    for number in (1, 2, 3):
        frames.wait(number * 0.1)
        assert clock.now_s == pytest.approx(100.35)
    frames.wait(0.4)
    assert clock.now_s == pytest.approx(100.4)


@pytest.mark.parametrize("strange", [0.0, -3.0, 0.08, 5000.0])
def test_timestamps_that_cannot_be_are_replaced(clock: Clock, strange: float) -> None:
    frames = Pace(0.04, real=True)
    frames.wait(0.0)
    frames.wait(0.04)
    frames.wait(0.08)
    frames.wait(strange)
    assert frames.position_s == pytest.approx(0.12)
    assert clock.now_s == pytest.approx(100.12)


def test_a_pause_in_the_recording_is_kept(clock: Clock) -> None:
    frames = Pace(0.04, real=True)
    frames.wait(0.0)
    frames.wait(55.0)
    assert clock.now_s == pytest.approx(155.0)


def test_beginning_again_goes_on_after_one_interval(clock: Clock) -> None:
    frames = Pace(0.5, real=True)
    for at_s in (1.0, 1.5, 2.0):
        frames.wait(at_s)
    frames.restart(1.0)
    frames.wait(1.0)
    assert clock.now_s == pytest.approx(101.5)
    frames.wait(1.5)
    assert clock.now_s == pytest.approx(102.0)
    assert frames.end_s == pytest.approx(2.5)


def test_fast_waits_for_nothing_and_keeps_the_timeline(clock: Clock) -> None:
    frames = Pace(0.04, real=False)
    for number in range(10):
        frames.wait(number * 0.04)
    assert clock.now_s == 100.0
    assert frames.position_s == pytest.approx(0.36)
