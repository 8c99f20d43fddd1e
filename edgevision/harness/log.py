"""Log lines in the format that IoT Edge's agent reads, one a record."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from edgevision.errors import ConfigurationError
from edgevision.redaction import redact
from edgevision.suggestion import did_you_mean

__all__ = ["LEVELS", "EdgeFormatter", "read_level", "set_level", "start_logging"]

LEVELS: Mapping[str, int] = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
"""Names of the levels, as ``log_level`` takes them."""

# What else RuntimeLogLevel may hold: the words of the agent and of its hub.
_OTHERS = {
    "fatal": "critical",
    "warn": "warning",
    "information": "info",
    "trace": "debug",
    "verbose": "debug",
}
# https://learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs: <level> is syslog's.
_SYSLOG = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
# They tell each reconnection several times over.
_CHATTY = ("azure", "paho", "aiohttp", "asyncio")


class EdgeFormatter(logging.Formatter):
    """``<6> 2026-11-23 22:43:51.123 +00:00 text``.

    The number is syslog's level, by which the agent filters. It reads line by line, so a record is
    one line always: line breaks, such as those of a traceback, become `` | ``. Credentials are
    hidden.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for ``record``, without its line break."""
        severity = next((number for level, number in _SYSLOG if record.levelno >= level), _DEBUG)
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info))
        lines = redact(text).replace("\r", "\n").split("\n")
        folded = " | ".join(line.strip() for line in lines if line.strip())
        milliseconds = int(record.created * 1000) % 1000
        return f"<{severity}> {clock}.{milliseconds:03d} +00:00 [{record.name}] {folded}"


def read_level(value: Any) -> str:
    """Return which of `LEVELS` a word means; case does not matter.

    Raises:
        ConfigurationError: none of them.
    """
    word = value.strip().lower() if isinstance(value, str) else ""
    word = _OTHERS.get(word, word)
    if word not in LEVELS:
        hint = did_you_mean(word, LEVELS) if word else ""
        raise ConfigurationError(f"must be one of {', '.join(LEVELS)}{hint}, got {value!r}")
    return word


def set_level(name: str) -> None:
    """Let records of ``name`` and above through; those of other packages from ``warning`` on."""
    logging.getLogger("edgevision").setLevel(LEVELS[name])


def start_logging(
    environment: Mapping[str, str] | None = None, stream: TextIO | None = None
) -> str:
    """Send this process's records to ``stream`` in the agent's format; return the level's name.

    Args:
        environment: where ``RuntimeLogLevel`` is looked up; default this process's.
        stream: default standard output, which is what the agent collects.
    """
    given = (os.environ if environment is None else environment).get("RuntimeLogLevel", "info")
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(EdgeFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    try:
        level = read_level(given)
    except ConfigurationError as error:
        level = "info"
        set_level(level)
        logging.getLogger("edgevision.module").warning("RuntimeLogLevel %s", error)
    set_level(level)
    return level
