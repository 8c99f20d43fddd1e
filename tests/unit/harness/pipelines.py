"""A small pipeline with stages of its own, and a runner that plays it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edgevision.config import PipelineConfig, load
from edgevision.result import Result
from edgevision.runner import Runner

STAGES = '''
import threading
from typing import Optional

from edgevision import Frame, Param, Stage, method, on_input


class Add(Stage):
    """Puts what it was given, and how often it ran, into the values."""

    amount: int = Param(1, ge=0, le=100)
    words: list[str] = Param([])
    zone: Optional[str] = Param(None)
    key: str = Param("none", secret=True)
    ran = 0

    def process(self, frame: Frame) -> None:
        self.ran += 1
        frame.values[self.name] = [self.amount, self.ran, threading.get_ident()]

    def changed(self, names: frozenset[str]) -> None:
        if self.amount == 66:
            raise RuntimeError("66 is refused by the stage itself")

    @method
    def reset(self, payload):
        before, self.ran = self.ran, 0
        return {"before": before, "thread": threading.current_thread().name, "payload": payload}

    @method("slow", timeout_s=0.2)
    async def wait_long(self, payload):
        import asyncio

        await asyncio.sleep(30)

    @method
    def fail(self, payload):
        raise RuntimeError("rtsp://user:secret@10.0.0.1 broke")

    @method
    def unsaid(self, payload):
        return {"value": object()}

    @on_input("amounts")
    def take_amount(self, message):
        self.amount = message.json()["amount"]


class Count(Stage):
    """Another one."""

    step: float = Param(1.0, gt=0, unit="px")

    def process(self, frame: Frame) -> None:
        frame.values[self.name] = self.step


class Broken(Stage):
    """Never starts."""

    def start(self) -> None:
        raise RuntimeError("no such model")

    def process(self, frame: Frame) -> None: ...
'''

PIPELINE = """
module: test
cameras:
  door: {source: "synthetic:?width=96&height=64&fps=100&people=0&seed=1"}
  yard:
    source: "synthetic:?width=96&height=64&fps=100&people=0&seed=2"
    stages:
      - ./stages.py:Count
      - {use: "./stages.py:Add", params: {amount: 3}}
stages:
  - {use: "./stages.py:Add", name: add, params: {amount: 2}}
  - {use: "./stages.py:Count", name: count}
web: false
upstream: []
"""


def pipeline(folder: Path, text: str = PIPELINE) -> PipelineConfig:
    """The pipeline of ``text``, with its stage file, in ``folder``."""
    (folder / "stages.py").write_text(STAGES)
    (folder / "pipeline.yaml").write_text(text)
    return load(folder / "pipeline.yaml")


@asynccontextmanager
async def playing(
    config: PipelineConfig, results: list[Result] | None = None, **options: Any
) -> AsyncIterator[Runner]:
    """A started runner of ``config``."""
    runner = Runner(
        config.camera_specs(),
        module=config.module,
        publish=config.publish,
        on_result=None if results is None else results.append,
        pictures=True,
        endless=True,
        **options,
    )
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def until(predicate: Callable[[], bool], what: str = "it", timeout_s: float = 10.0) -> None:
    """Wait until ``predicate()`` holds, or fail saying ``what`` did not happen."""
    deadline_s = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what} did not happen within {timeout_s} s")
        await asyncio.sleep(0.002)


def stages(runner: Runner, camera: str) -> dict[str, dict[str, Any]]:
    """The parameters in force in a camera's stages, in order."""
    live = runner.cameras[camera].worker.pipeline
    assert live is not None
    return {stage.name: stage.settings() for stage in live.stages}
