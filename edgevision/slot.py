"""The memory of one frame in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgevision.cuda.lane import DeviceSlot
    from edgevision.truth import Truth

__all__ = ["Image", "Slot"]

Image = NDArray[Any]
"""An image as OpenCV has it: (H, W) or (H, W, C), row-major, channels in BGR order."""


@dataclass(slots=True, eq=False)
class Slot:
    """Where a source puts a frame; made once per frame in flight and used again for ever.

    A source decodes into ``image`` when its shape fits and replaces it otherwise, so a camera that
    changes its resolution costs one allocation and a steady camera none.

    Attributes:
        image: (H, W, 3) uint8 BGR, or (H, W) uint8 gray; None before the first frame.
        captured_at_s: UTC seconds since 1970 of the capture. The runner sets it after ``read`` if
            the source left it at 0; a replayed recording sets the original time.
        truth: what is really in the picture, from a source that knows (``synthetic:``).
        captured_ns: monotonic time at which ``read`` returned; set by the runner.
        sequence: number of the frame; set by the runner.
        device: the frame's place in device memory, for a camera that runs on CUDA; None for others.
            A source that decodes on the device puts the frame there and sets ``image`` to None.
    """

    image: NDArray[np.uint8] | None = None
    captured_at_s: float = 0.0
    truth: Truth | None = None
    captured_ns: int = 0
    sequence: int = 0
    device: DeviceSlot | None = None

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """Width and height of the frame in pixels; None if there is none."""
        if self.image is not None:
            return self.image.shape[1], self.image.shape[0]
        if self.device is not None and self.device.mat is not None:
            width, height = self.device.mat.size()
            return width, height
        return None
