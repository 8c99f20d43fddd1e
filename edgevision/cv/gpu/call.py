"""How a call reaches cv2.cuda: stream, buffer, cached objects, errors.

An adapter is a function with the parameters of its row, behind the stream. It names the odd
signature of cv2.cuda once; the wrapper here gives it the current stream and a buffer of the arena.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision.cuda import cuda_stream
from edgevision.cv.operation import Operation
from edgevision.errors import CudaUnsupportedError, EdgeVisionError

__all__ = [
    "Adapter",
    "GpuMat",
    "aligned",
    "cached",
    "depth_of",
    "fitting",
    "null_stream",
    "pair",
    "read",
    "scratch",
    "whole",
    "wrap",
]

GpuMat = cv2.cuda.GpuMat
Adapter = Callable[..., Any]

# Failures of the device itself, not of the arguments: cv2.Error.GpuApiCallError and
# cv2.Error.GPU_API_CALL_ERROR, StsNoMem. They pass as they are.
_DEVICE_FAULTS = ("(-217:", "(-4:")
# What cv2 raises for an argument that it cannot read or cannot work on.
_REFUSED = (cv2.error, TypeError, ValueError)
_MAX_CACHED = 256
_WORD_BYTES = 16
_TEXTURE_BYTES = 512
# Arguments that are arrays on either side.
_HOST = {
    "M",
    "Q",
    "hist",
    "kernel",
    "kernelX",
    "kernelY",
    "levels",
    "lut",
    "nextPts",
    "prevPts",
    "ranges",
}
# Between two numbers of channels of the same depth: 8 up to OpenCV 4, 32 from 5 on.
_CHANNEL_STEP = cv2.CV_8UC2


class _Objects(threading.local):
    """The filters and detectors of one thread."""

    def __init__(self) -> None:
        self.made: dict[Any, Any] = {}


_objects = _Objects()


@cache
def null_stream() -> Any:
    """Return the default stream, on which calls outside a pipeline run."""
    return cv2.cuda.Stream.Null()


def cached(stream: Any, make: Callable[..., Any], *parameters: Any) -> Any:
    """Return the object that ``make`` makes of these parameters; made once for thread and stream.

    It has buffers of its own, so two streams must not share one. Arrays among the parameters count
    by their content.
    """
    key = (make, id(stream), parameters)
    try:
        return _objects.made[key]
    except KeyError:
        pass
    except TypeError:
        key = (make, id(stream), tuple(map(_hashable, parameters)))
        if key in _objects.made:
            return _objects.made[key]
    found = make(*parameters)
    # Making it uploads on the default stream, for which no other stream waits.
    null_stream().waitForCompletion()
    made = _objects.made
    if len(made) >= _MAX_CACHED:
        del made[next(iter(made))]
    made[key] = found
    return found


def _hashable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return tuple(value) if isinstance(value, list) else value


def depth_of(src: Any, depth: int) -> int:
    """Return the cv2 type of a result with this depth, -1 being the source's own."""
    if depth < 0:
        return int(src.type())
    return int(depth % _CHANNEL_STEP + (src.channels() - 1) * _CHANNEL_STEP)


def scratch(key: str, run: Callable[[Any], Any]) -> Any:
    """Run a step whose result is needed within one call only, into a buffer of the arena."""
    arena = arenas.current()
    if arena is None:
        return run(None)
    image = run(arena.take(key))
    arena.put(key, image)
    return image


def pair(key: str, given: tuple[Any, Any], run: Callable[[Any, Any], Any]) -> Any:
    """Run a step with two image results, into what is given or into buffers of the arena."""
    arena = arenas.current()
    if arena is None or None not in given:
        return run(*given)
    first, second = (
        arena.take(f"{key} {number}") if mat is None else mat for number, mat in enumerate(given)
    )
    found = tuple(run(first, second))
    for number, mat in enumerate(given):
        if mat is None:
            arena.put(f"{key} {number}", found[number])
    return found


def read(stream: Any, mat: Any) -> NDArray[Any]:
    """Return numbers that a caller asked for: a small download, which waits for the stream."""
    values = mat.download(stream)
    stream.waitForCompletion()
    return np.asarray(values)


def fitting(buffer: Any, like: Any, size_wh: Any = None, type: int | None = None) -> Any:
    """Return the buffer if it has the size and type wanted (default: ``like``'s), else another."""
    size_wh = like.size() if size_wh is None else size_wh
    kind = like.type() if type is None else type
    if buffer is not None and buffer.type() == kind and buffer.size() == size_wh:
        return buffer
    return GpuMat(size_wh, kind)


