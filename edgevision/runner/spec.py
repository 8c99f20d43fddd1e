"""What a camera is made of: its source, its stages and the rules of its queues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgevision.pipeline import StageSpec
from edgevision.sources.source import Source
from edgevision.stage import Stage

__all__ = ["CameraSpec", "Policy"]

Policy = Literal["latest", "wait"]
"""What happens when frames come faster than they are processed, see `CameraSpec`."""


@dataclass(slots=True)
class CameraSpec:
    """One camera of a `Runner`.

    Attributes:
        name: unique among the cameras.
        source: makes the source; called again when a source hangs and has to be given up.
        stages: stages in order: classes, instances or `StageSpec`.
        policy: ``latest`` drops the oldest waiting frame when a newer one comes; ``wait`` holds the
            source back and loses nothing; None chooses ``latest`` for a live source and ``wait``
            for a finite one.
        queue_size: frames that may wait for the worker, at least 1; None chooses 4 under
            ``latest``, which bridges a moment of load, and 8 under ``wait``, which saves thread
            switches. Results get no older by it: see ``Worker``.
        max_age_s: frames older than this when their turn comes are dropped as ``stale``.
        stall_s: a source that delivers nothing for so long counts as stalled.
        first_retry_s: the shortest wait before a lost source is opened again.
        longest_retry_s: the wait doubles up to this.
        stage_timeout_s: a stage that runs longer is reported by name as stuck.
        poison: overwrite released frame buffers and report stages that kept one.
        device: where the pictures are processed: ``cpu``, ``cuda``, ``cuda:1`` and so on, or
            ``auto``: CUDA where there is a device that OpenCV can use, the CPU elsewhere.
        max_copies: copies between host and device that the stages may make of one frame; the stage
            that makes one more fails. None for no bound.
    """

    name: str
    source: Callable[[], Source]
    stages: Sequence[Stage | type[Stage] | StageSpec] = ()
    policy: Policy | None = None
    queue_size: int | None = None
    max_age_s: float | None = None
    stall_s: float = 2.0
    first_retry_s: float = 0.2
    longest_retry_s: float = 5.0
    stage_timeout_s: float = 10.0
    poison: bool = False
    device: str = "auto"
    max_copies: int | None = None
