"""CUDA's runtime library: which one this process has, and whether the driver serves it.

OpenCV brings its own in some builds, links the system's in others. Loading it and asking for its
version touches no device.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["CudaRuntime", "find"]

_NAME = "libcudart.so*"
_MAPPED = re.compile(r"(/\S*/libcudart\S*\.so[.\d]*)$", re.MULTILINE)


class CudaRuntime:
    """A CUDA runtime library. Any thread may use it.

    Args:
        path: where it is; for messages.
        library: the loaded library; default the one at ``path``.

    Raises:
        OSError: it cannot be loaded.
    """

    def __init__(self, path: str, library: Any = None) -> None:
        self.path = path
        self._library = ctypes.CDLL(path) if library is None else library

    @property
    def version(self) -> tuple[int, int]:
        """The CUDA version that it belongs to."""
        value = ctypes.c_int()
        self._library.cudaRuntimeGetVersion(ctypes.byref(value))
        return value.value // 1000, value.value % 1000 // 10

    def count(self) -> tuple[int, int]:
        """Return cudaGetDeviceCount's error, 0 for none, and how many devices it finds."""
        value = ctypes.c_int()
        code = int(self._library.cudaGetDeviceCount(ctypes.byref(value)))
        return code, value.value

    def error_text(self, code: int) -> str:
        """Return the runtime's own words for an error."""
        words = self._library.cudaGetErrorString
        words.restype = ctypes.c_char_p
        return (words(code) or b"unknown error").decode("utf-8", "replace")


def find(environment: Mapping[str, str] | None = None) -> CudaRuntime | None:
    """Return the runtime that this process uses or would use; None if there is none.

    The one that OpenCV has loaded comes first, then those of ``LD_LIBRARY_PATH``, of
    ``CUDA_HOME``, of Python packages, and of the usual place.

    Args:
        environment: variables to look into; default this process's.
    """
    variables = os.environ if environment is None else environment
    for path in _candidates(variables):
        try:
            return CudaRuntime(path)
        except OSError:
            continue
    return None


def _candidates(variables: Mapping[str, str]) -> list[str]:
    try:
        found = _MAPPED.findall(Path("/proc/self/maps").read_text(encoding="utf-8"))
    except OSError:
        found = []
    folders = [Path(name) for name in variables.get("LD_LIBRARY_PATH", "").split(":") if name]
    home = variables.get("CUDA_HOME")
    homes = [Path(home)] if home else []
    homes += sorted(Path("/usr/local").glob("cuda*"), reverse=True)
    folders += [base / name for base in homes[:1] for name in ("lib64", "lib") if home]
    for entry in sys.path:
        folders += sorted(Path(entry).glob("nvidia/*/lib")) if entry else []
    folders += [base / name for base in homes for name in ("lib64", "lib")]
    for folder in folders:
        found += [str(path) for path in sorted(folder.glob(_NAME))]
    return list(dict.fromkeys(found))
