"""Where frames come from, by URI.

==================================  ============================================================
``webcam:0``, ``/dev/video0``       `WebcamSource`: a camera at this machine
``clip.mp4``, ``file:///a/b.mp4``   `VideoFileSource`: a video file
``folder/``, ``a/*.png``, ``a.jpg`` `ImagesSource`: images in natural order
``rtsp://``, ``rtsps://``           `RtspSource`: a camera on the network
``http://``, ``https://``           `HttpSource`: MJPEG on the network
``gstreamer:v4l2src ! ...``         `GStreamerSource`: any pipeline of GStreamer's
``nvdec:clip.mp4``, ``nvdec:rtsp:`` `NvdecSource`: decoded by the GPU, into its memory
``csi:0``                           `CsiSource`: a CSI camera of a Jetson module
``replay:folder``                   `RecordingSource`: what ``edgevision record`` wrote
``synthetic:``                      `SyntheticSource`: a rendered walkway with its ground truth
==================================  ============================================================

Options follow the URI as a query, ``webcam:0?width=1280&height=720``, or are keyword arguments.
The query of a network URL belongs to the camera, so there our options begin with ``ev.``:
``rtsp://10.0.0.5/live?channel=2&ev.transport=udp``; everything else reaches the camera as it was
written. A pipeline of GStreamer's has no query at all.

`register_source` adds a scheme.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from edgevision.errors import ConfigurationError
from edgevision.redaction import redact_url
from edgevision.sources.address import IMAGE_SUFFIXES, SCHEME, split_path, split_url
from edgevision.sources.option import bind
from edgevision.sources.source import Source
from edgevision.suggestion import did_you_mean

__all__ = ["Source", "open_source", "register_source", "schemes"]

# Classes by name, so that a camera loads nothing that it does not need.
_factories: dict[str, str | Callable[..., Source]] = {
    "csi": "edgevision.sources.gstreamer:CsiSource",
    "file": "edgevision.sources.video_file:VideoFileSource",
    "gstreamer": "edgevision.sources.gstreamer:GStreamerSource",
    "http": "edgevision.sources.network:HttpSource",
    "https": "edgevision.sources.network:HttpSource",
    "images": "edgevision.sources.images:ImagesSource",
    "nvdec": "edgevision.sources.nvdec:nvdec_source",
    "replay": "edgevision.sources.recording:RecordingSource",
    "rtsp": "edgevision.sources.network:RtspSource",
    "rtsps": "edgevision.sources.network:RtspSource",
    "synthetic": "edgevision.sources.synthetic:SyntheticSource",
    "webcam": "edgevision.sources.webcam:WebcamSource",
}


def open_source(uri: str, **options: object) -> Source:
    """Make the source that a URI names. Nothing is opened yet: that is `Source.open`.

    Args:
        uri: see the table above.
        **options: as in the URI; an option may be given in one of the two places.

    Raises:
        ConfigurationError: the scheme or an option is unknown, a value of a wrong type or out of
            bounds, or the URI cannot be understood. Credentials are not in the message.
    """
    if not isinstance(uri, str):
        hint = f", did you mean 'webcam:{uri}'?" if isinstance(uri, int) else ""
        raise ConfigurationError(f"a source must be a URI in text, got {uri!r}{hint}")
    if not uri.strip():
        raise ConfigurationError("a source is missing: the URI is empty")
    scheme, address, given = _taken_apart(uri)
    where = f"source {redact_url(uri)!r}"
    for name in options:
        if name in given:
            raise ConfigurationError(f"{where}: option {name!r} is given in the URI and beside it")
    factory = _factory(scheme)
    bound = bind(factory, {**given, **options}, where)
    if scheme == "synthetic":
        if address:
            raise ConfigurationError(
                f"{where}: nothing comes between the colon and the options, got {address!r}"
            )
        return factory(**bound)
    return factory(address, **bound)


def register_source(scheme: str, factory: Callable[..., Source]) -> None:
    """Let ``scheme:address?key=value`` be opened by ``factory(address, key=value)``.

    The options are the keyword-only parameters of the factory. By their annotations (bool, int,
    float, str, Literal, ``tuple[int, int]`` for a size, each perhaps with ``| None`` or with
    `edgevision.sources.option.Bounds`), text is converted and mistakes are refused. For a scheme
    with ``//`` the factory gets the whole URL, and the options are those with ``ev.``.

    Args:
        scheme: in lower case, at least two letters.
        factory: a `Source` class or a function; it must not open the device.

    Raises:
        ConfigurationError: the scheme is taken, or cannot be one.
    """
    if not SCHEME.fullmatch(scheme + ":") or scheme != scheme.lower():
        raise ConfigurationError(
            f"{scheme!r} cannot be the scheme of a source: it is two or more lower-case letters, "
            "digits, '+', '-' or '.', beginning with a letter"
        )
    if scheme in _factories:
        raise ConfigurationError(f"the scheme {scheme!r} is taken already")
    _factories[scheme] = factory


def schemes() -> list[str]:
    """Return the schemes that can be opened, sorted."""
    return sorted(_factories)


def _factory(scheme: str) -> Callable[..., Source]:
    factory = _factories[scheme]
    if isinstance(factory, str):
        module, _, name = factory.partition(":")
        factory = cast("Callable[..., Source]", getattr(import_module(module), name))
    return factory


def _taken_apart(uri: str) -> tuple[str, str, dict[str, Any]]:
    """Return scheme, address and the options in the URI."""
    match = SCHEME.fullmatch(uri)
    if match is None or (match["scheme"].lower() not in _factories and os.path.lexists(uri)):
        return _of_path(uri)
    scheme, address = match["scheme"].lower(), match["address"]
    if scheme not in _factories:
        raise ConfigurationError(
            f"source {redact_url(uri)!r}: there is no scheme {scheme!r}"
            f"{did_you_mean(scheme, _factories)} (there are: {', '.join(schemes())}; "
            "anything without a scheme is a path)"
        )
    if scheme == "gstreamer":
        return scheme, address, {}
    if scheme == "nvdec" and "://" in address:
        return scheme, *split_url(address)
    if address.startswith("//") and scheme != "file":
        return scheme, *split_url(scheme + uri[len(scheme) :])
    if scheme in ("rtsp", "rtsps", "http", "https"):
        raise ConfigurationError(
            f"source {redact_url(uri)!r}: a URL needs two slashes, as in {scheme}://host/path"
        )
    path, options = split_path(address, is_url=scheme == "file")
    if scheme == "file":
        return _kind_of_path(path), path, options
    return scheme, path, options


def _of_path(uri: str) -> tuple[str, str, dict[str, Any]]:
    path, options = split_path(uri)
    if path.isdecimal() and not os.path.lexists(path):
        raise ConfigurationError(
            f"source {uri!r}: there is no such file, did you mean 'webcam:{uri}'?"
        )
    return _kind_of_path(path), path, options


def _kind_of_path(path: str) -> str:
    if path.startswith(("/dev/video", "/dev/v4l/")) or _is_device(path):
        return "webcam"
    if os.path.isdir(path) or path.endswith("/"):
        return "images"
    if glob.has_magic(path) and not os.path.lexists(path):
        return "images"
    return "images" if Path(path).suffix.lower() in IMAGE_SUFFIXES else "file"


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
