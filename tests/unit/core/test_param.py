"""Parameters: every type, every rule, what is refused and what the message says."""

from __future__ import annotations

import enum
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision import Frame, Param, Stage
from edgevision.errors import ConfigurationError, ParamError
from edgevision.param import REQUIRED, ParamSpec


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Pixels = NewType("Pixels", int)


def spec(kind: Any, *arguments: Any, **rules: Any) -> ParamSpec:
    """Return the spec of a stage's only parameter."""
    body = {
        "__annotations__": {"it": kind},
        "__module__": __name__,
        "it": Param(*arguments, **rules),
        "process": lambda self, frame: None,
    }
    made: Any = type("Made", (Stage,), body)
    found: ParamSpec = made.parameters()["it"]
    return found


def refusal(of: ParamSpec, value: Any) -> str:
    with pytest.raises(ParamError) as caught:
        of.check(value)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (bool, True, True),
        (bool, np.True_, True),
        (int, 3, 3),
        (int, -(10**30), -(10**30)),
        (int, np.int16(3), 3),
        (int, np.uint64(2**63), 2**63),
        (int, Level.HIGH, 2),
        (float, 3, 3.0),
        (float, 0.25, 0.25),
        (float, np.float32(0.5), 0.5),
        (float, np.int64(3), 3.0),
        (str, "Straße", "Straße"),
        (str, Side.LEFT, "left"),
        (str, np.str_("a"), "a"),
        (Path, "a/b.onnx", Path("a/b.onnx")),
        (Path, Path("a"), Path("a")),
        (type(None), None, None),
        (None, None, None),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, True, None, "x"], True, True),
        (Literal[1, True, None, "x"], 1, 1),
        (Literal[1, True, None, "x"], None, None),
        (Side, "left", Side.LEFT),
        (Side, Side.RIGHT, Side.RIGHT),
        (Level, 2, Level.HIGH),
        (Level, Level.LOW, Level.LOW),
        (Literal[Side.LEFT], "left", Side.LEFT),
        (list[int], [1, 2], [1, 2]),
        (list[int], (1, 2), [1, 2]),
        (list[int], np.array([1, 2]), [1, 2]),
        (list[int], [], []),
        (tuple[int, float], [1, 2], (1, 2.0)),
        (tuple[float, ...], [1, 2, 3], (1.0, 2.0, 3.0)),
        (list[tuple[float, float]], np.array([[1, 2]]), [(1.0, 2.0)]),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (int | None, None, None),
        (int | None, 3, 3),
        (Optional[int], 3, 3),  # noqa: UP045  # the older spelling is as good
        (Union[int, str], "3", "3"),  # noqa: UP007  # the older spelling is as good
        (int | float, 3.5, 3.5),
        (bool | int, 1, 1),
        (str | list[str], ["a"], ["a"]),
        (Annotated[int, "anything"], 3, 3),
        (Pixels, 3, 3),
    ],
)
def test_values_of_every_type(kind: Any, given: Any, wanted: Any) -> None:
    found = spec(kind).check(given)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (bool, 1, "must be true or false, got 1"),
        (bool, "true", "must be true or false, got 'true'"),
        (int, True, "must be int, got True"),
        (int, 3.0, "must be int, got 3.0"),
        (int, "3", "must be int, got '3'"),
        (int, None, "must be int, got None"),
        (int, np.float32(3), "must be int, got "),
        (int, np.array(3), "must be int, got array(3)"),
        (float, "0.5", "must be float, got '0.5'"),
        (float, True, "must be float, got True"),
        (float, math.nan, "must be a finite float, got nan"),
        (float, -math.inf, "must be a finite float, got -inf"),
        (float, 10**400, "must be a finite float, got "),
        (str, 3, "must be str, got 3"),
        (str, b"a", "must be str, got b'a'"),
        (str, "\ud800", "must be text that UTF-8 can hold"),
        (Path, "", "must be a path, got ''"),
        (Path, "a\0b", "must be a path"),
        (Path, 3, "must be a path, got 3"),
        (None, 0, "must be null, got 0"),
        (Literal["a", "b"], "c", "must be 'a' | 'b', got 'c'"),
        (Literal[1], True, "must be 1, got True"),
        (Literal[True], 1, "must be True, got 1"),
        (Side, "up", "must be 'left' | 'right', got 'up'"),
        (Side, "LEFT", "must be 'left' | 'right', got 'LEFT'"),
        (Level, True, "must be 1 | 2, got True"),
        (list[int], 3, "must be list[int], got 3"),
        (list[int], "12", "must be list[int], got '12'"),
        (list[str], {"a"}, "must be list[str], got {'a'}"),
        (tuple[int, int], [1], "must be tuple[int, int], got [1]"),
        (tuple[int, int], [1, 2, 3], "must be tuple[int, int], got [1, 2, 3]"),
        (tuple[int, ...], [1, "x"], "it[1] must be int, got 'x'"),
        (list[tuple[float, float]], [[1, 2], [1, "x"]], "it[1][1] must be float, got 'x'"),
        (dict[str, int], {"a": "x"}, "it['a'] must be int, got 'x'"),
        (dict[str, int], {1: 2}, "must be dict[str, int], got {1: 2}"),
        (dict[str, int], [], "must be dict[str, int], got []"),
        (int | None, "x", "must be int | null, got 'x'"),
        (str | list[str], ["a", 3], "it[1] must be str, got 3"),
        (int, object, "must be int, got <class 'object'>"),
    ],
)
def test_refused_values_of_every_type(kind: Any, value: Any, message: str) -> None:
    said = refusal(spec(kind, help="for a test"), value)
    assert said.startswith("stage Made: parameter it")
    assert message in said


