"""CUDA: what there is, streams, page-locked memory, buffers, exchange with other libraries.

The only part of edgevision that asks the driver, makes streams or page-locks memory. It is imported
on demand, works without a GPU as far as it can, and says what is missing otherwise.

- `status`, `devices`, `require`: what there is, and why there is not.
- `open_stream`, `cuda_stream`: streams that do not wait for the default one, and `Fence` between
  them.
- `PinnedPool`: page-locked arrays.
- `DeviceArena`: the frame's buffers in device memory.
- `share`, `borrow`: images of and for CuPy, torch and others, without a copy.

The runner makes a `lane.Lane` of these for each camera, on the device that `choice.choose` finds.
"""

from __future__ import annotations

from edgevision.cuda import cuda_stream
from edgevision.cuda.arena import DeviceArena
from edgevision.cuda.cuda_stream import Fence, open_stream
from edgevision.cuda.exchange import SharedImage, borrow, share
from edgevision.cuda.memory import PinnedPool
from edgevision.cuda.probe import Absence, Build, Device, Status, devices, require, status

__all__ = [
    "Absence",
    "Build",
    "Device",
    "DeviceArena",
    "Fence",
    "PinnedPool",
    "SharedImage",
    "Status",
    "borrow",
    "cuda_stream",
    "devices",
    "open_stream",
    "require",
    "share",
    "status",
]
