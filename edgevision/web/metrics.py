"""Prometheus metrics, read off the status snapshot when someone asks for them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgevision import __version__
from edgevision.status import CAMERA_STATES, CameraStatus, RunnerStatus, StageStatus, UpstreamStatus

if TYPE_CHECKING:
    from edgevision.web.tap import PreviewTap

__all__ = ["CONTENT_TYPE", "METRICS", "Definition", "Metrics", "Snapshot", "table"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format, which every scraper reads."""


@dataclass(slots=True, frozen=True)
class Snapshot:
    """What the metrics are read from.

    Attributes:
        status: the runner, its cameras and upstreams.
        taps: the preview of each camera.
    """

    status: RunnerStatus
    taps: Mapping[str, PreviewTap]


Sample = tuple[tuple[str, ...], float]
"""The values of the labels, and the metric's value."""


@dataclass(slots=True, frozen=True)
class Definition:
    """One metric.

    Attributes:
        name: full name; a counter's ends in ``_total``.
        kind: counter or gauge.
        labels: names of the labels.
        help: what it means, in one sentence.
        read: reads its samples off a snapshot.
    """

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    help: str
    read: Callable[[Snapshot], Iterable[Sample]]

    def collect(self, snapshot: Snapshot) -> Metric:
        """Return the metric with the samples of ``snapshot``."""
        family = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        metric = family(self.name, self.help, labels=self.labels)
        for labels, value in self.read(snapshot):
            metric.add_metric(labels, value)
        return metric


def _cameras(
    value: Callable[[CameraStatus], float | None],
) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for camera in snapshot.status.cameras:
            number = value(camera)
            if number is not None:
                yield (camera.name,), number

    return read


