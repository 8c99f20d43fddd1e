"""The contract of `Source`, on every kind of source that can run on this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.errors import ConfigurationError, EdgeVisionError, SourceError
from edgevision.recording import Recorder
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.sources.source import Source
from edgevision.testing.cameras import MjpegCamera, RtspCamera
from edgevision.testing.scripted import Repeat, ScriptedSource
from tests import needs

Make = Callable[[ExitStack, Path], Source]


def of_file(stack: ExitStack, folder: Path) -> Source:
    writer = cv2.VideoWriter(
        str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)
    )
    for value in range(12):
        writer.write(np.full((48, 64, 3), value * 20, np.uint8))
    writer.release()
    return open_source(f"{folder}/clip.avi?pace=fast")


def of_images(stack: ExitStack, folder: Path) -> Source:
    for value in range(12):
        cv2.imwrite(f"{folder}/{value}.png", np.full((48, 64, 3), value * 20, np.uint8))
    return open_source(str(folder))


def of_http(stack: ExitStack, folder: Path) -> Source:
    camera = stack.enter_context(MjpegCamera(fps=100, user="ada", password="tops3cret"))
    return open_source(camera.url)


def of_rtsp(stack: ExitStack, folder: Path) -> Source:
    if reason := needs.missing("rtsp-server"):
        pytest.skip(reason)
    camera = stack.enter_context(RtspCamera(fps=50, user="ada", password="tops3cret"))
    return open_source(camera.url)


def of_synthetic(stack: ExitStack, folder: Path) -> Source:
    return open_source("synthetic:?width=64&height=64&pace=fast")


def of_recording(stack: ExitStack, folder: Path) -> Source:
    with Recorder(folder / "recording") as recorder:
        for value in range(12):
            image = np.full((48, 64, 3), value * 20, np.uint8)
            recorder.add(image, captured_at_s=1e9 + value / 25)
    return open_source(f"replay:{folder}/recording?pace=fast")


def of_script(stack: ExitStack, folder: Path) -> Source:
    image = np.zeros((48, 64, 3), np.uint8)
    return ScriptedSource([Repeat(image, 12)], live=False)


def of_live_script(stack: ExitStack, folder: Path) -> Source:
    image = np.zeros((48, 64, 3), np.uint8)
    return ScriptedSource([Repeat(image, None)])


MAKERS = {
    "file": of_file,
    "images": of_images,
    "http": of_http,
    "rtsp": of_rtsp,
    "synthetic": of_synthetic,
    "recording": of_recording,
    "script": of_script,
    "live script": of_live_script,
}


@pytest.fixture(params=list(MAKERS))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    with ExitStack() as stack:
        source = MAKERS[request.param](stack, tmp_path)
        try:
            yield source
        finally:
            source.close()


def test_open_read_close_and_again(source: Source) -> None:
    slot = Slot()
    for _ in range(3):
        source.open()
        for _ in range(4):
            assert source.read(slot) is True
            assert isinstance(slot.image, np.ndarray)
            assert slot.image.dtype == np.uint8
            assert slot.image.ndim == 3
            assert slot.image.shape[2] == 3
            assert slot.image.flags.c_contiguous
            assert slot.image.flags.writeable
        source.close()


def test_a_slot_is_used_again(source: Source) -> None:
    slots = [Slot(), Slot()]
    source.open()
    for slot in slots:
        assert source.read(slot)
    kept = [slot.image for slot in slots]
    assert kept[0] is not kept[1]
    for _ in range(3):
        for slot, image in zip(slots, kept, strict=True):
            assert source.read(slot)
            assert slot.image is image


def test_a_slot_of_another_shape_gets_a_new_image(source: Source) -> None:
    source.open()
    right = Slot()
    assert source.read(right)
    assert right.image is not None
    for wrong in ((10, 20, 3), right.image.shape[:2], (*right.image.shape[:2], 4)):
        slot = Slot(image=np.zeros(wrong, np.uint8))
        assert source.read(slot)
        assert slot.image is not None
        assert slot.image.shape == right.image.shape


def test_a_frame_does_not_change_behind_the_readers_back(source: Source) -> None:
    source.open()
    first, second = Slot(), Slot()
    assert source.read(first)
    assert first.image is not None
    copy = first.image.copy()
    for _ in range(3):
        assert source.read(second)
    np.testing.assert_array_equal(first.image, copy)


def test_close_is_harmless_at_any_time(source: Source) -> None:
    source.close()
    source.close()
    source.open()
    source.close()
    source.close()


@pytest.mark.parametrize("source", ["file", "images", "script"], indirect=True)
def test_a_finite_source_ends_and_stays_at_its_end(source: Source) -> None:
    assert not source.live
    slot = Slot()
    source.open()
    frames = 0
    while source.read(slot):
        frames += 1
    assert frames == 12
    assert source.read(slot) is False
    assert source.read(slot) is False


def test_it_runs_in_a_thread_of_its_own(source: Source) -> None:
    done: list[bool] = []

    def capture() -> None:
        source.open()
        done.append(source.read(Slot()))
        source.close()

    thread = threading.Thread(target=capture)
    thread.start()
    thread.join(30)
    assert done == [True]


def test_credentials_are_not_shown(source: Source) -> None:
    assert source.uri
    assert "tops3cret" not in source.uri
    assert "tops3cret" not in repr(source)


def test_reachable_is_quick_and_harmless(source: Source) -> None:
    assert source.reachable() is True
    source.open()
    assert source.reachable() is True
    assert source.read(Slot())


REFUSED = {
    "file": "nowhere/clip.mp4",
    "images": "nowhere/*.png",
    "http": "http://ada:tops3cret@127.0.0.1:9/video",
    "rtsp": "rtsp://ada:tops3cret@127.0.0.1:9/video",
    "webcam": "webcam:99",
    "gstreamer": "gstreamer:rtspsrc location=rtsp://ada:tops3cret@127.0.0.1:9/ ! nothing",
    "csi": "csi:0",
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_a_failed_open_can_be_closed_and_tried_again(kind: str) -> None:
    source = open_source(REFUSED[kind])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises((SourceError, ConfigurationError)) as caught:
            source.open()
        assert isinstance(caught.value, EdgeVisionError)
        assert source.uri in str(caught.value)
        assert "tops3cret" not in str(caught.value)
        source.close()
        source.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["file", "images"])
def test_fifty_openings_leak_nothing(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        source = MAKERS[kind](stack, tmp_path)
        slot = Slot()
        held = []
        for _ in range(51):
            source.open()
            assert source.read(slot)
            source.close()
            held.append(len(os.listdir("/proc/self/fd")))
        assert held[-1] == held[0]
