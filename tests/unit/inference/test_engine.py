"""OpenCV's DNN module as an engine: what it runs, and what it says of what it cannot."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgevision import ConfigurationError
from edgevision.inference import open_engine
from edgevision.inference.onnx_header import read_header
from tests.unit.inference import models


def pictures(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).random((count, 3, 64, 96), np.float32)


def bare(path: Path, blob: NDArray[np.float32]) -> NDArray[Any]:
    net = cv2.dnn.readNetFromONNX(str(path))
    net.setInput(blob)
    output: NDArray[Any] = net.forward("output0")
    return output


@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
@pytest.mark.parametrize(
    ("options", "batch"),
    [
        ({}, 0),
        ({"batch": 1}, 0),
        ({"batch": 1, "fixed": True}, 1),
        ({"batch": 1, "mixed": True}, 1),
        ({"batch": 4, "fixed": True}, -4),
        ({"more_outputs": True}, 0),
    ],
)
def test_any_number_of_pictures_gives_what_each_gives_alone(
    tmp_path: Path, head: str, options: dict[str, Any], batch: int
) -> None:
    path = models.yolo(tmp_path / "m.onnx", head, **options)
    alone = models.yolo(tmp_path / "alone.onnx", head)
    engine = open_engine(path, device="cpu", precision="fp32")
    shapes = engine.prepare((96, 64), batch=8)
    assert shapes[0] == ((1, 96, 8) if head == "yolov5" else (1, 7, 96))
    assert len(shapes) == 2 if options.get("more_outputs") else 1
    # How many one run takes is found out, not believed.
    assert engine.batch == batch
    for count in (1, 3, 8, 2):
        blob = pictures(count)
        output = engine.run(blob)[0]
        assert len(output) == count
        for one, given in zip(output, blob, strict=True):
            np.testing.assert_allclose(one, bare(alone, given[None])[0], rtol=1e-4, atol=1e-4)
    engine.close()


def test_it_says_what_runs_where(tmp_path: Path) -> None:
    path = models.yolo(tmp_path / "m.onnx", "yolov8", metadata={"names": "{0: 'a'}", "task": "x"})
    engine = open_engine(path, device="cpu", precision="fp32")
    assert engine.description == f"OpenCV DNN {cv2.__version__}, CPU, fp32"
    assert engine.device == "cpu"
    assert engine.input_wh == (96, 64)
    assert engine.header.opset == 13
    assert engine.header.metadata == {"names": "{0: 'a'}", "task": "x"}
    assert str(engine.header.inputs[0]) == "images (?, 3, 64, 96)"


def _open(path: Path, **options: Any) -> None:
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", **options}
    open_engine(path, **settings).prepare((96, 64), batch=1)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no model file '.*absent.onnx'"):
        _open(tmp_path / "absent.onnx")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        _open(tmp_path)
    path = tmp_path / "m.onnx"
    whole = models.yolo(tmp_path / "whole.onnx", "yolov8").read_bytes()
    for content in (b"", b"\x00" * 64, b"PK\x03\x04 a zip archive", b"\x89PNG\r\n" * 9, whole[:99]):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"m.onnx' is no ONNX model: "):
            _open(path)


def test_a_truncated_or_damaged_file_never_hangs(tmp_path: Path) -> None:
    whole = models.yolo(tmp_path / "whole.onnx", "yolov8").read_bytes()
    path = tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    begun_s = time.monotonic()
    for _ in range(300):
        content = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        with contextlib.suppress(ConfigurationError):
            read_header(path)
    assert time.monotonic() - begun_s < 20


def test_an_operation_that_opencv_does_not_know(tmp_path: Path) -> None:
    models.save(
        tmp_path / "m.onnx",
        [helper.make_node("NoSuchLayer", ["images"], ["output0"])],
        {},
        {"images": [1, 3, 64, 96]},
        {"output0": [1, 7, 96]},
        opset=17,
    )
    with pytest.raises(ConfigurationError, match=r"m.onnx' \(opset 17\).*NoSuchLayer"):
        _open(tmp_path / "m.onnx")


def test_a_model_that_does_not_take_pictures(tmp_path: Path) -> None:
    node = [helper.make_node("Relu", ["x"], ["y"])]
    path = tmp_path / "m.onnx"
    models.save(path, node, {}, {"x": [1, 10]}, {"y": [1, 10]})
    with pytest.raises(ConfigurationError, match=r"one input, pictures .* it has x \(1, 10\)"):
        _open(path)
    models.save(path, node, {}, {"x": [1, 1, 64, 96]}, {"y": [1, 1, 64, 96]})
    with pytest.raises(ConfigurationError, match="takes pictures of 1 channels, wanted is 3"):
        _open(path)


def test_weights_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    """Files of older exporters list their weights as inputs, too."""
    path = tmp_path / "m.onnx"
    models.save(
        path,
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        {"factor": np.ones((1, 3, 1, 1), np.float32)},
        {"x": [1, 3, 64, 96], "factor": [1, 3, 1, 1]},
        {"y": [1, 3, 64, 96]},
    )
    assert [tensor.name for tensor in read_header(path).inputs] == ["x"]
    _open(path)


def test_cuda_that_is_not_there_is_told(tmp_path: Path) -> None:
    if len(cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA)):
        pytest.skip("needs an OpenCV whose DNN module has no CUDA: python3 dev.py test")
    path = models.yolo(tmp_path / "m.onnx", "yolov8")
    with pytest.raises(ConfigurationError, match="device: cuda was asked for, but "):
        _open(path, device="cuda")
    assert open_engine(path, device="auto", precision="fp32").device == "cpu"


def test_half_precision_on_a_processor_without_it(tmp_path: Path) -> None:
    half = getattr(cv2.dnn, "DNN_TARGET_CPU_FP16", -1)
    path = models.yolo(tmp_path / "m.onnx", "yolov8")
    if half in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_OPENCV):
        _open(path, precision="fp16")
        return
    with pytest.raises(ConfigurationError, match="precision: fp16 needs CUDA"):
        _open(path, precision="fp16")
