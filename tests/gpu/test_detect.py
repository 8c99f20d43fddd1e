"""detect on CUDA against the CPU, and BatchStage on the streams of several cameras."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision import BatchStage, Frame, Param, Pipeline, cv
from edgevision.cuda import cuda_stream, open_stream
from edgevision.inference import Letterbox, open_engine
from edgevision.inference.letterbox import PADDING
from edgevision.stages import Detect
from tests.gpu.parity import device as uploaded
from tests.unit.inference import models

SIZES = [(96, 64), (192, 128), (200, 100), (51, 91), (1920, 1080), (31, 77), (97, 64), (300, 3)]

needs_dnn = pytest.mark.skipif(
    not len(cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA)),
    reason="needs an OpenCV whose DNN module is built with CUDA (OPENCV_DNN_CUDA, cuDNN)",
)


def picture(size_wh: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("region", [False, True])
@pytest.mark.parametrize("size_wh", SIZES)
def test_the_letterbox_agrees_with_the_cpu(size_wh: tuple[int, int], region: bool) -> None:
    image = picture(size_wh)
    images = [image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), image[::-1].copy()]
    wanted, fits = Letterbox((96, 64), 3).blob(images)
    letterbox = Letterbox((96, 64), 1)
    blob = wanted[:0]
    with cuda_stream.use(open_stream()):
        for _ in range(2):  # the second time into memory that is not new
            mats = [uploaded(one, region=region) for one in images]
            blob, same = letterbox.blob(mats)
            assert same == fits
            # A step of the resize, no more, and that in few places.
            np.testing.assert_allclose(blob, wanted, atol=1 / 255 + 1e-6)
            exact = np.isclose(blob, wanted, atol=1e-6).mean()
            assert exact > 0.8
    x, y = fits[0].corner_xy
    if x or y:
        assert np.allclose(blob[:, :, 0, 0], PADDING / 255)
    letterbox.close()


@needs_dnn
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("head", ["yolov5", "yolov8"])
@pytest.mark.parametrize("options", [{}, {"batch": 4, "fixed": True}, {"batch": 1, "fixed": True}])
def test_the_network_agrees_with_the_cpu(
    tmp_path: Path, head: str, precision: Any, options: dict[str, Any]
) -> None:
    path = models.yolo(tmp_path / "m.onnx", head, **options)
    blob = np.random.default_rng(3).random((5, 3, 64, 96), np.float32)
    on_cpu = open_engine(path, device="cpu", precision="fp32")
    on_cuda = open_engine(path, device="cuda", precision=precision)
    assert f"CUDA, {precision}" in on_cuda.description
    for engine in (on_cpu, on_cuda):
        engine.prepare((96, 64), batch=8)
    wanted, came = on_cpu.run(blob)[0], on_cuda.run(blob)[0]
    assert came.shape == wanted.shape
    scale = np.array([96, 64, 60, 60, 1, 1, 1, 1][: min(wanted.shape[1:])])
    difference = np.abs(came - wanted)
    difference = difference / (scale if head == "yolov5" else scale[:, None])
    assert difference.max() < (2e-2 if precision == "fp16" else 1e-4)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_dnn)])
def test_detect_finds_the_same_on_a_cuda_pipeline(tmp_path: Path, device: Any) -> None:
    path = models.bright_squares(tmp_path / "m.onnx")
    image = np.zeros((128, 192, 3), np.uint8)
    image[32:48, 64:80], image[80:96, 16:32] = (0, 0, 255), (255, 0, 0)
    with Pipeline([Detect(model=path, device=device)], device="cuda") as pipeline:
        for number in range(3):
            frame = Frame(image.copy(), sequence=number)
            assert pipeline.process(frame) is None
            found = sorted((one.label, one.box_xyxy) for one in frame.detections)
            assert found == [("0", (64, 32, 80, 48)), ("2", (16, 80, 32, 96))]
            np.testing.assert_allclose(frame.detections.confidence, 1, atol=1e-5)


def test_cameras_on_cuda_share_a_network_and_get_their_own_boxes(tmp_path: Path) -> None:
    path = models.yolo(tmp_path / "m.onnx", "yolov8", seed=3)
    names = [f"camera-{n}" for n in range(4)]
    images = [
        picture(size, n) for n, size in enumerate([(192, 128), (640, 480), (101, 67), (96, 64)])
    ]
    settings = {"model": path, "confidence": 0.5, "deadline_ms": 1000}

    def alone(image: NDArray[np.uint8]) -> Any:
        with Pipeline([Detect(**settings)], device="cuda") as pipeline:
            frame = Frame(image.copy())
            pipeline.process(frame)
            return frame.detections

    wanted = [alone(image) for image in images]
    assert sum(map(len, wanted)) > 4
    with ExitStack() as stack:
        workers = stack.enter_context(ThreadPoolExecutor(4))
        pipelines = [
            stack.enter_context(Pipeline([Detect(**settings)], camera=name, device="cuda"))
            for name in names
        ]
        for number in range(20):
            frames = [Frame(image.copy(), camera=n) for n, image in zip(names, images, strict=True)]
            list(workers.map(lambda p, f: p.process(f), pipelines, frames))
            for frame, one in zip(frames, wanted, strict=True):
                assert frame.detections.label.tolist() == one.label.tolist(), number
                np.testing.assert_allclose(frame.detections.box_xyxy, one.box_xyxy, atol=0.5)
        assert pipelines[0].stages[0].batches.mean_size > 1  # type: ignore[attr-defined]


class Mask(BatchStage):
    """Much work for the device before the picture that later stages see is there."""

    deadline_ms: float = Param(1000.0, live=False)

    def process_batch(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            image = frame.image
            for _ in range(4):
                image = cv.GaussianBlur(image, (9, 9), 0)
            gray = cv.cvtColor(image, cv2.COLOR_BGR2GRAY)
            _, mask = cv.threshold(gray, 100, 255, cv2.THRESH_BINARY)
            frame.detect_blobs(mask, label="bright")
            frame.image = mask


def test_a_batch_keeps_the_order_of_its_cameras_streams() -> None:
    """Boxes, and what the next stage reads, are those of the frame and of no other one."""
    names = ["a", "b", "c"]

    def image(camera: int, number: int) -> NDArray[np.uint8]:
        made = np.zeros((480, 641, 3), np.uint8)
        x, y = 40 + 150 * camera, 20 + 13 * (number % 20)
        made[y : y + 60, x : x + 90] = 255
        return made

    def box(camera: int, number: int) -> list[float]:
        x, y = 40 + 150 * camera, 20 + 13 * (number % 20)
        return [x, y, x + 90, y + 60]

    with ExitStack() as stack:
        workers = stack.enter_context(ThreadPoolExecutor(3))
        pipelines = [
            stack.enter_context(Pipeline([Mask], camera=name, device="cuda")) for name in names
        ]
        for number in range(60):
            frames = [Frame(image(n, number), camera=name) for n, name in enumerate(names)]
            list(workers.map(lambda p, f: p.process(f), pipelines, frames))
            for camera, frame in enumerate(frames):
                assert len(frame.detections) == 1, (number, camera)
                np.testing.assert_allclose(
                    frame.detections.box_xyxy[0], box(camera, number), atol=4
                )
                rows = np.flatnonzero(frame.host.any(axis=1))
                assert abs(int(rows[0]) - box(camera, number)[1]) <= 4
        batches = pipelines[0].stages[0].batches  # type: ignore[attr-defined]
        assert batches.largest == 3
        assert batches.failures == 0


@needs_dnn
def test_a_steady_detect_takes_no_more_device_memory(tmp_path: Path) -> None:
    path = models.yolo(tmp_path / "m.onnx", "yolov8", seed=3)
    with Pipeline([Detect(model=path)], device="cuda") as pipeline:

        def run(count: int) -> float:
            for _ in range(count):
                pipeline.process(Frame(picture((640, 480))))
            return cv2.cuda.DeviceInfo(0).freeMemory()

        before = run(10)
        assert run(100) == before
