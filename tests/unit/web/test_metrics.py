"""Metrics: what Prometheus reads is what the status says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import cv2
from prometheus_client.parser import text_string_to_metric_families

from edgevision import __version__
from edgevision.status import CameraStatus, RunnerStatus, StageStatus, UpstreamStatus
from edgevision.web.metrics import METRICS, Metrics, Snapshot, table
from edgevision.web.tap import PreviewTap
from tests.unit.web.client import get
from tests.unit.web.rig import Rig, stages

Key = tuple[str, frozenset[tuple[str, str]]]

DOCS = Path(__file__).parents[3] / "docs" / "preview.md"


def sample(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


def parsed(text: str) -> tuple[dict[Key, float], dict[str, str]]:
    """Return the samples by name and labels, and the metrics' types, as a scraper sees them."""
    values: dict[Key, float] = {}
    kinds: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in kinds, f"{family.name} comes twice"
        kinds[family.name] = family.type
        assert family.documentation or not family.name.startswith("edgevision")
        for found in family.samples:
            key = sample(found.name, **found.labels)
            assert key not in values, f"{key} comes twice"
            values[key] = found.value
    return values, kinds


def status() -> RunnerStatus:
    camera = CameraStatus(
        'door "7"\n\\',
        state="backing off",
        fps=24.5,
        captured=110,
        processed=100,
        dropped={"latest": 6, "motion: night": 3},
        in_flight=1,
        latency_ms=12.5,
        latency_p95_ms=30.0,
        reconnects=4,
        results_waiting=2,
        stages=[StageStatus("motion", 100, 2.5, 9.0, 7, quarantined=True)],
        stuck_stage="motion",
        buffers_bytes=1234,
    )
    new = CameraStatus("gate")
    return RunnerStatus(
        "gate", 99.5, [camera, new], [UpstreamStatus("hub", 10, 2, 5, numbers={"connected": 1})]
    )


def test_every_number_of_the_status_is_there() -> None:
    taps = {"gate": PreviewTap("gate")}
    values, kinds = parsed(Metrics(lambda: Snapshot(status(), taps)).text().decode())
    camera = 'door "7"\n\\'
    expected = {
        sample("edgevision_start_time_seconds"): 99.5,
        sample("edgevision_camera_reconnects_total", camera=camera): 4,
        sample("edgevision_frames_captured_total", camera=camera): 110,
        sample("edgevision_frames_processed_total", camera=camera): 100,
        sample("edgevision_frames_dropped_total", camera=camera, cause="latest"): 6,
        sample("edgevision_frames_dropped_total", camera=camera, cause="motion: night"): 3,
        sample("edgevision_frames_in_flight", camera=camera): 1,
        sample("edgevision_frames_per_second", camera=camera): 24.5,
        sample("edgevision_latency_median_seconds", camera=camera): 0.0125,
        sample("edgevision_latency_p95_seconds", camera=camera): 0.03,
        sample("edgevision_results_waiting", camera=camera): 2,
        sample("edgevision_buffers_bytes", camera=camera): 1234,
        sample("edgevision_stage_frames_total", camera=camera, stage="motion"): 100,
        sample("edgevision_stage_seconds_total", camera=camera, stage="motion"): 0.25,
        sample("edgevision_stage_longest_seconds", camera=camera, stage="motion"): 0.009,
        sample("edgevision_stage_errors_total", camera=camera, stage="motion"): 7,
        sample("edgevision_stage_quarantined", camera=camera, stage="motion"): 1,
        sample("edgevision_stage_stuck", camera=camera, stage="motion"): 1,
        sample("edgevision_upstream_sent_total", upstream="hub"): 10,
        sample("edgevision_upstream_failed_total", upstream="hub"): 2,
        sample("edgevision_upstream_waiting", upstream="hub"): 5,
        sample("edgevision_preview_viewers", camera="gate"): 0,
        sample("edgevision_preview_pictures_total", camera="gate"): 0,
        sample("edgevision_preview_failures_total", camera="gate"): 0,
    }
    for key, value in expected.items():
        assert values[key] == value, key
    (build,) = (dict(labels) for name, labels in values if name == "edgevision_build_info")
    assert (build["version"], build["opencv"]) == (__version__, cv2.__version__)
    # A camera has exactly one state.
    for name, state in ((camera, "backing off"), ("gate", "connecting")):
        ones = {
            dict(labels)["state"]
            for (metric, labels), value in values.items()
            if metric == "edgevision_camera_state" and ("camera", name) in labels and value == 1
        }
        assert ones == {state}
    # Before the first frame there is no latency, and 0 s would be a lie.
    assert sample("edgevision_latency_median_seconds", camera="gate") not in values
    assert {name for name, _ in values if name.startswith("edgevision")} == {
        m.name for m in METRICS
    }
    for metric in METRICS:
        assert kinds[metric.name.removesuffix("_total")] == metric.kind


def test_names_follow_the_conventions_of_prometheus() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"edgevision(_[a-z0-9]+)+", metric.name)
        assert metric.name.endswith("_total") is (metric.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent)(_|$)", metric.name)
        assert metric.help.endswith(".")
        assert not {"le", "quantile", "job", "instance"} & set(metric.labels)


def test_a_scrape_reads_the_moment_s_status() -> None:
    async def main() -> None:
        with Rig("door") as rig:
            rig.cameras["door"].change(stages=stages())
            async with rig.served() as server:
                for reconnects in (1, 2):
                    rig.cameras["door"].change(reconnects=reconnects)
                    async with get(server.url + "metrics") as response:
                        assert response.headers["Content-Type"].startswith("text/plain; version=")
                        values, _ = parsed(await response.text())
                    key = sample("edgevision_camera_reconnects_total", camera="door")
                    assert values[key] == reconnects
                    assert values[sample("process_resident_memory_bytes")] > 1e6

    asyncio.run(main())


def test_two_servers_in_one_process_do_not_share_metrics() -> None:
    one = Metrics(lambda: Snapshot(RunnerStatus("a", 1.0), {})).text()
    two = Metrics(lambda: Snapshot(RunnerStatus("b", 2.0), {})).text()
    assert b"edgevision_start_time_seconds 1.0" in one
    assert b"edgevision_start_time_seconds 2.0" in two


def test_the_docs_list_these_metrics() -> None:
    text = DOCS.read_text("utf-8")
    assert table() in text, f"put this into docs/preview.md:\n\n{table()}"
