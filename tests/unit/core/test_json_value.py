"""What stages put into values and events becomes plain JSON, or an error that names the place."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, UserDict, deque, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.json_value import (
    MAX_ARRAY_ITEMS,
    MAX_DEPTH,
    NotJsonError,
    json_value,
    utc_text,
)


class Zone(Enum):
    TILL = "till"


class Level(IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2**64 - 1, 2**64 - 1),
        (1.5, 1.5),
        ("Tür", "Tür"),
        ("a\ud800b", "a\ufffdb"),
        (math.nan, None),
        (-math.inf, None),
        ((1, (2,)), [1, [2]]),
        ([], []),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({3, 1}), [1, 3]),
        ({1: "a", np.int64(2): "b"}, {"1": "a", "2": "b"}),
        ({Zone.TILL: 1}, {"till": 1}),
        ({"k\ud800": 1}, {"k\ufffd": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict({"a": (1,)}), {"a": [1]}),
        (Point(1, 2), [1, 2]),
        (Zone.TILL, "till"),
        (Level.HIGH, 3),
        (Path("/var/clip.mp4"), "/var/clip.mp4"),
        (date(2026, 11, 24), "2026-11-24"),
        (time(7, 3), "07:03:00"),
        (timedelta(seconds=1.5), 1.5),
        (datetime(2026, 11, 24, 7, 3, tzinfo=timezone.utc), "2026-11-24T07:03:00.000Z"),
        (
            datetime(2026, 11, 24, 8, 3, 0, 123999, timezone(timedelta(hours=1))),
            "2026-11-24T07:03:00.123Z",
        ),
        (np.True_, True),
        (np.uint8(7), 7),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.09997559),
        (np.float64(0.1), 0.1),
        (np.longdouble(0.5), 0.5),
        (np.float32("nan"), None),
        (np.str_("x"), "x"),
        (np.array([[1, 2]], np.int16), [[1, 2]]),
        (np.array([2**64 - 1], np.uint64), [2**64 - 1]),
        (np.array([True, False]), [True, False]),
        (np.array([0.1, np.nan, np.inf], np.float32), [0.1, None, None]),
        (np.array([1e-20, 123456.7, 3e8, 0, -2.5], np.float32), None),
        (np.array(2.5), 2.5),
        (np.array(0.1, np.float32), 0.1),
        (np.array(["a", "b\ud800"]), ["a", "b\ufffd"]),
        (np.array([None, {"a": (1,)}], object), [None, {"a": [1]}]),
    ],
)
def test_converts(value: Any, wanted: Any) -> None:
    got = json_value(value)
    if wanted is None and value is not None and isinstance(value, np.ndarray):
        assert got == pytest.approx([1e-20, 123456.7, 3e8, 0, -2.5], rel=1e-7)
        assert "00000" not in json.dumps(got[1])
        return
    assert got == wanted
    assert type(got) is type(wanted)
    json.dumps(got, allow_nan=False).encode()


def cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "place", "reason"),
    [
        ({"photo": b"\xff\xd8"}, "['photo']", "base64"),
        ({"a": [1, {"b": bytearray(2)}]}, "['a'][1]['b']", "bytes"),
        ({"a": (0, memoryview(b"x"))}, "['a'][1]", "bytes"),
        ({"at": datetime(2026, 11, 24)}, "['at']", "datetime.now(timezone.utc)"),
        ({"big": 2**64}, "['big']", "64 bits"),
        ({"big": np.array([2**70], object)}, "['big'][0]", "64 bits"),
        ({"x": 1j}, "['x']", "a complex has no JSON form"),
        ({"x": np.complex64(1)}, "['x']", "a complex64 has no JSON form"),
        ({"x": np.zeros(2, complex)}, "['x']", "an array of complex128"),
        ({"x": np.array([b"a"])}, "['x']", "an array of |S1"),
        ({"x": np.array("2026-11-24", "datetime64[s]")}, "['x']", "datetime64"),
        ({"x": object()}, "['x']", "a object has no JSON form"),
        ({"x": deque([1])}, "['x']", "a deque has no JSON form"),
        ({"x": {None: 1}}, "['x']", "a key must be text or an integer, got None"),
        ({True: 1}, "", "a key must be text or an integer, got True"),
        ({1.5: 1}, "", "a key must be text or an integer, got 1.5"),
        ({1: "a", "1": "b"}, "", "two keys are '1'"),
        ({"frame": np.zeros((360, 640, 3), np.uint8)}, "['frame']", "(360, 640, 3)"),
        (cycle(), "[0]" * (MAX_DEPTH), f"deeper than {MAX_DEPTH}"),
    ],
)
def test_refuses_with_the_place(value: Any, place: str, reason: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        json_value(value)
    assert str(caught.value).startswith(f"{place}: " if place else reason[:5])
    assert reason in str(caught.value)


def test_takes_arrays_up_to_the_limit() -> None:
    assert len(json_value(np.zeros(MAX_ARRAY_ITEMS))) == MAX_ARRAY_ITEMS
    with pytest.raises(NotJsonError, match=str(MAX_ARRAY_ITEMS + 1)):
        json_value(np.zeros(MAX_ARRAY_ITEMS + 1))


def test_copies_what_may_change_later() -> None:
    zones = {"till": [1, 2]}
    copy = json_value(zones)
    zones["till"].append(3)
    assert copy == {"till": [1, 2]}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_json_stays_as_it_is(value: Any) -> None:
    assert json_value(value) == value


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_float32_keeps_7_digits(numbers: list[float]) -> None:
    column = np.array(numbers, np.float32)
    back = np.array(json_value(column), np.float64).astype(np.float32)
    np.testing.assert_allclose(back, column, rtol=5.1e-7, atol=0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_503_780.123, "2026-11-24T07:03:00.123Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
    ],
)
def test_times_are_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert utc_text(seconds) == text


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 1e18])
def test_refuses_what_is_no_time(seconds: float) -> None:
    with pytest.raises(NotJsonError, match="is no time"):
        utc_text(seconds)
