"""The one place that loads cv2 and says what is wrong when it does not load."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

from edgevision.errors import ConfigurationError

__all__ = ["check", "load"]

_OLDEST = (4, 8)
_TOO_NEW = (6, 0)
_WANTED = "edgevision needs OpenCV 4.8 or newer, below 6"


def check() -> None:
    """Load cv2 for the package's own import.

    Raises:
        ConfigurationError: see `load`.
        SystemExit: the same, in edgevision's own command. That command cannot catch the error,
            since its first line imports this package, and a traceback would bury the message.
    """
    try:
        load()
    except ConfigurationError as error:
        if _is_own_command():
            raise SystemExit(f"edgevision: {error}") from error
        raise


def _is_own_command() -> bool:
    # While ``python -m edgevision`` is still looking for its module, argv[0] is "-m".
    as_module = sys.argv[:1] == ["-m"] and "edgevision" in sys.orig_argv
    return as_module or Path(sys.argv[0] if sys.argv else "").name == "edgevision"


def load() -> ModuleType:
    """Import cv2, check its version and return the module.

    Costs a dictionary look-up once cv2 is loaded.

    Raises:
        ConfigurationError: cv2 is missing, does not load, or is of a version that edgevision was
            not made for. The message names the ways out.
    """
    try:
        import cv2
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise ConfigurationError(f"OpenCV cannot be loaded: {error}") from error
        raise ConfigurationError(f"{_WANTED}; it is not installed: {_install()}") from error
    except ImportError as error:
        # A wheel that lacks a system library, in most cases libGL.so.1 in a plain container.
        if ".so" not in str(error):
            raise ConfigurationError(f"OpenCV cannot be loaded: {error}") from error
        raise ConfigurationError(
            f"OpenCV cannot be loaded: {error}\n"
            "opencv-python draws windows and needs libraries of the system for it. Two ways out:\n"
            "  install the libraries:  apt-get install libgl1 libglib2.0-0\n"
            "  or go without windows:  pip uninstall opencv-python; "
            "pip install opencv-python-headless"
        ) from error
    version = getattr(cv2, "__version__", None)
    if version is None:
        # An empty folder named cv2 is enough for the import to succeed.
        raise ConfigurationError(
            f"{_WANTED}; the cv2 found in {list(cv2.__path__)} is none: {_install()}"
        )
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers or not _OLDEST <= (int(numbers[1]), int(numbers[2])) < _TOO_NEW:
        raise ConfigurationError(f"{_WANTED}; {cv2.__file__} is {version}: {_install()}")
    return cv2


def _install() -> str:
    return "pip install 'opencv-python>=4.8,<6'"
