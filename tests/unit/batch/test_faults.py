"""What a batch does when a frame, a hook or a camera of it fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from edgevision import BatchStage, ConfigurationError, DropFrame, Frame, Param, Pipeline, cv
from edgevision.batch import group
from edgevision.errors import StageError
from edgevision.pipeline import StageSpec
from tests.unit.batch.cameras import TIMEOUT_S, Mean, cameras, frame

BAD = 13


class Refuses(BatchStage):
    """Raises for a batch with a bad picture in it, in the middle of its work."""

    deadline_ms = 1000.0

    def process_batch(self, frames: Sequence[Frame]) -> None:
        for one in frames:
            one.values["count"] = one.values.get("count", 0) + 1
            one.publish("seen", {"camera": one.camera})
            if one.image[0, 0, 0] == BAD:
                raise ArithmeticError(f"a bad picture from {one.camera}")


def test_only_the_camera_of_the_bad_frame_has_the_error() -> None:
    with cameras(dict.fromkeys("abc", Refuses)) as three:
        sent = {name: three.send(name, BAD if name == "b" else 1) for name in "abc"}
        with pytest.raises(StageError, match="a bad picture from b") as raised:
            sent["b"].result(TIMEOUT_S)
        assert raised.value.camera == "b"
        assert isinstance(raised.value.__cause__, ArithmeticError)
        for name in "ac":
            # What the first try has done is undone.
            good = sent[name].result(TIMEOUT_S)
            assert good.values == {"count": 1}
            assert [event.body["camera"] for event in good.events] == [name]
        statistics = three.stage("a").batches
        assert (statistics.batches, statistics.failures) == (1, 1)
        errors = {name: three.pipelines[name].statistics[0].errors for name in "abc"}
        assert errors == {"a": 0, "b": 1, "c": 0}


def test_a_frame_is_dropped_for_its_camera_alone() -> None:
    class Drops(Refuses):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            for one in frames:
                if one.image[0, 0, 0] == BAD:
                    self.drop(one, "bad")
                else:
                    one.values["kept"] = True

    with cameras({"a": Drops, "b": Drops}) as two:
        sent = [two.send("a", BAD), two.send("b")]
        assert sent[0].result(TIMEOUT_S).values == {"dropped": "drops: bad"}
        assert sent[1].result(TIMEOUT_S).values == {"kept": True}
        assert two.pipelines["a"].statistics[0].drops == {"bad": 1}
        assert two.stage("a").batches.failures == 0


def test_drop_frame_drops_the_frames_that_it_is_raised_for() -> None:
    class Raises(Refuses):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            if any(one.image[0, 0, 0] == BAD for one in frames):
                raise DropFrame("bad")

    with cameras({"a": Raises, "b": Raises}) as two:
        sent = [two.send("a", BAD), two.send("b")]
        assert sent[0].result(TIMEOUT_S).values == {"dropped": "raises: bad"}
        assert sent[1].result(TIMEOUT_S).values == {}


def test_retry_sends_the_frame_through_another_batch() -> None:
    class Once(BatchStage):
        def start(self) -> None:
            self.tries = 0

        def process_batch(self, frames: Sequence[Frame]) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("not now")

    with Pipeline([StageSpec(Once, on_error="retry")]) as pipeline:
        assert pipeline.process(frame()) is None
        assert pipeline.statistics[0].errors == 1


class Picky(BatchStage):
    """Starts at the third try only."""

    calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")
        if self.calls.count("start") < 3:
            raise OSError("no network yet")

    def process_batch(self, frames: Sequence[Frame]) -> None: ...

    def stop(self) -> None:
        self.calls.append("stop")


def test_stop_follows_each_start_once_also_one_that_raised() -> None:
    Picky.calls.clear()
    pipeline = Pipeline([Picky])
    for _ in range(2):
        with pytest.raises(StageError, match="no network yet"):
            pipeline.start()
    assert Picky.calls == ["start", "stop"] * 2
    with pipeline:
        assert pipeline.process(frame()) is None
    assert Picky.calls == ["start", "stop"] * 3


def test_a_camera_that_comes_while_another_one_starts_waits_and_shares() -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(BatchStage):
        starts: list[int] = []

        def start(self) -> None:
            self.starts.append(1)
            entered.set()
            assert go_on.wait(TIMEOUT_S)
            if len(self.starts) == 1:
                raise OSError("the first one fails")

        def process_batch(self, frames: Sequence[Frame]) -> None: ...

    pipelines = [Pipeline([Slow], camera=name) for name in "abc"]
    failed: list[str] = []

    def start(pipeline: Pipeline) -> None:
        try:
            pipeline.start()
        except StageError:
            failed.append(pipeline.camera)

    threads = [threading.Thread(target=start, args=(pipeline,)) for pipeline in pipelines]
    threads[0].start()
    assert entered.wait(TIMEOUT_S)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(TIMEOUT_S)
    # The error is that of the camera that met it; the others have tried themselves.
    assert failed == ["a"]
    b, c = (pipeline.stages[0] for pipeline in pipelines[1:])
    assert isinstance(b, Slow)
    assert isinstance(c, Slow)
    assert b.shared is c.shared
    assert len(Slow.starts) == 2
    for pipeline in pipelines[1:]:
        pipeline.stop()


def test_a_configuration_error_of_start_reaches_the_camera() -> None:
    class Lacks(BatchStage):
        def start(self) -> None:
            raise ConfigurationError("there is no model")

        def process_batch(self, frames: Sequence[Frame]) -> None: ...

    with pytest.raises(StageError, match="there is no model") as raised:
        Pipeline([Lacks]).start()
    assert isinstance(raised.value.__cause__, ConfigurationError)


def test_a_batch_that_does_not_return_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "PATIENCE_S", 0.2)
    entered, go_on = threading.Event(), threading.Event()

    class Hangs(BatchStage):
        deadline_ms = 1000.0
        batch_size = 2

        def process_batch(self, frames: Sequence[Frame]) -> None:
            entered.set()
            assert go_on.wait(TIMEOUT_S)

    with cameras(dict.fromkeys("abc", Hangs)) as three:
        sent = [three.send("a"), three.send("b")]
        assert entered.wait(TIMEOUT_S)
        with pytest.raises(StageError, match=r"waited for its turn.* has frames of a, b"):
            three.send("c").result(TIMEOUT_S)
        # One of the two runs the batch; the other one has given up as well.
        pause = threading.Event()
        for _ in range(2000):
            if any(one.done() for one in sent):
                break
            pause.wait(0.005)
        given_up = next(one for one in sent if one.done())
        with pytest.raises(StageError, match="in a batch that did not return"):
            given_up.result(TIMEOUT_S)
        go_on.set()
        others = [one for one in sent if one is not given_up]
        assert [one.result(TIMEOUT_S).values for one in others] == [{}]
        assert three.send("c").result(TIMEOUT_S).values == {}


def test_cameras_that_start_anew_after_errors_get_a_new_instance() -> None:
    class Breaks(BatchStage):
        deadline_ms = 0.0

        def start(self) -> None:
            self.broken = False

        def process_batch(self, frames: Sequence[Frame]) -> None:
            self.broken |= any(one.image[0, 0, 0] == BAD for one in frames)
            if self.broken:
                raise OSError("the device is gone")

    with cameras({"a": Breaks, "b": Breaks}) as two:
        shared = two.stage("a").shared
        with pytest.raises(StageError):
            two.send("a", BAD).result(TIMEOUT_S)
        for _ in range(3):
            with pytest.raises(StageError):
                two.send("b").result(TIMEOUT_S)
        # b starts anew while a still uses the old one.
        two.pipelines["b"].stop()
        two.pipelines["b"].start()
        assert two.stage("b").shared is not shared
        assert two.send("b").result(TIMEOUT_S).values == {}
        with pytest.raises(StageError):
            two.send("a").result(TIMEOUT_S)


def test_an_interrupted_batch_leaves_nobody_waiting() -> None:
    class Interrupted(BatchStage):
        deadline_ms = 1000.0

        def process_batch(self, frames: Sequence[Frame]) -> None:
            raise SystemExit

    with cameras({"a": Interrupted, "b": Interrupted}) as two:
        sent = [two.send("a"), two.send("b")]
        errors = [one.exception(TIMEOUT_S) for one in sent]
        assert sorted(type(error).__name__ for error in errors) == ["StageError", "SystemExit"]


class Blurs(BatchStage):
    deadline_ms: float = Param(0.0, live=False)

    def process_batch(self, frames: Sequence[Frame]) -> None:
        for one in frames:
            one.image = cv.blur(one.image, (3, 3))


@pytest.mark.parametrize("poison", [False, True])
def test_pictures_made_in_a_batch_last_as_long_as_their_frames(poison: bool) -> None:
    """A camera's later stages may be slow; meanwhile others go on through further batches."""
    names = "abc"
    stages = {name: Blurs(deadline_ms=1000) for name in names}
    with cameras(stages, poison=poison) as three:
        sent = [three.send(name, 50) for name in names]
        held = sent[0].result(TIMEOUT_S)
        for one in sent[1:]:
            one.result(TIMEOUT_S)
        for value in (60, 70, 80):
            more = [three.send(name, value) for name in "bc"]
            for one in more:
                assert np.array_equal(np.unique(one.result(TIMEOUT_S).image), [value])
            assert np.array_equal(np.unique(held.image), [50])


