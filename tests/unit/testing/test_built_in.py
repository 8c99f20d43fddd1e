"""Every built-in stage obeys the rules of stages, on shapes and on people, faces and codes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from edgevision import Frame, Stage
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.stages import BUILT_IN, load
from edgevision.testing import check_stage
from tests.unit.stages.given import given

NAMES = [
    pytest.param(n, marks=pytest.mark.needs("opencv-4") if n in ("people", "faces") else ())
    for n in BUILT_IN
]

# Values instead of bounds that would make pictures of hundreds of megabytes.
_VALUES: dict[str, dict[str, list[Any]]] = {
    # Sizes of the network's input that its model does not leave open.
    "detect": {"size": [None]},
    "resize": {"width": [1, 333], "height": [1, 333], "scale": [0.1, 4]},
}


@cache
def walkway() -> list[Frame]:
    """Return a second of a street, large enough for its people and codes to be found."""
    source = open_source(
        "synthetic:?width=320&height=240&people=4&faces=1&codes=2&seed=3&fps=10&pace=fast"
    )
    slot = Slot()
    made = []
    source.open()
    try:
        for sequence in range(1, 31):
            assert source.read(slot)
            assert slot.image is not None
            frame = Frame(slot.image.copy(), sequence=sequence, truth=slot.truth)
            if slot.truth is not None and sequence % 2:
                frame.detections = slot.truth.objects.clipped(frame.size_wh)
            made.append(frame)
    finally:
        source.close()
    return made[::2]


def _factory(name: str) -> Callable[[], Stage]:
    return functools.partial(load(name), **given(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_stage_obeys_the_rules(name: str) -> None:
    check_stage(_factory(name), params=_VALUES.get(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_stage_obeys_the_rules_on_a_street(name: str) -> None:
    check_stage(_factory(name), frames=walkway(), skip={"parameters", "live changes"})
