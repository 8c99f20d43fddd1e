"""Cameras, threads and queues around pipelines.

- `spec`: what a camera is made of.
- `runner`: everything together, with signals and an exit code.
- `revision`: changes to several cameras at once, all or none.
- `camera`: one camera; watches its two threads.
- `capture`: the capture thread, reconnecting.
- `worker`: the worker thread, running the stages.
- `outlet`: the queue from the worker to the event loop.
- `ledger`: exact accounting of frames.
- `state`, `backoff`: what a source is doing, and how long it waits.
"""

from __future__ import annotations

from edgevision.runner.revision import CameraPlan
from edgevision.runner.runner import Runner
from edgevision.runner.spec import CameraSpec, Policy

__all__ = ["CameraPlan", "CameraSpec", "Policy", "Runner"]
