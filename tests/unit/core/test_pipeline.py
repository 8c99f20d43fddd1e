"""The pipeline: life cycle, order, names, drops and statistics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest

from edgevision import ConfigurationError, DropFrame, Frame, Pipeline, Stage
from edgevision.arena import current
from edgevision.errors import FrameReleasedError, StageError
from edgevision.pipeline import StageSpec
from tests.unit.core.recording import A, AsyncB, B, C, Recording, frame, picture


class Plain(Stage):
    def process(self, frame: Frame) -> None:
        frame.values[self.name] = self.camera


def test_hooks_in_order_and_stops_in_reverse() -> None:
    log: list[str] = []
    with Pipeline([A(log), AsyncB(log), C(log)]) as pipeline:
        pipeline.process(frame())
        pipeline.process(frame())
    assert log == [
        *("start a", "start b", "start c"),
        *("process a", "process b", "process c") * 2,
        *("stop c", "stop b", "stop a"),
    ]


def test_a_pipeline_can_be_started_again() -> None:
    log: list[str] = []
    pipeline = Pipeline([A(log), AsyncB(log)])
    for _ in range(3):
        log.clear()
        pipeline.start()
        assert pipeline.process(frame()) is None
        pipeline.stop()
        pipeline.stop()
        assert log == ["start a", "start b", "process a", "process b", "stop b", "stop a"]
    assert pipeline.statistics[0].frames == 3


def test_stop_without_start_does_nothing() -> None:
    log: list[str] = []
    Pipeline([A(log)]).stop()
    assert log == []


def test_a_started_pipeline_cannot_be_started() -> None:
    log: list[str] = []
    with (
        Pipeline([A(log)], camera="door") as pipeline,
        pytest.raises(ConfigurationError, match="the pipeline of camera 'door' is started already"),
    ):
        pipeline.start()
    assert log == ["start a", "stop a"]


@pytest.mark.parametrize("stages", [[], [Plain]])
def test_a_pipeline_must_be_started(stages: list[Any]) -> None:
    pipeline = Pipeline(stages, camera="door")
    with pytest.raises(ConfigurationError, match="camera 'door' is not started: use it in a with"):
        pipeline.process(frame())


def test_an_empty_pipeline_passes_frames() -> None:
    with Pipeline([]) as pipeline:
        assert pipeline.process(frame()) is None


FAILING = [
    set(fails) for fails in product(("start", ""), ("stop", ""), ("process", "")) if any(fails)
]


@pytest.mark.parametrize("kinds", [(A, B, C), (A, AsyncB, C)])
@pytest.mark.parametrize("fails", FAILING, ids=" ".join)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_stop_runs_once_for_each_start_in_reverse_order(
    kinds: tuple[type[Recording], ...], fails: set[str], position: int
) -> None:
    log: list[str] = []
    stages = [
        kind(log, *(fails if index == position else ()), name="abc"[index])
        for index, kind in enumerate(kinds)
    ]
    pipeline = Pipeline(stages)
    with suppress(StageError), pipeline:
        for number in range(3):
            with suppress(StageError):
                pipeline.process(frame(number))
    started = [line[-1] for line in log if line.startswith("start")]
    stopped = [line[-1] for line in log if line.startswith("stop")]
    assert started == list("abc")[: position + 1 if "start" in fails else 3]
    assert stopped == started[::-1]
    # Nothing is left: it starts again just the same.
    again = list(log)
    log.clear()
    with suppress(StageError), pipeline:
        for number in range(3):
            with suppress(StageError):
                pipeline.process(frame(number))
    assert log == again


def test_an_error_in_start_names_stage_and_camera_and_what_stopping_said() -> None:
    log: list[str] = []
    stages = [A(log, "stop"), B(log, "start", "stop"), C(log)]
    with pytest.raises(StageError) as caught:
        Pipeline(stages, camera="door").start()
    assert str(caught.value) == (
        "camera 'door', stage 'b': start raised ValueError: no start"
        "; then stage 'b' raised ValueError: no stop; then stage 'a' raised ValueError: no stop"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.sequence is None


def test_an_error_in_stop_has_those_of_the_others() -> None:
    log: list[str] = []
    pipeline = Pipeline([A(log, "stop"), B(log), C(log, "stop")])
    pipeline.start()
    with pytest.raises(StageError) as caught:
        pipeline.stop()
    assert str(caught.value) == (
        "camera 'camera', stage 'c': stop raised ValueError: no stop"
        "; then stage 'a' raised ValueError: no stop"
    )
    assert log[3:] == ["stop c", "stop b", "stop a"]


@pytest.mark.parametrize("hook", ["start", "process", "stop"])
def test_an_interrupt_stops_all_stages_and_goes_on(hook: str) -> None:
    class Interrupted(Recording):
        def note(self, what: str) -> None:
            super().note(what)
            if what == hook:
                raise KeyboardInterrupt

    log: list[str] = []
    pipeline = Pipeline([A(log), Interrupted(log, name="i"), C(log)])
    with pytest.raises(KeyboardInterrupt), pipeline:
        pipeline.process(frame())
    started = [line[-1] for line in log if line.startswith("start")]
    assert [line[-1] for line in log if line.startswith("stop")] == started[::-1]
    assert pipeline.active == -1


def test_stages_know_their_name_and_camera_before_start() -> None:
    seen: list[tuple[str, str]] = []

    class Asks(Stage):
        def start(self) -> None:
            seen.append((self.name, self.camera))

        def process(self, frame: Frame) -> None: ...

    with Pipeline([Asks], camera="door"):
        assert seen == [("asks", "door")]


def test_names_are_unique() -> None:
    class Named(Plain):
        name = "own"

    stages: list[Any] = [
        Plain,
        Plain(),
        Plain,
        StageSpec(Plain, "plain-2"),
        Named,
        StageSpec(Named, "given"),
    ]
    pipeline = Pipeline(stages)
    names = [stage.name for stage in pipeline.stages]
    assert names == ["plain", "plain-2", "plain-3", "plain-2-2", "own", "given"]
    assert [s.name for s in pipeline.statistics] == names
    assert pipeline["own"] is pipeline.stages[4]


def test_an_unknown_name_is_refused() -> None:
    pipeline = Pipeline([Plain], camera="door")
    with pytest.raises(
        ConfigurationError,
        match=r"camera 'door' has no stage 'plian', did you mean 'plain'\? \(it has: plain\)",
    ):
        pipeline["plian"]
    with pytest.raises(ConfigurationError, match="it has: none"):
        Pipeline([])["x"]


def test_one_instance_serves_one_camera() -> None:
    shared = Plain()
    with pytest.raises(ConfigurationError, match="has the same Plain instance twice: make two"):
        Pipeline([shared, shared])
    door, yard = Pipeline([shared], camera="door"), Pipeline([shared], camera="yard")
    door.start()
    with pytest.raises(ConfigurationError, match="camera 'yard': this Plain instance runs already"):
        yard.start()
    with pytest.raises(ConfigurationError, match="instance runs already"):
        Pipeline([shared])
    door.stop()
    with yard:
        assert yard.process(frame()) is None


@pytest.mark.parametrize("wrong", [3, "motion", lambda frame: None, Frame, None])
def test_what_is_no_stage_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a pipeline is made of Stage classes or instances, got"):
        Pipeline([wrong])


def test_what_makes_no_stage_is_refused() -> None:
    makes_text: Any = lambda: "motion"  # noqa: E731  # a factory, as a user writes it
    with pytest.raises(TypeError, match="create must return a Stage, got 'motion'"):
        Pipeline([StageSpec(makes_text)])


def test_an_error_in_a_constructor_has_a_name() -> None:
    class Breaks(Stage):
        def __init__(self) -> None:
            raise OSError("no model at rtsp://a:secret@h/x")

        def process(self, frame: Frame) -> None: ...

    with pytest.raises(StageError) as caught:
        Pipeline([Breaks], camera="door")
    assert str(caught.value) == (
        "camera 'door', stage 'breaks': its constructor raised OSError: no model at rtsp://***@h/x"
    )
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"on_error": "ignore"}, "on_error must be one of drop, retry, quarantine, restart, got"),
        ({"on_error": "quarantin"}, "did you mean 'quarantine'"),
        ({"max_consecutive_errors": 0}, "max_consecutive_errors must be at least 1, got 0"),
    ],
)
def test_a_spec_is_checked(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StageSpec(Plain, **spec)


class Drops(Stage):
    """Drops frames for the reasons it is given."""

    def __init__(self, reasons: Iterator[str]) -> None:
        self.reasons = reasons

    def process(self, frame: Frame) -> None:
        if reason := next(self.reasons, ""):
            raise DropFrame(reason)


def test_a_dropped_frame_goes_no_further_and_is_counted() -> None:
    log: list[str] = []
    with Pipeline([Drops(iter(["dark", "", "dark", "small"])), A(log)]) as pipeline:
        said = [pipeline.process(frame()) for _ in range(5)]
        assert said == ["drops: dark", None, "drops: dark", "drops: small", None]
        assert pipeline.statistics[0].drops == {"dark": 2, "small": 1}
        assert (pipeline.statistics[0].frames, pipeline.statistics[1].frames) == (5, 2)
        assert pipeline.statistics[0].errors == 0
    assert log.count("process a") == 2


def test_the_class_alone_may_be_raised() -> None:
    class Bare(Stage):
        def process(self, frame: Frame) -> None:
            raise DropFrame

    with Pipeline([Bare]) as pipeline:
        assert pipeline.process(frame()) == "bare: dropped"


def test_reasons_are_bounded() -> None:
    with Pipeline([Drops(f"mean {n}" for n in range(1000))]) as pipeline:
        said = [pipeline.process(frame()) for _ in range(1000)]
        drops = pipeline.statistics[0].drops
    assert len(drops) == 33
    assert sum(drops.values()) == 1000
    # What is returned is what was counted, so that whoever counts it too is bounded as well.
    assert {f"drops: {reason}" for reason in drops} == set(said)


def test_statistics_have_times() -> None:
    with Pipeline([Plain]) as pipeline:
        statistics = pipeline.statistics[0]
        assert statistics.mean_ms == 0.0
        for _ in range(4):
            pipeline.process(frame())
    assert statistics.frames == 4
    assert 0 < statistics.longest_ns <= statistics.total_ns
    assert statistics.mean_ms == pytest.approx(statistics.total_ns / 4e6)


def test_the_watchdog_sees_which_hook_runs() -> None:
    seen: list[tuple[str, int, bool]] = []

    class Looks(Stage):
        def look(self, hook: str) -> None:
            seen.append((hook, pipeline.active, pipeline.active_since_ns > 0))

        def start(self) -> None:
            self.look("start")

        def process(self, frame: Frame) -> None:
            self.look("process")

        def stop(self) -> None:
            self.look("stop")

    pipeline = Pipeline([Plain, Looks])
    with pipeline:
        assert pipeline.active == -1
        pipeline.process(frame())
        assert pipeline.active == -1
    assert seen == [("start", 1, True), ("process", 1, True), ("stop", 1, True)]
    assert pipeline.active == -1


def test_a_frame_can_be_read_until_it_is_released() -> None:
    with Pipeline([Plain]) as pipeline:
        first, second = frame(1), frame(2)
        pipeline.process(first)
        assert first.size_wh == (64, 48)
        pipeline.process(second)
        with pytest.raises(FrameReleasedError):
            first.size_wh  # noqa: B018  # it raises
        # Releasing an older frame again takes nothing from the present one.
        pipeline.release(first)
        assert second.size_wh == (64, 48)
        pipeline.release(second)
        with pytest.raises(FrameReleasedError):
            second.size_wh  # noqa: B018  # it raises
        third = frame(3)
        pipeline.process(third)
    with pytest.raises(FrameReleasedError):
        third.size_wh  # noqa: B018  # it raises


def test_a_frame_that_a_thread_of_the_stage_keeps_is_an_error_there() -> None:
    caught: list[Exception] = []
    released = threading.Event()

    class Hands(Stage):
        def process(self, frame: Frame) -> None:
            def later() -> None:
                released.wait(10)
                try:
                    frame.image.mean()
                except FrameReleasedError as error:
                    caught.append(error)

            self.thread = threading.Thread(target=later)
            self.thread.start()

        def stop(self) -> None:
            self.thread.join()

    with Pipeline([Hands], camera="door") as pipeline:
        pipeline.process(frame(7))
        pipeline.release(pipeline._frame)  # type: ignore[arg-type]  # there is one
        released.set()
    assert "frame 7 of camera 'door' was used after its pipeline" in str(caught[0])


def test_stages_have_the_arena_and_nobody_else_has() -> None:
    seen: list[Any] = []

    class Looks(Stage):
        def process(self, frame: Frame) -> None:
            seen.append(current())

    with Pipeline([Looks]) as pipeline:
        assert current() is None
        pipeline.process(frame())
        assert current() is None
    assert seen[0] is not None
    assert pipeline.nbytes == 0


def test_events_have_the_name_of_their_stage() -> None:
    class Publishes(Stage):
        def process(self, frame: Frame) -> None:
            frame.publish("alarm", {"x": 1})

    one = frame()
    with Pipeline([Publishes, StageSpec(Publishes, "second")]) as pipeline:
        pipeline.process(one)
    assert [event.stage for event in one.events] == ["publishes", "second"]


def test_pipelines_on_threads_do_not_disturb_each_other() -> None:
    class Counts(Stage):
        def start(self) -> None:
            self.seen = 0

        def process(self, frame: Frame) -> None:
            self.seen += 1
            frame.values["seen"] = (self.camera, self.seen)

    results: dict[str, list[Any]] = {}

    def run(camera: str) -> None:
        with Pipeline([Counts, Plain], camera=camera) as pipeline:
            found = results[camera] = []
            for number in range(500):
                one = Frame(picture(), camera=camera, sequence=number)
                pipeline.process(one)
                found.append(one.values)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert results[name] == [{"seen": (name, n), "plain": name} for n in range(1, 501)]
