"""What an error of cv2.cuda means: no memory, a broken context, or a mistake of the caller.

cv2 raises one class for all and gives the runtime's text. A context that a kernel has broken (an
address that is not its own, a failed assertion, an error of the memory's parity) answers every
later call with an error, so it is recognised here, in one place, and by text: the codes are not
handed on (CUDA Runtime API, cudaError; "sticky errors").
"""

from __future__ import annotations

from typing import Literal

from edgevision.errors import CudaFaultError, CudaMemoryError, EdgeVisionError

__all__ = ["Kind", "kind_of", "translated"]

Kind = Literal["", "memory", "fault"]
"""No error of the device; no memory left; a context that is broken for good."""

_MEMORY = ("out of memory", "cuda_error_out_of_memory", "memory allocation failed")
# driver_types.h, the texts of cudaGetErrorString for errors after which "the process must be
# terminated and relaunched".
_FAULTS = (
    "an illegal memory access was encountered",
    "an illegal instruction was encountered",
    "misaligned address",
    "operation not supported on global/shared address space",
    "invalid program counter",
    "unspecified launch failure",
    "device-side assert triggered",
    "hardware stack error",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
    "the launch timed out and was terminated",
    "context is destroyed",
    "device is lost",
    "cuda_error_illegal_address",
    "cuda_error_launch_failed",
)


def kind_of(error: BaseException | None) -> Kind:
    """Say what an exception, or one that it came from, means for CUDA in this process."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, CudaFaultError):
            return "fault"
        if isinstance(error, CudaMemoryError):
            return "memory"
        # Texts of our own quote others, and are judged by what they were made from.
        if not isinstance(error, EdgeVisionError):
            text = str(error).lower()
            if any(words in text for words in _FAULTS):
                return "fault"
            if any(words in text for words in _MEMORY) and _of_the_device(error, text):
                return "memory"
        error = error.__cause__ or error.__context__
    return ""


def translated(error: Exception, what: str) -> Exception:
    """Return what to raise for an error of the device, or the error itself for any other.

    Args:
        error: what cv2 or another library raised.
        what: begins the message: what was being done, and for which camera.
    """
    found = kind_of(error)
    if found == "fault":
        return CudaFaultError(
            f"{what}: CUDA is broken in this process, and only a new one can use the device "
            f"again: {_line(error)}"
        )
    if found == "memory":
        return CudaMemoryError(f"{what}: the device has no memory left: {_line(error)}")
    return error


def _of_the_device(error: BaseException, text: str) -> bool:
    """Tell the device's memory from the host's, of which cv2 says "Insufficient memory"."""
    return "gpu" in text or "cuda" in text or type(error).__module__.partition(".")[0] != "cv2"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text.rpartition("error: ")[2] or text