def _stages(value: Callable[[StageStatus], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    def read(snapshot: Snapshot) -> Iterator[Sample]:
        for camera in snapshot.status.cameras:
            for stage in camera.stages:
                yield (camera.name, stage.name), value(stage)

    return read


def _upstreams(value: Callable[[UpstreamStatus], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: (((u.name,), value(u)) for u in snapshot.status.upstreams)


def _taps(value: Callable[[PreviewTap], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    return lambda snapshot: (((name,), value(tap)) for name, tap in snapshot.taps.items())


def _dropped(snapshot: Snapshot) -> Iterator[Sample]:
    for camera in snapshot.status.cameras:
        for cause, count in camera.dropped.items():
            yield (camera.name, cause), count


def _states(snapshot: Snapshot) -> Iterator[Sample]:
    for camera in snapshot.status.cameras:
        for state in CAMERA_STATES:
            yield (camera.name, state), float(camera.state == state)


def _stuck(snapshot: Snapshot) -> Iterator[Sample]:
    for camera in snapshot.status.cameras:
        for stage in camera.stages:
            yield (camera.name, stage.name), float(stage.name == camera.stuck_stage)


def _copies(snapshot: Snapshot) -> Iterator[Sample]:
    for camera in snapshot.status.cameras:
        for stage in camera.stages:
            yield (camera.name, stage.name, "upload"), stage.uploads
            yield (camera.name, stage.name, "download"), stage.downloads


def _numbers(snapshot: Snapshot) -> Iterator[Sample]:
    for upstream in snapshot.status.upstreams:
        for name, value in upstream.numbers.items():
            yield (upstream.name, name), value


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


_BUILD = (__version__, platform.python_version(), cv2.__version__)
_CAMERA, _STAGE, _UPSTREAM = ("camera",), ("camera", "stage"), ("upstream",)

METRICS: tuple[Definition, ...] = (
    Definition(
        "edgevision_build_info",
        "gauge",
        ("version", "python", "opencv"),
        "Versions of edgevision, Python and OpenCV; always 1.",
        lambda snapshot: [(_BUILD, 1)],
    ),
    Definition(
        "edgevision_start_time_seconds",
        "gauge",
        (),
        "UTC time at which the runner started, in seconds since 1970.",
        lambda snapshot: [((), snapshot.status.started_at_s)],
    ),
    Definition(
        "edgevision_camera_state",
        "gauge",
        ("camera", "state"),
        "1 for the state the camera is in, 0 for all others.",
        _states,
    ),
    Definition(
        "edgevision_camera_reconnects_total",
        "counter",
        _CAMERA,
        "How often the camera's source was opened again.",
        _cameras(lambda camera: camera.reconnects),
    ),
    Definition(
        "edgevision_frames_captured_total",
        "counter",
        _CAMERA,
        "Frames that the source delivered; equal to processed, dropped and in flight together.",
        _cameras(lambda camera: camera.captured),
    ),
    Definition(
        "edgevision_frames_processed_total",
        "counter",
        _CAMERA,
        "Frames that passed all stages.",
        _cameras(lambda camera: camera.processed),
    ),
    Definition(
        "edgevision_frames_dropped_total",
        "counter",
        ("camera", "cause"),
        "Frames that did not pass all stages, by cause.",
        _dropped,
    ),
    Definition(
        "edgevision_frames_in_flight",
        "gauge",
        _CAMERA,
        "Frames captured and neither processed nor dropped yet.",
        _cameras(lambda camera: camera.in_flight),
    ),
    Definition(
        "edgevision_frames_per_second",
        "gauge",
        _CAMERA,
        "Frames processed per second, recently.",
        _cameras(lambda camera: camera.fps),
    ),
    Definition(
        "edgevision_latency_median_seconds",
        "gauge",
        _CAMERA,
        "Time from the end of the capture to the end of the last stage, median of recent frames.",
        _cameras(lambda camera: _seconds(camera.latency_ms)),
    ),
    Definition(
        "edgevision_latency_p95_seconds",
        "gauge",
        _CAMERA,
        "The same, exceeded by one recent frame in twenty.",
        _cameras(lambda camera: _seconds(camera.latency_p95_ms)),
    ),
    Definition(
        "edgevision_results_waiting",
        "gauge",
        _CAMERA,
        "Results that the event loop has not taken yet.",
        _cameras(lambda camera: camera.results_waiting),
    ),
    Definition(
        "edgevision_buffers_bytes",
        "gauge",
        _CAMERA,
        "Image memory that the camera's frames and stages hold.",
        _cameras(lambda camera: camera.buffers_bytes),
    ),
    Definition(
        "edgevision_device_bytes",
        "gauge",
        _CAMERA,
        "How much of edgevision_buffers_bytes is memory of a CUDA device.",
        _cameras(lambda camera: camera.device_bytes),
    ),
    Definition(
        "edgevision_stage_copies_total",
        "counter",
        ("camera", "stage", "direction"),
        "Copies between host and CUDA device that the stage made, by direction.",
        _copies,
    ),
    Definition(
        "edgevision_stage_copied_bytes_total",
        "counter",
        _STAGE,
        "Bytes of these copies.",
        _stages(lambda stage: stage.copied_bytes),
    ),
    Definition(
        "edgevision_stage_frames_total",
        "counter",
        _STAGE,
        "Frames that the stage was run on.",
        _stages(lambda stage: stage.frames),
    ),
    Definition(
        "edgevision_stage_seconds_total",
        "counter",
        _STAGE,
        "Time spent in the stage's process method.",
        _stages(lambda stage: stage.mean_ms * stage.frames / 1000),
    ),
    Definition(
        "edgevision_stage_longest_seconds",
        "gauge",
        _STAGE,
        "The longest single run of the stage's process method.",
        _stages(lambda stage: stage.longest_ms / 1000),
    ),
    Definition(
        "edgevision_stage_errors_total",
        "counter",
        _STAGE,
        "How often the stage raised an exception.",
        _stages(lambda stage: stage.errors),
    ),
    Definition(
        "edgevision_stage_quarantined",
        "gauge",
        _STAGE,
        "1 while frames pass the stage by after repeated errors.",
        _stages(lambda stage: float(stage.quarantined)),
    ),
    Definition(
        "edgevision_stage_stuck",
        "gauge",
        _STAGE,
        "1 while the watchdog finds that the stage does not return.",
        _stuck,
    ),
    Definition(
        "edgevision_upstream_sent_total",
        "counter",
        _UPSTREAM,
        "Messages that the upstream has taken.",
        _upstreams(lambda upstream: upstream.sent),
    ),
    Definition(
        "edgevision_upstream_failed_total",
        "counter",
        _UPSTREAM,
        "Messages that were given up.",
        _upstreams(lambda upstream: upstream.failed),
    ),
    Definition(
        "edgevision_upstream_waiting",
        "gauge",
        _UPSTREAM,
        "Messages not sent yet.",
        _upstreams(lambda upstream: upstream.waiting),
    ),
    Definition(
        "edgevision_upstream_number",
        "gauge",
        ("upstream", "what"),
        "What the upstream counts itself. `iotedge`: its connection and its outbox.",
        _numbers,
    ),
    Definition(
        "edgevision_preview_viewers",
        "gauge",
        _CAMERA,
        "Who watches the camera's preview now.",
        _taps(lambda tap: tap.viewers),
    ),
    Definition(
        "edgevision_preview_pictures_total",
        "counter",
        _CAMERA,
        "Preview pictures encoded; none are while nobody watches.",
        _taps(lambda tap: tap.encoded),
    ),
    Definition(
        "edgevision_preview_failures_total",
        "counter",
        _CAMERA,
        "Frames of which no preview picture could be made.",
        _taps(lambda tap: tap.failed),
    ),
)


class Metrics(Collector):
    """The metrics of one runner, in a registry of their own.

    Nothing is counted here: each scrape takes one snapshot. The registry also holds
    prometheus-client's ``process_*`` metrics (memory, CPU time, open files).

    Args:
        snapshot: returns what to read from; called once per scrape.
    """

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics of one snapshot, those without a sample left out."""
        snapshot = self._snapshot()
        for definition in METRICS:
            metric = definition.collect(snapshot)
            if metric.samples:
                yield metric

    def text(self) -> bytes:
        """Return the answer to a scrape."""
        return generate_latest(self._registry)


def table() -> str:
    """Return the Markdown table of all metrics that stands in docs/preview.md."""
    rows = ["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|"]
    for definition in METRICS:
        labels = ", ".join(f"`{label}`" for label in definition.labels) or "none"
        rows.append(f"| `{definition.name}` | {definition.kind} | {labels} | {definition.help} |")
    return "\n".join(rows) + "\n"
