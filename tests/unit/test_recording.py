"""Frames to a folder and back, bit for bit, with their times and what is in them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.errors import ConfigurationError, SourceError, SourceTruncatedError
from edgevision.recording import INDEX, Recorder, Recording
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.truth import Truth

START_S = 1_795_503_600.123456


def picture(value: int, size_wh: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    noise = np.random.default_rng(value)
    return noise.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


def truth() -> Truth:
    objects = Detections(
        [[1.25, 2.5, 30.125, 40], [0.1, 0, 5, 5]],
        [1.0, 0.3],
        ["person", "qr"],
        [7, -1],
        {"text": ["", "ünïcode"], "area_px": [3.5, 4.5]},
    )
    return Truth(objects, {"lighting": 0.8, "covered": False, "partial": [["face", [1, 2, 3, 4]]]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording of three frames, the second one gray and the third of another size."""
    with Recorder(tmp_path / "night", source="rtsp://u:secret@h/x", camera="door") as recorder:
        recorder.add(picture(1), captured_at_s=START_S, sequence=40, truth=truth())
        recorder.add(picture(2)[:, :, 0], captured_at_s=START_S + 0.04, sequence=41)
        recorder.add(picture(3, (32, 20)), captured_at_s=START_S + 0.1, sequence=44)
    return tmp_path / "night"


def test_frames_come_back_bit_for_bit(folder: Path) -> None:
    recording = Recording(folder)
    assert (len(recording), recording.camera) == (3, "door")
    assert recording.source == "rtsp://***@h/x"
    first, second, third = recording
    assert np.array_equal(first.image, picture(1))
    assert np.array_equal(second.image, picture(2)[:, :, 0])
    assert np.array_equal(third.image, picture(3, (32, 20)))
    assert [frame.sequence for frame in (first, second, third)] == [40, 41, 44]
    assert [f.captured_at_s for f in (first, second, third)] == [
        START_S,
        START_S + 0.04,
        START_S + 0.1,
    ]


def test_what_is_in_the_picture_comes_back(folder: Path) -> None:
    first, second, _ = Recording(folder)
    assert first.truth is not None
    assert first.truth.objects == truth().objects
    assert first.truth.values == truth().values
    assert second.truth is None


def test_no_credentials_are_recorded(folder: Path) -> None:
    assert "secret" not in (folder / INDEX).read_text()


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(picture(1), (15, 15), 0)
    with Recorder(tmp_path / "a", image_format="jpeg", quality=95) as recorder:
        recorder.add(smooth, captured_at_s=START_S)
    (frame,) = Recording(tmp_path / "a")
    assert np.abs(frame.image.astype(int) - smooth).mean() < 3
    assert recorder.nbytes == (tmp_path / "a" / "00000001.jpg").stat().st_size


def test_a_recording_that_was_cut_off_is_good_up_to_there(folder: Path) -> None:
    index = folder / INDEX
    index.write_text(index.read_text()[:-10])
    assert len(Recording(folder)) == 2


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="not empty: a recording needs a folder of its"):
        Recorder(folder)
    with pytest.raises(ConfigurationError, match="cannot be recorded to"):
        Recorder(folder / INDEX)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", r"index\.jsonl:3: is no JSON"),
        ("[]", r"index\.jsonl:3: is no JSON object"),
        ('{"file": "1.png", "sequence": 1}', "3: is no line of an index: 'captured_at_s' is miss"),
        ('{"file": "../1.png", "sequence": 1, "captured_at_s": 1}', "is no name of an image"),
        ('{"file": "/a.png", "sequence": 1, "captured_at_s": 1}', "is no name of an image"),
        ('{"file": "1.png", "sequence": "x", "captured_at_s": 1}', "is no line of an index"),
        (
            '{"file": "1.png", "sequence": 1, "captured_at_s": 1, "truth": {"box_xyxy": []}}',
            "'confidence' is missing",
        ),
    ],
)
def test_a_damaged_index_says_where(folder: Path, line: str, says: str) -> None:
    lines = (folder / INDEX).read_text().splitlines()
    lines[2] = line
    (folder / INDEX).write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigurationError, match=says):
        Recording(folder)


