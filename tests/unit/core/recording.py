"""Stages that write down which of their hooks were called."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision import Frame, Stage


def picture(width: int = 64, height: int = 48, value: int = 10) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def frame(sequence: int = 1) -> Frame:
    return Frame(picture(), camera="door", sequence=sequence)


class Recording(Stage, abstract=True):
    """Appends to ``log``, and raises where ``fails`` says so."""

    def __init__(self, log: list[str], *fails: str, name: str = "") -> None:
        self.log = log
        self.fails = set(fails)
        if name:
            self.name = name

    def note(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if what in self.fails:
            raise ValueError(f"no {what}")

    def process(self, frame: Frame) -> Any:
        self.note("process")

    def start(self) -> Any:
        self.note("start")

    def stop(self) -> Any:
        self.note("stop")

    def changed(self, names: frozenset[str]) -> Any:
        self.note(f"changed {'+'.join(sorted(names))}")


class A(Recording):
    pass


class B(Recording):
    pass


class C(Recording):
    pass


class AsyncB(Recording):
    """The same with hooks that are coroutines."""

    name = "b"

    async def process(self, frame: Frame) -> Any:
        self.note("process")

    async def start(self) -> Any:
        self.note("start")

    async def stop(self) -> Any:
        self.note("stop")

    async def changed(self, names: frozenset[str]) -> Any:
        self.note(f"changed {'+'.join(sorted(names))}")
