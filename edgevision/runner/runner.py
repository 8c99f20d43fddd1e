"""Cameras, upstreams and the preview page, run together until they end or are told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from edgevision.detections import Detections
from edgevision.errors import ConfigurationError, CudaFaultError
from edgevision.redaction import redact
from edgevision.result import Event, Result
from edgevision.runner.camera import Camera
from edgevision.runner.revision import CameraPlan, revise_stages
from edgevision.runner.spec import CameraSpec
from edgevision.status import RunnerStatus, UpstreamStatus
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.upstream.publisher import Publisher
    from edgevision.upstream.settings import PublishSettings
    from edgevision.upstream.upstream import Upstream
    from edgevision.web.server import WebServer
    from edgevision.web.tap import PreviewTap

__all__ = ["Runner"]

_log = logging.getLogger("edgevision")

_CHECK_INTERVAL_S = 0.1
_PUBLISHER_GRACE_S = 0.5


class Runner:
    """Runs cameras until all of them have ended or it is stopped.

    Blocking, with Ctrl-C and SIGTERM handled::

        code = Runner(cameras=[CameraSpec("door", lambda: open_source("webcam:0"), [Motion])]).run()

    or from a program that has an event loop: ``await start()``, ``await wait()``, ``await stop()``.

    Args:
        cameras: what to run; names must differ.
        module: name of the module, for messages.
        publish: when messages are sent; default on change.
        upstreams: where messages go.
        web: host and port of the preview page, or None for no page.
        on_result: called on the event loop with the result of every frame; must not block.
        drain_s: how long a stop may take to process and deliver what was captured.
        pictures: take previews off the cameras also without a page, for `taps`.
        flush_s: how long a stop may take to hand messages to the upstreams and stop these.
        endless: go on when every camera has ended; they may come back by `revise`.

    Raises:
        ConfigurationError: no camera, or two of one name.
    """

    def __init__(
        self,
        cameras: Sequence[CameraSpec],
        *,
        module: str = "edgevision",
        publish: PublishSettings | None = None,
        upstreams: Sequence[Upstream] = (),
        web: tuple[str, int] | None = None,
        on_result: Callable[[Result], None] | None = None,
        drain_s: float = 1.0,
        pictures: bool = False,
        endless: bool = False,
        flush_s: float = _PUBLISHER_GRACE_S,
    ) -> None:
        if not cameras:
            raise ConfigurationError("a runner needs at least one camera")
        names = [spec.name for spec in cameras]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"two cameras are called {twice[0]!r}; names must differ")
        self.module = module
        self._specs = list(cameras)
        self._publish = publish
        self._upstreams = list(upstreams)
        self._web_address = web
        self._on_result = on_result
        self._drain_s = drain_s
        self._pictures = pictures or web is not None
        self._endless = endless
        self._flush_s = flush_s
        self._revising = asyncio.Lock()
        self._revised = asyncio.Event()
        self._started_at_s = time.time()
        self._taps: dict[str, PreviewTap] = {}
        self._said: set[str] = set()
        self._fault_reported = False
        self._publisher: Publisher | None = None
        self._monitor: asyncio.Task[None] | None = None
        self._stop_requested: asyncio.Event | None = None
        self.web: WebServer | None = None
        self.cameras: dict[str, Camera] = {}

    @property
    def failures(self) -> dict[str, Exception]:
        """Cameras that have failed, with the reason."""
        return {
            name: camera.error for name, camera in self.cameras.items() if camera.error is not None
        }

    async def start(self) -> None:
        """Start the upstreams, the page and every camera.

        Raises:
            ConfigurationError: a source, an upstream or the page's address makes no sense; all
                that had been started is stopped again.
        """
        self._stop_requested = self._stop_requested or asyncio.Event()
        self._started_at_s = time.time()
        try:
            if self._upstreams:
                await self._start_publisher()
            if self._web_address is not None:
                await self._start_web(*self._web_address)
            made = [self._make_camera(spec) for spec in self._specs]
        except BaseException:
            await self.stop()
            raise
        for camera in made:
            self._start_camera(camera)
        self._monitor = asyncio.create_task(self._check_all(), name="monitor")

    async def wait(self) -> None:
        """Return when every camera has ended or `request_stop` was called."""
        if self._stop_requested is None:
            raise RuntimeError("the runner is not started")
        ended = asyncio.ensure_future(self._all_done())
        asked = asyncio.ensure_future(self._stop_requested.wait())
        try:
            await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, asked):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def request_stop(self) -> None:
        """Make `wait` return; on the event loop, such as from a signal handler."""
        if self._stop_requested is not None:
            self._stop_requested.set()

    async def stop(self) -> None:
        """Stop every camera, deliver what was captured under ``wait``, and close everything."""
        if self._monitor is not None:
            self._monitor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._monitor
            self._monitor = None
        # When every camera has failed at once, the monitor has not seen it.
        await self._report_fault()
        await asyncio.gather(*(camera.stop(self._drain_s) for camera in self.cameras.values()))
        for tap in self._taps.values():
            tap.close()
        if self._publisher is not None:
            await self._publisher.stop(self._flush_s)
        if self.web is not None:
            await self.web.stop()
            self.web = None

    async def revise(
        self,
        plans: Sequence[CameraPlan],
        *,
        publish: PublishSettings | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Let exactly the planned cameras run from now on, in this order, all or nothing.

        First the stages of cameras that go on are changed, each between two frames. Only when all
        of them have taken their change are cameras stopped, started, paused and resumed.

        Args:
            plans: every camera that is to run, once each.
            publish: when messages are sent from now on; None: as before.
            timeout_s: how long a stage may keep the change waiting.

        Raises:
            ConfigurationError: a source or a value makes no sense; nothing was changed.
            StageError: a stage refused, or does not return; nothing was changed.
        """
        async with self._revising:
            opened = {
                plan.spec.name: self._make_camera(plan.spec)
                for plan in plans
                if plan.how == "open" or plan.spec.name not in self.cameras
            }
            await revise_stages(
                self.cameras, [p for p in plans if p.spec.name not in opened], timeout_s
            )
            names = [plan.spec.name for plan in plans]
            gone = [c for name, c in self.cameras.items() if name in opened or name not in names]
            await asyncio.gather(*(camera.stop(self._drain_s) for camera in gone))
            if publish is not None and self._publisher is not None:
                self._publish = publish
                await self._publisher.configure(publish)
            for name in [name for name in self.cameras if name not in names]:
                await self._forget(name)
            for plan in plans:
                self._arrange(plan, opened.get(plan.spec.name))
            self.cameras = {name: self.cameras[name] for name in names}
            self._taps = {name: self._taps[name] for name in names if name in self._taps}
            self._specs = [plan.spec for plan in plans]
            self._revised.set()

    async def restart(self, name: str) -> None:
        """Stop a camera and start it again, source and stages.

        Raises:
            ConfigurationError: there is no such camera.
        """
        async with self._revising:
            old = self.camera(name)
            await old.stop(self._drain_s)
            camera = self._make_camera(old.spec)
            self._start_camera(camera, paused=old.paused)
            self._revised.set()

    def camera(self, name: str) -> Camera:
        """Return the camera called ``name``.

        Raises:
            ConfigurationError: there is none; the message names those there are.
        """
        if name in self.cameras:
            return self.cameras[name]
        known = ", ".join(self.cameras) or "none"
        raise ConfigurationError(
            f"there is no camera {name!r}{did_you_mean(name, self.cameras)} (there are: {known})"
        )

    def run(self, *, duration_s: float | None = None) -> int:
        """Run until all cameras have ended, Ctrl-C or SIGTERM; return the exit code.

        A second signal ends the process at once.

        Args:
            duration_s: stop after so long.

        Returns:
            0, or 1 if a camera has failed; `failures` says which and why. 75 if CUDA is broken in
            this process: no camera can use it any more, so all are stopped, and whoever started
            the process is to start it again.
        """
        return asyncio.run(self.run_async(duration_s=duration_s))

    async def run_async(self, *, duration_s: float | None = None) -> int:
        """Do what `run` does, on the running event loop of the main thread."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stop_on(number: int) -> None:
            if self._stop_requested is not None and self._stop_requested.is_set():
                os._exit(128 + number)
            _log.info("stopping on %s", signal.Signals(number).name)
            self.request_stop()

        self._stop_requested = asyncio.Event()
        for number in signals:
            loop.add_signal_handler(number, stop_on, number)
        try:
            await self.start()
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self.wait(), duration_s)
        finally:
            # From here on a signal ends the process at once.
            self.request_stop()
            await self.stop()
            for number in signals:
                loop.remove_signal_handler(number)
        if any(isinstance(error, CudaFaultError) for error in self.failures.values()):
            return CudaFaultError.EXIT_CODE
        return 1 if self.failures else 0

    def status(self) -> RunnerStatus:
        """Return what every camera and upstream is doing and has done."""
        upstreams: list[UpstreamStatus] = []
        if self._publisher is not None:
            upstreams = self._publisher.status()
        return RunnerStatus(
            module=self.module,
            started_at_s=self._started_at_s,
            cameras=[camera.status() for camera in self.cameras.values()],
            upstreams=upstreams,
        )

    def taps(self) -> Mapping[str, PreviewTap]:
        """Return the preview tap of each camera."""
        return self._taps

    def _make_camera(self, spec: CameraSpec) -> Camera:
        tap: PreviewTap | None = None
        if self._pictures:
            from edgevision.web.tap import PreviewTap

            tap = self._taps.get(spec.name) or PreviewTap(spec.name)
        return Camera(spec, self._deliver, tap)

    def _start_camera(self, camera: Camera, *, paused: bool = False) -> None:
        if camera.where not in self._said:
            self._said.add(camera.where)
            _log.info("camera %s: pictures are processed on %s", camera.name, camera.where)
        self.cameras[camera.name] = camera
        if camera.tap is not None:
            self._taps[camera.name] = cast("PreviewTap", camera.tap)
        if self._publisher is not None:
            self._publisher.add_camera(camera.name, partial(_state_of, camera))
        if paused:
            camera.pause()
        camera.start()

    def _arrange(self, plan: CameraPlan, opened: Camera | None) -> None:
        """Start a camera, or pause or resume one that runs."""
        if opened is not None:
            self._start_camera(opened, paused=plan.paused)
            return
        camera = self.cameras[plan.spec.name]
        if camera.paused != plan.paused:
            (camera.pause if plan.paused else camera.resume)()

    async def _forget(self, name: str) -> None:
        del self.cameras[name]
        tap = self._taps.pop(name, None)
        if tap is not None:
            tap.close()
        if self._publisher is not None:
            await self._publisher.remove_camera(name)

    async def _deliver(self, result: Result) -> None:
        if self._on_result is not None:
            self._on_result(result)
        if self._publisher is not None:
            await self._publisher.publish(result)

    async def _start_publisher(self) -> None:
        from edgevision.upstream.publisher import Publisher
        from edgevision.upstream.settings import PublishSettings

        self._publisher = Publisher(
            self.module,
            self._publish or PublishSettings(),
            self._upstreams,
            # A console whose reader has gone (`| head`) ends the run.
            on_gone=self.request_stop,
        )
        await self._publisher.start()

    async def _start_web(self, host: str, port: int) -> None:
        from edgevision.web.server import WebServer

        web = WebServer(host=host, port=port, status=self.status, taps=self.taps)
        await web.start()
        self.web = web
        _log.info("preview at %s", web.url)

    async def _all_done(self) -> None:
        while True:
            self._revised.clear()
            waiting = [camera for camera in self.cameras.values() if not camera.done.is_set()]
            if not waiting and not self._endless:
                return
            tasks = {asyncio.ensure_future(camera.done.wait()) for camera in waiting}
            tasks.add(asyncio.ensure_future(self._revised.wait()))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()

    async def _check_all(self) -> None:
        while True:
            for camera in list(self.cameras.values()):
                camera.check()
            if await self._report_fault():
                self.request_stop()
            await asyncio.sleep(_CHECK_INTERVAL_S)

    async def _report_fault(self) -> bool:
        """Say, once, that a fault has struck that only another process can get over."""
        broken = [c for c in self.cameras.values() if isinstance(c.error, CudaFaultError)]
        if not broken or self._fault_reported:
            return bool(broken)
        self._fault_reported = True
        camera = broken[0]
        text, code = redact(str(camera.error)), CudaFaultError.EXIT_CODE
        _log.critical("%s; stopping all cameras, exit code %d", text, code)
        event = Event("fault", {"fault": "cuda", "detail": text, "exit_code": code})
        # What the stages had of the frame is lost; the message says which frame it was.
        size_wh = camera.status().size_wh or (1, 1)
        sequence = camera.worker.sequence
        nothing = Detections.empty()
        result = Result(camera.name, sequence, time.time(), size_wh, nothing, events=[event])
        await self._deliver(result)
        return True


def _state_of(camera: Camera) -> str:
    return camera.state.name
