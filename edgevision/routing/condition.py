"""The condition of a route as a tree.

There are, from the loosest to the tightest: ``OR``, ``AND``, ``NOT``, comparisons (``= != <> < <=
> >=``), ``||`` (texts put together), ``+ -``, ``* / %``, a sign, and then values: texts in single
or double quotes, numbers, ``true``, ``false``, ``null``, ``undefined``, application properties by
name, system properties (``$connectionModuleId``), parts of the body (``$body.a.b[0]``), calls of
functions and brackets. Words are the same in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from edgevision.suggestion import did_you_mean

__all__ = [
    "FUNCTIONS",
    "Call",
    "Compare",
    "Condition",
    "ConditionError",
    "Constant",
    "Logic",
    "Name",
    "Negation",
    "names",
    "parse_condition",
]

FUNCTIONS: dict[str, tuple[int, int]] = {
    "abs": (1, 1),
    "as_number": (1, 1),
    "ceiling": (1, 1),
    "concat": (2, 99),
    "contains": (2, 2),
    "ends_with": (2, 2),
    "exp": (1, 1),
    "floor": (1, 1),
    "index_of": (2, 2),
    "is_bool": (1, 1),
    "is_defined": (1, 1),
    "is_null": (1, 1),
    "is_number": (1, 1),
    "is_string": (1, 1),
    "length": (1, 1),
    "lower": (1, 1),
    "power": (2, 2),
    "sign": (1, 1),
    "sqrt": (1, 1),
    "square": (1, 1),
    "starts_with": (2, 2),
    "substring": (2, 3),
    "twin_change_includes": (1, 1),
    "upper": (1, 1),
}
"""The functions by name, with the least and the most arguments."""

_SYSTEM = (
    "$body",
    "$connectionDeviceId",
    "$connectionModuleId",
    "$contentEncoding",
    "$contentType",
    "$correlationId",
    "$enqueuedTime",
    "$inputName",
    "$interfaceId",
    "$messageId",
    "$outputName",
    "$userId",
)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>0x[0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<sign>\|\||<=|>=|<>|!=|[=<>(),+*/%-])"
    r"|\{(?P<braced>\$?[A-Za-z_][\w.-]*)\}"
    r"|(?P<name>\$?[A-Za-z_][\w]*(?:-\w+)*(?:\.[\w-]+|\[\d+\])*))"
)
_WORDS = {"and", "or", "not"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")
_DEEPEST = 50


class ConditionError(ValueError):
    """A text that is no condition; says from where on."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands there.

    Attributes:
        value: text, number, truth value or None for ``null``.
    """

    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """Something of the message.

    Attributes:
        name: ``$body.a[0]``, a system property with its ``$``, or an application property;
            ``undefined`` is one that is never there.
    """

    name: str

    @property
    def in_body(self) -> bool:
        """True for the body or a part of it."""
        return re.match(r"\$body(?:[.[]|$)", self.name, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments.

    Attributes:
        function: in lower case; ``-x``, ``a + b`` and ``a || b`` are calls of ``-``, ``+``, ``||``.
        arguments: in order.
    """

    function: str
    arguments: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values and a sign between them.

    Attributes:
        sign: ``=``, ``!=`` (also for ``<>``), ``<``, ``<=``, ``>`` or ``>=``.
        left: on its left.
        right: on its right.
    """

    sign: str
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions put together.

    Attributes:
        word: ``and`` or ``or``.
        parts: two or more.
    """

    word: str
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """What must not be.

    Attributes:
        part: the condition.
    """

    part: Condition


Condition: TypeAlias = "Constant | Name | Call | Compare | Logic | Negation"
"""A condition or a part of one."""


def parse_condition(text: str) -> Condition:
    """Return the condition that ``text`` means.

    Raises:
        ConditionError: it means none.
    """
    parser = _Parser(text)
    found = parser.alternatives()
    parser.end()
    return found


def names(condition: Condition) -> Iterator[Name]:
    """Yield what of the message a condition looks at."""
    if isinstance(condition, Name):
        yield condition
        return
    parts: tuple[Condition, ...] = ()
    if isinstance(condition, Call):
        parts = condition.arguments
    elif isinstance(condition, Compare):
        parts = (condition.left, condition.right)
    elif isinstance(condition, Logic):
        parts = condition.parts
    elif isinstance(condition, Negation):
        parts = (condition.part,)
    for part in parts:
        yield from names(part)


