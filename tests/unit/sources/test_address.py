"""A URI is taken apart as its author meant it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgevision.errors import ConfigurationError
from edgevision.sources.address import split_path, split_url


@pytest.mark.parametrize(
    ("address", "path", "options"),
    [
        ("clip.mp4", "clip.mp4", {}),
        ("clip.mp4?loop=1", "clip.mp4", {"loop": "1"}),
        ("a b/clip.mp4?loop=1&pace=fast", "a b/clip.mp4", {"loop": "1", "pace": "fast"}),
        ("what?.mp4", "what?.mp4", {}),
        ("img_???.png", "img_???.png", {}),
        ("img_???.png?fps=5", "img_???.png", {"fps": "5"}),
        ("a=b.mp4", "a=b.mp4", {}),
        ("x?text=a%26b%20c", "x", {"text": "a&b c"}),
        ("0?fourcc=MJPG", "0", {"fourcc": "MJPG"}),
        ("?people=3", "", {"people": "3"}),
        ("x?loop=", "x", {"loop": ""}),
    ],
)
def test_path_and_query(address: str, path: str, options: dict[str, str]) -> None:
    assert split_path(address) == (path, options)


def test_a_file_whose_name_looks_like_a_query_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clip?loop=1"
    assert split_path(str(path)) == (str(tmp_path / "clip"), {"loop": "1"})
    path.touch()
    assert split_path(str(path)) == (str(path), {})


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert split_path("~/clip.mp4?loop=1") == ("/home/ada/clip.mp4", {"loop": "1"})


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("///data/a%20b.mp4", "/data/a b.mp4"),
        ("//localhost/data/a.mp4", "/data/a.mp4"),
        ("/data/a.mp4", "/data/a.mp4"),
        ("a%3Fb=c.mp4", "a?b=c.mp4"),
    ],
)
def test_file_url(address: str, path: str) -> None:
    assert split_path(address + "?loop=1", is_url=True) == (path, {"loop": "1"})


def test_file_url_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="machine 'nas' cannot be opened"):
        split_path("//nas/clip.mp4", is_url=True)


@pytest.mark.parametrize(
    ("url", "rest", "options"),
    [
        ("rtsp://cam/live", "rtsp://cam/live", {}),
        ("rtsp://cam/live?channel=2&sub=1", "rtsp://cam/live?channel=2&sub=1", {}),
        (
            "rtsp://cam/live?channel=2&ev.transport=udp&sub=%41",
            "rtsp://cam/live?channel=2&sub=%41",
            {"transport": "udp"},
        ),
        ("http://cam/v?ev.read_timeout_s=3", "http://cam/v", {"read_timeout_s": "3"}),
        ("http://cam/v?", "http://cam/v?", {}),
        ("http://cam/v?flag&a=b=c", "http://cam/v?flag&a=b=c", {}),
    ],
)
def test_only_options_with_the_prefix_are_ours(
    url: str, rest: str, options: dict[str, str]
) -> None:
    assert split_url(url) == (rest, options)


@pytest.mark.parametrize("split", [split_path, split_url])
def test_an_option_twice_is_refused(split: Callable[[str], object]) -> None:
    with pytest.raises(ConfigurationError, match="'fps' is there twice"):
        split("rtsp://h/x?ev.fps=1&ev.fps=2" if split is split_url else "0?fps=1&fps=2")
