"""What can be said about webcams without one; tests/vm runs them against a real driver."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.sources import open_source, v4l2
from edgevision.sources.webcam import WebcamSource

linux = pytest.mark.skipif(not v4l2.SUPPORTED, reason="needs Linux")


@linux
def test_a_missing_camera_is_named_with_those_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = open_source("webcam:77")
    with pytest.raises(SourceUnavailableError) as caught:
        source.open()
    assert "webcam:77: there is no /dev/video77; " in str(caught.value)
    monkeypatch.setattr(
        v4l2, "devices", lambda: [v4l2.Device("/dev/video2", "Integrated Camera", captures=True)]
    )
    with pytest.raises(SourceUnavailableError, match=r"cameras here: /dev/video2 \(Integrated"):
        source.open()
    monkeypatch.setattr(v4l2, "devices", list)
    with pytest.raises(SourceUnavailableError, match="no camera is connected"):
        source.open()


@linux
def test_a_node_is_what_is_probed() -> None:
    assert WebcamSource("77").probes
    assert not WebcamSource("77").reachable()
    assert WebcamSource("/dev/null").reachable()


@linux
def test_a_node_that_is_no_camera() -> None:
    with pytest.raises(ConfigurationError, match="/dev/null is no camera"):
        open_source("webcam:/dev/null").open()
    with pytest.raises(ConfigurationError, match="/dev/null is no camera"):
        open_source("/dev/null").open()


@linux
def test_a_node_of_another_kind_after_it_has_worked_is_tried_again() -> None:
    source = WebcamSource("/dev/null")
    source._was_open = True
    with pytest.raises(SourceUnavailableError, match="/dev/null is no camera"):
        source.open()


@linux
def test_no_permission(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    source = open_source(f"webcam:{tmp_path}")
    with pytest.raises(SourceUnavailableError) as caught:
        source.open()
    assert f"no permission to open {tmp_path}" in str(caught.value)
    assert "usermod -aG" in str(caught.value)


@linux
def test_what_a_driver_answers_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """The structure of VIDIOC_QUERYCAP, as a UVC camera and its metadata node fill it."""
    import fcntl

    def answer(capabilities: int, of_node: int) -> v4l2.Device:
        def ioctl(descriptor: int, request: int, buffer: bytearray) -> int:
            assert request == 0x80685600
            buffer[16:27] = b"HD Webcam\0\0"
            buffer[84:92] = capabilities.to_bytes(4, "little") + of_node.to_bytes(4, "little")
            return 0

        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        return v4l2.look("/dev/null")

    assert answer(0x84A00001, 0x04200001) == v4l2.Device("/dev/null", "HD Webcam", captures=True)
    assert answer(0x84A00001, 0x04A00000) == v4l2.Device("/dev/null", "HD Webcam", captures=False)
    assert answer(0x00001000, 0).captures
    assert not answer(0x00000002, 0).captures


@pytest.mark.parametrize(
    ("device", "node"),
    [("0", "/dev/video0"), ("12", "/dev/video12"), ("/dev/v4l/by-id/x", "/dev/v4l/by-id/x")],
)
def test_nodes(device: str, node: str) -> None:
    assert WebcamSource(device).node == node


def test_size_by_either_option() -> None:
    assert WebcamSource("0", width=640, height=480)._size_wh == (640, 480)
    assert WebcamSource("0", size_wh=(640, 480), width=640, height=480)._size_wh == (640, 480)
    with pytest.raises(ConfigurationError, match="contradicts"):
        WebcamSource("0", size_wh=(640, 480), width=641, height=480)


@pytest.mark.parametrize("fourcc", ["MJPEG", "", "ÄÖÜß"])
def test_a_pixel_format_that_is_none(fourcc: str) -> None:
    with pytest.raises(ConfigurationError, match="four letters"):
        WebcamSource("0", fourcc=fourcc)


def test_elsewhere_than_on_linux_opencv_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    class Closed:
        def isOpened(self) -> bool:  # noqa: N802
            return False

        def release(self) -> None: ...

    def capture(*arguments: object) -> Closed:
        opened.append(arguments)
        return Closed()

    monkeypatch.setattr(v4l2, "SUPPORTED", False)
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    assert not WebcamSource("1").probes
    with pytest.raises(SourceUnavailableError, match="no such camera, or it is in use"):
        open_source("webcam:1").open()
    assert opened == [(1,)]
