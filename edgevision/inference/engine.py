"""What runs a network.

An engine takes pictures that are ready (`edgevision.inference.letterbox`) and gives numbers; what
they mean is a head's matter. It is used by one thread at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevision.inference.onnx_header import OnnxHeader

__all__ = ["DeviceName", "Engine", "Precision", "open_engine"]

DeviceName = Literal["auto", "cpu", "cuda"]
"""Where a network runs; ``auto`` is CUDA where the engine can use it, else the CPU."""

Precision = Literal["fp32", "fp16"]
"""The numbers that a network computes with."""


class Engine(Protocol):
    """Runs one network.

    Attributes:
        header: what the model file says of itself.
        device: ``cpu`` or ``cuda``.
        description: engine, device and precision for the log.
        input_wh: width and height of its input; None where the file leaves them open.
        batch: how many pictures one run takes: at most so many for a positive number, exactly so
            many for a negative one, which `run` makes up for; 0 is any number.
    """

    header: OnnxHeader
    device: Literal["cpu", "cuda"]
    description: str
    input_wh: tuple[int, int] | None
    batch: int

    def prepare(self, input_wh: tuple[int, int], *, batch: int) -> list[tuple[int, ...]]:
        """Run the network on an empty picture, and find out how many pictures one run takes.

        Returns:
            The shape of each output for one picture.

        Raises:
            ConfigurationError: it cannot run this network, or not at this size.
        """

    def run(self, blob: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Return the outputs for a blob of pictures.

        Args:
            blob: (N, 3, H, W) float32 in RGB order, 0 to 1; N is any number.

        Returns:
            Each output as (N, ...) float32, in the order of the model file.
        """

    def close(self) -> None:
        """Give back the memory."""


def open_engine(model: Path, *, device: DeviceName, precision: Precision) -> Engine:
    """Load a model for the device.

    Args:
        model: an ONNX file.
        device: see `DeviceName`.
        precision: see `Precision`.

    Raises:
        ConfigurationError: the file is missing or no model, uses what the engine does not know, or
            the device cannot be had; the message says which.
    """
    from edgevision.inference.opencv_engine import OpenCvEngine

    return OpenCvEngine(model, device=device, precision=precision)
