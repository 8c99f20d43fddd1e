"""What a BatchStage may be, who shares one, and what its hooks see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from edgevision import BatchStage, ConfigurationError, Frame, Param, Pipeline, Stage
from edgevision.errors import StageError
from tests.unit.batch.cameras import TIMEOUT_S, Mean, cameras, frame


@pytest.fixture(autouse=True)
def forgotten() -> None:
    Mean.calls.clear()


def _no_process_batch() -> None:
    class Lacking(BatchStage):
        pass


def _process() -> None:
    class Plain(BatchStage):
        def process(self, frame: Frame) -> None: ...

        def process_batch(self, frames: Sequence[Frame]) -> None: ...


def _constructor() -> None:
    class Made(BatchStage):
        def __init__(self, model: str) -> None: ...

        def process_batch(self, frames: Sequence[Frame]) -> None: ...


def _coroutine() -> None:
    class Waits(BatchStage):
        async def process_batch(self, frames: Sequence[Frame]) -> None: ...  # type: ignore[override]


def _generator() -> None:
    class Yields(BatchStage):
        def process_batch(self, frames: Sequence[Frame]) -> Any:
            yield 1


def _arity() -> None:
    class Wrong(BatchStage):
        def process_batch(self) -> None: ...  # type: ignore[override]


def _taken() -> None:
    class Taken(BatchStage):
        def of(self, frame: Frame) -> Any: ...

        def process_batch(self, frames: Sequence[Frame]) -> None: ...


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (_no_process_batch, "Lacking must define process_batch(self, frames)"),
        (_process, "Plain.process: a BatchStage writes process_batch"),
        (_constructor, "Made.__init__"),
        (_coroutine, "Waits.process_batch is async"),
        (_generator, "Yields.process_batch is a generator"),
        (_arity, r"Wrong.process_batch\(self\)"),
        (_taken, "Taken.of: this name is taken"),
    ],
)
def test_a_mistake_is_found_when_the_class_is_made(define: Callable[[], None], words: str) -> None:
    with pytest.raises(TypeError, match=words.replace("(self, frames)", "")):
        define()


def test_one_camera_alone_waits_for_nobody() -> None:
    with Pipeline([Mean(deadline_ms=1000, factor=2)]) as pipeline:
        for value in range(5):
            sent = frame(value)
            pipeline.process(sent)
            assert sent.values == {"mean": value * 2.0}
        assert pipeline["mean"].batches.frames == 5  # type: ignore[attr-defined]
        # Each would have waited a second.
        assert pipeline.statistics[0].total_ns < 4e9


def test_cameras_with_the_same_settings_share_one_instance() -> None:
    with cameras({"a": Mean(offset=1), "b": Mean(offset=1), "c": Mean(offset=2)}) as three:
        a, b, c = (three.stage(name) for name in "abc")
        assert a.shared is b.shared
        assert a.shared is not c.shared
        assert a.batches.cameras == 2
        assert [what for what, _ in Mean.calls] == ["start", "start"]
    # Each was stopped once.
    assert sorted(Mean.calls)[2:] == [("stop", one) for _, one in sorted(Mean.calls)[:2]]


def test_stages_of_other_names_share_nothing() -> None:
    class Other(Mean):
        name = "other"

    with cameras({"a": Mean, "b": Other}) as two:
        assert two.stage("a").shared is not two.stage("b").shared


def test_each_camera_has_its_own_live_parameters() -> None:
    with cameras({"a": Mean(factor=2), "b": Mean(factor=3)}) as two:
        assert two.stage("a").shared is two.stage("b").shared
        sent = [two.send("a", 10), two.send("b", 10)]
        assert [s.result(TIMEOUT_S).values["mean"] for s in sent] == [20, 30]
        two.pipelines["b"].configure({"mean": {"factor": 5}})
        sent = [two.send("a", 10), two.send("b", 10)]
        assert [s.result(TIMEOUT_S).values["mean"] for s in sent] == [20, 50]
        assert [what for what, _ in Mean.calls] == ["start"]


def test_a_live_parameter_of_no_camera_says_where_to_read_it() -> None:
    class Wrong(Mean):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            frames[0].values["x"] = self.factor

    with Pipeline([Wrong]) as pipeline:
        with pytest.raises(StageError, match=r"read self\.of\(frame\)\.factor, or declare it with"):
            pipeline.process(frame())
        with pytest.raises(AttributeError, match="has no attribute 'facto'"):
            pipeline.stages[0].facto  # type: ignore[attr-defined]  # noqa: B018


def test_another_setting_that_is_not_live_moves_the_camera_to_another_instance() -> None:
    with cameras({"a": Mean, "b": Mean}) as two:
        shared = two.stage("a").shared
        two.pipelines["b"].configure({"mean": {"offset": 7.0}})
        assert two.stage("a").shared is shared
        assert two.stage("b").shared is not shared
        assert two.send("b", 1).result(TIMEOUT_S).values["mean"] == 8
        two.pipelines["b"].configure({"mean": {"offset": 0.0}})
        assert two.stage("b").shared is shared
    assert [what for what, _ in Mean.calls] == ["start", "start", "stop", "stop"]


def test_changed_runs_for_each_camera_when_it_starts_and_later() -> None:
    class Table(BatchStage):
        low: int = Param(1)
        high: int = Param(9)

        def start(self) -> None:
            self.limit = 10

        def changed(self, names: frozenset[str]) -> None:
            if self.low > self.high or self.high > self.shared.limit:
                raise ConfigurationError(f"low {self.low}, high {self.high}")
            self.told = names
            self.width = self.high - self.low

        def process_batch(self, frames: Sequence[Frame]) -> None:
            for one in frames:
                one.values["width"] = self.of(one).width

    with cameras({"a": Table, "b": Table(low=3)}) as two:
        assert two.stage("a").told == {"low", "high"}
        assert two.send("a").result(TIMEOUT_S).values == {"width": 8}
        assert two.send("b").result(TIMEOUT_S).values == {"width": 6}
        two.pipelines["b"].configure({"table": {"high": 4}})
        assert two.stage("b").told == {"high"}
        assert two.send("b").result(TIMEOUT_S).values == {"width": 1}
        assert two.send("a").result(TIMEOUT_S).values == {"width": 8}
        with pytest.raises(StageError, match="low 3, high 2"):
            two.pipelines["b"].configure({"table": {"high": 2}})
        assert two.send("b").result(TIMEOUT_S).values == {"width": 1}
    with pytest.raises(StageError, match="low 5, high 4"):
        Pipeline([Table(low=5, high=4)]).start()


def test_a_subclass_may_call_the_hooks_of_its_base() -> None:
    class Deeper(Mean):
        def start(self) -> None:
            super().start()
            self.more = 100

        def process_batch(self, frames: Sequence[Frame]) -> None:
            super().process_batch(frames)
            for one in frames:
                one.values["mean"] += self.more

    with Pipeline([Deeper(factor=1)]) as pipeline:
        sent = frame(7)
        pipeline.process(sent)
        assert sent.values == {"mean": 107}
    assert [what for what, _ in Mean.calls] == ["start", "stop"]


def test_hooks_of_a_mixin_run_on_the_shared_instance() -> None:
    class Mixin:
        def start(self) -> None:
            self.ready = True

    class Mixed(Mixin, BatchStage):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            frames[0].values["ready"] = self.ready

    with Pipeline([Mixed]) as pipeline:
        sent = frame()
        pipeline.process(sent)
        assert sent.values == {"ready": True}


def test_state_of_a_camera_lives_in_its_own_instance() -> None:
    class Counts(BatchStage):
        seen = 0

        def process_batch(self, frames: Sequence[Frame]) -> None:
            for one in frames:
                own = self.of(one)
                own.seen += 1
                one.values["seen"] = own.seen

    with cameras({"a": Counts, "b": Counts}) as two:
        for _ in range(2):
            two.send("a").result(TIMEOUT_S)
        assert two.send("b").result(TIMEOUT_S).values == {"seen": 1}
        assert two.send("a").result(TIMEOUT_S).values == {"seen": 3}


def test_of_and_drop_are_for_the_frames_of_the_batch() -> None:
    class Asks(BatchStage):
        def process_batch(self, frames: Sequence[Frame]) -> None:
            self.of(frame())

    with Pipeline([Asks]) as pipeline:
        with pytest.raises(StageError, match="is no frame of the batch"):
            pipeline.process(frame())
        with pytest.raises(ValueError, match="in process_batch only"):
            pipeline.stages[0].of(frame())  # type: ignore[attr-defined]


def test_a_returned_value_is_a_mistake() -> None:
    class Returns(BatchStage):
        def process_batch(self, frames: Sequence[Frame]) -> Any:
            return list(frames)

    with Pipeline([Returns]) as pipeline, pytest.raises(TypeError, match="returned list"):
        pipeline.process(frame())


def test_it_is_an_ordinary_stage_among_others() -> None:
    class After(Stage):
        def process(self, frame: Frame) -> None:
            frame.values["after"] = frame.values["mean"] + 1

    with Pipeline([Mean, After]) as pipeline:
        sent = frame(4)
        pipeline.process(sent)
        assert sent.values == {"mean": 4, "after": 5}
        with pytest.raises(ConfigurationError, match="is started already"):
            pipeline.start()
