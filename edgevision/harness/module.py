"""The module: what the hub steers and is told, around a runner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgevision.harness.desired import Baseline, merge
from edgevision.harness.inputs import Inputs
from edgevision.harness.methods import Methods
from edgevision.harness.methods_builtin import BuiltInMethods
from edgevision.harness.methods_user import UserHandlers
from edgevision.harness.recorder import ClipRecorder
from edgevision.harness.recorder_folder import ArtifactFolder
from edgevision.harness.reported import Reporter
from edgevision.harness.reported_facts import device_facts, image_facts
from edgevision.harness.reported_state import CameraReports
from edgevision.harness.transport import InputMessage, MethodAnswer, MethodCall, Twin
from edgevision.harness.twin import Steering
from edgevision.runner.runner import Runner

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig

__all__ = ["EdgeModule", "HubLink", "ModuleOptions"]

_log = logging.getLogger("edgevision.module")

_LOOK_S = 1.0


class HubLink(Protocol):
    """What the module wants of a connection; `edgevision.harness.supervisor.Supervisor` is one."""

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Merge ``patch`` into the reported properties; waits for a connection."""

    async def twin(self) -> Twin:
        """Return the whole twin; waits for a connection."""


@dataclass(frozen=True)
class ModuleOptions:
    """How a module behaves.

    Attributes:
        artifacts: folder for pictures and clips.
        artifacts_bytes: the most that these may hold together.
        record_before_s: how much of the past clips can begin with; see `ClipRecorder`.
        report_interval_s: shortest time between two patches of the reported properties.
        log_level: the level that the process started with.
        input_queue: messages that may wait for each input.
    """

    artifacts: Path = Path("artifacts")
    artifacts_bytes: int = 500_000_000
    record_before_s: float = 0.0
    report_interval_s: float = 5.0
    log_level: str = "info"
    input_queue: int = 64


