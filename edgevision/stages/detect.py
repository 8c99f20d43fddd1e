"""The detect stage."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevision import BatchStage, Detections, Frame, Param
from edgevision.errors import ConfigurationError
from edgevision.inference import Engine, Fit, Letterbox, choose_head, open_engine
from edgevision.inference.engine import DeviceName, Precision
from edgevision.inference.labels import class_labels
from edgevision.inference.suppression import suppress_by_class
from edgevision.suggestion import did_you_mean

__all__ = ["Detect"]

_log = logging.getLogger("edgevision.stages")

_DEFAULT_WH = (640, 640)


class Detect(BatchStage):
    """Find things with a network: an ONNX export of a YOLOv5, YOLOv8, YOLO11 or the like.

    Adds a detection for each, labelled with its class. ``docs/detect.md`` says how to export a
    model, and what the log tells of it.

    Cameras with the same model share one network, which gets their frames in batches of up to
    ``batch_size``; what may change while it runs may differ from camera to camera.

    The picture is fitted into the network's input with gray rims, on the GPU if it is there, and of
    several boxes of the same class that share more than ``iou`` of their union the surest is kept.
    Labels are the lines of a file or a list, else those that the model file brings with it, else
    the numbers of the classes.

    The network is run by OpenCV's DNN module, on the CPU, or on CUDA where OpenCV is built with
    cuDNN; on which is logged at the start.

    Algorithm: the output of YOLO networks (J. Redmon, S. Divvala, R. Girshick, A. Farhadi,
    CVPR 2016, and those that came after) and greedy non-maximum suppression for each class.
    """

    model: Path = Param(live=False, help="ONNX file")
    labels: Path | list[str] | None = Param(
        None, live=False, help="names of the classes: a file with one a line, or a list"
    )
    confidence: float = Param(0.25, ge=0.001, le=1, help="a detection is at least so sure")
    iou: float = Param(
        0.45, ge=0, le=1, help="boxes of one class that share more of their union are one thing"
    )
    classes: list[str] = Param([], help="labels to look for; empty for all")
    max_detections: int = Param(300, ge=1, le=1000, help="the surest so many are kept")
    size: tuple[int, int] | None = Param(
        None,
        ge=32,
        le=4096,
        live=False,
        unit="px",
        help="width and height of the network's input, where the model leaves it open",
    )
    head: Literal["auto", "yolov5", "yolov8", "yolo11"] = Param(
        "auto", live=False, help="what the output means; auto looks at its shape"
    )
    device: DeviceName = Param("auto", live=False, help="where the network runs")
    precision: Precision = Param("fp32", live=False, help="what it computes with")

    _open: tuple[Engine | Letterbox, ...] = ()  # what stop closes

    def start(self) -> None:
        """Load the network and run it once.

        Raises:
            ConfigurationError: the model, its labels or the device cannot be used; says why.
        """
        model = str(self.model)
        self._engine = open_engine(self.model, device=self.device, precision=self.precision)
        self._open = (self._engine,)
        declared_wh = self._engine.input_wh
        if self.size and declared_wh and self.size != declared_wh:
            raise ConfigurationError(
                f"size is {self.size[0]} x {self.size[1]}, but the model {model!r} takes pictures "
                f"of {declared_wh[0]} x {declared_wh[1]} only"
            )
        input_wh = declared_wh or self.size or _DEFAULT_WH
        outputs = self._engine.prepare(input_wh, batch=self.batch_size)
        self._head = choose_head(self.head, outputs, model)
        self.names = class_labels(self.labels, self._head.classes, self._engine.header.metadata)
        self._label = np.array(self.names)
        self._letterbox = Letterbox(input_wh, self.batch_size)
        self._open = (self._engine, self._letterbox)
        several = {0: f"batches of up to {self.batch_size}", 1: "one picture at a time"}
        _log.info(
            "stage %s: %s on %s: %d x %d px, head %s with %d classes, %s",
            self.name,
            self.model.name,
            self._engine.description,
            *input_wh,
            self._head.name,
            self._head.classes,
            several.get(self._engine.batch, f"batches of {-self._engine.batch}"),
        )

    def changed(self, names: frozenset[str]) -> None:
        """Look up the classes that this camera looks for."""
        known = self.shared.names
        for label in self.classes:
            if label not in known:
                raise ConfigurationError(
                    f"the model {str(self.model)!r} knows no class {label!r}"
                    f"{did_you_mean(label, known)} (it knows: {', '.join(known[:100])})"
                )
        self._wanted = np.isin(known, self.classes) if self.classes else None

    def process_batch(self, frames: Sequence[Frame]) -> None:
        """Find things in the pictures of several cameras."""
        images = [frame.image for frame in frames]
        blob, fits = self._letterbox.blob(images)
        if not isinstance(images[0], np.ndarray):
            _count_downloads(frames, blob[0].nbytes)
        output = self._engine.run(blob)[self._head.output]
        for frame, fit, numbers in zip(frames, fits, output, strict=True):
            # Each camera reads its own part of the output, beside the others and the next batch.
            self.finish(frame, partial(self._add, self.of(frame), frame, fit, numbers))

    def _add(self, own: Detect, frame: Frame, fit: Fit, numbers: NDArray[np.float32]) -> None:
        """Add what the network says of one frame, on its camera's thread."""
        found = self._head.decode(numbers, own.confidence)
        if own._wanted is not None:
            found = found.chosen(own._wanted[found.class_index])
        if not len(found):
            return
        kept = suppress_by_class(found, iou=own.iou, most=own.max_detections)
        detections = Detections(
            fit.to_image(kept.box_xyxy), kept.confidence, self._label[kept.class_index]
        )
        # What lies in the gray rim alone has no area in the picture.
        frame.add(detections[(detections.size_wh > 0).all(axis=1)])

    def stop(self) -> None:
        """Give back the network."""
        for part in self._open:
            part.close()
        self._open = ()


def _count_downloads(frames: Sequence[Frame], nbytes: int) -> None:
    """Count the copy of each picture's input, so that ``max_copies`` knows of it."""
    for frame in frames:
        meter = frame._arena.meter if frame._arena is not None else None
        if meter is not None:
            meter.download(nbytes)
