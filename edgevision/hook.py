"""The hooks of a stage, and the checks that find a mistake in them when the class is made."""

from __future__ import annotations

import inspect
from typing import Any

from edgevision.type_hint import signature_of

__all__ = ["HOOKS", "check_hooks"]

HOOKS = {
    "start": "start(self)",
    "process": "process(self, frame)",
    "stop": "stop(self)",
    "changed": "changed(self, names)",
}
"""The names of the hooks, each with its signature."""

# Names that other frameworks, or a guess, give to these hooks. They would never be called.
_ALIASES = {
    "change": "changed",
    "clean_up": "stop",
    "cleanup": "stop",
    "initialise": "start",
    "initialize": "start",
    "on_change": "changed",
    "on_changed": "changed",
    "on_frame": "process",
    "on_process": "process",
    "on_start": "start",
    "on_stop": "stop",
    "process_frame": "process",
    "process_image": "process",
    "set_up": "start",
    "setup": "start",
    "shutdown": "stop",
    "tear_down": "stop",
    "teardown": "stop",
}


def check_hooks(cls: type, base: type) -> None:
    """Check the hooks that ``cls`` adds to ``base``, its own and those of its mixins.

    Raises:
        TypeError: a hook is misspelt, no method, a generator or of a wrong signature; the message
            names class and method.
    """
    for owner in cls.__mro__:
        # A base class that is a stage itself has been checked when it was made.
        if owner is cls or not issubclass(owner, base):
            for name, value in vars(owner).items():
                if name in HOOKS:
                    if inspect.getattr_static(cls, name) is value:
                        _check_signature(owner.__name__, name, value)
                elif inspect.isfunction(value) and owner is not object:
                    _check_spelling(owner.__name__, name)


def _check_spelling(owner: str, name: str) -> None:
    if name.startswith("_"):
        return
    meant = _ALIASES.get(name) or next((hook for hook in HOOKS if _one_edit(name, hook)), None)
    if meant:
        raise TypeError(
            f"{owner}.{name} would never be called: did you mean {meant!r}? "
            f"(the hooks are {', '.join(HOOKS)}; a helper of your own may start with '_')"
        )


def _check_signature(owner: str, name: str, value: Any) -> None:
    wanted = HOOKS[name]
    # Not inspect.isfunction: a method that was compiled is something else, and as good.
    if not inspect.isroutine(value) or isinstance(value, (staticmethod, classmethod)):
        kind = type(value).__name__
        raise TypeError(f"{owner}.{name} must be a method {wanted}, it is a {kind}")
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise TypeError(f"{owner}.{name} is a generator (it has a yield): its body would never run")
    try:
        signature = signature_of(value)
    except (TypeError, ValueError):  # compiled, and it does not tell
        return
    try:
        signature.bind(*[object()] * len(wanted.split(",")))
    except TypeError:
        raise TypeError(f"{owner}.{name}{signature} must be {wanted}") from None


def _one_edit(word: str, other: str) -> bool:
    """Say whether one insertion, removal, replacement or swap turns ``word`` into ``other``."""
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    if len(word) == len(other):
        wrong = [i for i, (a, b) in enumerate(zip(word, other, strict=True)) if a != b]
        if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
            i, j = wrong
            return word[i] == other[j] and word[j] == other[i]
        return len(wrong) == 1
    short, long = sorted((word, other), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
