"""The step of a pipeline that a user writes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from edgevision.errors import ParamError
from edgevision.param import REQUIRED, ParamSpec, collect, validate

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.frame import Frame

__all__ = ["DropFrame", "Stage", "stage"]

_HOOKS = {"start": 0, "process": 1, "stop": 0, "changed": 1}
# Names that other frameworks give to these hooks. They would never be called here, silently.
_ALIASES = {
    "on_start": "start",
    "on_stop": "stop",
    "on_process": "process",
    "on_changed": "changed",
    "process_frame": "process",
    "setup": "start",
    "set_up": "start",
    "teardown": "stop",
    "tear_down": "stop",
}
_RESERVED = frozenset({"camera", "name", "configure", "parameters", "settings", *_HOOKS})


class DropFrame(Exception):  # noqa: N818  # an instruction, not an error
    """Raised in ``process`` to drop the frame; it is counted under ``reason``.

    Args:
        reason: a few fixed words, since drops are counted by it: "too dark", not a number.
    """

    def __init__(self, reason: str = "dropped") -> None:
        self.reason = reason
        super().__init__(reason)


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
      frozenset of the parameters that changed.

    All hooks of one camera run on that camera's worker thread, one at a time. Each camera has its
    own instance, so state is plain ``self``. Parameters are declared with `Param`, given to the
    constructor by name, and read as attributes.

    The class is checked when it is made: a misspelt hook, a hook of the wrong arity, a Param of a
    type that cannot come from YAML are TypeErrors that name class and method. A base class that has
    no ``process`` of its own says ``abstract=True``.

    Attributes:
        name: what the stage is called in this pipeline; set before ``start``.
        camera: name of the camera; set before ``start``.
    """

    __params__: ClassVar[dict[str, ParamSpec]] = {}

    name: str = ""
    camera: str = ""

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check_hooks(cls, abstract=abstract)
        own = collect(cls.__name__, vars(cls), inspect.get_annotations(cls), cls.__module__)
        for name, spec in own.items():
            if name in _RESERVED:
                raise TypeError(f"{cls.__name__}.{name}: this name is taken by Stage itself")
            setattr(cls, name, _attribute(spec))
        inherited = {n: s for base in reversed(cls.__mro__[1:]) for n, s in _params_of(base)}
        # An inherited parameter that the class body replaced by something else is gone.
        kept = {n: s for n, s in inherited.items() if n not in vars(cls)}
        cls.__params__ = {**kept, **own}

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Set the parameters, so that a subclass may have an ``__init__`` that never calls ours.

        Raises:
            ParamError: an unknown parameter or a bad value.
        """
        self = super().__new__(cls)
        given = params
        if cls.__init__ is not object.__init__:
            # The subclass takes arguments of its own: what it does not declare as Param is its own.
            given = {n: v for n, v in params.items() if n in cls.__params__}
        elif args:
            raise ParamError(
                f"stage {cls.__name__} takes its parameters by name, got {len(args)} by position"
            )
        values = validate(cls.__name__, cls.__params__, given)
        for name, spec in cls.__params__.items():
            if name in values:
                value = values[name]
            elif spec.default is REQUIRED:
                raise ParamError(f"stage {cls.__name__} needs the parameter {name!r}")
            else:
                value = spec.default
            self.__dict__[_key(name)] = value
        return self

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

    Raises:
        TypeError: the function takes something else than one frame.
    """
    name = function.__name__
    signature = inspect.signature(function)
    extra = {
        p.name: p.default
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and isinstance(p.default, ParamSpec)
    }
    try:
        signature.bind(object())
    except TypeError as error:
        raise TypeError(
            f"@stage function {name}{signature} must take one frame (and keyword-only Params): "
            f"{error}"
        ) from None
    unfit = [
        p.name
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name not in extra
    ]
    if unfit:
        raise TypeError(
            f"@stage function {name}: the keyword-only argument {unfit[0]!r} needs a Param(...) "
            "default"
        )
    collect(name, extra, function.__annotations__, function.__module__)

    process: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def process(self: Stage, frame: Frame) -> Any:
            return await function(frame, **self.settings())

    elif extra:

        def process(self: Stage, frame: Frame) -> Any:
            return function(frame, **self.settings())

    else:

        def process(self: Stage, frame: Frame) -> Any:
            return function(frame)

    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@stage function {name} is a generator: its body would never run")
    body = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__annotations__": {n: function.__annotations__.get(n) for n in extra},
        "__wrapped__": staticmethod(function),
        "process": process,
        **extra,
    }
    return type(name, (Stage,), body)


def _key(name: str) -> str:
    return f"_param_{name}"


def _params_of(base: type) -> list[tuple[str, ParamSpec]]:
    return list(base.__dict__.get("__params__", {}).items())


def _attribute(spec: ParamSpec) -> property:
    """Return the attribute of a parameter: read at the speed of C, checked when set."""
    key = _key(spec.name)

    def assign(self: Stage, value: Any) -> None:
        self.__dict__[key] = spec.check(value)

    document = f"{spec.help or spec.name} ({spec.describe_type()}, default {spec.default!r})"
    return property(attrgetter(key), assign, doc=document)


def _check_hooks(cls: type[Stage], *, abstract: bool) -> None:
    own = vars(cls)
    for name, value in own.items():
        if name in _HOOKS:
            _check_signature(cls, name, value)
        elif inspect.isfunction(value) and not name.startswith("_"):
            meant = _ALIASES.get(name) or next((h for h in _HOOKS if _one_edit(name, h)), None)
            if meant and not hasattr(value, "__edgevision_handler__"):
                raise TypeError(
                    f"{cls.__name__}.{name} would never be called: did you mean {meant!r}? "
                    f"(the hooks are {', '.join(_HOOKS)}; a helper of your own may start with '_')"
                )
    if not abstract and cls.process is Stage.process:
        raise TypeError(
            f"{cls.__name__} must define process(self, frame), or be declared with abstract=True"
        )


def _check_signature(cls: type[Stage], name: str, value: Any) -> None:
    wanted = {0: f"{name}(self)", 1: f"{name}(self, frame)"}[_HOOKS[name]]
    if name == "changed":
        wanted = "changed(self, names)"
    if not inspect.isfunction(value):
        kind = type(value).__name__
        raise TypeError(f"{cls.__name__}.{name} must be a method {wanted}, it is a {kind}")
    if inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise TypeError(
            f"{cls.__name__}.{name} is a generator (it has a yield): its body would never run"
        )
    try:
        inspect.signature(value).bind(*[object()] * (1 + _HOOKS[name]))
    except TypeError:
        raise TypeError(
            f"{cls.__name__}.{name}{inspect.signature(value)} must be {wanted}"
        ) from None


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
