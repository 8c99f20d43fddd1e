"""What a row of the operation table says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2

__all__ = ["ROUNDING", "Call", "ObjectType", "Operation", "When"]

ROUNDING = 4e-7
"""How far floating-point results are apart, relative to the largest, where a row says nothing."""

_NAME = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as OpenCV's own documentation writes it, taken apart.

    Attributes:
        name: of the function or method.
        parameters: names in the order of the positional arguments.
        required: how many of them have no default.
        returns: names of the results, in order.
    """

    name: str
    parameters: tuple[str, ...]
    required: int
    returns: tuple[str, ...]


@cache
def _parse(text: str) -> Call:
    """Take ``"name(a, b[, dst[, c]]) -> retval, dst"`` apart."""
    head, _, returns = text.partition("->")
    name, _, inside = head.strip().partition("(")
    required, _, optional = inside.rstrip(")").partition("[")
    first = _names(required)
    return Call(name, first + _names(optional), len(first), _names(returns))


def _names(text: str) -> tuple[str, ...]:
    return tuple(_NAME.findall(text))


def _types(words: str) -> set[str]:
    """Take "8UC14 32FC1" apart."""
    return {
        f"{depth}C{count}"
        for depth, _, counts in (word.partition("C") for word in words.split())
        for count in counts
    }


@dataclass(frozen=True, slots=True)
class When:
    """A condition on an argument of a call.

    It holds when the argument is given and true or, with ``equals`` or ``bit``, when it equals that
    constant of cv2 or has that bit set. A constant that the running OpenCV lacks never matches.

    Attributes:
        parameter: name of the argument; for a method also ``"getFlags()"``, the object's answer.
        equals: name of a constant in cv2.
        bit: name of a constant in cv2.
    """

    parameter: str
    equals: str = ""
    bit: str = ""

    @property
    def holds(self) -> Callable[[Any], bool]:
        """The function that tells whether the condition holds for an argument of a value."""
        if self.equals:
            wanted = getattr(cv2, self.equals, None)
            return lambda value: value is not None and bool(value == wanted)
        if self.bit:
            bit = int(getattr(cv2, self.bit, 0))
            return lambda value: value is not None and bool(int(value) & bit)
        # A number is given when it is not 0; an image when it is there.
        return lambda value: bool(value) if isinstance(value, int | float) else value is not None

    def __str__(self) -> str:
        if self.equals:
            return f"{self.parameter} is {self.equals}"
        return f"{self.parameter} has {self.bit}" if self.bit else f"{self.parameter} is given"


@dataclass(frozen=True, slots=True)
class Operation:
    """One function, constructor or method: what it does, and where.

    Attributes:
        call: as OpenCV 4.8 documents it; later versions only append parameters.
        summary: one sentence.
        group: heading that it stands under.
        cuda: the counterpart in cv2.cuda, as it is called there; empty if there is none.
        no_cuda: why there is none.
        pooled: names of the results that are images. In a pipeline these come from the frame's
            arena, so they are valid until the frame is released. All other results (numbers,
            points, histograms) are the caller's own.
        dtypes: element types of the first image that are tested, in OpenCV's words (8U, 32F).
        channels: numbers of channels of the first image that are tested.
        scalars: names of the arguments that may be numbers in place of images.
        cuda_types: element types and numbers of channels of the first image that it takes on CUDA:
            "8UC14 32FC1" is 8UC1, 8UC4 and 32FC1. Only types in ``dtypes`` were tried.
        steps: largest difference between CUDA and CPU of an integer result.
        relative: the same of a floating-point result, relative to its largest value; 0 is
            `ROUNDING`.
        outliers: share of the elements that may differ by more.
        inexact: types in which CUDA computes otherwise, as ``differs`` says; not compared.
        differs: where the two differ by more than that.
        cleared: when one of these holds, cv2 leaves a part of the result as it was. The buffer is
            zeroed first, as a new one is.
        unpooled: when one of these holds, cv2 reads or skips the result. No buffer is given.
        reference: the CPU side is in `edgevision.cv.reference`, since cv2 has no such name.
        cuda_call: how the cv2.cuda call differs from this one.
        note: what else a caller should know.
        package: the pip package that brings it, where opencv-python 5 does not.
    """

    call: str
    summary: str
    group: str = ""
    cuda: str = ""
    no_cuda: str = ""
    pooled: tuple[str, ...] = ("dst",)
    dtypes: str = "8U"
    channels: tuple[int, ...] = (1, 3)
    scalars: tuple[str, ...] = ()
    cuda_types: str = ""
    steps: int = 0
    relative: float = 0.0
    outliers: float = 0.0
    inexact: str = ""
    differs: str = ""
    cleared: tuple[When, ...] = ()
    unpooled: tuple[When, ...] = ()
    reference: bool = False
    cuda_call: str = ""
    note: str = ""
    package: str = ""

    @property
    def name(self) -> str:
        """Name in `edgevision.cv` and, unless ``reference``, in cv2."""
        return self.call.partition("(")[0]

    @property
    def parsed(self) -> Call:
        """The call, taken apart."""
        return _parse(self.call)

    @property
    def counterpart(self) -> str:
        """What runs on CUDA, with its module; empty if nothing does."""
        return self.cuda if not self.cuda or "GpuMat" in self.cuda else f"cv2.cuda.{self.cuda}"

    def takes_on_cuda(self) -> set[str]:
        """The types in ``cuda_types``, one by one: 8UC1."""
        return _types(self.cuda_types)

    def compared_on_cuda(self, kind: str) -> bool:
        """Tell whether CUDA and CPU are to agree on a type."""
        return kind not in _types(self.inexact)

    @property
    def documentation(self) -> str:
        """The docstring of the function."""
        side = "edgevision.cv.reference" if self.reference else "cv2"
        lines = [
            self.summary,
            "",
            self.call,
            "",
            f"CPU: {side}.{self.name}.",
            f"CUDA: {self.counterpart or self.no_cuda}.",
        ]
        if self.pooled:
            lines.append(
                "In a pipeline the image belongs to the frame's arena: clone() what must outlive "
                "the frame."
            )
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A class whose objects keep something between two images.

    Attributes:
        name: in `edgevision.cv`; its constructors are rows of the table that return this name.
        summary: one sentence.
        methods: those that take images. All other attributes are the cv2 object's own.
        statics: functions of the class that need no object.
        reference: as for `Operation`.
        package: as for `Operation`.
    """

    name: str
    summary: str
    methods: tuple[Operation, ...]
    statics: tuple[str, ...] = ()
    reference: bool = False
    package: str = ""