class _Parser:
    """Recursive descent; each method reads one level and leaves the rest."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._depth = 0
        at = 0
        while text[at:].strip():
            token = _TOKEN.match(text, at)
            if token is None or token.lastgroup is None:
                raise ConditionError(f"not understood from {text[at:].strip()!r} on")
            kind, word = token.lastgroup, token[token.lastgroup]
            self._tokens.append((kind, word, token.start(token.lastgroup)))
            at = token.end()

    def alternatives(self) -> Condition:
        return self._logic("or", self._conjunction)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionError(
                f"not understood from {self._text[self._tokens[self._at][2] :]!r} on"
            )

    def _conjunction(self) -> Condition:
        return self._logic("and", self._negation)

    def _logic(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._word(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Logic(word, tuple(parts))

    def _negation(self) -> Condition:
        if self._word("not"):
            return Negation(self._deeper(self._negation))
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._chain(("||",), self._sum)
        kind, sign = self._peek()
        if kind != "sign" or sign not in _COMPARISONS:
            return left
        self._at += 1
        right = self._chain(("||",), self._sum)
        return Compare("!=" if sign == "<>" else sign, left, right)

    def _sum(self) -> Condition:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Condition:
        return self._chain(("*", "/", "%"), self._signed)

    def _chain(self, signs: tuple[str, ...], part: Callable[[], Condition]) -> Condition:
        left = part()
        while self._peek()[0] == "sign" and self._peek()[1] in signs:
            sign = self._peek()[1]
            self._at += 1
            left = Call(sign, (left, part()))
        return left

    def _signed(self) -> Condition:
        if self._peek() == ("sign", "-"):
            self._at += 1
            value = self._deeper(self._signed)
            if isinstance(value, Constant) and isinstance(value.value, float):
                return Constant(-value.value)
            return Call("-", (value,))
        return self._value()

    def _value(self) -> Condition:
        kind, text = self._peek()
        if kind == "end":
            raise ConditionError("it ends where a value should stand")
        self._at += 1
        if kind == "text":
            return Constant(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "number":
            return Constant(float(int(text, 16)) if text.startswith("0x") else float(text))
        if (kind, text) == ("sign", "("):
            inner = self._deeper(self.alternatives)
            self._need(")")
            return inner
        if kind == "braced":
            # A property whose name would not be one without the braces.
            return _named(text) if text.startswith("$") else Name(text)
        if kind != "name" or text.lower() in _WORDS:
            raise ConditionError(f"a value should stand where {text!r} stands")
        if self._peek() == ("sign", "("):
            return self._call(text)
        if text.lower() in _CONSTANTS:
            return Constant(_CONSTANTS[text.lower()])
        return _named(text)

    def _call(self, name: str) -> Condition:
        function = name.lower()
        if function not in FUNCTIONS:
            raise ConditionError(
                f"there is no function {name}(){did_you_mean(function, FUNCTIONS)}"
                f" (there are: {', '.join(FUNCTIONS)})"
            )
        self._need("(")
        arguments = [self._deeper(self.alternatives)]
        while self._peek() == ("sign", ","):
            self._at += 1
            arguments.append(self._deeper(self.alternatives))
        self._need(")")
        least, most = FUNCTIONS[function]
        if not least <= len(arguments) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise ConditionError(f"{name}() takes {wanted} arguments, got {len(arguments)}")
        return Call(function, tuple(arguments))

    def _deeper(self, part: Callable[[], Condition]) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConditionError(f"nested more than {_DEEPEST} deep")
        found = part()
        self._depth -= 1
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at][:2] if self._at < len(self._tokens) else ("end", "")

    def _word(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "name" and text.lower() == word
        self._at += found
        return found

    def _need(self, sign: str) -> None:
        kind, text = self._peek()
        if (kind, text) != ("sign", sign):
            raise ConditionError(f"{sign!r} should stand where {text or 'the end'!r} stands")
        self._at += 1


def _named(name: str) -> Name:
    found = Name(name)
    if name.startswith("$") and not found.in_body:
        if name.lower() not in {known.lower() for known in _SYSTEM}:
            hint = did_you_mean(name, _SYSTEM) or f" (there are: {', '.join(_SYSTEM)})"
            raise ConditionError(f"there is no system property {name}{hint}")
    elif not found.in_body and ("[" in name or "." in name):
        raise ConditionError(f"{name}: parts of something are there in $body only")
    return found
