"""Who shares an instance of a BatchStage, a frame on its way through it, and what was done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevision import arena as arenas
from edgevision.arena import Arena
from edgevision.batch.memory import Lease

if TYPE_CHECKING:
    from edgevision.batch.group import Group
    from edgevision.batch.stage import BatchStage
    from edgevision.frame import Frame

__all__ = ["BatchStatistics", "Key", "Member", "Ticket"]


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """What the shared instance of a BatchStage has done for all its cameras together.

    Attributes:
        cameras: how many share it now.
        batches: how often ``process_batch`` was called for a batch.
        frames: how many frames these had in all.
        largest: the most frames in one of them.
        total_ns: time spent in ``process_batch``, in nanoseconds.
        failures: batches that raised, so that their frames were run one by one.
    """

    cameras: int = 0
    batches: int = 0
    frames: int = 0
    largest: int = 0
    total_ns: int = 0
    failures: int = 0

    @property
    def mean_size(self) -> float:
        """Mean number of frames in a batch."""
        return self.frames / self.batches if self.batches else 0.0

    @property
    def mean_ms(self) -> float:
        """Mean time of a batch in milliseconds."""
        return self.total_ns / self.batches * 1e-6 if self.batches else 0.0


@dataclass(frozen=True)
class Key:
    """What two cameras' stages must have in common to share an instance.

    Attributes:
        kind: the class; one that was loaded again is another one.
        name: what the stage is called.
        settings: values of the parameters that are not live.
        device: number of the CUDA device its camera runs on; -1 for the CPU.
    """

    kind: type[BatchStage]
    name: str
    settings: dict[str, Any]
    device: int

    @classmethod
    def of(cls, stage: BatchStage) -> Key:
        """Return the key of a stage that is about to start, on its camera's worker thread."""
        live = stage.live_parameters()
        settings = {n: v for n, v in stage.settings().items() if n not in live}
        return cls(type(stage), stage.name, settings, stage._device)


def current_stream() -> Any:
    """Return the CUDA stream on which this thread works, or None."""
    # Looked up, not imported: who has not loaded edgevision.cuda works on no stream.
    module = sys.modules.get("edgevision.cuda.cuda_stream")
    return None if module is None else module.current()


class Member:
    """One camera's part in a group.

    Attributes:
        group: see above.
        stage: the camera's own instance, with its parameters.
        turn: wakes the camera's worker thread.
        lease: the buffers that its last frame may show.
        fence: orders its CUDA stream and the group's.
        seen: number of the last batch that it sent a frame to.
    """

    __slots__ = ("fence", "group", "lease", "seen", "stage", "turn")

    def __init__(self, group: Group, stage: BatchStage, lock: threading.Lock) -> None:
        self.group = group
        self.stage = stage
        self.turn = threading.Condition(lock)
        self.lease: Lease | None = None
        self.fence: Any = None
        self.seen = 0


class Ticket:
    """One frame on its way through a batch.

    Attributes:
        member: whose it is.
        frame: it, until the batch has ended.
        due_ns: monotonic time at which its batch begins, full or not.
        stream: the CUDA stream that its camera works on, if any.
        arena: the arena of its camera, if any.
        done: the batch has ended.
        value: what ``process_batch`` returned, which is a mistake unless it is None.
        drop: reason for which the stage dropped it.
        error: what to raise for it.
        rest: what is left to do on its camera's own thread.
    """

    __slots__ = (
        "arena",
        "done",
        "drop",
        "due_ns",
        "error",
        "frame",
        "member",
        "rest",
        "stream",
        "value",
    )

    def __init__(self, member: Member, frame: Frame, due_ns: int) -> None:
        self.member = member
        self.frame: Frame | None = frame
        self.due_ns = due_ns
        self.stream = current_stream()
        self.arena: Arena | None = arenas.current()
        self.done = False
        self.value: Any = None
        self.drop: str | None = None
        self.error: BaseException | None = None
        self.rest: Callable[[], object] | None = None
