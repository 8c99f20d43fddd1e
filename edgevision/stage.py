"""The step of a pipeline that a user writes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from edgevision.errors import ParamError
from edgevision.hook import HOOKS, check_hooks
from edgevision.param import REQUIRED, ParamSpec, collect, validate
from edgevision.type_hint import hints_of, signature_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.frame import Frame

__all__ = ["DropFrame", "Stage", "stage"]

# What the base class itself offers; a method of this name would take its place.
_TAKEN = frozenset({"configure", "parameters", "settings"})
_TEXTS = frozenset({"camera", "name"})

_LONGEST_REASON = 80


class DropFrame(Exception):  # noqa: N818  # an instruction, not an error
    """Raised in ``process`` to drop the frame; it is counted under ``reason``.

    Args:
        reason: a few fixed words, since drops are counted by it: "too dark", not a number.
    """

    def __init__(self, reason: str = "dropped") -> None:
        self.reason = str(reason)[:_LONGEST_REASON] or "dropped"
        super().__init__(self.reason)


class Stage:
    """A step of a pipeline. Subclass it and write ``process``.

    ::

        class Dark(Stage):
            \"\"\"Drop frames that are too dark to be of use.\"\"\"

            below: float = Param(30, ge=0, le=255, help="mean brightness")

            def process(self, frame: Frame) -> None:
                if frame.image.mean() < self.below:
                    raise DropFrame("too dark")

    The hooks, all optional but ``process``:

    - ``start(self)``: before the first frame. ``stop`` is called exactly once for each ``start``
      that was entered, in reverse order of the stages, also when ``start`` itself raised.
    - ``process(self, frame)``: change the frame and return None; may be ``async def`` for a stage
      that waits on the network, which then runs on the event loop.
    - ``stop(self)``: after the last frame.
    - ``changed(self, names)``: after live changes of parameters, between two frames; ``names`` is a
      frozenset of the parameters that changed. If it raises, the old values are put back and it is
      called once more with the same names.

    All hooks of one camera run on that camera's worker thread, one at a time. Each camera has its
    own instance, so state is plain ``self``. Parameters are declared with `Param`, given to the
    constructor by name, and read as attributes; they are set before ``__init__``, which a subclass
    may have or not, and need not call ours. A subclass that gives an inherited parameter's name a
    plain value fixes it: it is no parameter any more.

    The class is checked when it is made: a misspelt hook, a hook of the wrong arity, a Param of a
    type that cannot come from YAML are TypeErrors that name class and method. A base class that has
    no ``process`` of its own says ``abstract=True``.

    Attributes:
        name: what the stage is called in this pipeline; set before ``start``. A class may give a
            default here; else it is the name of the class in lower case.
        camera: name of the camera; set before ``start``.
    """

    __params__: ClassVar[dict[str, ParamSpec]] = {}

    name: str = ""
    camera: str = ""
    _running: bool = False  # set by the pipeline between start and stop
    _device: int = -1  # number of the CUDA device that its pipeline runs on, -1 for the CPU

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(cls, Stage)
        if not abstract and cls.process is Stage.process:
            raise TypeError(
                f"{cls.__name__} must define process(self, frame), or be declared with "
                "abstract=True"
            )
        _check_names(cls)
        for name, spec in collect(cls.__name__, vars(cls), hints_of(cls), cls.__module__).items():
            setattr(cls, name, _ParamAttribute(spec))
        cls.__params__ = _params_of(cls)
        if inspect.isfunction(vars(cls).get("__init__")):
            cls.__init__ = _without_params(cls.__init__)  # type: ignore[method-assign]

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Set the parameters, so that a subclass may have an ``__init__`` that never calls ours.

        Raises:
            ParamError: an unknown parameter, a bad value, or one missing that has no default.
            TypeError: the class has no ``process``.
        """
        if cls.process is Stage.process:
            raise TypeError(f"{cls.__name__} is abstract: subclass it and write process")
        self = super().__new__(cls)
        given = params
        if cls.__init__ is not Stage.__init__:
            # The subclass takes arguments of its own: what it does not declare as Param is its own.
            given = {n: v for n, v in params.items() if n in cls.__params__}
        elif args:
            raise ParamError(
                f"stage {cls.__name__} takes its parameters by name, got {len(args)} by position "
                f"(frames go through a pipeline: Pipeline([{cls.__name__}]).process(frame))"
            )
        values = validate(cls.__name__, cls.__params__, given)
        for name, spec in cls.__params__.items():
            if name in values:
                value = values[name]
            elif spec.default is REQUIRED:
                raise ParamError(f"stage {cls.__name__} needs the parameter {name!r}")
            else:
                value = spec.fresh_default()
            self.__dict__[_key(name)] = value
        return self

    def __init__(self, **params: Any) -> None:
        """Do nothing: the parameters are set before. A subclass may call it or not."""

    def process(self, frame: Frame) -> Any:
        """Change ``frame`` and return None; to be written by the subclass."""
        raise TypeError(f"{type(self).__name__} must define process(self, frame)")

    def start(self) -> Any:
        """Prepare before the first frame; the default does nothing."""

    def stop(self) -> Any:
        """Give back what ``start`` took; the default does nothing."""

    def changed(self, names: frozenset[str]) -> Any:
        """React to parameters changed between two frames; the default does nothing."""

    @classmethod
    def parameters(cls) -> Mapping[str, ParamSpec]:
        """Return the declared parameters by name, those of base classes first."""
        return cls.__params__

    def settings(self) -> dict[str, Any]:
        """Return the parameters' present values by name."""
        return {name: self.__dict__[_key(name)] for name in self.__params__}

    def configure(self, values: Mapping[str, Any]) -> frozenset[str]:
        """Set several parameters, all or none, and return the names of those that changed.

        The ``changed`` hook is not called here: the pipeline calls it between two frames.

        Raises:
            ParamError: an unknown parameter or a bad value; nothing has been set.
        """
        checked = validate(type(self).__name__, self.__params__, values)
        changed = {n for n, v in checked.items() if self.__dict__[_key(n)] != v}
        for name, value in checked.items():
            self.__dict__[_key(name)] = value
        return frozenset(changed)