def test_a_refused_value_is_shown_short_and_without_credentials() -> None:
    assert len(refusal(spec(int), "x" * 10_000)) < 200
    assert "\n" not in refusal(spec(int), np.zeros((5, 5)))
    said = refusal(spec(int), "rtsp://me:hunter2@host/x")
    assert "hunter2" not in said
    assert "rtsp://***@host/x" in said
    assert "<a number too long to be shown>" in refusal(spec(int, le=5), 10**5000)


def test_a_secret_is_never_shown() -> None:
    secret = spec(str, "hunter2", min_length=3, secret=True)
    assert refusal(secret, "ab").endswith("of at least 3 characters, got another value")
    assert "hunter2" not in json.dumps(secret.json_schema())
    assert secret.json_schema()["writeOnly"]
    assert secret.describe_default() == "***"
    assert "hunter2" not in repr(secret)


@pytest.mark.parametrize(
    ("kind", "rules", "inside", "outside", "text"),
    [
        (int, {"ge": 1}, [1, 2], [0], "int >= 1"),
        (int, {"gt": 1}, [2], [1], "int > 1"),
        (int, {"le": 9}, [9], [10, 10**30], "int <= 9"),
        (int, {"lt": 9}, [8], [9], "int < 9"),
        (int, {"ge": 1, "le": 9, "unit": "px"}, [1, 9], [0, 10], "int >= 1, <= 9 px"),
        (int, {"ge": 0.5}, [1], [0], "int >= 0.5"),
        (int, {"le": 1_000_000}, [1_000_000], [1_000_001], "int <= 1000000"),
        (float, {"gt": 0, "lt": 1}, [0.5, 1e-300], [0, 1, 1.0], "float > 0, < 1"),
        (float, {"ge": 0}, [-0.0, 0], [-1e-300], "float >= 0"),
        (int | None, {"ge": 1}, [None, 1], [0], "int >= 1 | null"),
        (int | str, {"ge": 1}, ["a", 1], [0], "int >= 1 | str"),
        (
            list[tuple[float, float]],
            {"ge": 0, "le": 1, "min_length": 2},
            [[[0, 1], [1, 0]]],
            [[[0, 1]], [[0, 1], [0, 2]]],
            "list[tuple[float >= 0, <= 1, float >= 0, <= 1]] of at least 2 items",
        ),
        (dict[str, int], {"ge": 1, "max_length": 1}, [{}, {"a": 1}], [{"a": 0}, {"a": 1, "b": 1}],
         "dict[str, int >= 1] of at most 1 key"),
        (tuple[str, ...], {"min_length": 2, "max_length": 2}, [["a", "b"]],
         [["a"], ["a", "b", "c"]], "tuple[str, ...] of 2 items"),
        (str, {"min_length": 1, "max_length": 3}, ["a", "abc"], ["", "abcd"],
         "str of 1 to 3 characters"),
        (str, {"pattern": "^(?=a)[a-z]+$"}, ["abc"], ["bc", "a1"],
         "str that matches '^(?=a)[a-z]+$'"),
        (list[str], {"pattern": "b"}, [["abc"]], [["abc", "x"]], "list[str that matches 'b']"),
    ],
)  # fmt: skip
def test_rules(
    kind: Any, rules: dict[str, Any], inside: list[Any], outside: list[Any], text: str
) -> None:
    one = spec(kind, **rules)
    assert one.describe_type() == text
    schema = one.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for value in inside:
        one.check(value)
        jsonschema.validate(value, schema)
    for value in outside:
        refusal(one, value)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)


