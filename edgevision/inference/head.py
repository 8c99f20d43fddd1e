"""What the output of a detector means: boxes, confidences, classes.

A head reads the numbers of one picture and returns those boxes that are sure enough. The formulae
are those of the exports that Ultralytics' tools write, in which the network has done the rest:

- ``yolov5`` (also YOLOv7's): one row for each candidate, (N, A, 5 + C): cx, cy, w, h in pixels of
  the input, how sure it is that there is anything, and one share for each class. The confidence is
  the product of the two.
- ``yolov8`` (also YOLOv9's, YOLO11's and YOLO12's): one column for each candidate, (N, 4 + C, A):
  cx, cy, w, h in pixels of the input and one confidence for each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import ConfigurationError

__all__ = ["HEADS", "Candidates", "Head", "YoloV5", "YoloV8", "choose_head"]

Shape = tuple[int, ...]

# Rows of a detector that has done its own suppression: box, confidence, class.
_END_TO_END = 6


@dataclass(frozen=True)
class Candidates:
    """Boxes of one picture, before suppression.

    Attributes:
        box_xyxy: (K, 4) float32: left, top, right, bottom in pixels of the network's input.
        confidence: (K,) float32, 0 to 1.
        class_index: (K,) int64.
    """

    box_xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.confidence)

    def chosen(self, rows: NDArray[Any]) -> Candidates:
        """Return some of them: a bool mask or indices."""
        return Candidates(self.box_xyxy[rows], self.confidence[rows], self.class_index[rows])


class Head(Protocol):
    """Reads a detector's output.

    Attributes:
        name: what it is called in pipeline.yaml.
        output: which of the network's outputs it reads.
        classes: how many classes there are.
    """

    name: str
    output: int
    classes: int

    def decode(self, output: NDArray[np.float32], confidence: float) -> Candidates:
        """Return the candidates of one picture with at least this confidence, in their order.

        Args:
            output: what the network gave for the picture, without the first dimension.
            confidence: the least that counts.
        """


class YoloV5:
    """See the module.

    Args:
        shape: of the output for one picture, (1, A, 5 + C).
        output: which output it is.
    """

    name = "yolov5"

    def __init__(self, shape: Shape, output: int) -> None:
        self.output = output
        self.classes = shape[2] - 5

    @staticmethod
    def fits(shape: Shape) -> bool:
        """Say whether an output can be such a one."""
        return len(shape) == 3 and shape[2] > 5 and shape[1] > shape[2]

    def decode(self, output: NDArray[np.float32], confidence: float) -> Candidates:
        """See `Head.decode`."""
        # No class makes a candidate surer than it is of there being anything.
        rows = output[output[:, 4] >= confidence]
        share = rows[:, 5:] * rows[:, 4:5]
        index = share.argmax(axis=1)
        best = np.take_along_axis(share, index[:, None], axis=1)[:, 0]
        return _sure(rows[:, :4], best, index, confidence)


class YoloV8:
    """See the module.

    Args:
        shape: of the output for one picture, (1, 4 + C, A).
        output: which output it is.
    """

    name = "yolov8"

    def __init__(self, shape: Shape, output: int) -> None:
        self.output = output
        self.classes = shape[1] - 4

    @staticmethod
    def fits(shape: Shape) -> bool:
        """Say whether an output can be such a one."""
        return len(shape) == 3 and shape[1] > 4 and shape[2] > shape[1]

    def decode(self, output: NDArray[np.float32], confidence: float) -> Candidates:
        """See `Head.decode`."""
        best = output[4:].max(axis=0)
        columns = np.flatnonzero(best >= confidence)
        index = output[4:, columns].argmax(axis=0)
        return _sure(output[:4, columns].T, best[columns], index, confidence)


HEADS: dict[str, type[YoloV5] | type[YoloV8]] = {
    "yolov5": YoloV5,
    "yolov8": YoloV8,
    "yolo11": YoloV8,
}
"""The heads by the names that pipeline.yaml has for them."""

_WANTED = {
    YoloV5: "(1, candidates, 5 + classes)",
    YoloV8: "(1, 4 + classes, candidates)",
}


def choose_head(name: str, outputs: Sequence[Shape], model: str) -> Head:
    """Return the head that reads the outputs of a network.

    Args:
        name: one of `HEADS`, or ``auto``: the one that fits the shapes.
        outputs: the shape of each output for one picture.
        model: the file, for messages.

    Raises:
        ConfigurationError: no output fits, or several do; says the shapes wanted and those there
            are.
    """
    kinds = list(dict.fromkeys(HEADS.values())) if name == "auto" else [HEADS[name]]
    found = [
        (kind, position, shape)
        for position, shape in enumerate(outputs)
        for kind in kinds
        if kind.fits(shape) and (name != "auto" or not _is_end_to_end(shape))
    ]
    if len(found) == 1:
        kind, position, shape = found[0]
        return kind(shape, position)
    wanted = " or ".join(f"{_WANTED[kind]} for {kind.name}" for kind in kinds)
    came = ", ".join(str(tuple(shape)) for shape in outputs)
    more = ""
    if any(_is_end_to_end(shape) for shape in outputs):
        more = (
            "; a last dimension of 6 belongs to a model that suppresses boxes itself: export it "
            "without that (nms=False, end2end=False), or say head: yolov5 if it has one class"
        )
    elif found:
        more = "; more than one fits, so none is chosen: export it with its first output alone"
    raise ConfigurationError(
        f"the outputs of the model {model!r} fit no head (head: {name}): wanted is one of shape "
        f"{wanted}, it has {came}{more}"
    )


def _is_end_to_end(shape: Shape) -> bool:
    return len(shape) == 3 and shape[2] == _END_TO_END and shape[1] <= 1000


def _sure(
    box_cxcywh: NDArray[Any], best: NDArray[Any], index: NDArray[Any], confidence: float
) -> Candidates:
    """Keep what is sure enough, finite and not empty, with corners in place of centres."""
    kept = (best >= confidence) & np.isfinite(box_cxcywh).all(axis=1)
    kept &= (box_cxcywh[:, 2:] > 0).all(axis=1)
    center, half = box_cxcywh[kept, :2], box_cxcywh[kept, 2:] / 2
    box = np.concatenate([center - half, center + half], axis=1)
    return Candidates(
        box.astype(np.float32, copy=False),
        np.minimum(best[kept], 1).astype(np.float32, copy=False),
        index[kept].astype(np.int64, copy=False),
    )
