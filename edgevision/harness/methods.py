"""Direct methods: how they are declared, looked up, called and answered.

A method of a stage takes the decoded JSON of the call and returns what the caller gets::

    class Counter(Stage):
        @method
        def reset(self, payload):
            before, self.count = self.count, 0
            return {"before": before}

It runs on the camera's worker thread between two frames; ``async def`` runs on the event loop. A
method of the module itself is a function with `module_method`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from edgevision.errors import ConfigurationError, EdgeVisionError, StageError
from edgevision.json_value import NotJsonError, json_value
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.harness.transport import MethodAnswer, MethodCall

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "MethodError",
    "MethodSpec",
    "Methods",
    "method",
    "methods_of",
    "module_method",
    "module_methods",
    "spec_of",
]

_log = logging.getLogger("edgevision.method")

MAX_PAYLOAD_BYTES = 128 * 1024
"""Most bytes that a hub carries to a method and back."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MARK = "__edgevision_method__"
_TIMEOUT_S = 20.0

_Function = TypeVar("_Function", bound=Callable[..., Any])
Handler = Callable[[Any], Awaitable[Any]]


class MethodError(EdgeVisionError):
    """What a method raises to be answered with a status of its own.

    Args:
        status: 400 to 599, as in HTTP: 400 a bad payload, 404 nothing of that name, 409 not in this
            state, 500 a fault, 504 took too long.
        message: for the caller; credentials are hidden.
    """

    def __init__(self, status: int, message: str) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"the status of a MethodError is 400 to 599, got {status}")
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class MethodSpec:
    """What `method` notes on a function.

    Attributes:
        name: what callers call.
        timeout_s: the caller gets 504 after so long.
    """

    name: str
    timeout_s: float = _TIMEOUT_S


@overload
def method(function: _Function) -> _Function: ...
@overload
def method(
    function: str | None = None, *, timeout_s: float = _TIMEOUT_S
) -> Callable[[_Function], _Function]: ...
def method(function: Any = None, *, timeout_s: float = _TIMEOUT_S) -> Any:
    """Let a method of a stage be called as a direct method.

    ``@method``, ``@method("name")`` or ``@method(timeout_s=5)``. It takes ``(self, payload)``;
    ``payload`` is decoded JSON without the keys ``camera`` and ``stage``, by which the caller
    chooses one of several. What it returns must be JSON, too. It may raise `MethodError`; a
    ConfigurationError is answered with 400, everything else with 500.

    Args:
        function: the method, or its name for callers; default the function's own.
        timeout_s: the caller gets 504 after so long.

    Raises:
        TypeError: the function takes something else than one payload, or has no proper name.
    """
    return _marker(function, timeout_s, ("self", "payload"), lambda marked: None)


@overload
def module_method(function: _Function) -> _Function: ...
@overload
def module_method(
    function: str | None = None, *, timeout_s: float = _TIMEOUT_S
) -> Callable[[_Function], _Function]: ...
def module_method(function: Any = None, *, timeout_s: float = _TIMEOUT_S) -> Any:
    """Let a function be called as a direct method of the module.

    The same as `method` for a function ``(payload)``. A plain function runs on a thread, one at a
    time; ``async def`` runs on the event loop.

    Raises:
        TypeError: the function takes something else than one payload.
        ConfigurationError: another function has the name already.
    """
    return _marker(function, timeout_s, ("payload",), _register)


_registered: dict[str, Callable[..., Any]] = {}


def module_methods() -> Mapping[str, Callable[..., Any]]:
    """Return the functions that `module_method` has marked, by name."""
    return dict(_registered)


def spec_of(function: Callable[..., Any]) -> MethodSpec:
    """Return what `method` or `module_method` has noted on ``function``."""
    spec: MethodSpec = getattr(function, _MARK)
    return spec


def methods_of(stage: type) -> Mapping[str, tuple[MethodSpec, str]]:
    """Return what `method` has marked in a stage's class: the spec and the attribute, by name."""
    return _methods_of(stage)


@lru_cache(maxsize=256)
def _methods_of(stage: type) -> dict[str, tuple[MethodSpec, str]]:
    found = {}
    for attribute in dir(stage):
        spec = getattr(inspect.getattr_static(stage, attribute), _MARK, None)
        if isinstance(spec, MethodSpec):
            found[spec.name] = (spec, attribute)
    return found