def test_the_message_has_rule_value_and_unit() -> None:
    assert refusal(spec(int, ge=1, le=9, unit="px"), 0) == (
        "stage Made: parameter it must be int >= 1, <= 9 px, got 0"
    )


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (Path, {"type": "string", "minLength": 1}),
        (None, {"type": "null"}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Side, {"enum": ["left", "right"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, int],
            {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        ),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (Side | None, {"anyOf": [{"enum": ["left", "right"]}, {"type": "null"}]}),
    ],
)
def test_schema_of_every_type(kind: Any, schema: dict[str, Any]) -> None:
    assert spec(kind).json_schema() == schema


@pytest.mark.parametrize(
    ("kind", "default", "in_json", "for_people"),
    [
        (Side, Side.LEFT, "left", "'left'"),
        (Path, "a/b", "a/b", "'a/b'"),
        (float, 3, 3.0, "3.0"),
        (int | None, None, None, "null"),
        (bool, False, False, "false"),
        (list[tuple[int, int]], [[1, 2]], [[1, 2]], "[[1, 2]]"),
        (dict[str, Side], {"a": "left"}, {"a": "left"}, "{'a': 'left'}"),
    ],
)
def test_schema_with_all_its_words(kind: Any, default: Any, in_json: Any, for_people: str) -> None:
    one = spec(kind, default, unit="px", help="words")
    schema = json.loads(json.dumps(one.json_schema()))
    assert schema["default"] == in_json
    assert type(schema["default"]) is type(in_json)
    assert (schema["unit"], schema["description"]) == ("px", "words")
    assert one.describe_default() == for_people
    jsonschema.validate(in_json, schema)


def test_a_parameter_without_default_is_required() -> None:
    one = spec(int)
    assert one.default is REQUIRED
    assert repr(REQUIRED) == "REQUIRED"
    assert one.describe_default() == "required"
    assert "default" not in one.json_schema()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)
_KINDS = [bool, int, float, str, Path, Side, Level, Literal["a", 1, True], list[int],
          tuple[int, str], tuple[float, ...], dict[str, float], int | None,
          list[tuple[int, int]] | str, float | str]  # fmt: skip


@given(st.sampled_from(_KINDS), _JSON)
def test_any_value_is_taken_as_its_type_or_refused(kind: Any, value: Any) -> None:
    one = spec(kind)
    schema = one.json_schema()
    try:
        taken = one.check(value)
    except ParamError:
        return
    # What is taken is right by the schema that editors use, and is its own setting.
    if not (isinstance(value, float) and value.is_integer()):
        jsonschema.validate(value, schema)
    assert one.check(taken) == taken
    assert type(one.check(taken)) is type(taken)


