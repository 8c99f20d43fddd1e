"""Results in, messages out, to every upstream in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgevision.errors import UpstreamError
from edgevision.redaction import redact
from edgevision.result import Result
from edgevision.status import UpstreamStatus
from edgevision.upstream.builder import MessageBuilder, plain_values
from edgevision.upstream.clock import CameraClock
from edgevision.upstream.lane import Lane, LaneStatistics
from edgevision.upstream.message import Message
from edgevision.upstream.policy import Policy, Report, open_policy
from edgevision.upstream.upstream import Upstream

if TYPE_CHECKING:
    from edgevision.upstream.settings import PublishSettings

__all__ = ["CameraStatistics", "Publisher", "PublisherStatistics"]

_log = logging.getLogger("edgevision.upstream")

_MAX_LOGGED_KINDS = 100


@dataclass(slots=True)
class CameraStatistics:
    """What became of one camera's results since the publisher's start.

    Attributes:
        results: results taken.
        published: messages made: frames, heartbeats and aggregates.
        events: messages made of events.
        suppressed: results that the policy made no message of at once.
        refused: messages that could not be made, since something in them has no JSON form.
    """

    results: int = 0
    published: int = 0
    events: int = 0
    suppressed: int = 0
    refused: int = 0


@dataclass(slots=True, frozen=True)
class PublisherStatistics:
    """The counters of a publisher at one moment.

    While no `Publisher.publish` is waiting, each upstream has accepted all messages made:
    ``published + events`` of all cameras.

    Attributes:
        cameras: by name.
        upstreams: by name, in order.
    """

    cameras: dict[str, CameraStatistics] = field(default_factory=dict)
    upstreams: dict[str, LaneStatistics] = field(default_factory=dict)


class Publisher:
    """Turns results into messages and hands these to every upstream.

    Each camera has a policy of its own; each upstream has a queue and a task of its own
    (`edgevision.upstream.lane.Lane`), so that one that fails takes nothing from the others. All
    methods run on one event loop; a publisher is started once and stopped once.

    Args:
        module: name of the module, in every message.
        settings: the publish policy and how hard to deliver.
        upstreams: where messages go.
        on_gone: called once when every upstream is gone: nobody reads any more.
        run: identity of this run; default random.
        tick_s: how often the time is looked at while no frame comes.
        clock: monotonic seconds.
        wall_clock: UTC seconds since 1970.
    """

    def __init__(
        self,
        module: str,
        settings: PublishSettings,
        upstreams: Sequence[Upstream],
        *,
        on_gone: Callable[[], None] = lambda: None,
        run: str | None = None,
        tick_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._builder = MessageBuilder(module, settings.output, run=run, clock=wall_clock)
        self._on_gone = on_gone
        self._tick_s = tick_s
        self._clock = clock
        names = _unique([upstream.name for upstream in upstreams])
        self._lanes = [
            Lane(upstream, settings.delivery, name=name, on_gone=self._lane_gone, clock=clock)
            for upstream, name in zip(upstreams, names, strict=True)
        ]
        self._cameras: dict[str, _Camera] = {}
        self._logged: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._running = False

    def add_camera(self, camera: str, state: Callable[[], str] = lambda: "") -> None:
        """Make heartbeats for ``camera`` from now on, also before its first frame.

        Args:
            camera: its name.
            state: tells what it is doing, in the words of `edgevision.status.CameraState`, whenever
                a message needs it; called on the event loop. A change between live, away and ended
                is a message of its own.
        """
        if camera in self._cameras:
            self._cameras[camera].tell = state
        else:
            now_s = self._clock()
            self._cameras[camera] = _Camera(camera, state, now_s, self._settings)

    async def remove_camera(self, camera: str) -> None:
        """Send what is still to be sent about ``camera`` and forget it."""
        known = self._cameras.pop(camera, None)
        if known is not None:
            async with known.lock:
                await self._flush(known)

    async def start(self) -> None:
        """Start the upstreams and the clock.

        Raises:
            ConfigurationError: an upstream can never work; those before it are stopped again.
        """
        try:
            for lane in self._lanes:
                await lane.start()
        except BaseException:
            await asyncio.gather(*(lane.stop(0) for lane in self._lanes))
            raise
        self._running = True
        self._ticker = asyncio.get_running_loop().create_task(self._watch(), name="publisher-tick")

    async def publish(self, result: Result) -> None:
        """Take a result; return when each upstream has the messages made of it in its queue.

        The results of one camera are handled in the order of the calls. What cannot be sent is
        counted and logged, once of each kind, and never raised.

        Raises:
            UpstreamError: the publisher is not running.
        """
        if not self._running:
            raise UpstreamError("the publisher is not running", retryable=False)
        camera = self._cameras.get(result.camera)
        if camera is None:
            self.add_camera(result.camera)
            camera = self._cameras[result.camera]
        async with camera.lock:
            camera.counts.results += 1
            messages = self._messages(camera, result)
            for message in messages:
                await self._hand_over(message)

    async def tick(self) -> None:
        """Send what is due though no frame came; called every ``tick_s`` by the publisher."""
        for camera in list(self._cameras.values()):
            if camera.lock.locked():
                continue  # a result is being handled, and that looks at the time too
            async with camera.lock:
                now_s = camera.clock.tick(self._clock())
                state = camera.state()
                report = camera.policy.tick(now_s, state)
                if report is not None:
                    await self._send(camera, report, state)

    async def configure(self, settings: PublishSettings) -> None:
        """Change the policy of all cameras; queues and retries stay as they were."""
        self._settings = settings
        for camera in list(self._cameras.values()):
            async with camera.lock:
                await self._flush(camera)
                camera.policy = open_policy(settings, camera.clock.now_s)
        self._builder.output = settings.output

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Take no more results, send what is waiting for at most ``timeout_s``, stop everything.

        What waits includes the interval that is not over, and a message for each camera that has
        ended or stopped since the last one about it. Harmless when not running.
        """
        if not self._running:
            return
        self._running = False
        deadline_s = self._clock() + timeout_s
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
            self._ticker = None
        flushing = asyncio.ensure_future(self._flush_all())
        await asyncio.wait({flushing}, timeout=timeout_s / 2)
        left_s = max(0.0, deadline_s - self._clock())
        await asyncio.gather(*(lane.stop(left_s) for lane in self._lanes))
        # A lane that is stopped makes nobody wait any more.
        await flushing

    def statistics(self) -> PublisherStatistics:
        """Return the counters at this moment."""
        return PublisherStatistics(
            {name: replace(camera.counts) for name, camera in self._cameras.items()},
            {lane.name: lane.statistics() for lane in self._lanes},
        )

    def status(self) -> list[UpstreamStatus]:
        """Return what the preview page, metrics and the twin show of the upstreams."""
        return [_status(lane) for lane in self._lanes]

    def _messages(self, camera: _Camera, result: Result) -> list[Message]:
        """Return the frame's message, if the policy wants one, and its events."""
        messages: list[Message] = []
        report: Report | None = None
        try:
            if result.values:
                result = replace(result, values=plain_values(result))
        except UpstreamError as error:
            self._refuse(camera, "values", error)
        else:
            now_s = camera.clock.frame(result.captured_at_s, self._clock())
            report = camera.policy.update(result, now_s)
            if report is None:
                camera.counts.suppressed += 1
            else:
                messages += self._message(camera, report, camera.state())
        for event in result.events:
            try:
                message = self._builder.event(result, event)
            except UpstreamError as error:
                self._refuse(camera, f"{event.stage} {event.output}", error)
            else:
                camera.counts.events += 1
                messages.append(message)
        return messages

    def _message(self, camera: _Camera, report: Report, state: str) -> list[Message]:
        try:
            message = self._builder.report(camera.name, report, state)
        except UpstreamError as error:
            self._refuse(camera, report.kind, error)
            return []
        camera.counts.published += 1
        return [message]

    async def _send(self, camera: _Camera, report: Report, state: str) -> None:
        for message in self._message(camera, report, state):
            await self._hand_over(message)

    async def _hand_over(self, message: Message) -> None:
        # Those that have room get it now, so that a full lane delays the others' next message and
        # not this one.
        full = [lane for lane in self._lanes if lane.full]
        for lane in self._lanes:
            if lane not in full:
                await lane.put(message)
        for lane in full:
            await lane.put(message)

    async def _flush(self, camera: _Camera) -> None:
        state = camera.state()
        for report in camera.policy.flush(camera.clock.tick(self._clock()), state):
            await self._send(camera, report, state)

    async def _flush_all(self) -> None:
        for camera in list(self._cameras.values()):
            async with camera.lock:
                await self._flush(camera)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            await self.tick()

    def _refuse(self, camera: _Camera, origin: str, error: UpstreamError) -> None:
        camera.counts.refused += 1
        keys = [key for key in getattr(error.__cause__, "path", ()) if isinstance(key, str)]
        kind = f"{camera.name} {origin} {keys}"
        if kind not in self._logged and len(self._logged) < _MAX_LOGGED_KINDS:
            self._logged.add(kind)
            _log.error("message refused: %s", redact(str(error)))

    def _lane_gone(self) -> None:
        if all(lane.upstream.gone for lane in self._lanes):
            self._on_gone()


