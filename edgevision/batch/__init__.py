"""Stages that see the frames of several cameras at once.

- `BatchStage`: what a user subclasses.
- `group`: the cameras that share one, and who runs a batch when.
- `membership`: one camera's part in a group, one frame's way through a batch.
- `memory`: the buffers of a batch, which outlive it until the last of its frames is released.
- `registry`: finds the group that a camera's stage belongs to.
"""

from __future__ import annotations

from edgevision.batch.membership import BatchStatistics
from edgevision.batch.stage import BatchStage

__all__ = ["BatchStage", "BatchStatistics"]
