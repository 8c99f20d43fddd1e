"""Messages from other modules on their way to a handler."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgevision import ConfigurationError, Frame, Stage, module_input, on_input
from edgevision.harness import inputs as own
from edgevision.harness.inputs import Inputs, inputs_of
from edgevision.harness.transport import InputMessage
from tests.unit.harness.pipelines import until


def test_a_stage_s_handlers_are_found() -> None:
    class Fusion(Stage):
        def process(self, frame: Frame) -> None: ...

        @on_input("boxes")
        def take(self, message: InputMessage) -> None: ...

    assert inputs_of(Fusion) == {"boxes": "take"}


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: on_input("a b"), "up to 64 letters"),
        (lambda: on_input("a")(lambda self: None), r"must take \(self, message\)"),
        (lambda: on_input("a")(5), "belongs before a function"),  # type: ignore[type-var]
    ],
)
def test_a_wrong_declaration_is_found_at_once(make: Any, wanted: str) -> None:
    with pytest.raises(TypeError, match=wanted):
        make()


def test_two_functions_for_one_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})
    for file, clash in (("one.py", False), ("one.py", False), ("two.py", True)):
        space: dict[str, Any] = {}
        exec(compile("def take(message): ...", file, "exec"), space)
        if clash:
            with pytest.raises(ConfigurationError, match="two functions take the input 'x'"):
                module_input("x")(space["take"])
        else:
            module_input("x")(space["take"])


def test_a_handler_gets_messages_in_order_and_no_more_than_a_few_wait() -> None:
    async def scenario() -> None:
        seen: list[bytes] = []
        gate = asyncio.Event()

        async def handler(message: InputMessage) -> None:
            await gate.wait()
            seen.append(message.payload)
            if message.payload == b"7":
                raise RuntimeError("7 is bad")

        inputs = Inputs(lambda name: handler if name == "a" else None, lambda: ["a"], size=4)
        for number in range(10):
            inputs.take(InputMessage("a", str(number).encode()))
        inputs.take(InputMessage("b", b""))
        gate.set()
        await until(lambda: seen[-1:] == [b"9"], "all")
        assert seen == [b"6", b"7", b"8", b"9"]
        assert dict(inputs.dropped) == {"full a": 6, "unknown": 1, "failed a": 1}
        assert inputs.received["a"] == 10
        inputs.take(InputMessage("a", b"10"))
        await until(lambda: seen[-1:] == [b"10"], "one more")
        await inputs.stop()

    asyncio.run(scenario())
