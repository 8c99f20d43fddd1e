"""A network of the size of YOLOv8n with random weights, for the benchmarks of detect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CLASSES", "yolo_graph"]

CLASSES = 80
_SIDE = 640
UNSURE = -4
GAIN = 1.32
# Output channels, step and how often: 8 to 9 billion operations a picture, 3 million weights.
_LAYERS = [(16, 2, 1), (32, 2, 1), (32, 1, 2), (64, 2, 1), (64, 1, 4), (128, 2, 1), (128, 1, 4),
           (256, 2, 1), (256, 1, 3)]  # fmt: skip


def yolo_graph(path: Path, *, batch: int | str = "batch", seed: int = 1) -> Path:
    """Write the model: 640 x 640 pictures, 80 classes, YOLOv8's output; return its path."""
    rng = np.random.default_rng(seed)
    nodes: list[Any] = []
    weights: list[Any] = []
    count = 0

    def conv(
        source: str, inputs: int, outputs: int, *, size: int, step: int, bias: float = 0
    ) -> str:
        nonlocal count
        count += 1
        scale = GAIN * np.sqrt(2 / (inputs * size * size))
        kernel = rng.normal(0, scale, (outputs, inputs, size, size)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{count}"))
        weights.append(numpy_helper.from_array(np.full(outputs, bias, np.float32), f"b{count}"))
        node = helper.make_node(
            "Conv", [source, f"w{count}", f"b{count}"], [f"c{count}"],
            strides=[step, step], pads=[size // 2] * 4, kernel_shape=[size, size],
        )  # fmt: skip
        nodes.append(node)
        return f"c{count}"

    def active(source: str) -> str:
        nodes.append(helper.make_node("Sigmoid", [source], [f"{source}s"]))
        nodes.append(helper.make_node("Mul", [source, f"{source}s"], [f"{source}a"]))
        return f"{source}a"

    at, channels = "images", 3
    levels = []
    for outputs, step, times in _LAYERS:
        for _ in range(times):
            at = active(conv(at, channels, outputs, size=3, step=step))
            channels = outputs
        if step == 1 and channels >= 64:
            levels.append((at, channels))
    rows = []
    for (source, inputs), stride in zip(levels, (8, 16, 32), strict=True):
        at = active(conv(source, inputs, 64, size=3, step=1))
        boxes = conv(at, 64, 4, size=1, step=1)
        # So unsure that a picture has some tens of candidates.
        shares = conv(at, 64, CLASSES, size=1, step=1, bias=UNSURE)
        nodes.append(helper.make_node("Concat", [boxes, shares], [f"head{stride}"], axis=1))
        cells = (_SIDE // stride) ** 2
        shape = np.array([0, 4 + CLASSES, cells])
        weights.append(numpy_helper.from_array(shape, f"shape{stride}"))
        nodes.append(
            helper.make_node("Reshape", [f"head{stride}", f"shape{stride}"], [f"rows{stride}"])
        )
        rows.append(f"rows{stride}")
    nodes.append(helper.make_node("Concat", rows, ["all"], axis=2))
    nodes.append(helper.make_node("Sigmoid", ["all"], ["shares"]))
    scale = np.ones((1, 4 + CLASSES, 1), np.float32)
    scale[0, :4, 0] = (_SIDE, _SIDE, 100, 100)
    weights.append(numpy_helper.from_array(scale, "scale"))
    nodes.append(helper.make_node("Mul", ["shares", "scale"], ["output0"]))
    graph = helper.make_graph(
        nodes,
        "yolo",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, _SIDE, _SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [batch, 4 + CLASSES, 8400])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path
