"""The end of a process in which threads are left behind."""

from __future__ import annotations

import logging
import os
import sys
import threading

__all__ = ["leave"]

_ABANDONED = ("worker ", "capture ")


def leave(code: int) -> int:
    """Return ``code``, or end the process with it at once where a camera's thread is left behind.

    A stage or a driver that does not return sits in C++ code, and Python ends its threads there in
    a way that C++ takes for a fault: the process would be aborted instead of ending with ``code``.
    """
    left = [t.name for t in threading.enumerate() if t.daemon and t.name.startswith(_ABANDONED)]
    if not left:
        return code
    for handler in logging.getLogger().handlers:
        handler.flush()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
