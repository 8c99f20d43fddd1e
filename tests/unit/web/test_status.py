"""The status snapshot: it is JSON, adds up and holds no credentials."""

from __future__ import annotations

import json
from typing import Any

from edgevision.status import CameraStatus, RunnerStatus, StageStatus, UpstreamStatus

SECRET = "hunter2"
URL = f"rtsp://admin:{SECRET}@10.0.0.5/live"


def test_everything_is_json_and_nothing_is_secret() -> None:
    stage = StageStatus("motion", 3, 1.5, 2.5, 1, {f"no answer from {URL}": 2}, f"OSError: {URL}")
    camera = CameraStatus(
        "door",
        source=URL,
        state="backing off",
        detail=f"cannot open {URL}",
        size_wh=(640, 480),
        dropped={f"fetch: {URL}": 2},
        stages=[stage],
    )
    upstream = UpstreamStatus("hub", 1, 2, 3, f"HostName=x;SharedAccessKey={SECRET}")
    text = json.dumps(RunnerStatus("gate", 12.5, [camera], [upstream]).to_json())
    assert SECRET not in text
    back: dict[str, Any] = json.loads(text)
    assert back["module"] == "gate"
    (door,) = back["cameras"]
    assert door["size_wh"] == [640, 480]
    assert door["state"] == "backing off"
    assert "10.0.0.5" in door["source"]
    assert "10.0.0.5" in door["detail"]
    assert door["stages"][0]["name"] == "motion"
    assert door["stages"][0]["mean_ms"] == 1.5
    assert back["upstreams"][0]["waiting"] == 3


def test_reasons_that_differ_in_their_credentials_are_added_up() -> None:
    dropped = {"x rtsp://a:1@h/": 2, "x rtsp://b:2@h/": 3}
    camera = CameraStatus("door", dropped=dropped, captured=5)
    assert list(camera.dropped.values()) == [5]
    assert camera.unaccounted == 0


def test_unaccounted_frames_are_seen() -> None:
    camera = CameraStatus("door", captured=10, processed=5, dropped={"latest": 3}, in_flight=1)
    assert camera.unaccounted == 1