class Methods:
    """The methods of a module by name: calls them, and always has an answer."""

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Handler, float]] = {}
        self._fallback: Callable[[str], tuple[Handler, float] | None] = lambda name: None
        self._names: Callable[[], list[str]] = list
        self._logged: set[str] = set()

    def add(self, name: str, handler: Handler, timeout_s: float = _TIMEOUT_S) -> None:
        """Answer calls of ``name`` with what ``handler`` returns.

        Raises:
            ConfigurationError: the name is taken.
        """
        if name in self._handlers:
            raise ConfigurationError(f"there is a direct method {name!r} already")
        self._handlers[name] = (handler, timeout_s)

    def add_changing(
        self,
        find: Callable[[str], tuple[Handler, float] | None],
        names: Callable[[], list[str]],
    ) -> None:
        """Look names up in ``find`` that are not known, since stages come and go."""
        self._fallback, self._names = find, names

    def names(self) -> list[str]:
        """Return what can be called at this moment."""
        return sorted({*self._handlers, *self._names()})

    async def answer(self, call: MethodCall) -> MethodAnswer:
        """Call a method; never raises, and takes no longer than the method's time limit."""
        try:
            found = self._handlers.get(call.name) or self._fallback(call.name)
            if found is None:
                known = self.names()
                hint = did_you_mean(call.name, known)
                raise MethodError(
                    404,
                    f"there is no method {call.name!r}{hint} (there are: {', '.join(known)})",
                )
            if len(_dump(call.payload)) > MAX_PAYLOAD_BYTES:
                raise MethodError(400, f"the payload has more than {MAX_PAYLOAD_BYTES} bytes")
            handler, timeout_s = found
            value = await _within(timeout_s, handler(call.payload))
            return self._accepted(call.name, value)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            return self._failed(call.name, error)

    def _accepted(self, name: str, value: Any) -> MethodAnswer:
        from edgevision.harness.transport import MethodAnswer

        status = 200
        if isinstance(value, MethodAnswer):
            status, value = value.status, value.payload
        try:
            payload = json_value(value)
        except NotJsonError as error:
            place = "".join(f"[{part!r}]" for part in error.path)
            raise MethodError(
                500, f"{name} returned something that is no JSON{place}: {error.reason}"
            ) from error
        size = len(_dump(payload))
        if size > MAX_PAYLOAD_BYTES:
            raise MethodError(
                500, f"the answer of {name} has {size} bytes, the most is {MAX_PAYLOAD_BYTES}"
            )
        return MethodAnswer(status, payload)

    def _failed(self, name: str, error: Exception) -> MethodAnswer:
        from edgevision.harness.transport import MethodAnswer

        text = redact(str(error) or type(error).__name__)
        body: dict[str, Any] = {"error": text}
        if isinstance(error, MethodError):
            return MethodAnswer(error.status, body)
        if isinstance(error, ConfigurationError):
            if error.path:
                body["path"] = error.path
            return MethodAnswer(400, body)
        if isinstance(error, StageError) and error.__cause__ is None:
            return MethodAnswer(409, body)
        kind = f"{name} {type(error).__name__}"
        trace = None
        if kind not in self._logged and len(self._logged) < 100:
            self._logged.add(kind)
            trace = error
        _log.error("direct method %s: %s: %s", name, type(error).__name__, text, exc_info=trace)
        body["error"] = redact(f"{type(error).__name__}: {error}")
        return MethodAnswer(500, body)


async def _within(timeout_s: float, call: Awaitable[Any]) -> Any:
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
        if not task.done():
            raise MethodError(504, f"no answer within {timeout_s:g} s")
        if task.cancelled():
            raise MethodError(409, "what was called has ended meanwhile")
        return task.result()
    finally:
        task.cancel()


def _marker(
    function: Any, timeout_s: float, wanted: tuple[str, ...], then: Callable[[Any], None]
) -> Any:
    name = function if isinstance(function, str) else None

    def mark(marked: Any) -> Any:
        if not inspect.isfunction(marked):
            raise TypeError(f"@method belongs before a function, got {marked!r}")
        called = name or marked.__name__
        if not _NAME.fullmatch(called):
            raise TypeError(
                f"a direct method is called by letters, digits, '-' and '_': {called!r}"
            )
        try:
            inspect.signature(marked).bind(*wanted)
        except TypeError:
            raise TypeError(
                f"direct method {marked.__qualname__} must take ({', '.join(wanted)})"
            ) from None
        setattr(marked, _MARK, MethodSpec(called, timeout_s))
        then(marked)
        return marked

    if function is None or isinstance(function, str):
        return mark
    return mark(function)


def _register(function: Any) -> None:
    name = getattr(function, _MARK).name
    other = _registered.get(name)
    # A stage file that is loaded again brings the same function again.
    if other is not None and other.__code__.co_filename != function.__code__.co_filename:
        raise ConfigurationError(
            f"two direct methods are called {name!r}: {other.__qualname__} in "
            f"{other.__code__.co_filename} and {function.__qualname__}"
        )
    _registered[name] = function


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode()