def test_a_steady_batch_uses_its_buffers_again() -> None:
    seen = set()
    with Pipeline([Blurs]) as pipeline:
        for value in range(20):
            one = frame(value)
            pipeline.process(one)
            seen.add(one.image.ctypes.data)
        assert len(seen) == 1


def test_a_kept_buffer_of_a_batch_is_told() -> None:
    class Keeps(Blurs):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            self.kept = cv.blur(frames[0].image, (3, 3))

    with Pipeline([Keeps], poison=True) as pipeline:
        pipeline.process(frame())
        with pytest.raises(StageError, match="stage keeps kept a buffer that belongs to a batch"):
            pipeline.process(frame())


def test_a_quarantined_camera_holds_nobody_up() -> None:
    spec = StageSpec(Mean, on_error="quarantine")
    with cameras({"a": spec, "b": spec}) as two:
        two.pipelines["a"].statistics[0].quarantined = True
        for _ in range(20):
            assert "mean" in two.send("b").result(TIMEOUT_S).values
        assert two.send("a").result(TIMEOUT_S).values == {}


def test_the_rest_of_a_frame_runs_on_its_own_cameras_thread() -> None:
    class Rests(Refuses):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            if frames[0].image[0, 0, 0] == BAD and len(frames) > 1:
                raise OSError("together they fail")
            for one in frames:
                self.finish(one, partial(self.rest, one, threading.get_ident()))

        def rest(self, one: Frame, leader: int) -> None:
            if one.camera == "b":
                raise ArithmeticError("b's own")
            one.values["rest"] = one.values.get("rest", 0) + 1
            one.values["here"] = threading.get_ident() == leader

    with cameras(dict.fromkeys("abc", Rests)) as three:
        for value in (1, BAD):
            sent = {name: three.send(name, value) for name in "abc"}
            with pytest.raises(StageError, match="b's own"):
                sent["b"].result(TIMEOUT_S)
            good = [sent[name].result(TIMEOUT_S).values for name in "ac"]
            # Once for each frame, also where the batch had to be run one by one.
            assert [values["rest"] for values in good] == [1, 1]
            # One camera at most runs the batch.
            assert not all(values["here"] for values in good)
        assert three.pipelines["b"].statistics[0].errors == 2


def test_what_a_failed_batch_left_to_do_is_forgotten() -> None:
    done: list[str] = []

    class Forgets(Refuses):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            if len(frames) > 1:
                for one in frames:
                    self.finish(one, partial(done.append, one.camera))
                    self.drop(one, "together")
                raise OSError("together they fail")

    with cameras({"a": Forgets, "b": Forgets}) as two:
        sent = [two.send("a"), two.send("b")]
        assert [one.result(TIMEOUT_S).values for one in sent] == [{}, {}]
        assert done == []
