"""CUDA streams and the order between them.

All streams made here are non-blocking: an ordinary `cv2.cuda.Stream()` waits for the default stream
and holds it up, so that one careless call anywhere in the process stops every camera.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

import cv2

from edgevision.errors import CudaUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Fence", "current", "enter", "leave", "open_stream", "pointer", "use"]

_NON_BLOCKING = 1  # driver_types.h, cudaStreamNonBlocking

_current: ContextVar[cv2.cuda.Stream | None] = ContextVar("edgevision_cuda_stream", default=None)

current = _current.get
"""``current()`` returns the stream on which this thread or task works, or None: the default one."""


def open_stream() -> cv2.cuda.Stream:
    """Make a stream that does not wait for the default stream.

    Raises:
        CudaUnavailableError: no stream can be made here.
    """
    # A build without CUDA breaks the rule that who fails raises cv2.error.
    try:
        return cv2.cuda.Stream(_NON_BLOCKING)
    except (cv2.error, SystemError) as error:
        raise CudaUnavailableError(f"no CUDA stream can be made: {error}") from error


def enter(cuda_stream: cv2.cuda.Stream | None) -> Token[cv2.cuda.Stream | None]:
    """Make a stream the current one of this thread or task; give the token to `leave`."""
    return _current.set(cuda_stream)


def leave(token: Token[cv2.cuda.Stream | None]) -> None:
    """Undo the matching `enter`."""
    _current.reset(token)


@contextmanager
def use(cuda_stream: cv2.cuda.Stream | None) -> Iterator[cv2.cuda.Stream | None]:
    """Work on a stream within the block: `edgevision.cv` queues its operations there."""
    token = _current.set(cuda_stream)
    try:
        yield cuda_stream
    finally:
        _current.reset(token)


def pointer(cuda_stream: cv2.cuda.Stream | None = None) -> int:
    """Return the cudaStream_t of a stream, default the current one; 0 is the default stream.

    Other libraries take it: ``torch.cuda.ExternalStream(pointer())``,
    ``cupy.cuda.ExternalStream(pointer())``.
    """
    chosen = _current.get() if cuda_stream is None else cuda_stream
    return 0 if chosen is None else int(chosen.cudaPtr())


class Fence:
    """Order between two streams: what one queued before `set` ends before the other's `wait`.

    One event, used again for ever. The host waits in `block` alone, and sleeps there: threads that
    spin, as CUDA's do otherwise, take the processor from each other once there are many cameras.

    Raises:
        CudaUnavailableError: no event can be made here.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        try:
            self._event = cv2.cuda.Event(
                cv2.cuda.Event_DISABLE_TIMING | cv2.cuda.Event_BLOCKING_SYNC
            )
        except (cv2.error, SystemError) as error:
            raise CudaUnavailableError(f"no CUDA event can be made: {error}") from error

    def set(self, cuda_stream: cv2.cuda.Stream) -> None:
        """Mark the place that ``cuda_stream`` has got to in its queue."""
        self._event.record(cuda_stream)

    def wait(self, cuda_stream: cv2.cuda.Stream) -> None:
        """Let ``cuda_stream`` go on only after the place that `set` marked."""
        cuda_stream.waitEvent(self._event)

    def block(self) -> None:
        """Let the calling thread go on only after the place that `set` marked."""
        self._event.waitForCompletion()

    def passed(self) -> bool:
        """Tell whether the place that `set` marked has been passed."""
        return bool(self._event.queryIfComplete())
