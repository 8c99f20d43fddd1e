"""Folders and globs of images."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.errors import ConfigurationError, SourceError
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.sources.images import ImagesSource, natural_order
from edgevision.sources.source import Source

Play = Callable[[Source], list[np.ndarray]]


def draw(path: Path, value: int, size_wh: tuple[int, int] = (32, 24)) -> Path:
    image = np.full((size_wh[1], size_wh[0], 3), value, np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def values(images: list[np.ndarray]) -> list[int]:
    return [int(image[0, 0, 0]) for image in images]


def test_natural_order(tmp_path: Path, play: Play) -> None:
    for number, name in enumerate(["frame1.png", "frame2.png", "Frame10.png", "z.png"]):
        draw(tmp_path / name, number)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png").rmdir()
    assert values(play(open_source(str(tmp_path)))) == [0, 1, 2, 3]
    assert values(play(open_source(f"{tmp_path}/"))) == [0, 1, 2, 3]
    assert values(play(open_source(f"{tmp_path}/frame*.png"))) == [0, 1]
    assert values(play(open_source(f"{tmp_path}/frame?.png"))) == [0, 1]
    assert values(play(open_source(f"images:{tmp_path}/*.png?loop=0"))) == [0, 1, 2, 3]
    assert values(play(open_source(str(tmp_path / "z.png")))) == [3]


def test_natural_order_of_odd_names() -> None:
    names = ["10", "9", "a10b2", "a10b10", "A9", "²", "a", "01", "1"]
    right = ["01", "1", "9", "10", "a", "A9", "a10b2", "a10b10", "²"]
    assert sorted(names, key=natural_order) == right


def test_subfolders_with_two_stars(tmp_path: Path, play: Play) -> None:
    (tmp_path / "b").mkdir()
    draw(tmp_path / "a1.png", 1)
    draw(tmp_path / "b" / "2.png", 2)
    assert values(play(open_source(f"{tmp_path}/**/*.png"))) == [1, 2]


def test_odd_names_and_kinds(tmp_path: Path, play: Play) -> None:
    for number, name in enumerate(["1 ä.png", "2 東京.jpg", "3 [x].bmp", "4.PNG", "5 a=b.tiff"]):
        draw(tmp_path / name, number * 20)
    assert values(play(open_source(str(tmp_path)))) == pytest.approx([0, 20, 40, 60, 80], abs=2)
    assert len(play(open_source(str(tmp_path / "3 [x].bmp")))) == 1


def test_sizes_may_differ_and_a_slot_is_used_again(tmp_path: Path) -> None:
    for number, size_wh in enumerate([(32, 24), (32, 24), (24, 32), (24, 32)]):
        draw(tmp_path / f"{number}.png", number, size_wh)
    source = ImagesSource(str(tmp_path))
    source.open()
    slot = Slot()
    arrays = []
    while source.read(slot):
        assert slot.image is not None
        arrays.append((slot.image, slot.image.shape, int(slot.image[0, 0, 0])))
    source.close()
    assert [shape for _, shape, _ in arrays] == [(24, 32, 3)] * 2 + [(32, 24, 3)] * 2
    assert [value for _, _, value in arrays] == [0, 1, 2, 3]
    assert arrays[0][0] is arrays[1][0]
    assert arrays[2][0] is arrays[3][0]


def test_gray_and_deep_images_become_bgr(tmp_path: Path, play: Play) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((24, 32), 40, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((24, 32, 3), 40 * 257, np.uint16))
    cv2.imwrite(str(tmp_path / "3.png"), np.full((24, 32, 4), 40, np.uint8))
    images = play(ImagesSource(str(tmp_path)))
    assert [image.shape for image in images] == [(24, 32, 3)] * 3
    assert [image.dtype for image in images] == [np.uint8] * 3
    assert values(images) == [40] * 3


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_what_cannot_be_read_is_skipped_counted_and_named(
    tmp_path: Path, play: Play, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    whole = draw(tmp_path / f"1{suffix}", 10, (320, 240)).read_bytes()
    (tmp_path / f"2{suffix}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / f"3{suffix}").write_bytes(b"no image at all")
    (tmp_path / f"4{suffix}").touch()
    draw(tmp_path / f"5{suffix}", 50, (320, 240))
    (tmp_path / f"6{suffix}").write_bytes(whole + b"appended \xff\xd9 by a phone")
    source = ImagesSource(str(tmp_path))
    images = play(source)
    assert values(images) == [10, 50, 10]
    assert (source.frames, source.unreadable) == (3, 3)
    for number in (2, 3, 4):
        assert f"{number}{suffix}: skipped" in caplog.text
    assert f"1{suffix}" not in caplog.text


def test_many_unreadable_images_do_not_fill_the_log(
    tmp_path: Path, play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    draw(tmp_path / "99.png", 1)
    source = ImagesSource(str(tmp_path))
    play(source)
    assert source.unreadable == 30
    assert len(caplog.records) == 6
    assert "without being named" in caplog.text


def test_not_one_readable_is_an_error(tmp_path: Path, play: Play) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SourceError, match=r"not one of the 2 images can be read.*a\.png"):
        play(ImagesSource(str(tmp_path)))
    with pytest.raises(SourceError, match="no image, or damaged or cut off"):
        play(ImagesSource(str(tmp_path / "a.png")))
    with pytest.raises(SourceError, match="not one of the 2"):
        play(ImagesSource(str(tmp_path), loop=True))


def test_loop(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / f"{number}.png", number)
    source = ImagesSource(str(tmp_path), loop=True)
    source.open()
    slot = Slot()
    came = []
    for _ in range(7):
        assert source.read(slot)
        assert slot.image is not None
        came.append(int(slot.image[0, 0, 0]))
    source.close()
    assert came == [0, 1, 2, 0, 1, 2, 0]


def test_frame_rate(tmp_path: Path, play: Play) -> None:
    for number in range(5):
        draw(tmp_path / f"{number}.png", number)
    before_s = time.monotonic()
    play(open_source(f"{tmp_path}?fps=40"))
    assert time.monotonic() - before_s >= 0.099


@pytest.mark.parametrize(
    ("make", "path", "message"),
    [
        (None, "nowhere/", "nowhere/: there is no such file"),
        (None, "nowhere/*.png", "no file matches"),
        (None, "one.png", "no such file, did you mean 'ones.png'?"),
        ("empty", "empty", r"no image in this folder \(0 entries; images end with .bmp"),
    ],
)
def test_nothing_there(tmp_path: Path, make: str | None, path: str, message: str) -> None:
    draw(tmp_path / "ones.png", 1)
    if make:
        (tmp_path / make).mkdir()
    source = open_source(f"{tmp_path}/{path}")
    assert isinstance(source, ImagesSource)
    with pytest.raises(ConfigurationError, match=message):
        source.open()
    source.close()
