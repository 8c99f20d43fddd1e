"""A recording, as a source."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgevision.errors import SourceError, SourceTruncatedError, SourceUnavailableError
from edgevision.recording import Recording
from edgevision.slot import Slot
from edgevision.sources.pace import Pace
from edgevision.sources.source import Source

__all__ = ["RecordingSource"]

_NOMINAL_S = 1 / 25


class RecordingSource(Source):
    """Plays what ``edgevision record`` wrote: every frame, with its time and its ground truth.

    Args:
        path: the folder.
        loop: begin again at the end, for ever. The frames' times then go on from one round to the
            next.
        pace: ``real``: with the pauses that the camera made; ``fast``: as fast as they are read.

    Attributes:
        recording: the recording once it is open, else None.
    """

    live = False

    def __init__(
        self, path: str, *, loop: bool = False, pace: Literal["real", "fast"] = "real"
    ) -> None:
        self.uri = f"replay:{path}"
        self.recording: Recording | None = None
        self._path = path
        self._loop = loop
        self._real = pace == "real"
        self._pace = Pace(_NOMINAL_S, real=self._real)
        self._position = 0
        self._offset_s = 0.0

    def open(self) -> None:
        """Read the index.

        Raises:
            ConfigurationError: the folder is no recording, or its index is damaged.
        """
        self.recording = Recording(self._path)
        self._pace = Pace(_NOMINAL_S, real=self._real)
        self._position = 0
        self._offset_s = 0.0

    def read(self, slot: Slot) -> bool:
        """Read the next frame into the slot, and wait until it is due.

        Raises:
            SourceTruncatedError: an image is missing or damaged.
            SourceUnavailableError: the source is not open.
        """
        if self.recording is None:
            raise SourceUnavailableError(f"{self.uri} is not open")
        frames = self.recording.frames
        if self._position >= len(frames):
            if not self._loop or not frames:
                return False
            self._position = 0
            self._offset_s += frames[-1].captured_at_s - frames[0].captured_at_s + _NOMINAL_S
        entry = frames[self._position]
        try:
            image = entry.image()
        except SourceError as error:
            raise SourceTruncatedError(str(error)) from error
        if slot.image is not None and slot.image.shape == image.shape:
            np.copyto(slot.image, image)
        else:
            slot.image = np.ascontiguousarray(image)
        slot.captured_at_s = entry.captured_at_s + self._offset_s
        slot.truth = entry.truth
        self._position += 1
        self._pace.wait(slot.captured_at_s)
        return True

    def close(self) -> None:
        """Forget the index."""
        self.recording = None
