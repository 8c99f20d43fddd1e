"""A module in this process, with a hub in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevision.harness.module_runner import ModuleRunner
from edgevision.harness.shutdown import ShutdownGuard
from edgevision.testing.memory_hub import MemoryHub
from edgevision.upstream.iotedge import IotEdgeUpstream
from edgevision.upstream.settings import ArtifactSettings, IotEdgeSettings, OutboxSettings
from tests.unit.harness.pipelines import PIPELINE, pipeline, until

__all__ = ["Bed", "play"]


@dataclass
class Bed:
    """A running module.

    Attributes:
        hub: it is connected with this.
        runner: the module.
        folder: of its files.
    """

    hub: MemoryHub
    runner: ModuleRunner
    folder: Path

    @property
    def reported(self) -> dict[str, Any]:
        """What the hub was told."""
        return dict(self.hub.twin().reported)

    async def call(self, name: str, payload: Any = None) -> tuple[int, Any]:
        """Call a method; return status and answer."""
        answer = await self.hub.call(name, payload)
        return answer.status, answer.payload

    async def desire(self, **patch: Any) -> dict[str, Any]:
        """Change the desired properties; return what the module says of it."""
        self.hub.desire(patch)
        version = self.hub.twin().version
        await self.until(lambda: self.reported["desired"]["version"] == version, "an answer")
        desired: dict[str, Any] = self.reported["desired"]
        return desired

    async def until(self, predicate: Callable[[], bool], what: str = "it") -> None:
        """Wait until ``predicate()`` holds."""
        await until(predicate, what)


@asynccontextmanager
async def _module(folder: Path, text: str, live: bool, **options: Any) -> AsyncIterator[Bed]:
    hub = MemoryHub()
    settings = IotEdgeSettings(
        outbox=OutboxSettings(path=str(folder / "outbox.sqlite")),
        artifacts=ArtifactSettings(path=str(folder / "artifacts")),
        report_interval_s=options.pop("report_interval_s", 0.05),
        **options,
    )
    upstream = IotEdgeUpstream(settings, hub.transport)
    guard = ShutdownGuard(3600, lambda code: None)
    config = pipeline(folder, text)
    runner = ModuleRunner(config, upstream, settings, [upstream], web=None, guard=guard)
    await runner.start()
    try:
        bed = Bed(hub, runner, folder)
        await bed.until(lambda: "cameras" in bed.reported, "the first report")
        cameras = runner.cameras.values() if live else ()
        await bed.until(lambda: all(c.ledger.snapshot().processed for c in cameras), "frames")
        yield bed
    finally:
        await runner.stop()
        guard.disarm()


def play(
    scenario: Callable[[Bed], Coroutine[Any, Any, None]],
    folder: Path,
    *,
    text: str = PIPELINE,
    live: bool = True,
    **options: Any,
) -> None:
    """Run ``scenario`` with a module of the pipeline ``text``.

    If it is ``live``, each of its cameras has had a frame go through its stages by then.
    """

    async def run() -> None:
        async with _module(folder, text, live, **options) as bed:
            await scenario(bed)

    asyncio.run(run())
    for thread in threading.enumerate():
        if thread.name.startswith("module handlers"):
            thread.join(2)
