"""One run of a pipeline from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevision.cli.leaving import leave
from edgevision.cli.output import Output
from edgevision.cli.reload import Reloader
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.runner.runner import Runner
from edgevision.upstream.settings import ConsoleSettings, IotEdgeSettings

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig
    from edgevision.status import CameraStatus
    from edgevision.upstream.upstream import Upstream

__all__ = ["RunOptions", "Session"]

_log = logging.getLogger("edgevision.command")


@dataclass(frozen=True)
class RunOptions:
    """What the options of a run say beside the pipeline.

    Attributes:
        duration_s: stop after so long; None: run until the end or Ctrl-C.
        web: False for no preview page, None for what the pipeline says.
        host: address of the preview page, instead of the pipeline's.
        port: port of the preview page, instead of the pipeline's.
        open_browser: open the page in a browser.
        reload: start the stages again when one of their files is saved.
    """

    duration_s: float | None = None
    web: bool | None = None
    host: str | None = None
    port: int | None = None
    open_browser: bool = False
    reload: bool = False

    def address(
        self, config: PipelineConfig, usual: tuple[str, int] | None = None
    ) -> tuple[str, int] | None:
        """Return host and port of the preview page, or None for no page.

        Args:
            config: the pipeline.
            usual: where the page is without an option, instead of where the pipeline says.
        """
        asked = self.host is not None or self.port is not None or self.open_browser
        if self.web is False or (config.web is None and not asked):
            return None
        if usual is None and config.web is not None:
            usual = (config.web.host, config.web.port)
        host, port = usual or ("127.0.0.1", 8080)
        return self.host or host, port if self.port is None else self.port


class Session:
    """Runs a pipeline: preview, messages, reloading, and a summary at the end.

    Args:
        make: reads the pipeline; called again when a file is saved.
        options: see `RunOptions`.
        output: how to print.

    Raises:
        ConfigurationError: the pipeline has a mistake.
    """

    def __init__(
        self, make: Callable[[], PipelineConfig], options: RunOptions, output: Output
    ) -> None:
        self.config = make()
        self._make = make
        self._options = options
        self._output = output

    def run(self) -> int:
        """Run to the end and return the exit status: 1 if a camera has failed.

        Raises:
            ConfigurationError: a port that is taken, a file that cannot be written.
        """
        config = self.config
        if any(isinstance(settings, IotEdgeSettings) for settings in config.upstream):
            return self._run_module()
        self._output.start_logging()
        logging.getLogger("edgevision").addFilter(_say_what_to_open)
        runner = _CommandRunner(
            self._companions,
            config.camera_specs(),
            module=config.module,
            publish=config.publish,
            upstreams=self._upstreams(),
            web=self._options.address(config),
        )
        try:
            return runner.run(duration_s=self._options.duration_s)
        finally:
            logging.getLogger("edgevision").removeFilter(_say_what_to_open)
            if runner.cameras:
                self._summarize([camera.status() for camera in runner.cameras.values()])

    def _run_module(self) -> int:
        """Run as a module of IoT Edge: steered by the hub, logs as its agent reads them.

        Errors are logged, too, since the agent collects nothing else.

        Returns:
            0 when it was told to stop; 1 if the hub is there and no connection came about for many
            minutes; 2 if it can never work.

        Raises:
            ConfigurationError: something that a module cannot do.
        """
        from edgevision.harness.log import start_logging
        from edgevision.harness.module_runner import ModuleRunner, web_address
        from edgevision.harness.shutdown import ShutdownGuard
        from edgevision.upstream.iotedge import IotEdgeUpstream

        if self._options.reload:
            raise ConfigurationError(
                "--reload does not go with the upstream iotedge: the module twin steers the stages"
            )
        config = self.config
        level = start_logging()
        upstreams = self._upstreams()
        edge = [upstream for upstream in upstreams if isinstance(upstream, IotEdgeUpstream)]
        if len(edge) > 1:
            raise ConfigurationError("a module has one upstream iotedge")
        settings = next(s for s in config.upstream if isinstance(s, IotEdgeSettings))
        address = self._options.address(config, web_address(config))
        runner = ModuleRunner(
            config,
            edge[0],
            settings,
            upstreams,
            web=address,
            log_level=level,
            guard=ShutdownGuard(),
        )
        try:
            runner.run(duration_s=self._options.duration_s)
            if edge[0].failure is not None:
                raise edge[0].failure
        except EdgeVisionError as error:
            if error is not edge[0].failure:  # that one is logged
                _log.critical("%s", error)
            return leave(2 if isinstance(error, ConfigurationError) else 1)
        # Cameras that have failed were reported: the hub may bring them back, and a restart of the
        # module would not.
        _log.info("stopped")
        return leave(0)

    def _upstreams(self) -> list[Upstream]:
        from edgevision.upstream.registry import open_upstream

        opened = []
        for settings in self.config.upstream:
            if isinstance(settings, ConsoleSettings):
                if self._output.quiet:
                    continue
                if settings.format == "auto" and self._output.as_json is not None:
                    kind = "json" if self._output.as_json else "text"
                    settings = settings.model_copy(update={"format": kind})
            opened.append(open_upstream(settings))
        return opened

    def _companions(self, runner: Runner) -> list[asyncio.Task[None]]:
        """Start what goes on beside the cameras; called when they have started."""
        if self._options.open_browser and runner.web is not None:
            _open_browser(runner.web.url)
        if not self._options.reload:
            return []
        reloader = Reloader(self._make, self.config, runner)
        return [asyncio.create_task(reloader.watch(), name="reload")]

    def _summarize(self, cameras: Sequence[CameraStatus]) -> None:
        for camera in cameras:
            lost = ", ".join(f"{count} {cause}" for cause, count in camera.dropped.items())
            latency = "" if camera.latency_ms is None else f", latency {camera.latency_ms:.1f} ms"
            fields: dict[str, Any] = {"camera": camera.to_json()}
            self._output.notice(
                f"camera {camera.name}: {camera.captured} frames captured, {camera.processed} "
                f"processed, {sum(camera.dropped.values())} dropped{f' ({lost})' if lost else ''}"
                f"{latency}",
                **fields,
            )


class _CommandRunner(Runner):
    """A runner with tasks of the command's own beside it."""

    def __init__(
        self, companions: Callable[[Runner], list[asyncio.Task[None]]], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._start_companions = companions
        self._companions: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await super().start()
        self._companions = self._start_companions(self)

    async def stop(self) -> None:
        companions, self._companions = self._companions, []
        for task in companions:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await super().stop()


def _say_what_to_open(record: logging.LogRecord) -> bool:
    """Turn the runner's note about the page into what a person does with it."""
    if record.msg == "preview at %s" and isinstance(record.args, tuple):
        record.fields = {"url": record.args[0]}
        record.msg = "open %s in a browser to watch; Ctrl-C ends"
    return True


def _open_browser(url: str) -> None:
    """Open a page; on a thread, since a browser in the terminal does not return."""
    import webbrowser

    def open_page() -> None:
        if not webbrowser.open(url):
            _log.warning("no browser could be started; open %s yourself", url)

    threading.Thread(target=open_page, name="browser", daemon=True).start()
