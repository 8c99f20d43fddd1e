"""Read annotations that may be text, or name types that exist only where a class is made."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, ForwardRef

__all__ = ["hints_of", "resolve", "signature_of"]

# From Python 3.14 on annotations are evaluated when they are asked for, which fails where one names
# something that is imported for type checkers only. Such a name is left as a ForwardRef here.
_LAZY = sys.version_info >= (3, 14)


def hints_of(owner: type | Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of a class body or a function, text where they are text."""
    if _LAZY:
        import annotationlib  # type: ignore[import-not-found,unused-ignore]

        found: Mapping[str, Any] = annotationlib.get_annotations(
            owner, format=annotationlib.Format.FORWARDREF
        )
        return found
    return inspect.get_annotations(owner)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function; its annotations need not be known.

    Raises:
        TypeError: this is no function.
        ValueError: it does not tell its signature.
    """
    if _LAZY:
        import annotationlib  # type: ignore[import-not-found,unused-ignore]

        lazily: Any = {"annotation_format": annotationlib.Format.FORWARDREF}
        return inspect.signature(function, **lazily)
    return inspect.signature(function)


def resolve(hint: Any, module: str) -> Any:
    """Return the type that ``hint`` means in ``module``.

    Text is looked up where Python would: among the names of the module, and, for a class that is
    made inside a function, among that function's own names.

    Raises:
        NameError: a name is not known, in most cases since it is imported under TYPE_CHECKING.
        Exception: whatever else its evaluation raises.
    """
    text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    if not isinstance(text, str):
        return hint
    names = vars(sys.modules[module]) if module in sys.modules else {}
    try:
        return eval(text, dict(names))
    except NameError:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_globals is names and frame.f_locals is not names:
                try:
                    return eval(text, dict(names), dict(frame.f_locals))
                except NameError:
                    pass
            frame = frame.f_back
        raise
