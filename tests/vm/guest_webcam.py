"""Webcams against the kernel's own V4L2, in the virtual machine that `test_webcam` boots.

The vivid driver is the hardware: /dev/video0 and /dev/video1 are cameras, /dev/video2 is an output.
The tests leave the cameras as they found them, since they run one after the other in one machine.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.result import Result
from edgevision.runner import CameraSpec, Runner
from edgevision.slot import Slot
from edgevision.sources import open_source, v4l2
from edgevision.sources.webcam import WebcamSource
from tests.vm import vivid

Open = Callable[..., WebcamSource]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open a webcam; closed at the end."""
    sources: list[WebcamSource] = []

    def opened(uri: str, **options: object) -> WebcamSource:
        source = open_source(uri, **options)
        assert isinstance(source, WebcamSource)
        sources.append(source)
        source.open()
        return source

    yield opened
    for source in sources:
        source.close()


@pytest.fixture
def plugged() -> Iterator[None]:
    """Plug the cameras in again, whatever happened."""
    yield
    if not Path("/dev/video0").exists():
        vivid.plug()


def refusal(uri: str, kind: type[Exception] = SourceUnavailableError) -> str:
    source = open_source(uri)
    with pytest.raises(kind) as caught:
        source.open()
    source.close()
    assert str(caught.value).startswith(source.uri)
    return str(caught.value)


def read_on(source: WebcamSource, slot: Slot) -> None:
    """Read the frames that the driver's buffers may still hold, and one more."""
    for _ in range(4):
        source.read(slot)


@pytest.mark.parametrize("uri", ["webcam:0", "/dev/video1", "webcam:/dev/video0"])
def test_frames_come_into_the_slot(opened: Open, uri: str) -> None:
    source = opened(uri)
    slot = Slot()
    assert source.read(slot)
    first = slot.image
    assert first is not None
    assert first.shape == (480, 640, 3)
    assert first.dtype == np.uint8
    before = first.copy()
    for _ in range(5):
        assert source.read(slot)
        assert slot.image is first
    assert (first != before).any()


def test_a_link_to_a_node(opened: Open, tmp_path: Path) -> None:
    link = tmp_path / "usb-Some_Camera-video-index0"
    link.symlink_to("/dev/video1")
    assert opened(f"webcam:{link}").read(Slot())


