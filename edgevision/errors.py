"""Every error that edgevision raises on purpose.

::

    EdgeVisionError
    ├── ConfigurationError        the caller's mistake; also a ValueError
    │   └── ParamError            a stage parameter: unknown, wrong type or out of bounds
    ├── CudaUnavailableError      CUDA was asked for and cannot be had
    │   └── CudaMemoryError           the device has not the memory that was asked for
    ├── CudaFaultError            CUDA is broken in this process for good: start it again
    ├── CudaUnsupportedError      the operation has no CUDA side
    ├── FrameReleasedError        a frame was used after its pipeline had finished with it
    ├── BufferKeptError           a stage kept a buffer of a frame that is gone
    ├── StageError                a stage raised; camera, stage and sequence say where
    ├── SourceError               a camera or a file
    │   ├── SourceUnavailableError    not now: the runner tries again
    │   └── SourceTruncatedError      a file that ends before its own header says
    └── UpstreamError             results could not be sent; `retryable` says whether to try again

A message says what was wanted, what came and where. Credentials never reach a message: whoever
raises passes locations through `edgevision.redaction` first.

Mistakes in the code of a stage class itself (a misspelt hook, a wrong signature, a value returned
from ``process``) are plain `TypeError`, as they are for any other Python class.
"""

from __future__ import annotations

__all__ = [
    "BufferKeptError",
    "ConfigurationError",
    "CudaFaultError",
    "CudaMemoryError",
    "CudaUnavailableError",
    "CudaUnsupportedError",
    "EdgeVisionError",
    "FrameReleasedError",
    "ParamError",
    "SourceError",
    "SourceTruncatedError",
    "SourceUnavailableError",
    "StageError",
    "UpstreamError",
]


class EdgeVisionError(Exception):
    """Root of all errors that edgevision raises on purpose."""


class ConfigurationError(EdgeVisionError, ValueError):
    """What the caller asked for cannot be done, now or later.

    Args:
        message: what was wanted and what came.
        file: path of the file that holds the mistake, if it came from one.
        line: line in that file, counted from 1.
        path: place inside the document, such as ``cameras.door.source``.

    Attributes:
        problems: every mistake of a document with its own file, line and path; empty for an error
            that comes from no document.
    """

    problems: tuple[ConfigurationError, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        path: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.path = path
        place = file or ""
        if file and line is not None:
            place = f"{file}:{line}"
        if path:
            place = f"{place}: {path}" if place else path
        super().__init__(f"{place}: {message}" if place else message)


class ParamError(ConfigurationError):
    """A stage parameter is unknown, of a wrong type or outside its bounds."""


class CudaUnavailableError(EdgeVisionError):
    """CUDA was asked for and cannot be had; the message says which part is missing."""


class CudaMemoryError(CudaUnavailableError):
    """The device has not the memory that was asked for; what runs on it already goes on."""


class CudaFaultError(EdgeVisionError):
    """A kernel or the device failed so that every later CUDA call of this process fails, too.

    Only a new process helps: `edgevision.runner.Runner.run` ends with `EXIT_CODE`, so that a
    supervisor starts it again.

    Attributes:
        EXIT_CODE: 75, EX_TEMPFAIL of sysexits.h: the same command may work when it is started
            again.
    """

    EXIT_CODE = 75


class CudaUnsupportedError(EdgeVisionError):
    """The operation has no CUDA side; the message names the alternative."""


class FrameReleasedError(EdgeVisionError):
    """A frame was used after its pipeline had finished with it."""


class BufferKeptError(EdgeVisionError):
    """A stage kept a buffer that belongs to a frame which is gone."""


class StageError(EdgeVisionError):
    """A stage raised; the original exception is the ``__cause__``."""

    def __init__(self, message: str, *, camera: str, stage: str, sequence: int | None) -> None:
        self.camera = camera
        self.stage = stage
        self.sequence = sequence
        where = f"camera {camera!r}, stage {stage!r}"
        if sequence is not None:
            where += f", frame {sequence}"
        super().__init__(f"{where}: {message}")


class SourceError(EdgeVisionError):
    """A camera or a file failed."""


class SourceUnavailableError(SourceError):
    """The source cannot be opened or has gone; it may come back."""


class SourceTruncatedError(SourceError):
    """A file ended before its own header says; the frames up to there were good."""


class UpstreamError(EdgeVisionError):
    """Results could not be sent.

    Args:
        message: what was wanted and what came, without credentials.
        retryable: True if the same message may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        self.retryable = retryable
        super().__init__(message)
