"""@stage: a function with one frame is a stage too."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from edgevision import Frame, Param, Pipeline, Stage, stage
from edgevision.errors import ParamError


@stage
def brightness(frame: Frame, *, scale: float = Param(1.0, gt=0, help="factor")) -> None:
    """Mean brightness."""
    frame.values["brightness"] = float(frame.image.mean()) * scale


@stage
def count(frame: Frame) -> None:
    frame.values["count"] = frame.values.get("count", 0) + 1


@stage
async def later(frame: Frame, *, text: str = Param("a")) -> None:
    frame.values["later"] = text


def picture() -> Frame:
    return Frame(np.full((48, 64, 3), 10, np.uint8))


def test_it_is_a_class_that_runs_in_a_pipeline() -> None:
    assert issubclass(brightness, Stage)
    assert brightness.__name__ == "brightness"
    assert brightness.__doc__ == "Mean brightness."
    assert brightness.__module__ == __name__
    frame = picture()
    with Pipeline([brightness(scale=2), count, count, later(text="b")]) as pipeline:
        assert [s.name for s in pipeline.stages] == ["brightness", "count", "count-2", "later"]
        assert pipeline.process(frame) is None
    assert frame.values == {"brightness": 20.0, "count": 2, "later": "b"}


def test_its_params_are_those_of_any_stage() -> None:
    assert brightness.parameters()["scale"].describe_type() == "float > 0"
    with pytest.raises(ParamError, match="stage brightness: parameter scale must be float > 0"):
        brightness(scale=0)
    frame = picture()
    with Pipeline([brightness]) as pipeline:
        pipeline.configure({"brightness": {"scale": 3}})
        pipeline.process(frame)
    assert frame.values["brightness"] == 30.0


def test_the_function_stays_reachable() -> None:
    frame = picture()
    function: Any = brightness
    function.__wrapped__(frame, scale=0.5)
    assert frame.values["brightness"] == 5.0
    with pytest.raises(ParamError, match=r"Pipeline\(\[brightness\]\)\.process\(frame\)"):
        function(frame)


def test_local_types_are_known() -> None:
    mode_type = Literal["x", "y"]

    @stage
    def local(frame: Frame, *, mode: mode_type = Param("x")) -> None: ...

    with pytest.raises(ParamError, match=r"must be 'x' \| 'y'"):
        local(mode="z")


def two(frame: Frame, other: Frame) -> None: ...
def none() -> None: ...
def keyword(frame: Frame, *, k: int = 3) -> None: ...
def positional(frame: Frame, k: int = Param(3)) -> None: ...
def untyped(frame, *, k=Param(3)):  # type: ignore[no-untyped-def]
    ...
def odd(frame: Frame, *, k: bytes = Param(b"")) -> None: ...
def taken(frame: Frame, *, name: str = Param("a")) -> None: ...
def generator(frame: Frame) -> Any:
    yield frame


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (two, r"@stage function two\(frame.* must take one frame"),
        (none, r"@stage function none\(\).* must take one frame"),
        (keyword, r"the keyword-only argument 'k' needs a Param\(\.\.\.\) default"),
        (positional, r"write the Param 'k' behind a '\*', as in positional\(frame, \*, k=\.\.\.\)"),
        (untyped, r"untyped\.k = Param\(\.\.\.\) needs a type"),
        (odd, r"odd\.k: a Param cannot be of type bytes"),
        (taken, r"taken\.name: this name is taken"),
        (generator, "@stage function generator is a generator"),
        (Stage, "@stage belongs before a function, got <class"),
        (3, "@stage belongs before a function, got 3"),
    ],
)
def test_other_functions_are_refused(function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        stage(function)


def test_a_function_that_is_no_stage_gets_a_hint() -> None:
    functions: Any = [two]
    with pytest.raises(TypeError, match=r"\(decorate the function with @stage\)"):
        Pipeline(functions)
