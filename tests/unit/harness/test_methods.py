"""How methods are declared, looked up and answered."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from edgevision import ConfigurationError, Frame, MethodError, Stage, method, module_method
from edgevision.harness import methods as own
from edgevision.harness.methods import Methods, MethodSpec, methods_of
from edgevision.harness.transport import MethodAnswer, MethodCall


class Counter(Stage):
    """Has methods."""

    def process(self, frame: Frame) -> None: ...

    @method
    def reset(self, payload: Any) -> Any:
        return payload

    @method("take-picture", timeout_s=3)
    async def take_picture(self, payload: Any) -> Any:
        return payload


class Faster(Counter):
    """Inherits them."""

    @method(timeout_s=1)
    def reset(self, payload: Any) -> Any:
        return 2


@pytest.fixture(autouse=True)
def no_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})


def test_a_stage_s_methods_are_found() -> None:
    assert methods_of(Counter) == {
        "reset": (MethodSpec("reset", 20.0), "reset"),
        "take-picture": (MethodSpec("take-picture", 3), "take_picture"),
    }
    assert methods_of(Faster)["reset"] == (MethodSpec("reset", 1), "reset")
    assert Counter().reset(5) == 5


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: method("a")(lambda self: None), r"must take \(self, payload\)"),
        (lambda: method("a b")(lambda self, payload: None), "is called by letters"),
        (lambda: method(cast(Any, 5)), "belongs before a function"),
        (lambda: module_method("a")(lambda payload, more: None), r"must take \(payload\)"),
    ],
)
def test_a_wrong_declaration_is_found_at_once(make: Any, wanted: str) -> None:
    with pytest.raises(TypeError, match=wanted):
        make()


def test_two_functions_of_one_name() -> None:
    code = "def again(payload): return 1"
    for file in ("one.py", "one.py"):  # loaded again
        space: dict[str, Any] = {}
        exec(compile(code, file, "exec"), space)
        module_method(space["again"])
    space = {}
    exec(compile(code, "two.py", "exec"), space)
    with pytest.raises(ConfigurationError, match=r"two direct methods are called 'again'.*one.py"):
        module_method(space["again"])


def answer(methods: Methods, name: str, payload: Any = None) -> MethodAnswer:
    return asyncio.run(methods.answer(MethodCall(name, payload)))


def returning(value: Any) -> Any:
    async def handler(payload: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    return handler


@pytest.mark.parametrize(
    ("value", "status", "payload"),
    [
        ({"a": (1, 2)}, 200, {"a": [1, 2]}),
        (None, 200, None),
        (MethodAnswer(202, {"later": True}), 202, {"later": True}),
        (MethodError(409, "busy"), 409, {"error": "busy"}),
        (ConfigurationError("wrong", path="a.b"), 400, {"error": "a.b: wrong", "path": "a.b"}),
        (RuntimeError("token=abcdefghij"), 500, {"error": "RuntimeError: token=***"}),
        (asyncio.TimeoutError(), 500, None),
        ("x" * 140_000, 500, {"error": "the answer of go has 140002 bytes, the most is 131072"}),
        (float("nan"), 200, None),
    ],
)
def test_what_a_handler_does_becomes_an_answer(value: Any, status: int, payload: Any) -> None:
    methods = Methods()
    methods.add("go", returning(value))
    answered = answer(methods, "go")
    assert answered.status == status
    if payload is not None:
        assert answered.payload == payload


def test_a_handler_has_a_deadline_and_is_cancelled() -> None:
    ended: list[str] = []

    async def slow(payload: Any) -> Any:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    methods = Methods()
    methods.add("slow", slow, 0.05)
    answered = answer(methods, "slow")
    assert (answered.status, answered.payload) == (504, {"error": "no answer within 0.05 s"})
    assert ended == ["cancelled"]


def test_an_unknown_name_and_a_taken_one() -> None:
    methods = Methods()
    methods.add("snapshot", returning(1))
    answered = answer(methods, "snapshots")
    assert answered.status == 404
    assert "did you mean 'snapshot'" in answered.payload["error"]
    with pytest.raises(ConfigurationError, match="already"):
        methods.add("snapshot", returning(2))
    with pytest.raises(ValueError, match="400 to 599"):
        MethodError(200, "well")