@pytest.mark.parametrize("head", ["", "{}", '{"edgevision_recording": 9}'])
def test_another_version(folder: Path, head: str) -> None:
    (folder / INDEX).write_text(f"{head}\n")
    with pytest.raises(ConfigurationError, match=r"index\.jsonl:1: is no"):
        Recording(folder)


def test_what_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is no recording: it has no index\.jsonl"):
        Recording(tmp_path)
    with pytest.raises(ConfigurationError, match="is no recording: it does not exist"):
        Recording(tmp_path / "none")


def test_images_that_are_missing_or_damaged(folder: Path) -> None:
    (folder / "00000002.png").write_bytes(b"nothing")
    (folder / "00000003.png").unlink()
    first, second, third = Recording(folder).frames
    assert first.image().shape == (48, 64, 3)
    with pytest.raises(SourceError, match=r"00000002\.png cannot be decoded"):
        second.image()
    with pytest.raises(SourceError, match=r"00000003\.png is missing"):
        third.image()


def test_as_a_source_with_the_original_times(folder: Path) -> None:
    source = open_source(f"replay:{folder}?pace=fast")
    assert not source.live
    source.open()
    slot, seen = Slot(), []
    while source.read(slot):
        assert slot.image is not None
        seen.append((slot.image.shape, slot.captured_at_s, slot.truth is not None))
    source.close()
    assert seen == [
        ((48, 64, 3), START_S, True),
        ((48, 64), START_S + 0.04, False),
        ((20, 32, 3), START_S + 0.1, False),
    ]


def test_a_slot_is_used_again(folder: Path) -> None:
    source = open_source(f"replay:{folder}?pace=fast")
    source.open()
    slot = Slot(image=np.zeros((48, 64, 3), np.uint8))
    memory = slot.image
    assert memory is not None
    assert source.read(slot)
    source.close()
    assert slot.image is memory
    assert np.array_equal(memory, picture(1))


def test_the_pauses_of_the_camera_are_kept(folder: Path) -> None:
    source = open_source(f"replay:{folder}")
    source.open()
    slot, begun_s = Slot(), time.monotonic()
    while source.read(slot):
        pass
    source.close()
    assert time.monotonic() - begun_s >= 0.1


def test_a_loop_goes_on_with_the_time(folder: Path) -> None:
    source = open_source(f"replay:{folder}?pace=fast&loop=1")
    source.open()
    slot, times = Slot(), []
    for _ in range(7):
        assert source.read(slot)
        times.append(slot.captured_at_s)
    source.close()
    assert times == sorted(set(times))
    assert times[3] - times[0] == pytest.approx(0.14)


def test_a_missing_image_ends_the_replay_with_a_reason(folder: Path) -> None:
    (folder / "00000002.png").unlink()
    source = open_source(f"replay:{folder}?pace=fast")
    source.open()
    assert source.read(Slot())
    with pytest.raises(SourceTruncatedError, match=r"00000002\.png is missing"):
        source.read(Slot())
    source.close()


def test_a_folder_that_is_no_recording_cannot_be_opened(tmp_path: Path) -> None:
    source = open_source(f"replay:{tmp_path}")
    with pytest.raises(ConfigurationError, match=re.escape(f"{tmp_path} is no recording")):
        source.open()
    source.close()


def test_the_synthetic_camera_can_be_recorded(tmp_path: Path) -> None:
    source = open_source("synthetic:?width=96&height=64&frames=3&codes=1&faces=1&pace=fast")
    source.open()
    slot, truths = Slot(), []
    with Recorder(tmp_path / "a") as recorder:
        while source.read(slot):
            assert slot.image is not None
            recorder.add(slot.image, captured_at_s=START_S, truth=slot.truth)
            truths.append(slot.truth)
    source.close()
    for frame, wanted in zip(Recording(tmp_path / "a"), truths, strict=True):
        assert frame.truth is not None
        assert wanted is not None
        assert frame.truth.objects == wanted.objects
    lines = (tmp_path / "a" / INDEX).read_text().splitlines()
    assert json.loads(lines[1])["file"] == "00000001.png"
