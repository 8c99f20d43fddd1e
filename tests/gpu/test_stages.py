"""The built-in stages on a CUDA pipeline against the same on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Detections, Frame, Pipeline, stages
from tests.unit.stages.test_every_stage import VARIANTS, pictures, walkway

BOX = Detections([(40, 30, 88, 110), (100, 20, 131, 71)], 0.9, "face")
EVERY: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in stages.BUILT_IN if name != "detect"],
    *[variant for variant in VARIANTS if variant[0] != "detect"],
]
# Grey levels that most pixels of the picture may differ by, and the share that may differ more.
PICTURE: dict[str, tuple[int, float]] = {
    "resize": (1, 0.0),
    "edges": (0, 0.002),
    "blur": (3, 0.0),
    "flow": (12, 0.12),
}
# Share of the boxes of either side that the other must have, at an overlap of 0.7.
BOXES = {"people": 0.95, "flow": 0.8}
# How far the flow's numbers may be apart: a share of the speed, degrees, a share of the picture.
SPEED, TURN, SHARE = 0.15, 10.0, 0.05


def _shares(one: Detections, two: Detections) -> float:
    if not len(one):
        return 1.0
    if not len(two):
        return 0.0
    return float((one.iou(two).max(axis=1) > 0.7).mean())


def _run(
    name: str, options: dict[str, Any], device: str, images: list[NDArray[Any]]
) -> tuple[list[Any], list[Any], list[dict[str, Any]]]:
    shown, found, values = [], [], []
    with Pipeline([stages.load(name)(**options)], device=device) as pipeline:
        for number, image in enumerate(images):
            frame = Frame(image.copy(), sequence=number, captured_at_s=1e9 + number / 15)
            if name in ("blur", "resize", "roi"):
                frame.detections = BOX
            assert pipeline.process(frame) is None
            shown.append(frame.host.copy())
            found.append(frame.detections)
            values.append(dict(frame.values))
            pipeline.release(frame)
    return shown, found, values


def _flows_alike(expected: dict[str, Any], got: dict[str, Any], directed: bool) -> None:
    speed = expected["flow_speed"]
    assert abs(got["flow_speed"] - speed) <= max(SPEED * speed, 3.0)
    assert abs(got["flow_share"] - expected["flow_share"]) <= SHARE
    directions = expected["flow_direction"], got["flow_direction"]
    if directed and None not in directions:
        turn = abs(directions[0] - directions[1]) % 360
        assert min(turn, 360 - turn) <= TURN


@pytest.mark.parametrize(("name", "options"), EVERY, ids=lambda value: str(value))
def test_cuda_agrees_with_the_cpu(name: str, options: dict[str, Any]) -> None:
    images = walkway(322, 241, 24, 2)
    on_cpu, on_cuda = (_run(name, options, device, images) for device in ("cpu", "cuda"))
    steps, share = PICTURE.get(name, (0, 0.0))
    worst = 0.0
    for expected, got in zip(on_cpu[0], on_cuda[0], strict=True):
        assert expected.shape == got.shape
        apart = np.abs(expected.astype(int) - got)
        worst = max(worst, float((apart > steps).mean()))
    assert worst <= share, f"{worst:.4f} of the pixels differ by more than {steps}"
    alike = [
        (_shares(expected, got), _shares(got, expected), len(expected), len(got))
        for expected, got in zip(on_cpu[1], on_cuda[1], strict=True)
    ]
    bound = BOXES.get(name, 1.0)
    weights = sum(n + m for _, _, n, m in alike)
    if weights:
        agreed = sum(a * n + b * m for a, b, n, m in alike) / weights
        assert agreed >= bound, f"{agreed:.3f} of the boxes agree: {alike}"
    for expected, got in zip(on_cpu[2], on_cuda[2], strict=True):
        assert expected.keys() == got.keys()
        if name == "flow":
            # People walk both ways: where their motions cancel, the small difference between
            # the two implementations of Farneback's flow turns the mean any way.
            _flows_alike(expected, got, directed=options.get("method") != "farneback")
        else:
            assert expected == got


@pytest.mark.parametrize(("name", "options"), EVERY, ids=lambda value: str(value))
def test_any_picture_passes(name: str, options: dict[str, Any]) -> None:
    with Pipeline([stages.load(name)(**options)], device="cuda", poison=True) as pipeline:
        for number, image in enumerate(pictures()):
            frame = Frame(image.copy(), sequence=number, captured_at_s=1e9 + number / 30)
            if number % 2:
                frame.detections = BOX
            assert pipeline.process(frame) is None
            shown = frame.host
            assert shown.size > 0
            assert np.isfinite(frame.detections.box_xyxy).all()
            pipeline.release(frame)
