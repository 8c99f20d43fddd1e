"""Short videos for the hardware decoder.

They come from the folder that EDGEVISION_CLIPS names, such as ``.gpu`` where a machine without
ffmpeg is given them, or from ffmpeg. ``python -m tests.gpu.clips FOLDER`` makes them, and beside
each what the CPU decodes of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

__all__ = ["CLIPS", "FRAMES", "clip", "expected", "small"]

FRAMES = 90
CLIPS = {
    "h264": ("libx264", "1280x720", FRAMES),
    "hevc": ("libx265", "1282x718", FRAMES),
    # For the benchmark.
    "h264-1080p": ("libx264", "1920x1080", 150),
}
"""By name: encoder, size, number of frames."""


def clip(name: str, folder: Path) -> Path:
    """Return the video called ``name``, or skip the test."""
    given = Path(os.environ.get("EDGEVISION_CLIPS", "")) / f"{name}.mp4"
    if "EDGEVISION_CLIPS" in os.environ and given.is_file():
        return given
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg, or EDGEVISION_CLIPS: python -m tests.gpu.clips FOLDER")
    return make(name, folder)


def make(name: str, folder: Path) -> Path:
    """Encode a moving test picture."""
    encoder, size, frames = CLIPS[name]
    path = folder / f"{name}.mp4"
    source = f"testsrc2=size={size}:rate=30"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(frames), "-c:v", encoder, "-preset", "fast", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, "-g", "30", str(path)], check=True)
    return path


def small(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture at 32 by 18, averaged: what is compared of it."""
    return np.asarray(cv2.resize(gray, (32, 18), interpolation=cv2.INTER_AREA))


def expected(path: Path) -> NDArray[np.uint8]:
    """Return the `small` pictures of a video as the CPU decodes it, or skip the test."""
    kept = path.with_suffix(".npy")
    if kept.is_file():
        return np.asarray(np.load(kept))
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        pytest.skip("needs an OpenCV with FFmpeg, or what one has decoded beside the video")
    pictures: list[NDArray[np.uint8]] = []
    while True:
        done, image = capture.read()
        if not done:
            return np.array(pictures)
        pictures.append(small(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))))


if __name__ == "__main__":
    for each in CLIPS:
        made = make(each, Path(sys.argv[1]))
        np.save(made.with_suffix(".npy"), expected(made))
        print(made)
