"""A source that plays a script: frames, faults and waits, in the order a test needs them.

Nothing here sleeps. A test holds the source back with an event and looks at what the runner does
meanwhile::

    gate = threading.Event()
    source = ScriptedSource(
        [RefuseOpen("no route"), Repeat(image, 3), Block(gate), Show(image), Fail("cable pulled")]
    )
    ...
    source.wait_until(lambda s: s.reads == 3)
    gate.set()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import SourceTruncatedError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources.source import Source
from edgevision.truth import Truth

__all__ = [
    "Block",
    "BlockOpen",
    "End",
    "Fail",
    "Raise",
    "RefuseOpen",
    "Repeat",
    "ScriptedSource",
    "Show",
    "Step",
    "Truncate",
]


@dataclass(frozen=True, eq=False)
class Show:
    """One frame. An image of another size than the one before is a change of resolution.

    Attributes:
        image: (H, W, 3) uint8 BGR or (H, W) uint8 gray; it is copied into the slot.
        captured_at_s: UTC seconds, or 0.0 to let the runner set the time.
        truth: what is in the picture, or None.
    """

    image: NDArray[np.uint8]
    captured_at_s: float = 0.0
    truth: Truth | None = None


@dataclass(frozen=True, eq=False)
class Repeat:
    """The same image ``count`` times, at least once; ``count=None`` means for ever."""

    image: NDArray[np.uint8]
    count: int | None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"Repeat: count must be at least 1 or None, got {self.count}")


@dataclass(frozen=True)
class Fail:
    """The read raises `SourceUnavailableError`: a camera fault worth a message."""

    text: str


@dataclass(frozen=True)
class Truncate:
    """The read raises `SourceTruncatedError`: a file that is cut off."""

    text: str


@dataclass(frozen=True, eq=False)
class Raise:
    """The read raises this exception: a source with a bug in it."""

    exception: BaseException


@dataclass(frozen=True)
class End:
    """The read returns False: the end of a file, or a camera that lost its connection."""


@dataclass(frozen=True)
class RefuseOpen:
    """The next ``open`` raises ``error`` (`SourceUnavailableError` unless said otherwise).

    A read that arrives here returns False, so that the runner comes to open again.
    """

    text: str
    error: type[Exception] = SourceUnavailableError


@dataclass(frozen=True, eq=False)
class Block:
    """The read waits until ``event`` is set, then goes on with the next step: a stalled camera."""

    event: threading.Event
    timeout_s: float = 20.0


@dataclass(frozen=True, eq=False)
class BlockOpen:
    """The next ``open`` waits until ``event`` is set, then goes on; a read here returns False."""

    event: threading.Event
    timeout_s: float = 20.0


Step: TypeAlias = Show | Repeat | Fail | Truncate | Raise | End | RefuseOpen | Block | BlockOpen


class ScriptedSource(Source):
    """Plays ``steps``; each is consumed once, and the place is kept when the source is reopened.

    When the script is over, reads return False, ``finished`` is set, and a live source refuses to
    open again. The source also watches its caller: a call from two threads at a time, a read
    before open or a close from another thread than the open is noted in ``violations`` and raises
    RuntimeError.

    Args:
        steps: what happens, in order.
        live: True for a camera, False for a file.
        uri: what messages call it.
        reachable: answers `reachable`; without it the source has no probe.

    Attributes:
        opened: how many times ``open`` succeeded.
        refused: how many times ``open`` raised.
        closed: how many times ``close`` was called while open.
        reads: how many frames were delivered.
        probed: how many times `reachable` was asked.
        finished: set when the script has nothing left and more was asked for.
        violations: broken rules of the contract, in words; empty in a correct runner.
    """

    def __init__(
        self,
        steps: Iterable[Step],
        *,
        live: bool = True,
        uri: str = "scripted:",
        reachable: Callable[[], bool] | None = None,
    ) -> None:
        self.live = live
        self.uri = uri
        self.opened = 0
        self.refused = 0
        self.closed = 0
        self.reads = 0
        self.probed = 0
        self.finished = threading.Event()
        self.violations: list[str] = []
        self._steps = list(steps)
        self._position = 0
        self._repeated = 0
        self._is_open = False
        self._owner: int | None = None
        self._busy = threading.Lock()
        self._changed = threading.Condition()
        self._answer_reachable = reachable

    def wait_until(
        self, predicate: Callable[[ScriptedSource], bool], timeout_s: float = 10.0
    ) -> None:
        """Wait, in a test's thread, until ``predicate(self)`` holds of the counters.

        Raises:
            TimeoutError: it did not within ``timeout_s``; the message holds the counters.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout_s):
                raise TimeoutError(
                    f"not within {timeout_s} s: opened={self.opened} refused={self.refused} "
                    f"closed={self.closed} reads={self.reads} at step {self._position} of "
                    f"{len(self._steps)}"
                )

    @property
    def probes(self) -> bool:
        """True if the script was given a `reachable` answer."""
        return self._answer_reachable is not None

    def reachable(self) -> bool:
        """Answer with the function given; may be asked from any thread."""
        with self._changed:
            self.probed += 1
            self._changed.notify_all()
        return self._answer_reachable is None or self._answer_reachable()

    def open(self) -> None:
        """Consume the `BlockOpen` and at most one `RefuseOpen` that come next."""
        self._enter("open")
        try:
            if self._is_open:
                self._violate("open while open")
            self._owner = threading.get_ident()
            while isinstance(step := self._peek(), BlockOpen):
                self._advance()
                self._wait(step.event, step.timeout_s)
            if isinstance(step, RefuseOpen):
                self._advance()
                self._count("refused")
                raise step.error(f"{self.uri}: {step.text}")
            if step is None and self.live and self.opened:
                self.finished.set()
                self._count("refused")
                raise SourceUnavailableError(f"{self.uri}: the script is over")
            self._is_open = True
            self._count("opened")
        finally:
            self._busy.release()

    def read(self, slot: Slot) -> bool:
        """Play the script up to the next frame, fault or end."""
        self._enter("read")
        try:
            if not self._is_open:
                self._violate("read while not open")
            if self._owner != threading.get_ident():
                self._violate("read from another thread than open")
            while True:
                step = self._peek()
                if isinstance(step, Block):
                    self._advance()
                    self._wait(step.event, step.timeout_s)
                    continue
                return self._play(step, slot)
        finally:
            self._busy.release()

    def close(self) -> None:
        """Close; counted only when something was open."""
        self._enter("close")
        try:
            if self._is_open:
                if self._owner != threading.get_ident():
                    self._violate("close from another thread than open")
                self._is_open = False
                self._count("closed")
        finally:
            self._busy.release()

    def _play(self, step: Step | None, slot: Slot) -> bool:
        if isinstance(step, Repeat):
            self._repeated += 1
            if step.count is not None and self._repeated >= step.count:
                self._advance()
            self._deliver(slot, step.image, 0.0, None)
            return True
        if step is None:
            self.finished.set()
            return False
        if isinstance(step, (RefuseOpen, BlockOpen)):
            return False
        self._advance()
        if isinstance(step, Show):
            self._deliver(slot, step.image, step.captured_at_s, step.truth)
            return True
        if isinstance(step, Fail):
            raise SourceUnavailableError(f"{self.uri}: {step.text}")
        if isinstance(step, Truncate):
            raise SourceTruncatedError(f"{self.uri}: {step.text}")
        if isinstance(step, Raise):
            raise step.exception
        return False

    def _deliver(
        self, slot: Slot, image: NDArray[np.uint8], captured_at_s: float, truth: Truth | None
    ) -> None:
        if slot.image is not None and slot.image.shape == image.shape:
            np.copyto(slot.image, image)
        else:
            slot.image = image.copy()
        slot.captured_at_s = captured_at_s
        slot.truth = truth
        self._count("reads")

    def _peek(self) -> Step | None:
        return self._steps[self._position] if self._position < len(self._steps) else None

    def _advance(self) -> None:
        self._position += 1
        self._repeated = 0

    def _wait(self, event: threading.Event, timeout_s: float) -> None:
        if not event.wait(timeout_s):
            raise TimeoutError(f"{self.uri}: the event of a Block was not set in {timeout_s} s")

    def _count(self, name: str) -> None:
        with self._changed:
            setattr(self, name, getattr(self, name) + 1)
            self._changed.notify_all()

    def _enter(self, call: str) -> None:
        if not self._busy.acquire(blocking=False):
            self._violate(f"{call} while another call runs")

    def _violate(self, text: str) -> None:
        self.violations.append(text)
        raise RuntimeError(f"{self.uri}: {text}")
