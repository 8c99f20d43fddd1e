"""Plain scalars, read by the core schema of YAML 1.2.

PyYAML reads YAML 1.1, where ``on`` is true, ``1:30`` is 90, ``010`` is 8 and ``1e3`` is text.
Editors read YAML 1.2. So the resolution is done here: true and false are the only truth values,
and what the two versions read as different numbers is refused.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["AmbiguousNumberError", "resolve"]

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# The length is bounded because Python refuses to read integers of more than 4300 digits.
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_BASED = re.compile(r"0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


class AmbiguousNumberError(ValueError):
    """A number that YAML 1.1 and YAML 1.2 read differently."""


def resolve(text: str) -> Any:
    """Return what an unquoted scalar means: None, bool, int, float or the text itself.

    Raises:
        AmbiguousNumberError: a number that begins with 0.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.fullmatch(text):
        digits = text.lstrip("+-").lstrip("0") or "0"
        octal = f" or 0o{digits}" if not set(digits) & set("89") else ""
        raise AmbiguousNumberError(
            f"{text} begins with 0, which some read as octal: write {digits}{octal}, "
            f'or "{text}" in quotes for text'
        )
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