def aligned(stream: Any, mat: Any, key: str) -> Any:
    """Return the image, or a copy where its rows start at odd addresses, as a region's may.

    Some kernels of cv2.cuda read several pixels as one word without a look at the address. The
    device then faults, and with it everything that this process has on it.
    """
    if not (int(mat.cudaPtr()) | mat.step) & (_WORD_BYTES - 1):
        return mat
    return scratch(f"cuda {key} aligned", lambda buffer: mat.copyTo(stream, buffer))


def whole(stream: Any, mat: Any, key: str) -> Any:
    """Return the image, or a copy of a region: a texture cannot begin at any address."""
    if not int(mat.cudaPtr()) & (_TEXTURE_BYTES - 1):
        return mat
    return scratch(f"cuda {key} whole", lambda buffer: mat.copyTo(stream, buffer))


def wrap(row: Operation, function: Adapter, key: str) -> Adapter:
    """Make the function that a call with GpuMats runs."""
    pooled = tuple(name for name in row.pooled if name != "mv")
    if len(pooled) == 1:
        return _single(row, function, key, pooled[0])
    return _plain(row, function, key)


def _plain(row: Operation, function: Adapter, key: str) -> Adapter:
    """Run an adapter that has no image results, or sees to them itself."""
    current = cuda_stream.current

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(current() or null_stream(), *args, **kwargs)
        except _REFUSED as error:
            refusal = _refusal(row, key, args, kwargs, error)
            if refusal is None:
                raise
            raise refusal from error

    return call


def _single(row: Operation, function: Adapter, key: str, name: str) -> Adapter:
    """Run an adapter with one image result."""
    parsed = row.parsed
    index = parsed.parameters.index(name)
    result = parsed.returns.index(name) if len(parsed.returns) > 1 else -1
    lane = f"cuda {key}"
    current_arena, current_stream = arenas.current, cuda_stream.current

    def call(*args: Any, **kwargs: Any) -> Any:
        stream = current_stream() or null_stream()
        arena = current_arena()
        given = len(args)
        try:
            if arena is None:
                return function(stream, *args, **kwargs)
            if given == index and not kwargs:
                returned = function(stream, *args, arena.take(lane))
            elif given > index:
                if args[index] is not None:
                    return function(stream, *args, **kwargs)
                rest = args[index + 1 :]
                returned = function(stream, *args[:index], arena.take(lane), *rest, **kwargs)
            else:
                if kwargs.get(name) is not None:
                    return function(stream, *args, **kwargs)
                kwargs[name] = arena.take(lane)
                returned = function(stream, *args, **kwargs)
        except _REFUSED as error:
            refusal = _refusal(row, key, args, kwargs, error)
            if refusal is None:
                raise
            raise refusal from error
        arena.put(lane, returned if result < 0 else returned[result])
        return returned

    return call


def _refusal(
    row: Operation,
    key: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: Exception,
) -> CudaUnsupportedError | None:
    """Say in plain words what cv2.cuda did not take; None for what is no refusal."""
    text = str(error)
    if isinstance(error, EdgeVisionError) or any(code in text for code in _DEVICE_FAULTS):
        return None
    given = {**dict(zip(row.parsed.parameters, args, strict=False)), **kwargs}
    host = [n for n, v in given.items() if isinstance(v, np.ndarray) and n not in _HOST]
    if host:
        return CudaUnsupportedError(
            f"cv.{key} was given both arrays ({', '.join(host)}) and GpuMats; upload the arrays "
            "(GpuMat.upload) or download the others (GpuMat.download)"
        )
    if not isinstance(error, cv2.error):
        return None
    shapes = ", ".join(f"{n} {_shape(v)}" for n, v in given.items() if isinstance(v, GpuMat))
    why = text.strip().splitlines()[0].rpartition("error: ")[2]
    return CudaUnsupportedError(
        f"cv.{key} on CUDA ({row.counterpart}) does not do this for {shapes}: {why}"
    )


def _shape(mat: Any) -> str:
    width, height = mat.size()
    depth = ("8U", "8S", "16U", "16S", "32S", "32F", "64F", "16F")[mat.depth() & 7]
    return f"{width}x{height} {depth}C{mat.channels()}"
