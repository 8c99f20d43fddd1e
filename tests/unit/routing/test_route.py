"""Routes and their conditions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevision.routing import (
    UPSTREAM,
    Call,
    Compare,
    ConditionError,
    Constant,
    Logic,
    Name,
    Negation,
    RouteError,
    Sink,
    parse_condition,
    parse_route,
)
from edgevision.routing.condition import names


@pytest.mark.parametrize(
    ("text", "module", "output", "sink"),
    [
        ("FROM /* INTO $upstream", "", "", UPSTREAM),
        ("from /messages/* into $UPSTREAM", "", "", UPSTREAM),
        ("FROM /messages/modules/people/* INTO $upstream", "people", "", UPSTREAM),
        (
            "FROM /messages/modules/a-b/outputs/alarm "
            'INTO BrokeredEndpoint("/modules/c/inputs/in1")',
            "a-b",
            "alarm",
            Sink("c", "in1"),
        ),
        (
            " FROM /messages/modules/a/outputs/* \n"
            " INTO BrokeredEndpoint( '/modules/c/inputs/i' ) ",
            "a",
            "",
            Sink("c", "i"),
        ),
    ],
)
def test_a_route_is_read(text: str, module: str, output: str, sink: Sink) -> None:
    route = parse_route(text)
    assert (route.module, route.output, route.sink, route.condition) == (module, output, sink, None)


def test_notifications_are_no_messages() -> None:
    route = parse_route("FROM /twinChangeNotifications INTO $upstream")
    assert not route.takes_messages
    assert not route.begins_at("people", "results")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wanted FROM"),
        ("FROM /messages/* TO $upstream", "wanted FROM"),
        ("FROM /messages INTO $upstream", "no such source"),
        ("FROM /messages/modules/a/output/x INTO $upstream", "no such source"),
        ("FROM /messages/* INTO upstream", "wanted $upstream or"),
        ('FROM /messages/* INTO BrokeredEndpoint("modules/a/inputs/i")', "wanted $upstream or"),
        ("FROM /messages/* INTO BrokeredEndpoint(\"/modules/a/inputs/i')", "wanted $upstream or"),
        ("FROM /messages/* WHERE a = INTO $upstream", "ends where a value"),
    ],
)
def test_what_is_no_route_is_said(text: str, message: str) -> None:
    with pytest.raises(RouteError, match=r"routes\.r") as caught:
        parse_route(text, "routes.r")
    assert message in str(caught.value)


def test_the_condition_stands_between() -> None:
    route = parse_route("FROM /messages/* WHERE kind = 'event' INTO $upstream")
    assert route.condition == Compare("=", Name("kind"), Constant("event"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a = 1", Compare("=", Name("a"), Constant(1.0))),
        (
            "$body.values.count[0] >= 0x10",
            Compare(">=", Name("$body.values.count[0]"), Constant(16.0)),
        ),
        ("'it\\'s' != b", Compare("!=", Constant("it's"), Name("b"))),
        (
            "a = 1 OR b = 2 AND NOT c",
            Logic(
                "or",
                (
                    Compare("=", Name("a"), Constant(1.0)),
                    Logic(
                        "and",
                        (Compare("=", Name("b"), Constant(2.0)), Negation(Name("c"))),
                    ),
                ),
            ),
        ),
        ("-2 < as_number(x)", Compare("<", Constant(-2.0), Call("as_number", (Name("x"),)))),
        (
            "1 + 2 * 3 = 7",
            Compare(
                "=",
                Call("+", (Constant(1.0), Call("*", (Constant(2.0), Constant(3.0))))),
                Constant(7.0),
            ),
        ),
        ("a || 'x' = 'yx'", Compare("=", Call("||", (Name("a"), Constant("x"))), Constant("yx"))),
        ("{zone.name} = 'x'", Compare("=", Name("zone.name"), Constant("x"))),
        ("{$connectionModuleId} = 'm'", Compare("=", Name("$connectionModuleId"), Constant("m"))),
    ],
)
def test_a_condition_is_a_tree(text: str, wanted: object) -> None:
    assert parse_condition(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends where a value"),
        ("a =", "ends where a value"),
        ("(a = 1", "')' should stand where 'the end'"),
        ("a = 1)", "not understood from ')' on"),
        ("a = 1 2", "not understood from '2' on"),
        ("lenght(a) = 1", "did you mean 'length'?"),
        ("power(2)", "power() takes 2 arguments, got 1"),
        ("$messageid_ = 1", "there is no system property $messageid_"),
        ("$connectionModulId = 'a'", "did you mean '$connectionModuleId'?"),
        ("values.count > 1", "in $body only"),
        ("and = 1", "a value should stand where 'and'"),
        ("a = 'open", "not understood from"),
        ("(" * 60 + "a" + ")" * 60, "nested more than 50 deep"),
    ],
)
def test_what_is_no_condition_is_said(text: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert message in str(caught.value)


@given(st.text(alphabet="aA1.$'\"()=<>|+-*/ \\{}[]NOTANDR", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConditionError):
        list(names(parse_condition(text)))
