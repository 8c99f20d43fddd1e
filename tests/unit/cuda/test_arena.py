"""The device arena without a device: the contract that it shares with the host's."""

from __future__ import annotations

import cv2
import pytest

from edgevision.cuda import DeviceArena, Fence, cuda_stream, open_stream
from edgevision.errors import CudaUnavailableError


@pytest.mark.parametrize("poison", [False, True])
def test_buffers_come_back_in_the_order_of_the_calls(poison: bool) -> None:
    arena = DeviceArena(poison=poison)
    for _ in range(2):
        arena.put("blur", cv2.cuda.GpuMat())
    assert arena.release() == ()
    first, second = arena.take("blur"), arena.take("blur")
    assert isinstance(first, cv2.cuda.GpuMat)
    assert second is not first
    assert arena.take("blur") is None
    arena.put("blur", first)
    arena.put("blur", second)
    kept = first if poison else None
    del first, second
    assert arena.release() == (("",) if kept is not None else ())


def test_an_empty_image_takes_no_memory() -> None:
    arena = DeviceArena()
    arena.put("blur", cv2.cuda.GpuMat())
    assert arena.device_nbytes == 0


def test_no_stream_is_the_default_stream() -> None:
    assert cuda_stream.current() is None
    assert cuda_stream.pointer() == 0
    with cuda_stream.use(None) as stream:
        assert stream is None


def test_a_stream_without_a_device() -> None:
    if cv2.cuda.getCudaEnabledDeviceCount() > 0:
        pytest.skip("needs a machine without CUDA")
    with pytest.raises(CudaUnavailableError, match="no CUDA stream can be made"):
        open_stream()
    with pytest.raises(CudaUnavailableError, match="no CUDA event can be made"):
        Fence()
