"""docs/sources.md lists every option of every source, with its default."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevision.sources.gstreamer import CsiSource, GStreamerSource
from edgevision.sources.images import ImagesSource
from edgevision.sources.network import HttpSource, RtspSource
from edgevision.sources.nvdec import nvdec_source
from edgevision.sources.video_file import VideoFileSource
from edgevision.sources.webcam import WebcamSource

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.MULTILINE)
NONE = {"the driver's", "none"}


@pytest.mark.parametrize(
    ("source", "begin", "end"),
    [
        (WebcamSource, "## Webcams", "## Video files"),
        (VideoFileSource, "## Video files", "## Images"),
        (ImagesSource, "## Images", "## RTSP"),
        (RtspSource, "## RTSP", "## HTTP"),
        (HttpSource, "## HTTP", "## Decoded by the GPU"),
        (nvdec_source, "## Decoded by the GPU", "## GStreamer"),
        (GStreamerSource, "| option of `gstreamer:`", "| option of `csi:`"),
        (CsiSource, "| option of `csi:`", "In a container"),
    ],
)
def test_options_and_their_defaults(source: Callable[..., object], begin: str, end: str) -> None:
    text = PAGE.read_text()
    section = text[text.index(begin) : text.index(end, text.index(begin) + len(begin))]
    listed = {name: default.strip() for name, default in ROW.findall(section)}
    declared = {
        name: parameter.default
        for name, parameter in inspect.signature(source).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert set(listed) == set(declared)
    for name, default in declared.items():
        if default is None:
            assert listed[name] in NONE, name
        else:
            assert listed[name] == str(default).lower(), name
