"""Each sample runs as its pipeline.yaml says, on rendered frames."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from edgevision import Detections, Frame, Pipeline, config
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.sources import open_source
from edgevision.testing import CollectingUpstream, check_stage
from edgevision.upstream.message import json_schema

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = sorted(path.parent.name for path in SAMPLES.glob("*/pipeline.yaml"))
FRAMES = 150


def sample(name: str) -> config.PipelineConfig:
    return config.load(SAMPLES / name / "pipeline.yaml")


def run(name: str, seed: int = 4) -> tuple[list[Result], list[dict[str, Any]]]:
    """Run a sample on a rendered street; return its results and messages."""
    read = sample(name)
    uri = f"synthetic:?people=3&seed={seed}&frames={FRAMES}&pace=fast&width=640&height=480"
    results: list[Result] = []
    collecting = CollectingUpstream()

    async def scenario() -> None:
        spec = read.camera_specs()[0]
        camera = CameraSpec("street", lambda: open_source(uri), spec.stages, policy="wait")
        runner = Runner(
            [camera],
            module=read.module,
            publish=read.publish,
            upstreams=[collecting],
            on_result=results.append,
        )
        assert await runner.run_async() == 0

    asyncio.run(scenario())
    return results, [json.loads(message.encode()) for message in collecting.messages]


def test_there_are_three_samples() -> None:
    assert NAMES == ["my_first_stage", "people_counter", "webcam_motion"]


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_finds_something_and_its_messages_are_valid(name: str) -> None:
    results, messages = run(name)
    assert len(results) == FRAMES
    assert sum(len(result.detections) > 0 for result in results) > FRAMES / 3
    assert messages
    for message in messages:
        jsonschema.validate(message, json_schema())
        assert message["module"] == sample(name).module


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_has_what_a_reader_needs(name: str) -> None:
    files = {path.name for path in (SAMPLES / name).iterdir()}
    assert {"README.md", "stages.py", "pipeline.yaml"} <= files


def test_the_first_stage_fits_on_a_page() -> None:
    assert len((SAMPLES / "my_first_stage" / "stages.py").read_text().splitlines()) <= 25


def own_stages() -> list[Any]:
    return [
        pytest.param(stage, id=f"{name}-{stage.stage.__name__}")
        for name in NAMES
        for stage in sample(name).stages
        if stage.use.startswith("./")
    ]


@pytest.mark.parametrize("stage", own_stages())
def test_a_sample_s_own_stage_keeps_the_rules(stage: config.StageConfig) -> None:
    check_stage(stage.stage)


def test_the_alarm_says_when_motion_begins() -> None:
    _, messages = run("webcam_motion")
    alarms = [m["body"] for m in messages if m["output"] == "alarm"]
    assert alarms[0]["moving"] is True


def test_the_counter_counts_who_crosses() -> None:
    """Boxes that are led over the line are counted once each, in their direction."""
    stage = sample("people_counter").stages[-1].create()
    right = [Detections([[x, 100, x + 40, 200]], label="p") for x in range(200, 400, 8)]
    left = [Detections([[x, 100, x + 40, 200]], label="p") for x in range(400, 200, -8)]
    ways: list[str] = []
    with Pipeline([stage]) as pipeline:
        for number, found in enumerate([*right, *left], start=1):
            frame = Frame(np.zeros((480, 640, 3), np.uint8), sequence=number)
            frame.detections = found
            pipeline.process(frame)
            ways += [event.body["way"] for event in frame.events]
    assert ways == ["right", "left"]


def test_the_tutorial_shows_the_sample() -> None:
    tutorial = (SAMPLES.parent / "docs" / "tutorial.md").read_text()
    assert (SAMPLES / "my_first_stage" / "stages.py").read_text() in tutorial
