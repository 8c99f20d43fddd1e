"""Change several cameras at once, all or none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgevision.errors import StageError
from edgevision.runner.spec import CameraSpec

if TYPE_CHECKING:
    from edgevision.runner.camera import Camera

__all__ = ["CameraPlan", "revise_stages"]

How = Literal["keep", "set", "stages", "open"]


@dataclass(frozen=True)
class CameraPlan:
    """What becomes of one camera in `Runner.revise`.

    Attributes:
        spec: the camera from then on; one whose name is new is added.
        how: ``keep`` leaves it alone; ``set`` gives ``values`` to its stages, which go on;
            ``stages`` starts its stages anew while the source stays open; ``open`` stops the camera
            and starts another in its place.
        values: with ``set``, parameters by stage and name.
        paused: whether it takes frames.
    """

    spec: CameraSpec
    how: How = "open"
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    paused: bool = False


class _Change:
    """One camera's part: made on its worker thread, then kept or taken back there."""

    def __init__(self, camera: Camera, plan: CameraPlan) -> None:
        self.camera = camera
        self.plan = plan
        self._lock = threading.Lock()
        self._settle: Callable[[bool], None] | None = None
        self._given_up = False
        self.future: Future[None] = camera.worker.call(self._make)

    def _make(self) -> None:
        values = self.plan.values if self.plan.how == "set" else None
        settle = self.camera.worker.revise(self.plan.spec.stages, values)
        with self._lock:
            if not self._given_up:
                self._settle = settle
                return
        # It was given up while the stages were at it.
        settle(False)

    def settle(self, keep: bool) -> Future[None] | None:
        """Keep or take back what was made; return what is done when that is; None: it is."""
        if self.future.cancel():
            return None
        with self._lock:
            settle, self._settle = self._settle, None
            self._given_up = not keep
        if settle is None:
            return None if self.future.done() else self.future
        return self.camera.worker.call(lambda: settle(keep))


async def revise_stages(
    cameras: Mapping[str, Camera], plans: Sequence[CameraPlan], timeout_s: float
) -> None:
    """Change the stages of running cameras as ``plans`` say, between two frames, all or none.

    Every camera changes as soon as it is between two frames. If one cannot, those that have changed
    are put back; the stages that were replaced go on with all that they remember.

    Raises:
        ConfigurationError: a bad value; nothing was changed.
        StageError: a stage refused, or does not return from its frame within ``timeout_s``; nothing
            was changed.
    """
    changes = [
        _Change(cameras[plan.spec.name], plan)
        for plan in plans
        if plan.how in ("set", "stages") and not cameras[plan.spec.name].over
    ]
    try:
        await _wait([change.future for change in changes], timeout_s, asyncio.FIRST_EXCEPTION)
        _check(changes, timeout_s)
    except BaseException:
        back = [change.settle(False) for change in changes]
        await _wait([future for future in back if future is not None], timeout_s)
        raise
    # Stages that were replaced may take their time to stop; the new ones are in force.
    kept = [change.settle(True) for change in changes]
    await _wait([future for future in kept if future is not None], timeout_s)
    for plan in plans:
        cameras[plan.spec.name].spec = plan.spec


async def _wait(
    futures: Sequence[Future[None]], timeout_s: float, until: str = asyncio.ALL_COMPLETED
) -> None:
    if not futures:
        return
    waiting = [asyncio.wrap_future(future) for future in futures]
    for each in waiting:
        # Nobody asks for the exception of one that fails later.
        each.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait(waiting, timeout=timeout_s, return_when=until)


def _check(changes: Sequence[_Change], timeout_s: float) -> None:
    for change in changes:
        future = change.future
        # A camera that has ended meanwhile takes its new stages when it is started again.
        if future.cancelled():
            continue
        error = future.exception() if future.done() else None
        if error is not None:
            raise error
    for change in changes:
        if not change.future.done():
            name = change.camera.name
            raise StageError(
                f"its stages did not change within {timeout_s:g} s",
                camera=name,
                stage=change.camera.busy_stage or "?",
                sequence=None,
            )
