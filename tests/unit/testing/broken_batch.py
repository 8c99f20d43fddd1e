"""Batch stages of which each breaks a rule of stages, in a way that happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgevision import BatchStage, Frame, cv


class StacksAll(BatchStage):
    """Takes it that all pictures are of one size."""

    def process_batch(self, frames: Sequence[Frame]) -> None:
        pictures = np.stack([frame.image for frame in frames])
        for frame, mean in zip(frames, pictures.mean(axis=(1, 2)), strict=True):
            frame.values["mean"] = float(mean.mean())


class MixesUp(BatchStage):
    """Gives all frames the result of the first one."""

    def process_batch(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            frame.values["mean"] = float(frames[0].image.mean())


class KeepsBatchBuffer(BatchStage):
    def start(self) -> None:
        self.previous: Any = None

    def process_batch(self, frames: Sequence[Frame]) -> None:
        self.previous = [cv.blur(frame.image, (3, 3)) for frame in frames]
