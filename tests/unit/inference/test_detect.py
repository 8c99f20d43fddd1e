"""The detect stage: from a picture to boxes, from several cameras through one network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import ConfigurationError, Detections, Frame, Pipeline
from edgevision.errors import StageError
from edgevision.stages.detect import Detect
from edgevision.testing import check_stage
from tests.unit.inference import models
from tests.unit.inference.test_head import yolov5_by_hand, yolov8_by_hand
from tests.unit.inference.test_letterbox import by_hand
from tests.unit.inference.test_suppression import candidates, slowly

COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
NAMES = {"names": "{0: 'red', 1: 'green', 2: 'blue'}"}


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    return models.bright_squares(tmp_path / "squares.onnx", metadata=NAMES)


def scene(
    *squares: tuple[str, int, int], size_wh: tuple[int, int] = (192, 128), side: int = 16
) -> NDArray[np.uint8]:
    """Black, with coloured squares at (x, y)."""
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for colour, x, y in squares:
        image[y : y + side, x : x + side] = COLOURS[colour]
    return image


def found(stage: Detect, image: NDArray[np.uint8]) -> Detections:
    with Pipeline([stage]) as pipeline:
        frame = Frame(image)
        pipeline.process(frame)
        return frame.detections


def rows(detections: Detections) -> list[tuple[str, list[float]]]:
    return sorted((one.label, list(one.box_xyxy)) for one in detections)


def test_it_finds_what_is_in_a_picture(squares: Path) -> None:
    seen = found(Detect(model=squares), scene(("red", 64, 32), ("blue", 16, 80)))
    assert rows(seen) == [("blue", [16, 80, 32, 96]), ("red", [64, 32, 80, 48])]
    assert seen.confidence.tolist() == [1, 1]


def test_boxes_of_an_upright_picture_come_back_without_its_rim(squares: Path) -> None:
    """80 x 128 becomes 40 x 64 with 28 columns of gray on the left, which is no whole cell."""
    image = scene(("green", 24, 96), size_wh=(80, 128))
    boxes = found(Detect(model=squares, confidence=0.3), image).box_xyxy
    # 28 + 24 / 2 = 40: a whole cell again.
    assert boxes.tolist() == [[24, 96, 40, 112]]


def test_what_lies_in_the_rim_is_left_out(squares: Path) -> None:
    """The network sees a red rim, since its input is painted; no box of it may come out."""
    stage = Detect(model=squares, confidence=0.2)
    with Pipeline([stage]) as pipeline:
        frame = Frame(scene(("red", 0, 0), size_wh=(80, 128)))
        pipeline.process(frame)
        box = frame.detections.box_xyxy
        assert (box >= 0).all()
        assert (box[:, 2:] > box[:, :2]).all()
        assert (box[:, 2] <= 80).all()


def test_a_gray_picture_passes(squares: Path) -> None:
    assert len(found(Detect(model=squares), np.full((60, 90), 255, np.uint8))) == 0


def test_a_steady_picture_needs_no_scaling(squares: Path) -> None:
    seen = found(Detect(model=squares), scene(("blue", 88, 56), size_wh=(96, 64), side=8))
    assert rows(seen) == [("blue", [88, 56, 96, 64])]


def _reference(
    path: Path, decode: Callable[..., Any], image: NDArray[np.uint8], limit: float
) -> tuple[float, NDArray[Any], list[float], list[str]]:
    """Everything that detect does, by the slow formulae of the other tests.

    The least confidence comes first: one that some thirty candidates have.
    """
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(by_hand(image, (96, 64)).astype(np.float32)[None])
    rows = decode(net.forward()[0], 0)
    sure = sorted((r[1] for r in rows), reverse=True)
    least = (sure[30] + sure[31]) / 2
    rows = [r for r in rows if r[1] >= least]
    all_found = candidates([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    kept = slowly(all_found, limit)
    h, w = image.shape[:2]
    r = min(96 / w, 64 / h)
    sw, sh = round(w * r), round(h * r)
    left, top = round((96 - sw) / 2 - 0.1), round((64 - sh) / 2 - 0.1)
    boxes, confidences, labels = [], [], []
    for i in kept:
        x0, y0, x1, y1 = all_found.box_xyxy[i]
        box = [(x0 - left) * w / sw, (y0 - top) * h / sh, (x1 - left) * w / sw, (y1 - top) * h / sh]
        box = [min(max(v, 0), w if n % 2 == 0 else h) for n, v in enumerate(box)]
        if box[2] > box[0] and box[3] > box[1]:
            boxes.append(box)
            confidences.append(float(all_found.confidence[i]))
            labels.append(str(all_found.class_index[i]))
    return least, np.array(boxes).reshape(-1, 4), confidences, labels


@pytest.mark.parametrize("size_wh", [(192, 128), (200, 77), (111, 130)])
@pytest.mark.parametrize(
    ("head", "decode"), [("yolov5", yolov5_by_hand), ("yolov8", yolov8_by_hand)]
)
def test_boxes_are_those_of_the_reference(
    tmp_path: Path, head: str, decode: Callable[..., Any], size_wh: tuple[int, int]
) -> None:
    path = models.yolo(tmp_path / "m.onnx", head, seed=3)
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)
    least, boxes, confidences, labels = _reference(path, decode, image, 0.4)
    assert len(boxes) > 3
    seen = found(Detect(model=path, confidence=least, iou=0.4), image)
    np.testing.assert_allclose(seen.box_xyxy, boxes, atol=0.02)
    np.testing.assert_allclose(seen.confidence, confidences, atol=1e-5)
    assert seen.label.tolist() == labels


def test_cameras_share_one_network_and_each_gets_its_own_boxes(squares: Path) -> None:
    """Sizes, thresholds and classes differ; in batches of three the results are those alone."""
    settings: list[dict[str, Any]] = [{}, {"classes": ["red"]}, {"confidence": 0.9}]
    images = [
        scene(("red", 64, 32), ("blue", 16, 80)),
        scene(("red", 48, 0), ("green", 0, 16), size_wh=(96, 64), side=8),
        scene(("green", 24, 96), size_wh=(80, 128)),
    ]
    alone = [
        rows(found(Detect(model=squares, **s), i)) for s, i in zip(settings, images, strict=True)
    ]
    assert [len(boxes) for boxes in alone] == [2, 1, 1]
    with ExitStack() as stack:
        workers = stack.enter_context(ThreadPoolExecutor(3))
        pipelines = [
            stack.enter_context(
                Pipeline([Detect(model=squares, deadline_ms=1000, **s)], camera=f"camera-{n}")
            )
            for n, s in enumerate(settings)
        ]
        for _ in range(4):
            frames = [Frame(image.copy(), camera=f"camera-{n}") for n, image in enumerate(images)]
            list(workers.map(lambda p, f: p.process(f), pipelines, frames))
            assert [rows(frame.detections) for frame in frames] == alone
        shared = {id(p.stages[0].shared) for p in pipelines}  # type: ignore[attr-defined]
        assert len(shared) == 1
        batches = pipelines[0].stages[0].batches  # type: ignore[attr-defined]
        assert (batches.batches, batches.frames, batches.failures) == (4, 12, 0)


def test_what_is_live_changes_while_it_runs(squares: Path) -> None:
    image = scene(("red", 64, 32), ("blue", 16, 80))
    image[32:48, 64:80] = (0, 0, 200)
    with Pipeline([Detect(model=squares)]) as pipeline:

        def labels(**settings: Any) -> list[str]:
            pipeline.configure({"detect": settings})
            frame = Frame(image.copy())
            pipeline.process(frame)
            return sorted(frame.detections.label.tolist())

        shared = pipeline.stages[0].shared  # type: ignore[attr-defined]
        assert labels() == ["blue", "red"]
        assert labels(confidence=0.9) == ["blue"]
        assert labels(confidence=0.1, classes=["red"]) == ["red"]
        with pytest.raises(StageError, match=r"knows no class 'rad', did you mean 'red'\?"):
            labels(classes=["rad"])
        assert labels() == ["red"]
        assert labels(classes=[], max_detections=1) == ["blue"]
        assert pipeline.stages[0].shared is shared  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": ["a", "b"]}, "each of the model's 3 classes, there are 2"),
        ({"classes": ["pink"]}, r"knows no class 'pink'.* \(it knows: red, green, blue\)"),
        ({"head": "yolov5"}, r"squares.onnx' fit no head \(head: yolov5\)"),
        ({"size": (320, 320)}, "takes pictures of 96 x 64 only"),
        ({"model": Path("absent.onnx")}, "there is no model file 'absent.onnx'"),
    ],
)
def test_what_cannot_be_is_told_at_the_start(
    squares: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(StageError, match=words) as raised:
        Pipeline([Detect(**{"model": squares, **settings})]).start()
    # So the camera fails with the message, and does not try for ever.
    assert isinstance(raised.value.__cause__, ConfigurationError)


def test_a_model_that_leaves_its_size_open(tmp_path: Path) -> None:
    whole = models.yolo(tmp_path / "m.onnx", "yolov8")
    import onnx

    model = onnx.load(whole)
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[2].dim_param, shape.dim[3].dim_param = "height", "width"
    onnx.save(model, tmp_path / "open.onnx")
    stage = Detect(model=tmp_path / "open.onnx", size=(96, 64), confidence=0.5)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert rows(found(stage, image)) == rows(found(Detect(model=whole, confidence=0.5), image))


def test_labels_come_from_a_file(squares: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("fire\ngrass\nsky\n")
    seen = found(Detect(model=squares, labels=labels), scene(("green", 64, 32)))
    assert seen.label.tolist() == ["grass"]
    seen = found(Detect(model=squares, labels=["f", "g", "s"]), scene(("green", 64, 32)))
    assert seen.label.tolist() == ["g"]


def test_the_log_says_once_what_runs_where(squares: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgevision.stages")
    with (
        Pipeline([Detect(model=squares)], camera="a"),
        Pipeline([Detect(model=squares)], camera="b"),
    ):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"stage detect: squares.onnx on OpenCV DNN {cv2.__version__}, CPU, fp32: 96 x 64 px, head "
        "yolov8 with 3 classes, batches of up to 8"
    ]


def test_it_obeys_the_rules_of_stages(squares: Path, tmp_path: Path) -> None:
    check_stage(lambda: Detect(model=squares, confidence=0.1), params={"size": [None]})
    path = models.yolo(tmp_path / "m.onnx", "yolov5", batch=1, fixed=True)
    check_stage(
        lambda: Detect(model=path, confidence=0.2, iou=0.3),
        params={"size": [None], "confidence": [0.001, 1], "classes": [["1"]]},
    )
