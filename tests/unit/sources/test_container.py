"""What is cut off is known for certain, and nothing whole is called cut off."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.sources.container import missing_bytes
from tests.unit.sources.conftest import HEALTHY, RECIPES

pytestmark = pytest.mark.needs("ffmpeg")

TELLING = [
    name
    for name in HEALTHY
    if name.rpartition(".")[2] in ("mp4", "mov", "mkv", "webm", "avi") and name in RECIPES
]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_files_miss_nothing(videos: Path, name: str) -> None:
    assert missing_bytes(str(videos / name)) == 0


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", [*TELLING, "piped.mkv", "piped.webm", "piped.mp4"])
def test_files_cut_off_miss_something(videos: Path, tmp_path: Path, name: str, part: float) -> None:
    whole = (videos / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * part)])
    missing = missing_bytes(str(path))
    assert 0 < missing <= len(whole) - int(len(whole) * part)


@pytest.mark.parametrize("name", ["plain.ts", "plain.mpg", "raw.h264", "raw.mjpeg"])
def test_where_nothing_is_announced_nothing_is_claimed(
    videos: Path, tmp_path: Path, name: str
) -> None:
    whole = (videos / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) // 2])
    assert missing_bytes(str(path)) == 0


@pytest.mark.parametrize("name", ["plain.mp4", "plain.mkv", "mjpeg.avi", "fragmented.mp4"])
@pytest.mark.parametrize("more", [b"\0" * 64, b"appended by a camera", b"\xff" * 9])
def test_something_appended_is_no_cut(videos: Path, tmp_path: Path, name: str, more: bytes) -> None:
    path = tmp_path / name
    path.write_bytes((videos / name).read_bytes() + more)
    assert missing_bytes(str(path)) == 0


@pytest.mark.parametrize(("suffix", "fourcc"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG")])
def test_files_that_opencv_writes_miss_nothing(tmp_path: Path, suffix: str, fourcc: str) -> None:
    path = str(tmp_path / f"x.{suffix}")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*fourcc), 25, (64, 48))
    for value in range(10):
        writer.write(np.full((48, 64, 3), value * 20, np.uint8))
    writer.release()
    assert missing_bytes(path) == 0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3", b"text"])
def test_stubs_of_files_do_not_upset_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stub"
    path.write_bytes(content)
    assert missing_bytes(str(path)) >= 0


def test_a_box_of_64_bits_is_understood(tmp_path: Path) -> None:
    box = b"\0\0\0\x01mdat" + (16 + 100).to_bytes(8, "big") + bytes(100)
    path = tmp_path / "large.mp4"
    path.write_bytes(b"\0\0\0\x08ftyp" + box)
    assert missing_bytes(str(path)) == 0
    path.write_bytes(b"\0\0\0\x08ftyp" + box[:-30])
    assert missing_bytes(str(path)) == 30


def test_a_fragment_without_its_pictures_is_cut_off(videos: Path, tmp_path: Path) -> None:
    whole = (videos / "fragmented.mp4").read_bytes()
    begin = whole.index(b"moof") - 4
    end = begin + int.from_bytes(whole[begin : begin + 4], "big")
    assert whole[end + 4 : end + 8] == b"mdat"
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[:end])
    assert missing_bytes(str(path)) > 0
    path.write_bytes(whole[:begin])
    assert missing_bytes(str(path)) == 0


def test_damage_never_makes_it_hang_or_raise(videos: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    path = tmp_path / "damaged"
    for name in ("plain.mp4", "fragmented.mp4", "plain.mkv", "piped.mkv", "mjpeg.avi"):
        whole = np.frombuffer((videos / name).read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole[: random.integers(1, len(whole))].copy()
            places = random.integers(0, len(damaged), 20)
            damaged[places] = random.integers(0, 256, 20)
            damaged[: random.integers(0, 40)] = whole[: random.integers(0, 40)][:1].sum()
            path.write_bytes(damaged.tobytes())
            assert missing_bytes(str(path)) >= 0
