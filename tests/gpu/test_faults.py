"""No memory left, and a context that is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgevision.errors import CudaFaultError, CudaMemoryError
from edgevision.runner import CameraSpec, Runner
from edgevision.testing.scripted import Repeat, ScriptedSource
from tests.gpu.stages import Motion

_BROKEN = """
import cv2, numpy as np
from edgevision import Frame, Stage, cv
from edgevision.runner import CameraSpec, Runner
from edgevision.testing.scripted import Repeat, ScriptedSource

class Breaks(Stage):
    '''Reads what is not its own.'''
    def process(self, frame: Frame) -> None:
        if frame.sequence >= 3:
            mat = cv2.cuda.createGpuMatFromCudaMemory(64, 64, cv2.CV_8UC1, 0x1000, 64)
            cv.flip(mat, 1)
        frame.fetch(frame.image, lambda array: None)

class Fine(Stage):
    '''Works on.'''
    def process(self, frame: Frame) -> None:
        frame.fetch(cv.flip(frame.image, 1), lambda array: None)

def spec(name, stage):
    image = np.zeros((120, 200, 3), np.uint8)
    source = ScriptedSource([Repeat(image, 100000)], live=False)
    return CameraSpec(name, lambda: source, [stage], device="cuda")

def show(result):
    for event in result.events:
        print(event.output, event.body["exit_code"], flush=True)

runner = Runner([spec("bad", Breaks), spec("good", Fine)], on_result=show)
raise SystemExit(runner.run(duration_s=60))
"""


def test_a_broken_context_is_reported_and_the_process_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == CudaFaultError.EXIT_CODE, done.stdout + done.stderr
    assert "fault 75" in done.stdout
    assert "CUDA is broken in this process" in done.stderr


def test_a_camera_that_does_not_fit_is_refused_and_the_others_go_on() -> None:
    torch = pytest.importorskip("torch")

    def spec(name: str, shape: tuple[int, int, int], count: int) -> CameraSpec:
        source = ScriptedSource([Repeat(np.zeros(shape, np.uint8), count)], live=False)
        return CameraSpec(name, lambda: source, [Motion], device="cuda")

    free, _ = torch.cuda.mem_get_info()
    rest = torch.empty(free - (700 << 20), dtype=torch.uint8, device="cuda")
    try:
        runner = Runner([spec("small", (120, 200, 3), 40), spec("huge", (7000, 9000, 3), 3)])
        assert runner.run(duration_s=60) == 1
    finally:
        del rest
        torch.cuda.empty_cache()
    assert list(runner.failures) == ["huge"]
    error = runner.failures["huge"]
    assert isinstance(error, CudaMemoryError)
    assert "10 frames of 9000x7000 do not fit into its memory" in str(error)
    assert runner.cameras["small"].ledger.snapshot().processed == 40
