"""Results, messages and a validator for the tests of this folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from edgevision.detections import Detections
from edgevision.result import Event, Result
from edgevision.testing.collecting import CollectingUpstream
from edgevision.upstream.builder import MessageBuilder
from edgevision.upstream.message import Message, json_schema
from edgevision.upstream.publisher import Publisher
from edgevision.upstream.settings import DeliverySettings, PublishSettings
from edgevision.upstream.upstream import Upstream

VALIDATOR = Draft202012Validator(json_schema())

START_S = 1_780_000_000.0
SIZE_WH = (640, 360)


def detections(
    labels: Sequence[str] | str = (),
    *,
    track_ids: Sequence[int] | int = -1,
    left: float = 10.0,
    **data: Any,
) -> Detections:
    """Boxes of 20 x 40 px beside each other."""
    names = labels.split() if isinstance(labels, str) else list(labels)
    boxes = [(left + 30 * i, 5.0, left + 30 * i + 20, 45.0) for i in range(len(names))]
    return Detections(boxes, 0.5, names, track_ids, data) if names else Detections.empty()


def result(
    found: Detections | str = "",
    *,
    camera: str = "door",
    sequence: int = 1,
    captured_at_s: float = START_S,
    values: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
    latency_s: float = 0.0125,
) -> Result:
    return Result(
        camera=camera,
        sequence=sequence,
        captured_at_s=captured_at_s,
        size_wh=SIZE_WH,
        detections=detections(found) if isinstance(found, str) else found,
        values=dict(values or {}),
        events=list(events),
        latency_s=latency_s,
    )


def builder(module: str = "vision", run: str = "a1b2c3") -> MessageBuilder:
    return MessageBuilder(module, run=run, clock=lambda: START_S + 1)


def messages(count: int, camera: str = "door", text: str = "") -> list[Message]:
    made = builder()
    return [
        made.event(
            result(camera=camera, sequence=i), Event("alarms", {"number": i, "text": text}, "count")
        )
        for i in range(1, count + 1)
    ]


class TroubledUpstream(CollectingUpstream):
    """A collecting upstream with troubles, one for each call of `send` and `start`.

    A trouble is an exception to raise, an event to wait for, or None for none. After the last of
    them all goes well.
    """

    def __init__(
        self,
        *troubles: Exception | asyncio.Event | None,
        starts: Sequence[Exception | asyncio.Event | None] = (),
        name: str = "troubled",
    ) -> None:
        super().__init__(name)
        self.troubles = deque(troubles)
        self.starts = deque(starts)
        self.attempts = 0
        self.starts_made = self.stops_made = 0
        self.left = False

    @property
    def gone(self) -> bool:
        return self.left

    async def start(self) -> None:
        self.starts_made += 1
        await _meet(self.starts)
        await super().start()

    async def send(self, message: Message) -> None:
        self.attempts += 1
        await _meet(self.troubles)
        await super().send(message)

    async def stop(self) -> None:
        self.stops_made += 1
        await super().stop()


async def _meet(troubles: deque[Exception | asyncio.Event | None]) -> None:
    trouble = troubles.popleft() if troubles else None
    if isinstance(trouble, Exception):
        raise trouble
    if trouble is not None:
        await trouble.wait()


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def publisher(*upstreams: Upstream, **settings: Any) -> tuple[Publisher, Clock]:
    """A publisher whose clock only the test moves, and which never ticks by itself."""
    clock = Clock()
    delivery = DeliverySettings(
        first_retry_s=0.001, longest_retry_s=0.002, **settings.pop("delivery", {})
    )
    made = Publisher(
        "vision",
        PublishSettings(delivery=delivery, **settings),
        upstreams,
        run="a1b2c3",
        tick_s=1e6,
        clock=clock,
        wall_clock=lambda: START_S + clock.now_s,
    )
    return made, clock


def numbers(upstream: CollectingUpstream, camera: str = "door") -> list[int]:
    """The numbers of a camera's messages, all of which must be valid."""
    for message in upstream.messages:
        VALIDATOR.validate(message.body)
    return [message.body["number"] for message in upstream.of(camera)]


def fill(disk: Path) -> None:
    """Leave no room on a disk but in what is written already; `disk / "ballast"` holds it."""
    fd = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with contextlib.suppress(OSError):
        while os.write(fd, b"x" * 4096):
            pass
    os.close(fd)


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for something that nobody announces."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - as the name says
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), timeout_s)
