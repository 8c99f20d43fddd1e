"""A folder of images, or whatever matches a glob."""

from __future__ import annotations

import glob
import logging
import mmap
import os
import re
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np

from edgevision.errors import ConfigurationError, SourceError
from edgevision.slot import Slot
from edgevision.sources.address import IMAGE_SUFFIXES
from edgevision.sources.option import Bounds
from edgevision.sources.pace import Pace
from edgevision.sources.source import Source
from edgevision.sources.video_file import refuse_unreadable

__all__ = ["ImagesSource", "natural_order"]

_log = logging.getLogger("edgevision.sources")

_DIGITS = re.compile(r"(\d+)")
_NAMED = 5


class ImagesSource(Source):
    """Images in natural order of their names: ``frame2.png`` comes before ``frame10.png``.

    A folder gives the image files directly in it, by their endings; a glob gives the files that
    match it, whatever their endings (``**`` goes through subfolders). Sizes may differ from one to
    the next. Gray images become BGR, and the orientation that a camera noted is obeyed.

    An image that cannot be read, or is cut off, is skipped and counted in ``unreadable``; the first
    few are named in the log. If not one can be read, the source fails.

    Args:
        path: a folder, one image, or a glob.
        fps: pictures a second; without it they come as fast as they are read.
        loop: begin again at the end, for ever.

    Attributes:
        paths: the files in order, as they were found by ``open``.
        frames: how many images were read since ``open``.
        unreadable: how many were skipped since ``open``.
    """

    live = False

    def __init__(
        self,
        path: str,
        *,
        fps: Annotated[float, Bounds(0.01, 1000)] | None = None,
        loop: bool = False,
    ) -> None:
        self.uri = path
        self.paths: list[str] = []
        self.frames = 0
        self.unreadable = 0
        self._path = path
        self._fps = fps
        self._loop = loop
        self._position = 0
        self._pace = Pace(0.0, real=False)

    def open(self) -> None:
        """List the images.

        Raises:
            ConfigurationError: there is no such folder, or no image in it.
        """
        self.paths = self._found()
        self.frames = self.unreadable = self._position = 0
        self._pace = Pace(1 / (self._fps or 25.0), real=self._fps is not None)

    def read(self, slot: Slot) -> bool:
        """Read the next image into the slot, and wait until it is due.

        Raises:
            SourceError: the end is reached, and not one image could be read.
        """
        while True:
            if self._position >= len(self.paths):
                if not self.frames and len(self.paths) == 1:
                    raise SourceError(f"{self.paths[0]}: this is no image, or damaged or cut off")
                if not self.frames and self.paths:
                    raise SourceError(
                        f"{self._path}: not one of the {len(self.paths)} images can be read; "
                        f"the first is {self.paths[0]}"
                    )
                if not self._loop or not self.paths:
                    return False
                self._position = 0
            path = self.paths[self._position]
            self._position += 1
            if not self._read_image(path, slot):
                self._skip(path)
                continue
            self.frames += 1
            self._pace.wait(self.frames / (self._fps or 25.0))
            return True

    def close(self) -> None:
        """Forget the list."""
        self.paths = []

    def _found(self) -> list[str]:
        if os.path.isdir(self._path):
            return self._in_folder()
        if os.path.lexists(self._path):
            refuse_unreadable(self._path)
            return [self._path]
        paths = [path for path in glob.glob(self._path, recursive=True) if os.path.isfile(path)]
        if not paths:
            if glob.has_magic(self._path):
                raise ConfigurationError(f"{self._path}: no file matches")
            refuse_unreadable(self._path)
        return sorted(paths, key=natural_order)

    def _in_folder(self) -> list[str]:
        try:
            names = os.listdir(self._path)
        except OSError as error:
            raise ConfigurationError(
                f"{self._path}: the folder cannot be read: {error.strerror}"
            ) from error
        images = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            raise ConfigurationError(
                f"{self._path}: there is no image in this folder ({len(names)} entries; "
                f"images end with {', '.join(sorted(IMAGE_SUFFIXES))})"
            )
        return [os.path.join(self._path, name) for name in sorted(images, key=natural_order)]

    def _skip(self, path: str) -> None:
        self.unreadable += 1
        if self.unreadable <= _NAMED:
            _log.warning("%s: skipped, since it is no image, damaged or cut off", path)
        elif self.unreadable == _NAMED + 1:
            _log.warning("%s: further images are skipped without being named", self._path)

    @staticmethod
    def _read_image(path: str, slot: Slot) -> bool:
        if _is_cut_off(path):
            return False
        # imread can fill an array that it is given, but does not tell then whether it did.
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        if image is None:
            return False
        if slot.image is not None and slot.image.shape == image.shape:
            np.copyto(slot.image, image)
        else:
            slot.image = image  # type: ignore[assignment]
        return True


def natural_order(path: str) -> list[tuple[int, str] | tuple[int, int, str]]:
    """Return a key that sorts numbers within names by their value."""
    return [
        (0, int(part), part) if part.isdecimal() else (1, part.casefold())
        for part in _DIGITS.split(path)
        if part
    ]


def _is_cut_off(path: str) -> bool:
    """Tell whether a JPEG or PNG lacks its end; the decoders show such a file half gray or black.

    A JPEG's last scan (marker SOS) is followed by the marker EOI, and a PNG ends with the chunk
    IEND; anything may be appended to either.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:2] == b"\xff\xd8":
                end = data.rfind(b"\xff\xd9")
                return end < 0 or data.find(b"\xff\xda", end) >= 0
            if data[:4] == b"\x89PNG":
                return data.rfind(b"IEND") < 0
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return True
    return False
