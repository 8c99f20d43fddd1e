"""Take a source's URI apart."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgevision.errors import ConfigurationError

__all__ = ["IMAGE_SUFFIXES", "PREFIX", "SCHEME", "split_path", "split_url"]

PREFIX = "ev."
"""What marks an option of ours in the query of a URL, which is otherwise the camera's own."""

SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<address>.*)", re.DOTALL)
"""A URI with a scheme. One letter is a Windows drive."""

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings of the files that are read as images, in lower case."""

_QUERY = re.compile(r"[A-Za-z_][\w.-]*=[^&=]*(&[A-Za-z_][\w.-]*=[^&=]*)*")


def split_path(address: str, *, is_url: bool = False) -> tuple[str, dict[str, str]]:
    """Take ``path?key=value&key=value`` apart.

    A question mark begins a query only where ``key=value`` pairs follow to the end, and only if no
    file has the whole text as its name; anywhere else it is part of a name or of a glob.

    Args:
        address: a path, or what follows the colon of ``file:``.
        is_url: True for ``file:``, whose path is percent-encoded and may begin with ``//``.

    Returns:
        The path, with ``~`` expanded, and the query's pairs.

    Raises:
        ConfigurationError: a key is there twice, or ``file:`` names another machine.
    """
    path, options = address, {}
    if is_url or not os.path.lexists(_expanded(address)):
        before, mark, query = address.rpartition("?")
        if mark and _QUERY.fullmatch(query):
            path, options = before, _pairs(query, address)
    if is_url:
        if path.startswith("//"):
            host, slash, rest = path[2:].partition("/")
            if host not in ("", "localhost"):
                raise ConfigurationError(
                    f"file:{address}: a file of the machine {host!r} cannot be opened; "
                    "file:///path names one of this machine"
                )
            path = slash + rest
        path = unquote(path)
    return _expanded(path), options


def split_url(url: str) -> tuple[str, dict[str, str]]:
    """Take the options of ours, ``ev.key=value``, out of a URL's query.

    What is left is the URL exactly as it was written: cameras are particular about their queries.

    Raises:
        ConfigurationError: a key is there twice.
    """
    mark = url.rfind("?", len(urlsplit(url).scheme))
    if mark < 0:
        return url, {}
    kept: list[str] = []
    ours: list[str] = []
    for pair in url[mark + 1 :].split("&"):
        (ours if pair.startswith(PREFIX) else kept).append(pair)
    if not ours:
        return url, {}
    rest = url[:mark] + ("?" + "&".join(kept) if kept else "")
    return rest, _pairs("&".join(pair[len(PREFIX) :] for pair in ours), rest)


def _pairs(query: str, where: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key in options:
            raise ConfigurationError(f"{where}: option {key!r} is there twice")
        options[key] = unquote(value)
    return options


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:  # a user who does not exist; the name is then a file's
        return path
