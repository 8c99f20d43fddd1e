"""Check a source's options against the signature of its class.

A source declares its options as keyword-only parameters with types; that is all that is needed for
text from a URI to be converted, for bounds to be kept and for a typing error to be named.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = ["Bounds", "Size", "bind"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_SIZE = re.compile(r"(\d+)[xX](\d+)")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest value of a number, both allowed: ``Annotated[int, Bounds(1, 8)]``."""

    smallest: float
    largest: float


Size = Annotated[tuple[int, int], Bounds(16, 16384)]
"""Width and height in pixels; ``1280x720`` in text, a list of two numbers in YAML."""


def bind(factory: Callable[..., Any], options: Mapping[str, object], where: str) -> dict[str, Any]:
    """Return ``options`` with the types that the keyword parameters of ``factory`` ask for.

    A factory that takes any keyword (``**options``) gets them as they are, and checks them itself.

    Args:
        factory: a class or function.
        options: values as Python has them, or as text.
        where: begins the message of an error, without credentials.

    Raises:
        ConfigurationError: an option is unknown, of a wrong type or out of bounds.
    """
    parameters = inspect.signature(factory).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return dict(options)
    known = [n for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    called = factory.__init__ if inspect.isclass(factory) else factory
    hints = get_type_hints(called, include_extras=True)
    bound = {}
    for name, value in options.items():
        if name not in known:
            listed = f"there are: {', '.join(known)}" if known else "there are none"
            raise ConfigurationError(
                f"{where}: there is no option {name!r}{did_you_mean(name, known)} ({listed})"
            )
        try:
            bound[name] = _convert(value, hints.get(name, Any))
        except ValueError:
            raise ConfigurationError(
                f"{where}: option {name!r} must be {_describe(hints[name])}, got {value!r}"
            ) from None
    return bound


def _convert(value: object, kind: Any) -> Any:
    """Return ``value`` as ``kind``; ValueError if it is none."""
    bounds = None
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        bounds = next((extra for extra in extras if isinstance(extra, Bounds)), None)
    if kind is Any:
        return value
    if get_origin(kind) in (Union, UnionType):
        if value is None:
            return None
        return _convert(value, _without_none(kind))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError
        return value
    if get_origin(kind) is tuple:
        return tuple(_bounded(_integer(side), bounds) for side in _sides(value))
    if kind is bool:
        return _boolean(value)
    if kind is int:
        return _bounded(_integer(value), bounds)
    if kind is float:
        return _bounded(_number(value), bounds)
    if not isinstance(value, kind):
        raise ValueError
    return value


def _without_none(kind: Any) -> Any:
    return next(choice for choice in get_args(kind) if choice is not NoneType)


def _boolean(value: object) -> bool:
    if isinstance(value, (bool, int, str)):
        word = str(value).strip().lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise ValueError


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _sides(value: object) -> tuple[object, object]:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return match[1], match[2]
    elif isinstance(value, (list, tuple)) and len(value) == 2:
        return value[0], value[1]
    raise ValueError


def _bounded(number: Any, bounds: Bounds | None) -> Any:
    if bounds is not None and not bounds.smallest <= number <= bounds.largest:
        raise ValueError
    return number


def _describe(kind: Any) -> str:
    """Say in words what an option must be."""
    bounds = ""
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        for extra in extras:
            if isinstance(extra, Bounds):
                bounds = f" from {extra.smallest:g} to {extra.largest:g}"
    if get_origin(kind) in (Union, UnionType):
        return _describe(_without_none(kind)) + bounds
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a size such as 1280x720, each side{bounds}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(kind, str(kind)) + bounds
