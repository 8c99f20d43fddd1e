"""Video files of every kind, made once, and a way to play a source to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgevision.slot import Slot
from edgevision.sources.source import Source
from tests import needs

_TEST = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2"
_TONE = "-f lavfi -i sine=duration={}"
_VFR = "-vf select='not(mod(n\\,3))+lt(n\\,10)' -vsync vfr"

# Every container, codec and oddity that ffmpeg makes here: name, arguments, frames to come.
RECIPES = {
    "bframes.mp4": (f"{_TEST} -c:v libx264 -bf 3 -g 25", 50),
    "plain.mp4": (f"{_TEST} -c:v libx264 -bf 0 -g 25 -movflags +faststart", 50),
    "fragmented.mp4": (f"{_TEST} -c:v libx264 -g 10 -movflags frag_keyframe+empty_moov", 50),
    "moov_last.mp4": (f"{_TEST} -c:v libx264", 50),
    "sound.mp4": (f"{_TEST} {_TONE.format(2)} -c:v libx264 -c:a aac", 50),
    "long_sound.mp4": (f"{_TEST} {_TONE.format(5)} -c:v libx264 -c:a aac", 50),
    "long_sound.mkv": (f"{_TEST} {_TONE.format(5)} -c:v libx264 -c:a aac", 50),
    "vfr.mp4": (f"{_TEST} {_VFR} -c:v libx264", 23),
    "vfr.mkv": (f"{_TEST} {_VFR} -c:v libx264", 23),
    "vfr.ts": (f"{_TEST} {_VFR} -c:v libx264", 23),
    "vfr.webm": (f"{_TEST} {_VFR} -c:v libvpx", 23),
    "h265.mp4": (f"{_TEST} -c:v libx265 -x265-params log-level=none", 50),
    "plain.mov": (f"{_TEST} -c:v libx264", 50),
    "plain.mkv": (f"{_TEST} -c:v libx264", 50),
    "late.mkv": (f"{_TEST} -output_ts_offset 10 -c:v libx264", 50),
    "rate.mkv": (f"{_TEST} -c:v libx264 -r 29.97", 50),
    "plain.webm": (f"{_TEST} -c:v libvpx", 50),
    "vp9.webm": (f"{_TEST} -c:v libvpx-vp9 -cpu-used 8 -deadline realtime", 50),
    "plain.ts": (f"{_TEST} -c:v libx264", 50),
    "late.ts": (f"{_TEST} -output_ts_offset 100 -c:v libx264", 50),
    "mjpeg.avi": (f"{_TEST} -c:v mjpeg", 50),
    "mpeg4.avi": (f"{_TEST} -c:v mpeg4 -bf 2", 50),
    "plain.flv": (f"{_TEST} -c:v flv", 50),
    "plain.mpg": (f"{_TEST} -c:v mpeg1video", 50),
    "plain.wmv": (f"{_TEST} -c:v wmv2", 50),
    "plain.ogv": (f"{_TEST} -c:v libtheora", 50),
    "plain.gif": (f"{_TEST}", 50),
    "raw.mjpeg": (f"{_TEST} -c:v mjpeg -f mjpeg", 50),
    "raw.h264": (f"{_TEST} -c:v libx264 -f h264", 50),
    "one_frame.mp4": (f"{_TEST} -frames:v 1 -c:v libx264", 1),
}
# Copied from others, or written to a pipe, where no length can be filled in afterwards.
DERIVED = {
    "trimmed.mp4": ("-ss 0.7 -i bframes.mp4 -c copy", "bframes.mp4"),
    "trimmed.mkv": ("-ss 0.7 -i bframes.mp4 -c copy", "bframes.mp4"),
    "turned.mp4": ("-i plain.mp4 -c copy -metadata:s:v rotate=90", "plain.mp4"),
    "turned_180.mp4": ("-i plain.mp4 -c copy -metadata:s:v rotate=180", "plain.mp4"),
    "turned_270.mp4": ("-i plain.mp4 -c copy -metadata:s:v rotate=270", "plain.mp4"),
}
PIPED = {"piped.mkv": "plain.mkv", "piped.webm": "plain.webm", "piped.mp4": "fragmented.mp4"}
HEALTHY = [*RECIPES, *DERIVED, *PIPED, "two_sizes.ts"]


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every healthy file."""
    if reason := needs.missing("ffmpeg"):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("videos")
    for name, (arguments, _) in RECIPES.items():
        ffmpeg(folder, *arguments.split(), name)
    for name, (arguments, _) in DERIVED.items():
        ffmpeg(folder, *arguments.split(), name)
    for name, origin in PIPED.items():
        form = {"mkv": "matroska", "webm": "webm", "mp4": "mp4"}[name.rpartition(".")[2]]
        flags = ["-movflags", "frag_keyframe+empty_moov"] if form == "mp4" else []
        data = ffmpeg(folder, "-i", origin, "-c", "copy", *flags, "-f", form, "-")
        (folder / name).write_bytes(data)
    larger = _TEST.replace("320x240", "640x360").split()
    ffmpeg(folder, *larger, "-c:v", "libx264", "larger.ts")
    joined = (folder / "plain.ts").read_bytes() + (folder / "larger.ts").read_bytes()
    (folder / "two_sizes.ts").write_bytes(joined)
    return folder


def ffmpeg(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["ffmpeg", "-nostdin", "-y", "-v", "error", *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


@pytest.fixture
def play() -> Iterator[Callable[[Source], list[np.ndarray]]]:
    """Open a source, copy every frame until the end, and close it whatever happens."""
    opened: list[Source] = []

    def play(source: Source) -> list[np.ndarray]:
        opened.append(source)
        slot = Slot()
        images = []
        source.open()
        while source.read(slot):
            assert slot.image is not None
            images.append(slot.image.copy())
        source.close()
        return images

    yield play
    for source in opened:
        source.close()
