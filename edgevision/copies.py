"""How often a frame crosses between host and device, and who made it do so.

Every copy costs more than most operations do, and one too many is easily made: a stage that wants
an array in the midst of others that work on the device costs two. So each is put down to the stage
that runs, and a pipeline may bound their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevision import arena as arenas
from edgevision.errors import ConfigurationError

if TYPE_CHECKING:
    from edgevision.stage_spec import StageStatistics

__all__ = ["CopyMeter", "downloaded", "uploaded"]


class CopyMeter:
    """Counts the copies of one pipeline's frames.

    What the camera's capture uploads and what the preview downloads belongs to no stage, and is not
    counted here.

    Args:
        max_copies: copies that the stages may make of one frame, both directions together; None
            for no bound.

    Attributes:
        frame_copies: copies made of the present frame so far.
        stage: statistics of the stage that runs now; None between two stages.
    """

    __slots__ = ("_max_copies", "frame_copies", "stage")

    def __init__(self, max_copies: int | None = None) -> None:
        if max_copies is not None and max_copies < 0:
            raise ConfigurationError(f"max_copies must be at least 0, got {max_copies}")
        self._max_copies = max_copies
        self.frame_copies = 0
        self.stage: StageStatistics | None = None

    def upload(self, nbytes: int) -> None:
        """Count a copy to the device, before it is made.

        Raises:
            ConfigurationError: it is one more than ``max_copies``.
        """
        self._count("an upload to", nbytes)
        if self.stage is not None:
            self.stage.uploads += 1

    def download(self, nbytes: int) -> None:
        """Count a copy to the host, before it is made.

        Raises:
            ConfigurationError: it is one more than ``max_copies``.
        """
        self._count("a download from", nbytes)
        if self.stage is not None:
            self.stage.downloads += 1

    def _count(self, what: str, nbytes: int) -> None:
        if self.stage is None:
            return  # the preview looks at a frame after its stages
        self.frame_copies += 1
        if self._max_copies is not None and self.frame_copies > self._max_copies:
            raise ConfigurationError(
                f"{what} the device of {nbytes} bytes is copy {self.frame_copies} of this frame, "
                f"and max_copies is {self._max_copies}"
            )
        self.stage.copied_bytes += nbytes


def uploaded(nbytes: int) -> None:
    """Count a copy to the device that is about to be made, if a pipeline runs on this thread.

    Raises:
        ConfigurationError: it is one more than the pipeline's ``max_copies``.
    """
    meter = _meter()
    if meter is not None:
        meter.upload(nbytes)


def downloaded(nbytes: int) -> None:
    """Count a copy to the host that is about to be made, if a pipeline runs on this thread.

    Raises:
        ConfigurationError: it is one more than the pipeline's ``max_copies``.
    """
    meter = _meter()
    if meter is not None:
        meter.download(nbytes)


def _meter() -> CopyMeter | None:
    arena = arenas.current()
    return None if arena is None else arena.meter
