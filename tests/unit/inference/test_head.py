"""The heads against formulae written out once more, and against tensors made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import ConfigurationError
from edgevision.inference import choose_head
from edgevision.inference.head import YoloV5, YoloV8


def yolov8_by_hand(output: NDArray[Any], least: float) -> list[tuple[list[float], float, int]]:
    """The formulae of the module's docstring, one candidate after another."""
    found = []
    for a in range(output.shape[1]):
        cx, cy, w, h = (float(v) for v in output[:4, a])
        shares = [float(v) for v in output[4:, a]]
        best = max(shares)
        if best >= least:
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            found.append((box, best, shares.index(best)))
    return found


def yolov5_by_hand(output: NDArray[Any], least: float) -> list[tuple[list[float], float, int]]:
    found = []
    for row in output:
        cx, cy, w, h, anything, *shares = (np.float32(v) for v in row)
        products = [anything * share for share in shares]
        best = max(products)
        if best >= least:
            box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
            found.append(([float(v) for v in box], float(best), products.index(best)))
    return found


def random_output(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.mark.parametrize("least", [0.001, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 80])
def test_yolov8_follows_its_formulae(classes: int, least: float) -> None:
    output = random_output((4 + classes, 300), seed=classes)
    output[:4] *= 400
    head = YoloV8((1, 4 + classes, 300), 0)
    _compare(head.decode(output, least), yolov8_by_hand(output, least))


@pytest.mark.parametrize("least", [0.001, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 80])
def test_yolov5_follows_its_formulae(classes: int, least: float) -> None:
    output = random_output((300, 5 + classes), seed=classes)
    output[:, :4] *= 400
    head = YoloV5((1, 300, 5 + classes), 0)
    _compare(head.decode(output, least), yolov5_by_hand(output, least))


def _compare(found: Any, wanted: list[tuple[list[float], float, int]]) -> None:
    assert len(found) == len(wanted)
    if not wanted:
        assert found.box_xyxy.shape == (0, 4)
        return
    box, confidence, index = zip(*wanted, strict=True)
    np.testing.assert_allclose(found.box_xyxy, box, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(found.confidence, confidence, rtol=1e-6)
    assert found.class_index.tolist() == list(index)
    assert found.box_xyxy.dtype == found.confidence.dtype == np.float32
    assert found.class_index.dtype == np.int64


def test_known_boxes() -> None:
    rows = np.array(
        [
            # cx cy w h, anything, two classes
            [50, 40, 20, 10, 0.9, 0.5, 1.0],
            [50, 40, 20, 10, 0.2, 1.0, 1.0],
            [10, 12, 4, 6, 1.0, 0.75, 0.75],
        ],
        np.float32,
    )
    found = YoloV5((1, 300, 7), 0).decode(rows, 0.25)
    assert found.box_xyxy.tolist() == [[40, 35, 60, 45], [8, 9, 12, 15]]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.75])
    # Of equal classes the first one counts.
    assert found.class_index.tolist() == [1, 0]
    columns = np.array([[50, 40, 20, 10, 0.1, 0.9], [10, 12, 4, 6, 0.75, 0.75]], np.float32).T
    found = YoloV8((1, 6, 300), 0).decode(columns, 0.25)
    assert found.box_xyxy.tolist() == [[40, 35, 60, 45], [8, 9, 12, 15]]
    assert found.class_index.tolist() == [1, 0]


def test_numbers_that_are_none_are_no_boxes() -> None:
    columns = np.array(
        [
            [np.nan, 1, 1, 1, 0.9],
            [1, 1, np.inf, 1, 0.9],
            [1, 1, 0, 9, 0.9],
            [1, 1, 9, -1, 0.9],
            [5, 5, 2, 2, np.nan],
            [5, 5, 2, 2, 1.001],
        ],
        np.float32,
    ).T
    found = YoloV8((1, 5, 300), 0).decode(columns, 0.25)
    assert found.box_xyxy.tolist() == [[4, 4, 6, 6]]
    # What half precision has rounded up is still no more than sure.
    assert found.confidence.tolist() == [1]


@pytest.mark.parametrize(
    ("outputs", "name", "classes", "position"),
    [
        ([(1, 84, 8400)], "yolov8", 80, 0),
        ([(1, 5, 8400)], "yolov8", 1, 0),
        ([(1, 25200, 85)], "yolov5", 80, 0),
        ([(1, 25200, 6)], "yolov5", 1, 0),
        ([(1, 116, 8400), (1, 32, 160, 160)], "yolov8", 112, 0),
        ([(1, 3, 80, 80, 85), (1, 25200, 85)], "yolov5", 80, 1),
    ],
)
def test_the_shape_tells_the_head(
    outputs: list[tuple[int, ...]], name: str, classes: int, position: int
) -> None:
    head = choose_head("auto", outputs, "m.onnx")
    assert (head.name, head.classes, head.output) == (name, classes, position)


@pytest.mark.parametrize(
    ("name", "outputs", "words"),
    [
        ("auto", [(1, 1000)], r"m\.onnx.* wanted is one of shape .*it has \(1, 1000\)$"),
        ("auto", [(1, 300, 6)], r"it has \(1, 300, 6\); .*suppresses boxes itself"),
        ("yolov8", [(1, 25200, 85)], r"head: yolov8.*\(1, 4 \+ classes, candidates\) for yolov8"),
        ("yolov5", [(1, 84, 8400)], r"\(1, candidates, 5 \+ classes\) for yolov5, it has"),
        ("auto", [(1, 84, 8400), (1, 84, 8400)], "more than one fits"),
        ("auto", [(1, 4, 8400)], "fit no head"),
    ],
)
def test_outputs_that_fit_no_head_are_told(
    name: str, outputs: list[tuple[int, ...]], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        choose_head(name, outputs, "m.onnx")


def test_a_head_that_is_named_is_taken_where_the_shape_leaves_doubt() -> None:
    head = choose_head("yolov5", [(1, 300, 6)], "m.onnx")
    assert (head.name, head.classes) == ("yolov5", 1)
    assert choose_head("yolo11", [(1, 84, 8400)], "m.onnx").name == "yolov8"
