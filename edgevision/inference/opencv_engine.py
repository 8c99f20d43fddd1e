"""OpenCV's DNN module as an engine, for OpenCV 4.8 to 5."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.errors import ConfigurationError
from edgevision.inference.engine import DeviceName, Precision
from edgevision.inference.onnx_header import read_header

__all__ = ["OpenCvEngine"]

# How far the same picture's output may differ between two runs in fp16, of the largest number.
_NEAR = 0.02


class OpenCvEngine:
    """Runs an ONNX model with cv2.dnn; see `Engine`.

    OpenCV 5's new network engine runs on the CPU only, so CUDA is asked of the classic one.

    Args:
        model: the file.
        device: where it runs.
        precision: what it computes with; fp16 needs CUDA, or an Arm processor.

    Raises:
        ConfigurationError: see `open_engine`.
    """

    def __init__(self, model: Path, *, device: DeviceName, precision: Precision) -> None:
        self._model = model
        self.header = read_header(model)
        self.device: Literal["cpu", "cuda"] = _chosen(device)
        if len(self.header.inputs) != 1 or len(self.header.inputs[0].shape) != 4:
            raise ConfigurationError(
                f"the model {str(model)!r} must have one input, pictures of shape (N, 3, H, W); "
                f"it has {', '.join(map(str, self.header.inputs)) or 'none'}"
            )
        number, channels, height, width = self.header.inputs[0].shape
        if channels not in (3, None):
            raise ConfigurationError(
                f"the model {str(model)!r} takes pictures of {channels} channels, wanted is 3"
            )
        self.input_wh = None if width is None or height is None else (width, height)
        self._declared = number
        self.batch = 0
        self._names = [output.name for output in self.header.outputs]
        self._target = _target(self.device, precision)
        self._net: Any = self._load()
        where = "CUDA" if self.device == "cuda" else "CPU"
        self.description = f"OpenCV DNN {cv2.__version__}, {where}, {precision}"

    def prepare(self, input_wh: tuple[int, int], *, batch: int) -> list[tuple[int, ...]]:
        """See `Engine.prepare`."""
        width, height = input_wh
        declared = self._declared or 1
        # One picture with everything in it and others with nothing, so that a mix-up shows.
        noise = np.zeros((max(declared, 2), 3, height, width), np.float32)
        noise[0] = np.random.default_rng(0).random((3, height, width), np.float32)
        try:
            outputs = self._forward(noise[:declared])
        except cv2.error as error:
            raise ConfigurationError(
                f"{self.description} cannot run the model {str(self._model)!r} (opset "
                f"{self.header.opset}) on pictures of {width} x {height}: {_told(error)}"
            ) from error
        if declared > 1:
            self.batch = -declared
        elif batch > 1:
            self.batch = 0 if self._takes_several(noise[:2], outputs) else 1
        return [(1, *output.shape[1:]) for output in outputs]

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[Any]]:
        """See `Engine.run`."""
        step = abs(self.batch) or len(blob)
        if step == len(blob):
            return self._forward(blob)
        runs = []
        for first in range(0, len(blob), step):
            part = blob[first : first + step]
            if self.batch < 0 and len(part) < step:
                part = np.concatenate([part, np.zeros((step - len(part), *part.shape[1:]), "f4")])
            runs.append(self._forward(part))
        return [np.concatenate(outputs)[: len(blob)] for outputs in zip(*runs, strict=True)]

    def close(self) -> None:
        """See `Engine.close`."""
        self._net = None

    def _forward(self, blob: NDArray[np.float32]) -> list[NDArray[Any]]:
        self._net.setInput(blob)
        if len(self._names) == 1:
            return [self._net.forward()]
        return list(self._net.forward(self._names))

    def _takes_several(self, pair: NDArray[np.float32], alone: list[NDArray[Any]]) -> bool:
        """Try whether two pictures in one run give what each gives alone.

        Exports with a fixed batch hold it in the constants of their graph. Some such graphs raise
        for another number of pictures, and some mix them up without a word.
        """
        level = cv2.utils.logging.getLogLevel()
        # What OpenCV prints of a failure that is expected would look like one.
        cv2.utils.logging.setLogLevel(0)
        try:
            together = self._forward(pair)
        except cv2.error:
            # The failed run leaves the network in a state that no other one can start from.
            self._net = self._load()
            return False
        finally:
            cv2.utils.logging.setLogLevel(level)
        if [output.shape[1:] for output in together] != [output.shape[1:] for output in alone]:
            return False
        return all(
            len(several) == 2 and np.abs(several[0] - one[0]).max() <= _NEAR * np.abs(one).max()
            for several, one in zip(together, alone, strict=True)
        )

    def _load(self) -> Any:
        # Named only where it is needed, since OpenCV 4 knows no such argument.
        classic = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
        more = () if classic is None or self.device == "cpu" else (classic,)
        try:
            net = cv2.dnn.readNetFromONNX(str(self._model), *more)
            backend = cv2.dnn.DNN_BACKEND_OPENCV
            if self.device == "cuda":
                backend = cv2.dnn.DNN_BACKEND_CUDA
            net.setPreferableBackend(backend)
            net.setPreferableTarget(self._target)
            return net
        except cv2.error as error:
            raise ConfigurationError(
                f"OpenCV {cv2.__version__} cannot load the model {str(self._model)!r} (opset "
                f"{self.header.opset}): {_told(error)}"
            ) from error


def _chosen(device: DeviceName) -> Literal["cpu", "cuda"]:
    """Return the device to use.

    Raises:
        ConfigurationError: CUDA was asked for, and cv2.dnn cannot use it here.
    """
    if device == "cpu":
        return "cpu"
    missing = _cuda_missing()
    if device == "cuda" and missing:
        raise ConfigurationError(f"device: cuda was asked for, but {missing}")
    return "cpu" if missing else "cuda"


def _cuda_missing() -> str:
    """Return why cv2.dnn cannot use CUDA; empty if it can."""
    from edgevision import cuda

    status = cuda.status()
    if not status.available:
        return status.reason
    if cv2.dnn.DNN_TARGET_CUDA not in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA):
        has = f"cuDNN {status.build.cudnn}" if status.build.cudnn else "no cuDNN"
        return (
            f"the DNN module of this OpenCV {cv2.__version__} (CUDA {status.build.cuda}, {has}) is "
            "built without it: build one with WITH_CUDNN and OPENCV_DNN_CUDA, or take device: cpu"
        )
    return ""


def _target(device: Literal["cpu", "cuda"], precision: Precision) -> int:
    """Return cv2.dnn's number of a device and precision.

    Raises:
        ConfigurationError: the device does not compute with it.
    """
    if device == "cuda":
        return int(cv2.dnn.DNN_TARGET_CUDA_FP16 if precision == "fp16" else cv2.dnn.DNN_TARGET_CUDA)
    if precision == "fp32":
        return int(cv2.dnn.DNN_TARGET_CPU)
    half = getattr(cv2.dnn, "DNN_TARGET_CPU_FP16", None)
    if half is None or half not in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_OPENCV):
        raise ConfigurationError(
            "precision: fp16 needs CUDA: OpenCV's DNN module computes with fp32 on this processor"
        )
    return int(half)


def _told(error: cv2.error) -> str:
    """Return what OpenCV says went wrong, on one line, without its own file names."""
    text = " ".join(str(getattr(error, "err", "") or error).split())
    text = re.sub(r"OpenCV\([^)]*\) \S+:\d+: error: ", "", text)
    return text[:400]