class EdgeModule:
    """Answers the hub for a runner: twin, direct methods, inputs. All on the event loop.

    It is the handlers of a `edgevision.harness.supervisor.Supervisor`. What comes before `start`
    is kept or, for a method, answered with 409.

    Args:
        runner: runs the cameras; its ``pictures`` are on.
        config: what it runs.
        options: see `ModuleOptions`.
        extra_status: what the answer of ``status`` has beside the runner's, by key.
    """

    def __init__(
        self,
        runner: Runner,
        config: PipelineConfig,
        options: ModuleOptions | None = None,
        extra_status: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._options = options = options or ModuleOptions()
        self._runner = runner
        self._link: HubLink | None = None
        self._twin: Twin | None = None
        self._extra_status = extra_status or {}
        self._facts: dict[str, Any] = {}
        self._looking: asyncio.Task[None] | None = None
        folder = ArtifactFolder(options.artifacts, options.artifacts_bytes)
        self._folder = folder
        self._recorder = ClipRecorder(runner.taps, folder, before_s=options.record_before_s)
        self.steering = Steering(
            runner,
            Baseline(config),
            log_level=options.log_level,
            fetch=self._fetch,
            changed=self._changed,
        )
        self._reporter = Reporter(self.reported, self._report, interval_s=options.report_interval_s)
        self._cameras = CameraReports(runner)
        self._user = UserHandlers(runner)
        self._inputs = Inputs(self._user.input, self._user.input_names, size=options.input_queue)
        self._methods = Methods()
        BuiltInMethods(runner, self.steering, self._recorder, folder, self.status).add_to(
            self._methods
        )
        self._methods.add_changing(self._user.method, self._user.method_names)

    async def start(self, link: HubLink) -> None:
        """Begin to steer and to report; the runner is started.

        Args:
            link: the connection.
        """
        self._link = link
        self._facts = await asyncio.to_thread(device_facts)
        await asyncio.to_thread(self._folder.clean)
        self.steering.start()
        self._reporter.start()
        self._looking = asyncio.create_task(self._look(), name="module")
        if self._twin is not None:
            self.on_twin(self._twin)

    async def stop(self) -> None:
        """Take no more from the hub; say last what there is to say."""
        link, self._link = self._link, None
        if link is None:
            return
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self._inputs.stop()
        await self.steering.stop()
        await self._recorder.stop()
        self._link = link
        await self._reporter.stop(0.5)
        self._link = None
        self._user.close()

    # What the hub sends

    def on_twin(self, twin: Twin) -> None:
        """Take the whole twin, as it comes after each connection."""
        self._twin = twin
        if self._link is not None:
            self.steering.take_twin(twin)
            self._reporter.take_twin(twin.reported)

    def on_desired(self, patch: Mapping[str, Any]) -> None:
        """Take a patch of the desired properties."""
        if self._link is None:
            if self._twin is not None:
                self._twin = Twin(merge(self._twin.desired, patch), self._twin.reported)
            return
        self.steering.take_patch(patch)

    async def on_method(self, call: MethodCall) -> MethodAnswer:
        """Answer a direct method; never raises."""
        if self._link is None:
            return MethodAnswer(409, {"error": "the module is starting or stopping"})
        answer = await self._methods.answer(call)
        _log.info("direct method %s: %d", call.name, answer.status)
        # It may have changed anything.
        self._reporter.changed()
        return answer

    def on_input(self, message: InputMessage) -> None:
        """Take a message that came on an input."""
        self._inputs.take(message)
        self._reporter.changed()

    def on_connection(self, connected: bool) -> None:
        """Take note that the connection came or went.

        One that came back by itself brings no twin, and what was desired meanwhile was missed.
        """
        if connected and self._link is not None:
            self.steering.refresh()

    # What the hub is told

    def reported(self) -> dict[str, Any]:
        """Return the reported properties as they should be, before they are made to fit."""
        outcome = self.steering.outcome
        now = self.steering.now
        document: dict[str, Any] = {
            "desired": {
                "version": outcome.version,
                "status": outcome.status,
                "applied_version": outcome.applied_version,
            },
            "module": {"name": self._runner.module, "cameras": len(self._runner.cameras)},
            "device": self._facts,
            "image": image_facts(),
            "cameras": self._cameras.document(),
            "publish": now.config.publish.model_dump(mode="json", exclude={"delivery"}),
            "log_level": self.steering.log_level,
            "methods": self._methods.names(),
            "inputs": self._user.input_names(),
        }
        if outcome.reason:
            document["desired"]["reason"] = outcome.reason
            document["desired"]["path"] = outcome.path
        return document

    def status(self) -> dict[str, Any]:
        """Return everything that is known at this moment; the answer of ``status``."""
        status = self._runner.status().to_json()
        outcome = self.steering.outcome
        return {
            **status,
            "desired": {
                "version": outcome.version,
                "status": outcome.status,
                "applied_version": outcome.applied_version,
                "reason": outcome.reason,
            },
            "inputs": {
                "received": dict(self._inputs.received),
                "dropped": dict(self._inputs.dropped),
            },
            "recording": self._recorder.recording(),
            "log_level": self.steering.log_level,
            **{name: tell() for name, tell in self._extra_status.items()},
        }

    async def _report(self, patch: Mapping[str, Any]) -> None:
        if self._link is not None:
            await self._link.report(patch)

    async def _fetch(self) -> Twin:
        if self._link is None:
            raise RuntimeError("the module is not started")
        return await self._link.twin()

    def _changed(self) -> None:
        self._recorder.follow()
        self._reporter.changed(urgent=True)

    async def _look(self) -> None:
        """Notice what changes by itself, such as the state of a camera."""
        before: Any = None
        while True:
            self._recorder.follow()
            now = self._cameras.states()
            if now != before:
                before = now
                self._reporter.changed()
            await asyncio.sleep(_LOOK_S)
