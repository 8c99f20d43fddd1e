"""Runs a pipeline as an IoT Edge module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.harness.module import EdgeModule, ModuleOptions
from edgevision.harness.shutdown import ShutdownGuard
from edgevision.runner.runner import Runner
from edgevision.upstream.upstream import Upstream

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig
    from edgevision.upstream.iotedge import IotEdgeUpstream
    from edgevision.upstream.settings import IotEdgeSettings

__all__ = ["METRICS_PORT", "ModuleRunner", "web_address"]

METRICS_PORT = 9600
"""Where IoT Edge's own modules have their metrics, and its collector looks for them."""

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_FLUSH_S = 3.0


class ModuleRunner(Runner):
    """A runner that the hub steers.

    It goes on when its cameras have ended or failed, since the hub may bring others, and until it
    is told to stop, or the connection can never work.

    Args:
        config: what to run.
        upstream: the connection, one of ``upstreams``.
        settings: of the connection.
        upstreams: where messages go.
        web: host and port of pictures, health and metrics.
        log_level: the level that the process started with.
        guard: ends the process when a stop takes too long; None: nothing does.
    """

    def __init__(
        self,
        config: PipelineConfig,
        upstream: IotEdgeUpstream,
        settings: IotEdgeSettings,
        upstreams: list[Upstream],
        *,
        web: tuple[str, int] | None,
        log_level: str = "info",
        guard: ShutdownGuard | None = None,
    ) -> None:
        super().__init__(
            config.camera_specs(),
            module=config.module,
            publish=config.publish,
            upstreams=upstreams,
            web=web,
            pictures=True,
            endless=True,
            flush_s=_FLUSH_S,
        )
        self._upstream = upstream
        self._guard = guard
        options = ModuleOptions(
            artifacts=Path(settings.artifacts.path),
            artifacts_bytes=settings.artifacts.max_bytes,
            record_before_s=settings.record_before_s,
            report_interval_s=settings.report_interval_s,
            log_level=log_level,
        )
        self.edge_module = EdgeModule(self, config, options, {"hub": upstream.describe})
        upstream.attach(self.edge_module, self._failed)

    async def start(self) -> None:
        """Start everything; what the twin asks for comes into force after that."""
        await super().start()
        await self.edge_module.start(self._upstream)

    async def stop(self) -> None:
        """Take no more calls, stop the cameras, store and send what there is, disconnect."""
        await self.edge_module.stop()
        await super().stop()

    def request_stop(self) -> None:
        """Make `wait` return; from then on the end has to come in time."""
        if self._guard is not None:
            self._guard.arm()
        super().request_stop()

    def _failed(self) -> None:
        if self._guard is not None:
            self._guard.code = 1
        self.request_stop()


def web_address(
    config: PipelineConfig, environment: Mapping[str, str] | None = None
) -> tuple[str, int] | None:
    """Return where a module serves pictures, health and metrics.

    Unless its pipeline.yaml says so: port 9600; in a container on all its addresses, which other
    modules reach and the world only if the port is published, else on this machine alone.
    """
    if "web" in config.model_fields_set:
        return None if config.web is None else (config.web.host, config.web.port)
    inside = any(mark.exists() for mark in _CONTAINER_MARKS)
    given: Mapping[str, Any] = os.environ if environment is None else environment
    inside = inside and "IOTEDGE_MODULEID" in given
    return ("0.0.0.0" if inside else "127.0.0.1"), METRICS_PORT
