"""Video decoded by the card, against the CPU's decoder."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import Frame, Stage, cv
from edgevision.cuda import open_stream
from edgevision.cuda.nv12 import Nv12Converter, Surface, coefficients
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.slot import Slot
from edgevision.sources import open_source
from tests.gpu.clips import FRAMES, clip, expected, small


def _reference(nv12: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """NV12 to BGR in double precision."""
    scale, offset, red_v, green_u, green_v, blue_u = coefficients("bt601", full_range=False)
    luma = (nv12[:height, :width].astype(float) - offset) * scale
    pairs = nv12[height:, : 2 * ((width + 1) // 2)].astype(float) - 128
    u, v = (np.repeat(np.repeat(pairs[:, k::2], 2, 0), 2, 1)[:height, :width] for k in (0, 1))
    planes = luma + blue_u * u, luma + green_u * u + green_v * v, luma + red_v * v
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size_wh", [(64, 36), (63, 35), (2, 2), (130, 71)])
def test_the_kernel_does_what_the_formulae_say(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    rows, pitch = height + (height + 1) // 2, 2 * ((width + 1) // 2)
    nv12 = np.random.default_rng(4).integers(0, 256, (rows, pitch), np.uint8)
    memory = cv2.cuda.GpuMat()
    memory.upload(nv12)
    start = int(memory.cudaPtr())
    surface = Surface(start, start + height * memory.step, memory.step, memory.step, width, height)
    mat = cv2.cuda.GpuMat(height, width, cv2.CV_8UC3)
    stream = open_stream()
    Nv12Converter().convert(surface, mat, int(stream.cudaPtr()))
    stream.waitForCompletion()
    apart = np.abs(mat.download().astype(int) - _reference(nv12, width, height))
    assert apart.max() <= 1


class Means(Stage):
    """Says how bright the picture is, and what its corners look like."""

    def process(self, frame: Frame) -> None:
        gray = cv.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)

        def use(array: NDArray[np.uint8]) -> None:
            frame.values["small"] = small(array).tolist()

        frame.fetch(gray, use)


def _small(uri: str) -> list[NDArray[np.int64]]:
    results: list[Result] = []
    spec = CameraSpec("clip", lambda: open_source(uri), [Means], device="cuda")
    assert Runner([spec], on_result=results.append).run(duration_s=60) == 0
    return [np.array(result.values["small"]) for result in results]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_every_frame_is_decoded_in_order_and_looks_as_on_the_cpu(
    codec: str, tmp_path: Path
) -> None:
    pytest.importorskip("PyNvVideoCodec")
    path = clip(codec, tmp_path)
    decoded = _small(f"nvdec:{path}?pace=fast")
    assert len(decoded) == FRAMES
    moved = [np.abs(a - b).max() for a, b in pairwise(decoded)]
    assert min(moved) > 0
    on_the_cpu = expected(path).astype(np.int64)
    apart = [np.abs(a - b).max() for a, b in zip(decoded, on_the_cpu, strict=True)]
    assert max(apart) <= 3, apart


def test_a_cpu_camera_gets_arrays(tmp_path: Path) -> None:
    pytest.importorskip("PyNvVideoCodec")
    source = open_source(f"nvdec:{clip('h264', tmp_path)}?pace=fast")
    source.open()
    slot = Slot()
    shapes = set()
    count = 0
    while source.read(slot):
        assert slot.image is not None
        shapes.add(slot.image.shape)
        count += 1
    source.close()
    assert (count, shapes) == (FRAMES, {(720, 1280, 3)})


def test_a_file_begins_again(tmp_path: Path) -> None:
    pytest.importorskip("PyNvVideoCodec")
    source = open_source(f"nvdec:{clip('h264', tmp_path)}?pace=fast&loop=true")
    source.open()
    slot = Slot()
    for _ in range(FRAMES + 20):
        assert source.read(slot)
    source.close()
