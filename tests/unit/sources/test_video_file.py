"""Video files: every frame of a healthy one, and a clear word about every other."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.errors import ConfigurationError, SourceTruncatedError
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.sources.source import Source
from edgevision.sources.video_file import VideoFileSource
from tests.unit.sources.conftest import HEALTHY, PIPED, RECIPES, ffmpeg

pytestmark = pytest.mark.needs("ffmpeg")

Play = Callable[[Source], list[np.ndarray]]

FRAMES = {
    **{name: frames for name, (_, frames) in RECIPES.items()},
    **dict.fromkeys(PIPED, 50),
    "turned.mp4": 50,
    "turned_180.mp4": 50,
    "turned_270.mp4": 50,
    "two_sizes.ts": 100,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_files_end_without_a_word(videos: Path, play: Play, name: str) -> None:
    source = VideoFileSource(str(videos / name), pace="fast")
    images = play(source)
    if name.startswith("trimmed"):  # copied from the key frame before; an edit list may hide some
        assert 30 <= len(images) <= 50
    else:
        assert len(images) == FRAMES[name]
    assert source.frames == len(images)
    assert source.damaged == 0
    assert len({image.shape for image in images}) == 1


@pytest.mark.parametrize(
    "name", ["plain.mp4", "fragmented.mp4", "plain.mkv", "piped.mkv", "plain.webm", "mjpeg.avi"]
)
def test_a_file_cut_off_raises_after_its_last_good_frame(
    videos: Path, tmp_path: Path, name: str
) -> None:
    whole = (videos / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    source = VideoFileSource(str(path), pace="fast")
    slot = Slot()
    source.open()

    def play_on() -> None:
        while source.read(slot):
            pass

    with pytest.raises(SourceTruncatedError) as caught:
        play_on()
    source.close()
    frames = source.frames
    assert 15 <= frames < 50
    assert str(path) in str(caught.value)
    assert f"cut off after {frames} frames of" in str(caught.value)
    assert "bytes are missing" in str(caught.value)


def test_a_file_cut_off_raises_in_a_loop_too(videos: Path, tmp_path: Path) -> None:
    whole = (videos / "plain.mp4").read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    source = VideoFileSource(str(path), pace="fast", loop=True)
    slot = Slot()
    source.open()

    def play_on() -> None:
        for _ in range(60):
            assert source.read(slot)

    with pytest.raises(SourceTruncatedError):
        play_on()
    source.close()


def test_damage_in_the_middle_is_stepped_over_and_logged(
    videos: Path, tmp_path: Path, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    name = "plain.mp4"
    data = bytearray((videos / name).read_bytes())
    begin, end = len(data) // 2, len(data) * 7 // 10
    data[begin:end] = np.random.default_rng(3).bytes(end - begin)
    path = tmp_path / name
    path.write_bytes(data)
    source = VideoFileSource(str(path), pace="fast")
    images = play(source)
    assert 25 <= len(images) < 50
    assert source.damaged >= 1
    assert "damaged in" in caplog.text
    assert f"{len(images)} frames came of about 50" in caplog.text


def test_an_end_that_cannot_be_read_is_logged(
    videos: Path, tmp_path: Path, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray((videos / "plain.mkv").read_bytes())
    data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
    path = tmp_path / "zeros.mkv"
    path.write_bytes(data)
    images = play(VideoFileSource(str(path), pace="fast"))
    assert 0 < len(images) < 30
    assert "announces 2.0 s" in caplog.text


@pytest.mark.parametrize("name", ["plain.mp4", "vfr.mkv", "plain.ts", "one_frame.mp4"])
def test_healthy_files_log_nothing(
    videos: Path, play: Play, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        play(VideoFileSource(str(videos / name), pace="fast"))
    assert caplog.text == ""


def test_frames_are_decoded_into_the_slot(videos: Path) -> None:
    for name in ("plain.mp4", "turned.mp4", "mjpeg.avi"):
        source = VideoFileSource(str(videos / name), pace="fast")
        source.open()
        slot = Slot()
        source.read(slot)
        first = slot.image
        assert first is not None
        before = first.copy()
        for _ in range(5):
            assert source.read(slot)
            assert slot.image is first
        assert (first != before).any()
        slot.image = np.zeros((10, 20, 3), np.uint8)
        assert source.read(slot)
        assert slot.image.shape == first.shape
        source.close()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("turned.mp4", (320, 240, 3)),
        ("turned_180.mp4", (240, 320, 3)),
        ("turned_270.mp4", (320, 240, 3)),
    ],
)
def test_a_turned_file_is_shown_upright(
    videos: Path, play: Play, name: str, shape: tuple[int, int, int]
) -> None:
    images = play(VideoFileSource(str(videos / name), pace="fast"))
    capture = cv2.VideoCapture(str(videos / name), cv2.CAP_FFMPEG)
    expected = capture.read()[1]
    capture.release()
    assert images[0].shape == shape
    np.testing.assert_array_equal(images[0], expected)


def test_images_are_those_that_opencv_reads(videos: Path, play: Play) -> None:
    images = play(VideoFileSource(str(videos / "bframes.mp4"), pace="fast"))
    capture = cv2.VideoCapture(str(videos / "bframes.mp4"), cv2.CAP_FFMPEG)
    for image in images:
        np.testing.assert_array_equal(image, capture.read()[1])
    assert not capture.read()[0]
    capture.release()


def test_a_loop_goes_on_where_the_file_began(videos: Path) -> None:
    source = VideoFileSource(str(videos / "plain.mp4"), pace="fast", loop=True)
    source.open()
    slot = Slot()
    images = []
    for _ in range(120):
        assert source.read(slot)
        assert slot.image is not None
        images.append(slot.image.copy())
    np.testing.assert_array_equal(images[0], images[50])
    np.testing.assert_array_equal(images[19], images[119])
    assert source._pace.position_s == pytest.approx(119 * 0.04)
    source.close()


def test_a_loop_keeps_the_times_of_a_variable_rate(videos: Path) -> None:
    source = VideoFileSource(str(videos / "vfr.mp4"), pace="fast", loop=True)
    source.open()
    slot = Slot()
    times_s = []
    for _ in range(2 * FRAMES["vfr.mp4"]):
        assert source.read(slot)
        times_s.append(source._pace.position_s)
    source.close()
    first, second = times_s[: len(times_s) // 2], times_s[len(times_s) // 2 :]
    np.testing.assert_allclose(np.diff(second), np.diff(first), atol=1e-6)
    assert np.diff(first).max() > 2 * np.diff(first).min()


def test_real_pace_takes_the_time_of_the_recording(tmp_path: Path) -> None:
    video = "testsrc2=size=64x48:rate=20:duration=0.5"
    ffmpeg(tmp_path, "-f", "lavfi", "-i", video, "-c:v", "libx264", "x.mp4")
    source = VideoFileSource(str(tmp_path / "x.mp4"))
    source.open()
    slot = Slot()
    before_s = time.monotonic()
    while source.read(slot):
        pass
    assert time.monotonic() - before_s >= 0.449
    source.close()


def test_it_can_be_opened_again_from_the_start(videos: Path) -> None:
    source = VideoFileSource(str(videos / "plain.mp4"), pace="fast")
    slot = Slot()
    source.open()
    assert source.read(slot)
    assert slot.image is not None
    first = slot.image.copy()
    for _ in range(7):
        source.read(slot)
    source.close()
    source.close()
    source.open()
    assert source.read(slot)
    np.testing.assert_array_equal(slot.image, first)
    assert source.frames == 1
    source.close()


def test_reading_a_closed_source_is_a_mistake_of_the_caller(videos: Path) -> None:
    source = VideoFileSource(str(videos / "plain.mp4"))
    with pytest.raises(RuntimeError, match="read before open"):
        source.read(Slot())


def test_odd_names(videos: Path, tmp_path: Path, play: Play) -> None:
    data = (videos / "one_frame.mp4").read_bytes()
    for name in ("a b.mp4", "what?.mp4", "clip?loop=1", "Straße 東京.mp4", "50%.mp4", "a:b.mp4"):
        (tmp_path / name).write_bytes(data)
        source = open_source(str(tmp_path / name), pace="fast")
        assert len(play(source)) == 1, name
    source = open_source((tmp_path / "Straße 東京.mp4").as_uri() + "?pace=fast")
    assert len(play(source)) == 1


def fails_to_open(path: Path) -> str:
    source = VideoFileSource(str(path))
    with pytest.raises(ConfigurationError) as caught:
        source.open()
    source.close()
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "pedestrians.mp4").touch()
    assert "no such file, did you mean 'pedestrians.mp4'?" in fails_to_open(
        tmp_path / "pedestrian.mp4"
    )
    assert "there is no folder" in fails_to_open(tmp_path / "nowhere" / "clip.mp4")


def test_a_folder(tmp_path: Path) -> None:
    assert "a folder, not a file" in fails_to_open(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").touch()
    assert "the file is empty" in fails_to_open(tmp_path / "x.mp4")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "a device, a pipe or a socket" in fails_to_open(tmp_path / "pipe.mp4")


def test_an_unreadable_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "private.mp4"
        path.write_bytes(b"x")
        path.chmod(0)
        user = os.geteuid()
        if user == 0:  # who may read everything
            os.seteuid(65534)
        try:
            message = fails_to_open(path)
        finally:
            os.seteuid(user)
    assert "cannot be read: Permission denied" in message


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in fails_to_open(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.mp4", b"hello world\n" * 100, "no video in it"),
        ("x.mp4", bytes(range(256)) * 100, "no video in it"),
        ("notes.txt", b"hello world\n" * 100, "this is text"),
        ("x.yaml", b"a: 1\n" * 100, "no video in it"),
    ],
)
def test_no_video(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in fails_to_open(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    ffmpeg(tmp_path, "-f", "lavfi", "-i", "sine=duration=1", "x.mp4")
    assert "no video in it" in fails_to_open(tmp_path / "x.mp4")


def test_a_file_without_its_index(videos: Path, tmp_path: Path) -> None:
    data = (videos / "moov_last.mp4").read_bytes()
    (tmp_path / "x.mp4").write_bytes(data[: len(data) // 2])
    message = fails_to_open(tmp_path / "x.mp4")
    assert "the file is cut off" in message
    assert "index" in message