@given(st.sampled_from(_KINDS), _JSON)
def test_the_schema_allows_no_more_than_the_type(kind: Any, value: Any) -> None:
    one = spec(kind)
    try:
        jsonschema.validate(value, one.json_schema())
    except jsonschema.ValidationError:
        return
    # JSON has no NaN, JSON Schema calls 3.0 an integer, and no text in a file is half a character.
    text = json.dumps(value)
    if "NaN" in text or "Infinity" in text or "\\ud" in text or "\\u0000" in text:
        return
    if any(isinstance(part, float) and part.is_integer() for part in _leaves(value)):
        return
    if any(isinstance(part, int) and abs(part) > 10**300 for part in _leaves(value)):
        return
    one.check(value)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (object, "a Param cannot be of type object"),
        (Any, "a Param cannot be of type"),
        (bytes, "a Param cannot be of type bytes"),
        (complex, "complex"),
        (list, "type list"),
        (dict, "type dict"),
        (tuple, "type tuple"),
        (set[int], r"set\[int\]"),
        (dict[int, str], r"dict\[int, str\]"),
        (list[bytes], "bytes"),
        (np.ndarray, "ndarray"),
        (Frame, "Frame"),
        (Literal[b"a"], "choice b'a' is neither text, number, true, false nor null"),
        (enum.Enum("Odd", {"A": (1, 2)}), r"choice \(1, 2\)"),
    ],
)
def test_types_that_cannot_come_from_yaml_are_refused(kind: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"^Made\.it: .*{message}"):
        spec(kind)


@pytest.mark.parametrize(
    ("kind", "rules", "message"),
    [
        (str, {"ge": 1}, "str takes no ge: there is no number in it"),
        (bool, {"ge": 0, "le": 1}, "bool takes no ge, le: there is no number in it"),
        (list[str], {"gt": 1}, "takes no gt"),
        (int, {"min_length": 1}, "int takes no min_length: it has no length"),
        (tuple[int, int], {"max_length": 1}, "takes no max_length: it has no length"),
        (int, {"pattern": "a"}, "int takes no pattern: there is no text in it"),
        (str, {"pattern": "("}, r"pattern '\(' is no regular expression"),
        (int, {"ge": 2, "le": 1}, "bounds ge=2, le=1 leave no number"),
        (int, {"gt": 1, "le": 1}, "leave no number"),
        (int, {"ge": "1"}, "ge must be a number, got '1'"),
        (int, {"ge": True}, "ge must be a number, got True"),
        (float, {"le": math.inf}, "le must be finite, got inf; leave it out"),
        (str, {"min_length": 3, "max_length": 2}, "min_length=3, max_length=2 leave nothing"),
        (str, {"min_length": -1}, "leave nothing"),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    kind: Any, rules: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=rf"^Made\.it: .*{message}"):
        spec(kind, **rules)


@pytest.mark.parametrize(
    ("kind", "default", "rules", "message"),
    [
        (int, 0, {"ge": 1}, "the default must be int >= 1 like any other value, got 0"),
        (int, "3", {}, "the default must be int like any other value, got '3'"),
        (int, None, {}, "the default must be int like any other value, got None"),
        (float, math.nan, {}, "the default must be a finite float"),
        (Literal["a"], "b", {}, "the default must be 'a' like"),
        (list[int], [1, "x"], {}, r"the default\[1\] must be int"),
    ],
)
def test_a_default_obeys_its_own_rules(
    kind: Any, default: Any, rules: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=rf"^Made\.it: {message}"):
        spec(kind, default, **rules)


def test_a_param_outside_of_a_stage_says_where_it_belongs() -> None:
    lonely: ParamSpec = Param(3)
    with pytest.raises(TypeError, match="belongs into the body of a Stage"):
        lonely.check(3)
