"""Turns a row of the table into a function.

The function looks at its first argument. An array goes to cv2; a GpuMat goes to the row's CUDA
adapter, which is looked up once. Within a pipeline an image result is written into a buffer of the
frame's arena; an explicit ``dst`` is left alone. Everything that depends on the row alone is worked
out when the function is made, so that a call adds 0.15 us to cv2's own outside a pipeline, and 0.3
to 0.5 us within one, the release of the buffer included (tests/benchmarks/cv_arena.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edgevision import arena as arenas
from edgevision.cv.device import GpuMat, Made, adapter, holds_gpu_mat, mixed_sides
from edgevision.cv.operation import Operation, When
from edgevision.errors import ConfigurationError

__all__ = ["bind", "describe", "missing"]

Function = Callable[..., Any]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Test = Callable[[Args, Kwargs], bool]

# What cv2 and NumPy raise for an argument that they cannot read, such as a GpuMat beside an array.
_REFUSED = (cv2.error, TypeError)


def bind(row: Operation, native: Function, made: Made | None = None) -> Function:
    """Make the function that runs ``row``.

    Args:
        row: what to run.
        native: the CPU side: of cv2 or `edgevision.cv.reference`, or a bound method.
        made: for a method, the object it belongs to.
    """
    key = row.name if made is None else f"{made.constructor.parsed.returns[0]}.{row.name}"
    route = _route(row, made)
    if not row.pooled:
        return _plain(row, native, route)
    if row.pooled == ("mv",):
        return _planes(native, key, route)
    if len(row.pooled) > 1:
        return _several(row, native, key, route)
    return _single(row, native, key, route, made)


def _test(conditions: tuple[When, ...], row: Operation, made: Made | None) -> Test | None:
    """Turn conditions into a function of a call's arguments that tells whether one holds."""
    tests = []
    for when in conditions:
        name = when.parameter
        if name.endswith("()"):
            tests.append(_answer(when, getattr(made.host if made else None, name[:-2])))
        else:
            tests.append(_argument(when, row.parsed.parameters.index(name)))
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda args, kwargs: any(test(args, kwargs) for test in tests)


def _answer(when: When, getter: Callable[[], Any]) -> Test:
    holds = when.holds
    return lambda args, kwargs: holds(getter())


def _argument(when: When, index: int) -> Test:
    name, holds = when.parameter, when.holds

    def test(args: Args, kwargs: Kwargs) -> bool:
        return holds(args[index] if len(args) > index else kwargs.get(name))

    return test


def _route(row: Operation, made: Made | None) -> Callable[[Args, Kwargs], Function | None]:
    """Make the function that chooses a side for a call whose first argument is no array.

    It gives the CUDA adapter, or None for cv2, which takes lists of arrays, scalars, images given
    by keyword and subclasses of arrays.
    """
    device: Function | None = None

    def route(args: Args, kwargs: Kwargs) -> Function | None:
        nonlocal device
        if not (args and type(args[0]) is GpuMat) and not holds_gpu_mat(args, kwargs):
            return None
        if device is None:
            device = adapter(row, made)
        return device

    return route


