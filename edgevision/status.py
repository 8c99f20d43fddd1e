"""A snapshot of what a runner, its cameras and its upstreams are doing, in plain numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from edgevision.redaction import redact

__all__ = [
    "CAMERA_STATES",
    "CameraState",
    "CameraStatus",
    "RunnerStatus",
    "StageStatus",
    "UpstreamStatus",
]

CameraState = Literal[
    "connecting", "live", "stalled", "backing off", "paused", "ended", "failed", "stopped"
]
"""What a camera is doing.

- ``connecting``: the source is being opened, or has not delivered its first frame.
- ``live``: frames come in.
- ``stalled``: the source is open and has been silent for longer than the stall time-out.
- ``backing off``: the source is closed and will be opened again later.
- ``paused``: told to take no frames for now; a camera is closed, a file held where it is.
- ``ended``: a finite source has delivered its last frame.
- ``failed``: given up; nothing will happen without a change of the configuration.
- ``stopped``: stopped on request.
"""

CAMERA_STATES: tuple[CameraState, ...] = get_args(CameraState)


@dataclass(slots=True, frozen=True)
class StageStatus:
    """One stage of one camera, counted from the camera's start.

    Attributes:
        name: the stage's name in its pipeline.
        frames: frames it was run on.
        mean_ms: mean time in ``process``, in milliseconds.
        longest_ms: the longest single ``process``, in milliseconds.
        errors: how often it raised.
        drops: frames it dropped, by reason.
        last_error: type and text of the last exception; credentials are hidden here.
        quarantined: True while frames pass it by.
        uploads: copies that it made from the host to a CUDA device.
        downloads: copies that it made the other way.
        copied_bytes: bytes of both.
    """

    name: str
    frames: int = 0
    mean_ms: float = 0.0
    longest_ms: float = 0.0
    errors: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    last_error: str = ""
    quarantined: bool = False
    uploads: int = 0
    downloads: int = 0
    copied_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "drops", _redacted(self.drops))
        object.__setattr__(self, "last_error", redact(self.last_error))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable values."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class CameraStatus:
    """One camera, counted from its start.

    At any moment ``captured == processed + sum(dropped.values()) + in_flight``.

    Attributes:
        name: name of the camera.
        source: where its frames come from; credentials are hidden here.
        state: see `CameraState`.
        state_since_s: UTC seconds since 1970 at which that state began.
        detail: why, in words for people ("no answer from 10.0.0.5:554, next try in 4 s");
            credentials are hidden here.
        size_wh: width and height of the captured frames in pixels; None before the first.
        fps: frames processed per second, recently.
        captured: frames that the source delivered.
        processed: frames that passed all stages.
        dropped: frames that did not, by cause.
        in_flight: frames captured and neither processed nor dropped yet.
        latency_ms: milliseconds from the end of the capture to the end of the last stage, the
            median of recent frames; None before the first.
        latency_p95_ms: the same, exceeded by one frame in twenty.
        reconnects: how often the source was opened again.
        results_waiting: results that the event loop has not taken yet.
        stages: the stages in order.
        stuck_stage: name of the stage that the watchdog found hanging; "" if none.
        buffers_bytes: image memory that the camera's frames and stages hold, in bytes, on host and
            device.
        device: where its frames are processed: ``cpu``, ``cuda:0``, ...
        device_bytes: how much of ``buffers_bytes`` is the device's.
    """

    name: str
    source: str = ""
    state: CameraState = "connecting"
    state_since_s: float = field(default_factory=time.time)
    detail: str = ""
    size_wh: tuple[int, int] | None = None
    fps: float = 0.0
    captured: int = 0
    processed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    reconnects: int = 0
    results_waiting: int = 0
    stages: list[StageStatus] = field(default_factory=list)
    stuck_stage: str = ""
    buffers_bytes: int = 0
    device: str = "cpu"
    device_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", redact(self.source))
        object.__setattr__(self, "detail", redact(self.detail))
        object.__setattr__(self, "dropped", _redacted(self.dropped))

    @property
    def unaccounted(self) -> int:
        """Frames that are captured and neither processed, dropped nor in flight: always 0."""
        return self.captured - self.processed - sum(self.dropped.values()) - self.in_flight

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable values."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class UpstreamStatus:
    """One upstream, counted from its start.

    Attributes:
        name: what the upstream is called in pipeline.yaml.
        sent: messages it has taken.
        failed: messages that were given up.
        waiting: messages not sent yet.
        detail: what keeps it from sending, in words for people; credentials are hidden here.
        numbers: what the upstream counts itself, by name.
    """

    name: str
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    detail: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", redact(self.detail))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON-serialisable values."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class RunnerStatus:
    """Everything at one moment.

    Attributes:
        module: name of the module, as its messages carry it.
        started_at_s: UTC seconds since 1970 at which the runner started.
        cameras: the cameras in the order of their configuration.
        upstreams: the upstreams in the order of their configuration.
        at_s: UTC seconds since 1970 at which this snapshot was taken.
    """

    module: str
    started_at_s: float
    cameras: list[CameraStatus] = field(default_factory=list)
    upstreams: list[UpstreamStatus] = field(default_factory=list)
    at_s: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """Return the fields, those of cameras, stages and upstreams too, ready for JSON."""
        return asdict(self)


def _redacted(counts: Mapping[str, int]) -> dict[str, int]:
    """Return ``counts`` with credentials hidden; reasons that become the same are added up."""
    hidden: dict[str, int] = {}
    for reason, count in counts.items():
        name = redact(reason)
        hidden[name] = hidden.get(name, 0) + count
    return hidden
