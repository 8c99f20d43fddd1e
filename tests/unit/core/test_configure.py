"""Live changes of parameters: all or none, and everybody is told."""

from __future__ import annotations

from typing import Any

import pytest

from edgevision import ConfigurationError, Frame, Param, Pipeline, Stage
from edgevision.errors import ParamError, StageError
from edgevision.pipeline import StageSpec
from tests.unit.core.recording import Recording, frame


class Tuned(Recording, abstract=True):
    low: int = Param(1, ge=0)
    high: int = Param(9, ge=0)
    model: str = Param("a.onnx", live=False)

    def note(self, what: str) -> None:
        super().note(what)
        if what.startswith("changed") and self.low > self.high:
            raise ValueError("low is above high")
        if what == "start" and self.model == "missing":
            raise OSError("no such model")


class First(Tuned):
    pass


class Second(Tuned):
    pass


def two(log: list[str]) -> Pipeline:
    return Pipeline([First(log), Second(log)], camera="door")


def test_changes_are_told_between_frames() -> None:
    log: list[str] = []
    with two(log) as pipeline:
        del log[:]
        pipeline.configure({"second": {"low": 2, "high": 8}, "first": {"low": 1}})
        assert log == ["changed high+low second"]
        assert pipeline["second"].settings() == {"low": 2, "high": 8, "model": "a.onnx"}


def test_a_pipeline_that_is_not_started_is_not_told() -> None:
    log: list[str] = []
    pipeline = two(log)
    pipeline.configure({"first": {"low": 2, "model": "b"}})
    assert log == []
    assert pipeline["first"].settings() == {"low": 2, "high": 9, "model": "b"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first": {"low": 2}, "second": {"low": -1}}, "stage Second: parameter low must be int"),
        ({"first": {"low": 2, "hihg": 3}}, "no parameter 'hihg', did you mean 'high'"),
        ({"first": {"low": 2}, "secnd": {}}, "'door' has no stage 'secnd', did you mean 'sec"),
    ],
)  # fmt: skip
def test_a_bad_value_changes_nothing(values: Any, message: str) -> None:
    log: list[str] = []
    with two(log) as pipeline:
        del log[:]
        before = [stage.settings() for stage in pipeline.stages]
        with pytest.raises(ConfigurationError, match=message) as caught:
            pipeline.configure(values)
        assert isinstance(caught.value, ParamError) or "secnd" in message
        assert log == []
        assert [stage.settings() for stage in pipeline.stages] == before


def test_a_stage_may_refuse_a_change_and_everybody_hears_of_it() -> None:
    log: list[str] = []
    with two(log) as pipeline:
        del log[:]
        with pytest.raises(StageError) as caught:
            pipeline.configure({"first": {"high": 8}, "second": {"low": 20}})
        assert str(caught.value) == (
            "camera 'door', stage 'second': refused to change low: ValueError: low is above high"
        )
        assert [s.settings()["low"] for s in pipeline.stages] == [1, 1]
        assert [s.settings()["high"] for s in pipeline.stages] == [9, 9]
        assert log == [
            *("changed high first", "changed low second"),
            *("changed low second", "changed high first"),
        ]
        assert pipeline.process(frame()) is None


def test_a_stage_that_refuses_the_old_values_too_is_named() -> None:
    log: list[str] = []
    stage = First(log, "changed low")
    with (
        Pipeline([stage]) as pipeline,
        pytest.raises(StageError, match=r"refused.*; then stage 'first' raised ValueError: no ch"),
    ):
        pipeline.configure({"first": {"low": 2}})
    assert stage.low == 1


def test_a_parameter_that_is_not_live_restarts_its_stage_alone() -> None:
    log: list[str] = []
    with two(log) as pipeline:
        del log[:]
        pipeline.configure({"first": {"model": "b.onnx", "low": 2}})
        assert log == ["stop first", "start first"]
        assert pipeline.process(frame()) is None
        del log[:]
    assert log == ["stop second", "stop first"]


def test_a_restart_that_fails_goes_back_to_the_old_value() -> None:
    log: list[str] = []
    with two(log) as pipeline:
        del log[:]
        with pytest.raises(StageError, match=r"'first': refused to change model: OSError: no such"):
            pipeline.configure({"first": {"model": "missing"}})
        assert log == ["stop first", "start first", "stop first", "start first"]
        assert pipeline["first"].settings()["model"] == "a.onnx"
        assert pipeline.process(frame()) is None
        del log[:]
    assert log == ["stop second", "stop first"]


def test_stop_runs_once_for_each_start_whatever_a_restart_does() -> None:
    log: list[str] = []
    stage = First(log, "stop")
    pipeline = Pipeline([stage])
    pipeline.start()
    with pytest.raises(StageError, match="refused to change model: ValueError: no stop"):
        pipeline.configure({"first": {"model": "b"}})
    with pytest.raises(StageError):
        pipeline.stop()
    assert log.count("start first") == log.count("stop first") == 3
    assert stage.model == "a.onnx"


def test_a_quarantined_stage_gets_another_chance() -> None:
    class Needs(Stage):
        limit: int = Param(0)

        def process(self, frame: Frame) -> None:
            if self.limit == 0:
                raise ValueError("no limit")
            frame.values["limit"] = self.limit

    spec = StageSpec(Needs, on_error="quarantine", max_consecutive_errors=1)
    with Pipeline([spec]) as pipeline:
        with pytest.raises(StageError):
            pipeline.process(frame())
        assert pipeline.statistics[0].quarantined
        pipeline.configure({"needs": {"limit": 0}})
        assert pipeline.statistics[0].quarantined
        pipeline.configure({"needs": {"limit": 3}})
        one = frame()
        assert pipeline.process(one) is None
        assert one.values == {"limit": 3}


def test_hooks_that_wait_are_told_too() -> None:
    seen: list[frozenset[str]] = []

    class Waits(Stage):
        limit: int = Param(0)

        def process(self, frame: Frame) -> None: ...

        async def changed(self, names: frozenset[str]) -> None:
            seen.append(names)

    with Pipeline([Waits]) as pipeline:
        pipeline.configure({"waits": {"limit": 1}})
    assert seen == [{"limit"}]
