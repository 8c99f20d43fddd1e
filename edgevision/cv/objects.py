"""The classes whose objects keep something between two images: background models, flows, filters.

An object holds cv2's own (`Made.host`). The methods that take images are dispatched like the
functions; every other attribute is cv2's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2

from edgevision.cv.device import Made
from edgevision.cv.dispatch import bind, describe, missing
from edgevision.cv.operation import ObjectType, Operation

__all__ = ["CvObject", "constructor", "object_class"]

# How the names of methods that change an object begin.
_CHANGES = ("set", "load", "read")


class CvObject:
    """Base of the classes; not made directly."""

    _kind: ObjectType
    _makers: list[str]
    _made: Made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        makers = ", ".join(f"cv.{name}" for name in self._makers)
        raise TypeError(f"cv.{self._kind.name} is made by {makers}, not by its class")

    def __getattr__(self, name: str) -> Any:
        # Reached for names that neither the object nor its class has. Without this check an object
        # that is not set up yet (while it is copied or unpickled) would ask itself for ever.
        if name == "_made":
            raise AttributeError(name)
        value = getattr(self._made.host, name)
        if name.startswith(_CHANGES) and callable(value):
            return self._made.noting(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._made.host, name, value)
        self._made.version += 1

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._made.host)})

    def __repr__(self) -> str:
        made = vars(self).get("_made")
        return f"<cv.{self._kind.name} of {made.host!r}>" if made else f"<cv.{self._kind.name}>"


def object_class(kind: ObjectType) -> type[CvObject]:
    """Make the class of a kind of objects."""
    members: dict[str, Any] = {
        "_kind": kind,
        "_makers": [],
        "__doc__": kind.summary,
        "__module__": "edgevision.cv",
    }
    for row in kind.methods:
        members[row.name] = describe(_forward(row.name), row, method_of=kind.name)
    native = None if kind.reference else getattr(cv2, kind.name, None)
    for name in kind.statics:
        static = getattr(native, name, None) or missing(
            Operation(f"{kind.name}_{name}()", "", package=kind.package)
        )
        members[name] = staticmethod(static)
    return type(kind.name, (CvObject,), members)


def _forward(name: str) -> Callable[..., Any]:
    """Make the method as the class has it. The object's own, of the same name, comes before it."""

    def method(self: CvObject, *args: Any, **kwargs: Any) -> Any:
        return vars(self)[name](*args, **kwargs)

    return method


def constructor(row: Operation, native: Callable[..., Any], cls: type[CvObject]) -> Any:
    """Make the function that makes the objects of ``cls`` by one row of the table.

    Args:
        row: the row; if it bears the name of the class, the class itself becomes the constructor.
        native: the constructor of cv2 or of `edgevision.cv.hosted`.
        cls: the class.
    """

    def fill(made: CvObject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        how = Made(row, args, kwargs, native(*args, **kwargs))
        members = vars(made)
        members["_made"] = how
        for method in cls._kind.methods:
            own = getattr(how.host, method.name, None)
            members[method.name] = missing(method) if own is None else bind(method, own, how)

    if row.name == cls.__name__:

        def __init__(self: CvObject, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            fill(self, args, kwargs)

        cls.__init__ = describe(__init__, row, method_of=cls.__name__)  # type: ignore[method-assign]
        return cls

    def make(*args: Any, **kwargs: Any) -> CvObject:
        made = cls.__new__(cls)
        fill(made, args, kwargs)
        return made

    cls._makers.append(row.name)
    return describe(make, row)
