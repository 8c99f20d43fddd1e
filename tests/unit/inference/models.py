"""ONNX detectors to test with: small, with random weights, or with weights that mean something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["bright_squares", "save", "yolo"]

CELL = 8
"""Every network here looks at cells of so many pixels."""


def save(
    path: Path,
    nodes: list[Any],
    weights: dict[str, Any],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    *,
    opset: int = 13,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a model and return its path."""
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def yolo(
    path: Path,
    head: str,
    *,
    classes: int = 3,
    input_wh: tuple[int, int] = (96, 64),
    batch: int | str = "batch",
    fixed: bool = False,
    mixed: bool = False,
    more_outputs: bool = False,
    seed: int = 1,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A convolution with random weights and a head's output: boxes in pixels, shares below 1.

    Args:
        path: where to write it.
        head: ``yolov5`` or ``yolov8``.
        classes: how many.
        input_wh: its input.
        batch: first dimension of its input and output, a number or a name.
        fixed: the batch is a constant of its graph as well, so that no other one runs.
        mixed: another batch runs, and mixes the pictures up.
        more_outputs: it has a second output, of four dimensions.
        seed: of the weights.
        metadata: texts to bring along.
    """
    rng = np.random.default_rng(seed)
    width, height = input_wh
    cells = (height // CELL) * (width // CELL)
    rows = classes + (5 if head == "yolov5" else 4)
    # Boxes of up to 60 pixels all over the input; sigmoid makes shares of the rest.
    scale = np.ones((1, rows, 1), np.float32)
    scale[0, :4, 0] = (width, height, 60, 60)
    weights: dict[str, Any] = {
        "w1": rng.normal(0, 0.4, (8, 3, 5, 5)).astype(np.float32),
        "w2": rng.normal(0, 0.4, (rows, 8, 1, 1)).astype(np.float32),
        "scale": scale,
        "shape": np.array([batch if fixed else 1 if mixed else 0, rows, -1 if mixed else cells]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"], strides=[CELL, CELL], pads=[2] * 4),
        helper.make_node("Relu", ["c1"], ["a1"]),
        helper.make_node("Conv", ["a1", "w2"], ["c2"]),
        helper.make_node("Reshape", ["c2", "shape"], ["r"]),
        helper.make_node("Sigmoid", ["r"], ["s"]),
        helper.make_node("Mul", ["s", "scale"], ["columns" if head == "yolov5" else "output0"]),
    ]
    output: list[Any] = [batch, rows, cells]
    if head == "yolov5":
        nodes.append(helper.make_node("Transpose", ["columns"], ["output0"], perm=[0, 2, 1]))
        output = [batch, cells, rows]
    outputs = {"output0": output}
    if more_outputs:
        nodes.append(helper.make_node("Relu", ["c2"], ["output1"]))
        outputs["output1"] = [batch, rows, height // CELL, width // CELL]
    inputs = {"images": [batch, 3, height, width]}
    return save(path, nodes, weights, inputs, outputs, metadata=metadata)


def bright_squares(
    path: Path,
    *,
    input_wh: tuple[int, int] = (96, 64),
    batch: int | str = "batch",
    metadata: dict[str, str] | None = None,
) -> Path:
    """A detector that works: it finds cells of 8 x 8 pixels that are red, green or blue.

    Its output is YOLOv8's. The confidence of a class is 0 to 1 as the mean of its channel less the
    mean of the other two, and the box is the cell itself.
    """
    width, height = input_wh
    columns, lines = width // CELL, height // CELL
    y, x = np.mgrid[:lines, :columns].reshape(2, -1).astype(np.float32)
    side = np.full_like(x, CELL)
    boxes = np.stack([(x + 0.5) * CELL, (y + 0.5) * CELL, side, side])[None]
    contrast = np.array([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], np.float32)
    weights: dict[str, Any] = {
        "contrast": contrast.reshape(3, 3, 1, 1),
        "boxes": boxes,
        "zero": np.zeros((4, 3, 1), np.float32)[:, :, :, None],
        "shape3": np.array([0, 3, columns * lines]),
        "shape4": np.array([0, 4, columns * lines]),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["mean"], kernel_shape=[CELL] * 2,
                         strides=[CELL] * 2),
        helper.make_node("Conv", ["mean", "contrast"], ["sure"]),
        helper.make_node("Relu", ["sure"], ["shares"]),
        helper.make_node("Reshape", ["shares", "shape3"], ["flat"]),
        # Zeros of the batch's size, to which the boxes are added.
        helper.make_node("Conv", ["mean", "zero"], ["zeros"]),
        helper.make_node("Reshape", ["zeros", "shape4"], ["flat zeros"]),
        helper.make_node("Add", ["flat zeros", "boxes"], ["all boxes"]),
        helper.make_node("Concat", ["all boxes", "flat"], ["output0"], axis=1),
    ]  # fmt: skip
    return save(
        path,
        nodes,
        weights,
        {"images": [batch, 3, height, width]},
        {"output0": [batch, 7, columns * lines]},
        metadata=metadata,
    )
