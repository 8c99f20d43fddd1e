"""The routes: page, pictures, status, health, metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any
from uuid import uuid4

from aiohttp import web

from edgevision import __version__
from edgevision.errors import SourceUnavailableError
from edgevision.status import RunnerStatus
from edgevision.web.channel import Channel, ClientGone
from edgevision.web.guard import content_security_policy, guard, protect
from edgevision.web.health import health, readiness, report
from edgevision.web.metrics import CONTENT_TYPE, Metrics, Snapshot
from edgevision.web.picture import Picture, Viewer
from edgevision.web.tap import PreviewTap, watch

__all__ = ["Site"]

_LOG = logging.getLogger(__name__)

_STATUS_INTERVAL_S = 1.0
_SNAPSHOT_TIMEOUT_S = 5.0
# How long a viewer of a camera that was removed, and not closed, may wait for nothing.
_PRESENCE_INTERVAL_S = 2.0
_BOUNDARY = "edgevision-picture"


class Site:
    """What the server answers; all of it runs on the event loop, none of it touches pixels.

    Args:
        status: returns the snapshot of this moment.
        taps: returns the previews by camera of this moment.
        local: True when only this machine may connect, see `edgevision.web.guard.guard`.
        reading_timeout_s: a viewer who reads nothing for this long is cut off.
        max_viewers: pictures and events being sent at the same time, at most.
    """

    def __init__(
        self,
        *,
        status: Callable[[], RunnerStatus],
        taps: Callable[[], Mapping[str, PreviewTap]],
        local: bool,
        reading_timeout_s: float,
        max_viewers: int,
    ) -> None:
        self._status = status
        self._taps = taps
        self._reading_timeout_s = reading_timeout_s
        self._max_viewers = max_viewers
        self._page = files("edgevision.web").joinpath("page.html").read_text("utf-8")
        self._metrics = Metrics(lambda: Snapshot(status(), taps()))
        # A page that sees another run of the program loads itself again.
        self._run = uuid4().hex
        self._watching: set[asyncio.Task[Any]] = set()

        self.application = web.Application(middlewares=[guard] if local else [])
        apply = protect(content_security_policy(self._page), embeddable=not local)

        async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
            apply(request, response)

        self.application.on_response_prepare.append(on_prepare)
        route = self.application.router.add_get
        route("/", self._get_page)
        route("/status", self._get_status)
        route("/health", self._get_health)
        route("/ready", self._get_ready)
        route("/metrics", self._get_metrics)
        route("/events", self._get_events, allow_head=False)
        route("/video", self._get_pictures, allow_head=False)
        # A camera's name may hold a slash.
        route("/cameras/{name:.+}/video", self._get_video, allow_head=False)
        route("/cameras/{name:.+}/snapshot.jpg", self._get_snapshot, allow_head=False)

    async def end_viewers(self) -> None:
        """Cut off everyone who watches."""
        watching = list(self._watching)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _get_page(self, request: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", charset="utf-8")

    async def _get_status(self, request: web.Request) -> web.Response:
        return web.json_response(self._status_json())

    async def _get_health(self, request: web.Request) -> web.Response:
        status = self._status()
        return _verdict(status, health(status))

    async def _get_ready(self, request: web.Request) -> web.Response:
        status = self._status()
        return _verdict(status, readiness(status))

    async def _get_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_snapshot(self, request: web.Request) -> web.Response:
        tap = self._tap(request.match_info["name"])
        try:
            with self._admitted():
                picture = await tap.snapshot(_SNAPSHOT_TIMEOUT_S)
        except SourceUnavailableError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        return web.Response(body=picture.jpeg, content_type="image/jpeg")

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the status, once a second."""

        async def send(channel: Channel) -> None:
            await channel.send(b"retry: 1000\n\n")
            while True:
                text = json.dumps(self._status_json(), separators=(",", ":"))
                await channel.send(f"event: status\ndata: {text}\n\n".encode())
                await asyncio.sleep(_STATUS_INTERVAL_S)

        return await self._channel(request, "text/event-stream", send)

    async def _get_video(self, request: web.Request) -> web.StreamResponse:
        """One camera as MJPEG, which every browser and video player shows."""
        tap = self._tap(request.match_info["name"])

        async def send(channel: Channel) -> None:
            async with tap.watch() as viewer:
                await channel.send(f"--{_BOUNDARY}\r\n".encode())
                while picture := await self._next(viewer, [tap]):
                    # The boundary after the picture, not before it: browsers show a picture once
                    # they have seen what ends it.
                    head = (
                        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
                        f"X-Sequence: {picture.sequence}\r\n"
                        f"X-Captured-At: {picture.captured_at_s:.3f}\r\n\r\n"
                    )
                    tail = f"\r\n--{_BOUNDARY}\r\n"
                    await channel.send(head.encode() + picture.jpeg + tail.encode())

        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return await self._channel(request, kind, send)

    async def _get_pictures(self, request: web.Request) -> web.StreamResponse:
        """Several cameras over one connection, for the page.

        A browser opens six connections to a server at most, so one for each camera would leave
        none for the status. Each picture is a 4 byte big-endian length, as many bytes of JSON
        (``bytes`` is the length of the JPEG) and the JPEG.
        """
        present = self._taps()
        names = request.query.getall("camera", [])
        taps = [present[name] for name in dict.fromkeys(names) if name in present]
        if not taps:
            raise web.HTTPNotFound(text="no such camera\n")

        async def send(channel: Channel) -> None:
            async with watch(taps) as viewer:
                while picture := await self._next(viewer, taps):
                    head = json.dumps(_head(picture), separators=(",", ":")).encode()
                    await channel.send(struct.pack("!I", len(head)) + head + picture.jpeg)

        return await self._channel(request, "application/octet-stream", send)

    async def _channel(
        self, request: web.Request, kind: str, send: Callable[[Channel], Any]
    ) -> web.StreamResponse:
        """Open a channel and run ``send`` on it until the client goes, or `end_viewers`."""
        channel = Channel(request, kind, timeout_s=self._reading_timeout_s)
        with self._admitted():
            try:
                async with channel:
                    await send(channel)
            except ClientGone:  # before the channel was open
                _LOG.debug("%s closed before its answer", request.path)
        return channel.response

    async def _next(self, viewer: Viewer, taps: list[PreviewTap]) -> Picture | None:
        """Return the next picture; None once all cameras are closed, or none is present."""
        while True:
            try:
                return await asyncio.wait_for(viewer.next(), _PRESENCE_INTERVAL_S)
            except asyncio.TimeoutError:
                present = self._taps()
                if not any(present.get(tap.camera) is tap for tap in taps):
                    return None

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count the current task among those who watch, or refuse it."""
        if len(self._watching) >= self._max_viewers:
            raise web.HTTPServiceUnavailable(
                text=f"{self._max_viewers} viewers are watching already; close a page\n",
                headers={"Retry-After": "5"},
            )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled in a task")
        self._watching.add(task)
        try:
            yield
        finally:
            self._watching.discard(task)

    def _tap(self, name: str) -> PreviewTap:
        tap = self._taps().get(name)
        if tap is None:
            raise web.HTTPNotFound(text="no such camera\n")
        return tap

    def _status_json(self) -> dict[str, Any]:
        return {**self._status().to_json(), "version": __version__, "run": self._run}


def _verdict(status: RunnerStatus, reasons: list[str]) -> web.Response:
    return web.json_response(report(status, reasons), status=503 if reasons else 200)


def _head(picture: Picture) -> dict[str, Any]:
    return {
        "camera": picture.camera,
        "sequence": picture.sequence,
        "captured_at_s": picture.captured_at_s,
        "size_wh": picture.size_wh,
        "counts": picture.counts,
        "colors": picture.colors,
        "values": picture.values,
        "bytes": len(picture.jpeg),
    }