def _plain(row: Operation, native: Function, route: Callable[[Args, Kwargs], Any]) -> Function:
    """Run an operation without image results."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args or type(args[0]) is not np.ndarray:
            device = route(args, kwargs)
            if device is not None:
                return device(*args, **kwargs)
        try:
            return native(*args, **kwargs)
        except _REFUSED as error:
            if holds_gpu_mat(args, kwargs):
                raise mixed_sides(row) from error
            raise

    return call


def _single(
    row: Operation,
    native: Function,
    key: str,
    route: Callable[[Args, Kwargs], Any],
    made: Made | None,
) -> Function:
    """Run an operation with one image result."""
    parsed = row.parsed
    name = row.pooled[0]
    index = parsed.parameters.index(name)
    result = parsed.returns.index(name) if len(parsed.returns) > 1 else -1
    cleared = _test(row.cleared, row, made)
    unpooled = _test(row.unpooled, row, made)
    # In a call that ends before the result, only conditions on what stands before it can hold.
    late = parsed.parameters[index:]
    early = _test(tuple(w for w in row.unpooled if w.parameter not in late), row, made)
    common = index if all(when.parameter in late for when in row.cleared) else -1
    current = arenas.current
    array = np.ndarray

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args or type(args[0]) is not array:
            device = route(args, kwargs)
            if device is not None:
                return device(*args, **kwargs)
        try:
            arena = current()
            if arena is None:
                return native(*args, **kwargs)
            if len(args) == common and not kwargs:
                if early and early(args, kwargs):
                    return native(*args)
                # By position: cv2 reads that faster than a name.
                returned = native(*args, arena.take(key))
            else:
                given = args[index] if len(args) > index else kwargs.get(name)
                if given is not None or (unpooled and unpooled(args, kwargs)):
                    return native(*args, **kwargs)
                buffer = arena.take(key)
                if cleared and buffer is not None and cleared(args, kwargs):
                    buffer.fill(0)
                if len(args) > index:
                    returned = native(*args[:index], buffer, *args[index + 1 :], **kwargs)
                else:
                    # By name: the other arguments may belong to another form of the function,
                    # which has the result at another position.
                    kwargs[name] = buffer
                    returned = native(*args, **kwargs)
        except _REFUSED as error:
            if holds_gpu_mat(args, kwargs):
                raise mixed_sides(row) from error
            raise
        image = returned if result < 0 else returned[result]
        # A cv2.UMat among the arguments makes cv2 return one, and that is no buffer for arrays.
        if type(image) is array:
            arena.put(key, image)
        return returned

    return call


def _several(
    row: Operation, native: Function, key: str, route: Callable[[Args, Kwargs], Any]
) -> Function:
    """Run an operation with several image results."""
    parsed = row.parsed
    outputs = tuple(
        (f"{key}.{name}", name, parsed.parameters.index(name), parsed.returns.index(name))
        for name in row.pooled
    )

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args or type(args[0]) is not np.ndarray:
            device = route(args, kwargs)
            if device is not None:
                return device(*args, **kwargs)
        try:
            arena = arenas.current()
            if arena is None:
                return native(*args, **kwargs)
            values = list(args)
            taken = []
            for output, name, index, result in outputs:
                if len(values) > index:
                    if values[index] is None:
                        values[index] = arena.take(output)
                        taken.append((output, result))
                elif kwargs.get(name) is None:
                    kwargs[name] = arena.take(output)
                    taken.append((output, result))
            returned = native(*values, **kwargs)
        except _REFUSED as error:
            if holds_gpu_mat(args, kwargs):
                raise mixed_sides(row) from error
            raise
        for output, result in taken:
            if type(returned[result]) is np.ndarray:
                arena.put(output, returned[result])
        return returned

    return call


def _planes(native: Function, key: str, route: Callable[[Args, Kwargs], Any]) -> Function:
    """Run split, whose result is a tuple of images, one for each channel."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args or type(args[0]) is not np.ndarray:
            device = route(args, kwargs)
            if device is not None:
                return device(*args, **kwargs)
        arena = arenas.current()
        image = args[0] if args else kwargs.get("m")
        given = args[1] if len(args) > 1 else kwargs.get("mv")
        if arena is None or given is not None or type(image) is not np.ndarray:
            return native(*args, **kwargs)
        count = image.shape[2] if image.ndim == 3 else 1
        planes = native(image, [arena.take(key) for _ in range(count)])
        for plane in planes:
            arena.put(key, plane)
        return planes

    return call


def missing(row: Operation) -> Function:
    """Make the function that says why the running OpenCV cannot do this."""

    def call(*args: Any, **kwargs: Any) -> Any:
        brings = (
            f"install {row.package} of the same version in place of opencv-python"
            if row.package
            else "install a newer opencv-python"
        )
        raise ConfigurationError(
            f"cv.{row.name} needs cv2.{row.name}, which this OpenCV {cv2.__version__} does not "
            f"have: {brings}"
        )

    return call


def describe(function: Function, row: Operation, *, method_of: str = "") -> Function:
    """Give a function the name, the documentation and the signature of its row."""
    parsed = row.parsed
    function.__name__ = parsed.name
    function.__qualname__ = f"{method_of}.{parsed.name}" if method_of else parsed.name
    function.__module__ = "edgevision.cv"
    function.__doc__ = row.documentation
    names = ("self", *parsed.parameters) if method_of else parsed.parameters
    required = parsed.required + bool(method_of)
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if index < required else None,
            )
            for index, name in enumerate(names)
        ]
    )
    return function
