"""Which frames come into one batch, and how long each waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from edgevision import BatchStage, Frame, Param
from tests.unit.batch.cameras import TIMEOUT_S, Mean, cameras


class Gated(Mean):
    """Holds each batch until it is let through."""

    gate = threading.Semaphore(0)
    entered = threading.Semaphore(0)

    def process_batch(self, frames: Sequence[Frame]) -> None:
        self.entered.release()
        assert self.gate.acquire(timeout=TIMEOUT_S)
        super().process_batch(frames)


def test_a_batch_begins_when_each_camera_has_sent_a_frame() -> None:
    with cameras({name: Mean(deadline_ms=1000) for name in "abc"}) as three:
        begun_s = time.monotonic()
        for _ in range(3):
            sent = [three.send(name) for name in "abc"]
            for one in sent:
                one.result(TIMEOUT_S)
        assert [sorted(names) for names in three.stage("a").shared.sizes] == [["a", "b", "c"]] * 3
        # The deadline was not waited for.
        assert time.monotonic() - begun_s < 3
        statistics = three.stage("b").batches
        assert (statistics.batches, statistics.frames, statistics.largest) == (3, 9, 3)
        assert statistics.mean_size == 3
        assert statistics.mean_ms > 0


def test_no_batch_is_larger_than_batch_size_and_the_oldest_frames_come_first() -> None:
    settings = {"deadline_ms": 1000, "batch_size": 2}
    with cameras({name: Gated(**settings) for name in "abcde"}) as five:
        sent = [five.send("a"), five.send("b")]
        assert Gated.entered.acquire(timeout=TIMEOUT_S)
        for count, name in enumerate("cde", start=1):
            sent.append(five.send(name))
            five.until_waiting("a", count)
        for _ in range(3):
            Gated.gate.release()
        for one in sent:
            one.result(TIMEOUT_S)
        sizes = five.stage("a").shared.sizes
        assert [sorted(names) for names in sizes] == [["a", "b"], ["c", "d"], ["e"]]
        assert sizes[1] == ["c", "d"]
        for _ in sizes[1:]:
            assert Gated.entered.acquire(timeout=TIMEOUT_S)


def test_a_frame_waits_no_longer_than_the_deadline() -> None:
    with cameras({"a": Mean(deadline_ms=150), "b": Mean(deadline_ms=150)}) as two:
        begun_s = time.monotonic()
        two.send("a").result(TIMEOUT_S)
        assert time.monotonic() - begun_s >= 0.15
        assert two.stage("a").shared.sizes == [["a"]]


def test_a_camera_that_sends_nothing_is_not_waited_for_in_the_long_run() -> None:
    with cameras({"a": Mean(deadline_ms=150), "b": Mean(deadline_ms=150)}) as two:
        for _ in range(9):
            two.send("a").result(TIMEOUT_S)
        taken_s = []
        for _ in range(5):
            begun_s = time.monotonic()
            two.send("a").result(TIMEOUT_S)
            taken_s.append(time.monotonic() - begun_s)
        assert min(taken_s) < 0.15
        # When it is back, it is waited for again.
        two.send("b").result(TIMEOUT_S)
        begun_s = time.monotonic()
        two.send("a").result(TIMEOUT_S)
        assert time.monotonic() - begun_s >= 0.15


def test_who_waits_for_a_camera_that_leaves_goes_on() -> None:
    with cameras({"a": Mean(deadline_ms=1000), "b": Mean(deadline_ms=1000)}) as two:
        begun_s = time.monotonic()
        sent = two.send("a")
        two.until_waiting("a", 1)
        two.pipelines["b"].stop()
        sent.result(TIMEOUT_S)
        assert time.monotonic() - begun_s < 1


def test_batches_run_one_at_a_time_whoever_runs_them() -> None:
    class Alone(BatchStage):
        batch_size = 2
        deadline_ms: float = Param(1.0, live=False)

        def start(self) -> None:
            self.lock = threading.Lock()
            self.threads: set[int] = set()

        def process_batch(self, frames: Sequence[Frame]) -> None:
            assert self.lock.acquire(blocking=False)
            self.threads.add(threading.get_ident())
            for frame in frames:
                frame.values["sum"] = int(frame.image.sum())
            self.lock.release()

    names = "abcdef"
    with cameras(dict.fromkeys(names, Alone)) as six:
        for turn in range(40):
            sent = [six.send(name, turn) for name in names]
            assert {s.result(TIMEOUT_S).values["sum"] for s in sent} == {turn * 8 * 6 * 3}
        assert six.stage("a").batches.frames == 240
        assert six.stage("a").batches.failures == 0
        assert six.stage("a").batches.largest == 2
