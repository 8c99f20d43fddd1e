"""Networks: what runs them, what their outputs mean, and how a picture becomes their input.

- `engine`: what an engine does; `open_engine` makes one. There is one so far, OpenCV's own DNN
  module (`opencv_engine`).
- `onnx_header`: what an ONNX file says of itself.
- `head`: turns a detector's output into boxes. YOLOv5's and YOLOv8's; one more is one more class.
- `letterbox`: fits pictures into a network's input and boxes back, on the CPU and on CUDA.
- `labels`: names of classes. `suppression`: one box of several around the same thing.

An engine knows nothing of boxes and a head nothing of engines, so that each comes alone.
"""

from __future__ import annotations

from edgevision.inference.engine import Engine, open_engine
from edgevision.inference.head import HEADS, Candidates, Head, choose_head
from edgevision.inference.letterbox import Fit, Letterbox

__all__ = [
    "HEADS",
    "Candidates",
    "Engine",
    "Fit",
    "Head",
    "Letterbox",
    "choose_head",
    "open_engine",
]
