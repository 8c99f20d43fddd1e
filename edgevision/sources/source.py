"""The contract between a camera's capture thread and whatever delivers its frames."""

from __future__ import annotations

from abc import ABC, abstractmethod

from edgevision.slot import Slot

__all__ = ["Source"]


class Source(ABC):
    """Delivers frames one after another into the slots it is given.

    ``open``, ``read`` and ``close`` run on the camera's capture thread, never two at a time. After
    ``close`` the same object may be opened again: this is how a camera reconnects.

    Attributes:
        live: True for a camera, which is reconnected when it goes and whose old frames lose to new
            ones; False for a finite source, of which no frame is lost.
        uri: where the frames come from, without credentials; used in every message.
    """

    live: bool = True
    uri: str = ""

    @abstractmethod
    def open(self) -> None:
        """Start delivering frames.

        Raises:
            SourceUnavailableError: not now; the runner tries again with back-off.
            ConfigurationError: never: the file does not exist, is no video, the option is unknown.
        """

    @abstractmethod
    def read(self, slot: Slot) -> bool:
        """Put the next frame into ``slot``, waiting for it.

        The frame is decoded into ``slot.image`` when that fits and replaces it otherwise.

        Returns:
            True with a new frame in the slot; False at the end of a finite source or when a live
            one has lost its connection.

        Raises:
            SourceUnavailableError: a live source failed in a way worth a message.
            SourceTruncatedError: a file ends before its own header says.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the device; harmless when nothing is open or ``open`` failed."""

    def reachable(self) -> bool:
        """Say, within 0.5 s, whether trying to open is worth it.

        The runner asks often while it backs off, so that a camera whose server is back is opened
        at once although the back-off has grown long. Sources that cannot tell say True, and are
        opened when the back-off ends.
        """
        return True

    @property
    def probes(self) -> bool:
        """True if `reachable` tells something: the runner then polls it while backing off."""
        return type(self).reachable is not Source.reachable