@pytest.mark.parametrize("size_wh", [(320, 180), (1280, 720)])
def test_sizes(opened: Open, size_wh: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    for options in ({"size_wh": size_wh}, {"width": size_wh[0], "height": size_wh[1]}):
        source = opened("webcam:0", **options)
        slot = Slot()
        assert source.read(slot)
        assert slot.image is not None
        assert slot.image.shape == (size_wh[1], size_wh[0], 3)
        source.close()
    assert caplog.text == ""


def test_what_the_driver_gives_instead_is_logged_once(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened("webcam:0?width=700&height=500&fps=240&fourcc=MJPG")
    assert source.read(Slot())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert text.startswith("webcam:0: the camera gives 640x480 instead of 700x500, ")
    assert "frames/s instead of 240" in text
    assert "instead of MJPG" in text
    source.close()
    source.open()
    assert len(caplog.records) == 1


def test_rate_and_pixel_format(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    source = opened("webcam:0?fps=15&fourcc=YUYV")
    slot = Slot()
    assert source.read(slot)
    before_s = time.monotonic()
    for _ in range(8):
        assert source.read(slot)
    # At 15 frames/s these take 0.53 s, at the default of 25 frames/s they take 0.32 s.
    assert time.monotonic() - before_s > 0.4
    assert caplog.text == ""


def test_two_cameras_at_a_time(opened: Open) -> None:
    first, second = opened("webcam:0"), opened("webcam:1?width=320&height=180")
    slots = Slot(), Slot()
    for _ in range(5):
        assert first.read(slots[0])
        assert second.read(slots[1])
    assert slots[0].image is not None
    assert slots[1].image is not None
    assert slots[0].image.shape == (480, 640, 3)
    assert slots[1].image.shape == (180, 320, 3)


def test_what_is_there() -> None:
    assert [(d.path, d.name) for d in v4l2.devices()] == [
        ("/dev/video0", "vivid"),
        ("/dev/video1", "vivid"),
    ]
    assert not v4l2.look("/dev/video2").captures


def test_a_missing_camera() -> None:
    text = refusal("webcam:7")
    assert "there is no /dev/video7; cameras here: /dev/video0 (vivid), /dev/video1" in text


def test_a_node_that_gives_no_pictures() -> None:
    text = refusal("webcam:2", ConfigurationError)
    assert "/dev/video2 (vivid) gives no pictures; cameras here: /dev/video0 (vivid)" in text


STREAM = """
import sys, cv2
capture = cv2.VideoCapture("/dev/video0", cv2.CAP_V4L2)
print(capture.grab(), flush=True)
sys.stdin.read()
"""


def test_a_camera_that_another_program_uses(opened: Open) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STREAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "True\n"
        text = refusal("webcam:0")
        assert "/dev/video0 (vivid) is in use by another program: python" in text
        assert f"(process {other.pid})" in text
        assert opened("webcam:1").read(Slot())
        other.stdin.close()
        other.wait(30)
    assert opened("webcam:0").read(Slot())


def test_a_camera_that_is_open_already(opened: Open) -> None:
    source = opened("webcam:0")
    assert "is in use" in refusal("webcam:0")
    assert source.read(Slot())


def test_no_permission() -> None:
    video = grp.getgrnam("video").gr_gid
    os.chmod("/dev/video0", 0o660)
    os.chown("/dev/video0", 0, video)
    os.seteuid(65534)
    try:
        text = refusal("webcam:0")
    finally:
        os.seteuid(0)
    assert "no permission to open /dev/video0" in text
    assert "sudo usermod -aG video $USER" in text


def test_unplugging_and_plugging_in(opened: Open, plugged: None) -> None:
    source = opened("webcam:0?width=320&height=180")
    slot = Slot()
    assert source.read(slot)
    kept = slot.image
    vivid.unplug()
    before_s = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="webcam:0: the camera has gone"):
        read_on(source, slot)
    assert time.monotonic() - before_s < 1.5
    source.close()
    assert not source.reachable()
    with pytest.raises(SourceUnavailableError, match="no /dev/video0; no camera is connected"):
        source.open()
    vivid.plug()
    assert source.reachable()
    source.open()
    assert source.read(slot)
    assert slot.image is kept


def test_one_of_two_cameras_goes(opened: Open) -> None:
    first, second = opened("webcam:0"), opened("webcam:1")
    vivid.set_control("/dev/video1", "Disconnect", 1)
    slot = Slot()
    with pytest.raises(SourceUnavailableError, match="webcam:1: the camera has gone"):
        read_on(second, slot)
    second.close()  # the driver brings the device back when its last user leaves
    for _ in range(5):
        assert first.read(slot)
    second.open()
    assert second.read(slot)


@pytest.mark.parametrize("moment", ["reading", "opening"])
def test_a_silent_camera(opened: Open, moment: str) -> None:
    silence = "Percentage of Dropped Buffers"
    source = opened("webcam:0?open_timeout_s=1")
    slot = Slot()
    assert source.read(slot)
    vivid.set_control("/dev/video0", silence, 100)
    try:
        if moment == "reading":
            before_s = time.monotonic()
            with pytest.raises(SourceUnavailableError, match=r"webcam:0: no frame for 2\.\d s"):
                read_on(source, slot)
            assert time.monotonic() - before_s < 5
        else:
            source.close()
            with pytest.raises(SourceUnavailableError, match=r"\(vivid\) gives no picture"):
                source.open()
    finally:
        vivid.set_control("/dev/video0", silence, 0)
    source.close()
    source.open()
    assert source.read(slot)


def test_openings_leak_nothing(opened: Open) -> None:
    source = opened("webcam:0")
    held = []
    for _ in range(10):
        source.close()
        source.open()
        assert source.read(Slot())
        held.append(len(os.listdir("/proc/self/fd")))
    assert held[-1] == held[0]


def test_a_runner_reconnects_both_cameras(plugged: None) -> None:
    """live, then backing off while the cameras are unplugged, then live again."""
    states: dict[str, list[str]] = {"first": [], "second": []}
    results: list[Result] = []

    def look(runner: Runner) -> dict[str, str]:
        for camera in runner.status().cameras:
            assert camera.unaccounted == 0
            seen = states[camera.name]
            if not seen or seen[-1] != camera.state:
                seen.append(camera.state)
        return {camera.name: camera.state for camera in runner.status().cameras}

    async def until(runner: Runner, state: str, frames: int) -> None:
        deadline_s = time.monotonic() + 20
        while set(look(runner).values()) != {state} or len(results) < frames:
            assert time.monotonic() < deadline_s, (states, len(results))
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        runner = Runner(
            [
                CameraSpec("first", lambda: open_source("webcam:0?width=320&height=180")),
                CameraSpec("second", lambda: open_source("/dev/video1?width=320&height=180")),
            ],
            on_result=results.append,
        )
        await runner.start()
        try:
            await until(runner, "live", 10)
            vivid.unplug()
            await until(runner, "backing off", 10)
            for camera in runner.status().cameras:
                assert "the camera has gone" in camera.detail
            seen = len(results)
            await asyncio.to_thread(vivid.plug)
            await until(runner, "live", seen + 10)
        finally:
            await runner.stop()
        assert all(camera.reconnects >= 1 for camera in runner.status().cameras)

    asyncio.run(scenario())
    for seen in states.values():
        assert [s for s in seen if s in ("live", "backing off")][:3] == [
            "live",
            "backing off",
            "live",
        ]
    assert not [t for t in threading.enumerate() if t.name.startswith("capture")]
