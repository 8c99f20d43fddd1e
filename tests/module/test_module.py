"""The deployable module as its files say, against the stand-in of the hub."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edgevision import Detections, Frame, Pipeline, config
from edgevision.harness.methods import methods_of
from edgevision.testing import check_stage
from edgevision.testing.hub import HubStandIn
from edgevision.upstream.settings import IotEdgeSettings

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "module"


def visits(**params: Any) -> Any:
    return config.load_stage("./stages.py:Visits", MODULE)(**params)


def frame(at_s: float, boxes: int) -> Frame:
    picture = Frame(np.zeros((48, 64, 3), np.uint8), captured_at_s=at_s)
    picture.detections = Detections(
        np.array([[1, 2, 30, 40]] * boxes, np.float32).reshape(-1, 4),
        np.ones(boxes, np.float32),
        np.full(boxes, "motion"),
    )
    return picture


def test_the_pipeline_is_right_and_has_a_durable_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IOTEDGE_MODULEID", raising=False)
    read = config.load(MODULE / "pipeline.yaml")
    assert read.module == "module"
    (upstream,) = read.upstream
    assert isinstance(upstream, IotEdgeSettings)
    assert upstream.outbox.path.startswith("/data/")
    assert read.web is not None
    assert (read.web.host, read.web.port) == ("0.0.0.0", 9600)
    monkeypatch.setenv("IOTEDGE_MODULEID", "gate")
    assert config.load(MODULE / "pipeline.yaml").module == "gate"


def test_the_stage_keeps_the_rules() -> None:
    check_stage(type(visits()))


def test_the_stage_counts_visits() -> None:
    stage = visits(pause_s=2)
    with Pipeline([stage]) as pipeline:
        seen = []
        for at_s, boxes in [(0, 0), (1, 1), (2, 1), (3, 0), (4, 1), (7, 1), (8, 0), (11, 2)]:
            each = frame(float(at_s), boxes)
            pipeline.process(each)
            seen.append(each.values["visits"])
            pipeline.release(each)
        assert seen == [0, 1, 1, 1, 1, 2, 2, 3]
        assert stage.reset_visits(None) == {"before": 3}
    assert set(methods_of(type(stage))) == {"reset_visits"}


def test_module_json_and_the_image_agree() -> None:
    described = json.loads((MODULE / "module.json").read_text())
    for dockerfile in described["image"]["tag"]["platforms"].values():
        assert (MODULE / dockerfile).is_file()
    assert yaml.safe_load((MODULE / "pipeline.yaml").read_text())["version"] == 1


def test_the_module_runs(tmp_path: Path) -> None:
    code = "import sys; from module.main import main; sys.exit(main())"
    options = ["--upstream", "iotedge", "--port", "0", "--host", "127.0.0.1"]
    with HubStandIn() as hub:
        environment = {
            **os.environ,
            **hub.environment(module="gate"),
            "CAMERA": "synthetic:?people=1&seed=4&width=320&height=240",
            "PYTHONPATH": str(ROOT),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", code, *options],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            (message,) = hub.wait_for_messages(1, timeout_s=30)[:1]
            assert message.json()["module"] == "gate"
            gate = hub.module("gate")
            hub.wait_for(lambda _: "cameras" in gate.reported, timeout_s=10)
            gate.patch_desired({"stages": {"visits": {"pause_s": 60}}})
            hub.wait_for(lambda _: gate.reported["desired"]["version"] == 2, timeout_s=10)
            assert gate.reported["cameras"]["camera"]["stages"]["visits"] == {"pause_s": 60.0}
            answer = gate.call("reset_visits")
            assert answer.status == 200
            assert "before" in answer.payload["cameras"]["camera"]["visits"]
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=9)
    assert process.returncode == 0, output