def _status(lane: Lane) -> UpstreamStatus:
    counts = lane.statistics()
    return UpstreamStatus(
        name=counts.name,
        sent=counts.sent,
        failed=sum(counts.lost.values()) - counts.lost.get("gone", 0),
        waiting=counts.waiting,
        detail=counts.detail or lane.upstream.detail,
        numbers=lane.upstream.numbers(),
    )


class _Camera:
    """One camera's policy, clock and counters."""

    def __init__(
        self, name: str, tell: Callable[[], str], now_s: float, settings: PublishSettings
    ) -> None:
        self.name = name
        self.tell = tell
        self.clock = CameraClock(now_s)
        self.policy: Policy = open_policy(settings, self.clock.now_s)
        self.counts = CameraStatistics()
        self.lock = asyncio.Lock()
        self._complained = False

    def state(self) -> str:
        """Return what the camera is doing; "" when whoever should tell it raises."""
        try:
            return self.tell()
        except Exception:
            if not self._complained:
                self._complained = True
                _log.exception("the state of camera %s cannot be told", self.name)
            return ""


def _unique(names: Sequence[str]) -> list[str]:
    """Return the names with -2, -3 appended to those that were there before."""
    unique: list[str] = []
    for name in names:
        number = 2
        candidate = name
        while candidate in unique:
            candidate = f"{name}-{number}"
            number += 1
        unique.append(candidate)
    return unique
