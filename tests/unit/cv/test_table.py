"""The table against the running OpenCV: names, arguments, results."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

import cv2
import pytest

from edgevision import cv
from edgevision.cv import detectors, filters, reference
from edgevision.cv.operation import Operation, When
from edgevision.cv.table import OPERATIONS, TYPES

OWN = [row for row in OPERATIONS.values() if row.reference]
OPENCVS = [row for row in OPERATIONS.values() if not row.reference]
METHODS = [
    pytest.param(kind, row, id=f"{kind.name}.{row.name}")
    for kind in TYPES.values()
    for row in kind.methods
]


def documented(function: Any, name: str) -> list[tuple[list[str], list[str]]]:
    """The forms that OpenCV documents: parameters and results."""
    forms = []
    for line in (function.__doc__ or "").splitlines():
        if line.startswith(f"{name}("):
            head, _, results = line.partition(" -> ")
            parameters = re.findall(r"\w+", head.partition("(")[2])
            forms.append((parameters, [r for r in re.findall(r"\w+", results) if r != "None"]))
    return forms


def fits(row: Operation, forms: list[tuple[list[str], list[str]]]) -> bool:
    parsed = row.parsed
    return any(
        parameters[: len(parsed.parameters)] == list(parsed.parameters)
        and results == list(parsed.returns)
        for parameters, results in forms
    )


@pytest.mark.parametrize("row", OPENCVS, ids=lambda row: row.name)
def test_the_call_is_as_opencv_documents_it(row: Operation) -> None:
    native = getattr(cv2, row.name, None)
    if native is None:
        assert row.package, f"{row.name} is in no OpenCV"
        return
    forms = documented(native, row.name)
    if isinstance(native, type):
        return  # a class documents no arguments
    if row.name == "norm":
        # The table shows the form with two images; the second is left out in the other.
        assert (["src1", "src2", "normType", "mask"], ["retval"]) in forms
        return
    if row.parsed.returns[0] in TYPES:
        forms = [(parameters, list(row.parsed.returns)) for parameters, _ in forms]
    assert fits(row, forms), forms


@pytest.mark.parametrize(("kind", "row"), METHODS)
def test_the_method_is_as_opencv_documents_it(kind: Any, row: Operation) -> None:
    native: Any
    if kind.reference:
        native = getattr(
            getattr(filters, kind.name, None) or getattr(detectors, kind.name), row.name
        )
        names = list(inspect.signature(native).parameters)[1:]
        assert names == list(row.parsed.parameters)
        return
    owner = getattr(cv2, kind.name, None)
    if owner is None:
        assert kind.package, f"{kind.name} is in no OpenCV"
        return
    assert fits(row, documented(getattr(owner, row.name), row.name))


@pytest.mark.parametrize("row", OWN, ids=lambda row: row.name)
def test_our_own_side_takes_the_arguments_of_the_table(row: Operation) -> None:
    found = [m for m in (reference, filters, detectors) if hasattr(m, row.name)]
    assert len(found) == 1
    parameters = inspect.signature(getattr(found[0], row.name)).parameters
    assert list(parameters) == list(row.parsed.parameters)
    required = [p for p in parameters.values() if p.default is inspect.Parameter.empty]
    assert len(required) == row.parsed.required


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.name)
def test_a_row_is_complete(row: Operation) -> None:
    parsed = row.parsed
    assert bool(row.cuda) != bool(row.no_cuda), "a CUDA side, or why there is none"
    assert row.summary.endswith("."), "a sentence"
    assert row.group
    assert set(row.pooled) <= set(parsed.returns) & set(parsed.parameters)
    assert set(row.scalars) <= set(parsed.parameters)
    for when in row.cleared + row.unpooled:
        assert when.parameter in parsed.parameters
    assert row.steps >= 0
    assert row.relative >= 0
    for word in row.cuda_types.split():
        dtype, _, channels = word.partition("C")
        assert dtype in row.dtypes.split()
        assert channels
        assert set(channels) <= set("1234")
    assert row.cuda or not (row.cuda_types or row.steps or row.relative or row.differs)
    assert not row.differs or row.differs.endswith(".")


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.name)
def test_editors_see_name_arguments_and_documentation(row: Operation) -> None:
    function = getattr(cv, row.name)
    assert function.__name__ == row.name
    assert function.__module__ == "edgevision.cv"
    assert list(inspect.signature(function).parameters) == list(row.parsed.parameters)
    text = inspect.getdoc(function)
    assert text
    if row.name not in TYPES:
        assert row.summary in text
        assert row.call in text


def test_everything_is_listed() -> None:
    assert set(cv.__all__) == {"clone", "zeros", *OPERATIONS, *TYPES}
    assert set(cv.__all__) <= set(dir(cv))


def test_no_name_hides_a_module_of_the_package() -> None:
    modules = {"detectors", "device", "dispatch", "filters", "memory", "objects", "operation"}
    for name in modules | {"reference", "table"}:
        assert name not in cv.__all__
        if hasattr(cv, name):
            assert isinstance(getattr(cv, name), ModuleType)


def test_a_condition_asks_for_a_value_a_bit_or_presence() -> None:
    assert When("mask").holds(object())
    assert not When("mask").holds(None)
    assert not When("nonzeroRows").holds(0)
    assert When("nonzeroRows").holds(3)
    transparent = When("borderMode", equals="BORDER_TRANSPARENT")
    assert transparent.holds(cv2.BORDER_TRANSPARENT)
    assert not transparent.holds(cv2.BORDER_REFLECT)
    assert not transparent.holds(None)
    initial = When("flags", bit="OPTFLOW_USE_INITIAL_FLOW")
    assert initial.holds(cv2.OPTFLOW_USE_INITIAL_FLOW | cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    assert not initial.holds(cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    assert not When("x", bit="NO_SUCH_CONSTANT").holds(-1)
    assert not When("x", equals="NO_SUCH_CONSTANT").holds(0)


def test_a_call_is_taken_apart_as_opencv_writes_it() -> None:
    parsed = Operation("f(a, b[, dst[, c]]) -> retval, dst", "").parsed
    assert parsed.name == "f"
    assert parsed.parameters == ("a", "b", "dst", "c")
    assert parsed.required == 2
    assert parsed.returns == ("retval", "dst")
    nothing = Operation("g()", "").parsed
    assert (nothing.parameters, nothing.required, nothing.returns) == ((), 0, ())
    assert Operation("h([a[, b]]) -> X", "").parsed.required == 0