def stage(function: Callable[..., Any]) -> type[Stage]:
    """Make a stage class of a function with one `Frame` parameter.

    Keyword-only arguments with a `Param` default become parameters of the stage::

        @stage
        def brightness(frame: Frame, *, scale: float = Param(1.0, gt=0)) -> None:
            frame.values["brightness"] = float(frame.image.mean()) * scale

    The function itself stays reachable as ``brightness.__wrapped__``.

    Raises:
        TypeError: the function takes something else than one frame, or is a generator.
    """
    if not inspect.isfunction(function):
        raise TypeError(f"@stage belongs before a function, got {function!r}")
    name = function.__name__
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@stage function {name} is a generator: its body would never run")
    params = _function_params(function)

    process: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def process(self: Stage, frame: Frame) -> Any:
            return await function(frame, **self.settings())

    elif params:

        def process(self: Stage, frame: Frame) -> Any:
            return function(frame, **self.settings())

    else:

        def process(self: Stage, frame: Frame) -> Any:
            return function(frame)

    hints = hints_of(function)
    body = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__annotations__": {n: hints[n] for n in params if n in hints},
        "__wrapped__": staticmethod(function),
        "process": process,
        **params,
    }
    return type(name, (Stage,), body)


def _function_params(function: Callable[..., Any]) -> dict[str, ParamSpec]:
    """Return the Params among a function's arguments, all others of which must be one frame."""
    name, signature = function.__name__, signature_of(function)
    arguments = signature.parameters.values()
    positional = [p for p in arguments if p.kind is not p.KEYWORD_ONLY]
    for argument in positional:
        if isinstance(argument.default, ParamSpec):
            raise TypeError(
                f"@stage function {name}: write the Param {argument.name!r} behind a '*', as in "
                f"{name}(frame, *, {argument.name}=...)"
            )
    for argument in arguments:
        if argument.kind is argument.KEYWORD_ONLY and not isinstance(argument.default, ParamSpec):
            raise TypeError(
                f"@stage function {name}: the keyword-only argument {argument.name!r} needs a "
                "Param(...) default"
            )
    try:
        signature.bind(object())
    except TypeError as error:
        raise TypeError(
            f"@stage function {name}{signature} must take one frame (and keyword-only Params): "
            f"{error}"
        ) from None
    return {p.name: p.default for p in arguments if isinstance(p.default, ParamSpec)}


class _ParamAttribute(property):
    """The attribute of a parameter: read at the speed of C, checked when set."""

    def __init__(self, spec: ParamSpec) -> None:
        key = _key(spec.name)

        def assign(self: Stage, value: Any) -> None:
            self.__dict__[key] = self.__params__[spec.name].check(value)

        about = f"{spec.describe_type()}, default {spec.describe_default()}"
        super().__init__(attrgetter(key), assign)
        self.__doc__ = f"{spec.help or spec.name} ({about})"
        self.spec = spec


def _key(name: str) -> str:
    return f"_param_{name}"


def _params_of(cls: type[Stage]) -> dict[str, ParamSpec]:
    """Return the parameters that ``cls`` has by attribute look-up, those of base classes first."""
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, _ParamAttribute):
                names[name] = None
    found = {}
    for name in names:
        attribute = inspect.getattr_static(cls, name)
        if isinstance(attribute, _ParamAttribute):
            found[name] = replace(attribute.spec, owner=cls.__name__)
    return found


def _check_names(cls: type[Stage]) -> None:
    """Refuse attributes that would take the place of the base class's own."""
    for owner in cls.__mro__:
        if issubclass(owner, Stage) and owner is not cls:
            continue
        for name, value in vars(owner).items():
            is_param = isinstance(value, ParamSpec)
            if is_param and owner is not cls:
                raise TypeError(
                    f"{owner.__name__}.{name}: only a Stage can have a Param; derive "
                    f"{owner.__name__} from Stage with abstract=True"
                )
            if name in _TAKEN or (is_param and (name in HOOKS or name in _TEXTS)):
                raise TypeError(f"{owner.__name__}.{name}: this name is taken by Stage itself")
            if name in _TEXTS and not isinstance(value, str):
                raise TypeError(f"{owner.__name__}.{name} must be text, got {type(value).__name__}")


def _without_params(init: Callable[..., None]) -> Callable[..., None]:
    """Let an ``__init__`` that knows nothing of the parameters be called with them all the same."""
    signature = signature_of(init)
    accepted = signature.parameters
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return init

    @functools.wraps(init)
    def wrapper(self: Stage, *args: Any, **kwargs: Any) -> None:
        own = {n: v for n, v in kwargs.items() if n in accepted or n not in self.__params__}
        init(self, *args, **own)

    more = inspect.Parameter("params", inspect.Parameter.VAR_KEYWORD, annotation=Any)
    wrapper.__dict__["__signature__"] = signature.replace(parameters=[*accepted.values(), more])
    return wrapper
