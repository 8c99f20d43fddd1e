"""open_source finds the class for a URI and refuses what it does not understand."""

from pathlib import Path

import pytest

import edgevision.sources
from edgevision.errors import ConfigurationError
from edgevision.slot import Slot
from edgevision.sources import open_source, register_source, schemes
from edgevision.sources.source import Source


@pytest.mark.parametrize(
    ("uri", "name", "shown"),
    [
        ("webcam:0", "WebcamSource", "webcam:0"),
        ("WEBCAM:0?width=640&height=480", "WebcamSource", "webcam:0"),
        ("/dev/video3?fps=15", "WebcamSource", "/dev/video3"),
        ("webcam:/dev/v4l/by-id/usb-Cam", "WebcamSource", "/dev/v4l/by-id/usb-Cam"),
        ("clip.mp4", "VideoFileSource", "clip.mp4"),
        ("clip.mp4?loop=1&pace=fast", "VideoFileSource", "clip.mp4"),
        ("file:///data/clip.mp4?loop=1", "VideoFileSource", "/data/clip.mp4"),
        ("C:\\clips\\a.mp4", "VideoFileSource", "C:\\clips\\a.mp4"),
        ("frames/", "ImagesSource", "frames/"),
        ("frames/*.dat?fps=5", "ImagesSource", "frames/*.dat"),
        ("one.PNG", "ImagesSource", "one.PNG"),
        ("file:one.png", "ImagesSource", "one.png"),
        ("images:frames/*.mp4", "ImagesSource", "frames/*.mp4"),
        ("rtsp://u:secret@cam:8554/a?b=c", "RtspSource", "rtsp://***@cam:8554/a?b=c"),
        ("rtsps://cam/a?ev.transport=udp", "RtspSource", "rtsps://cam/a"),
        ("http://cam/video", "HttpSource", "http://cam/video"),
        ("https://cam/video", "HttpSource", "https://cam/video"),
        ("csi:1?width=1920&height=1080", "CsiSource", "csi:1"),
        (
            "gstreamer:rtspsrc location=rtsp://u:secret@c/?x=y ! fakesink",
            "GStreamerSource",
            "gstreamer:rtspsrc location=rtsp://***@c/?x=y ! fakesink",
        ),
        ("synthetic:?people=2", "SyntheticSource", "synthetic:?people=2"),
        ("synthetic:", "SyntheticSource", "synthetic:"),
    ],
)
def test_each_uri_makes_its_source(uri: str, name: str, shown: str) -> None:
    source = open_source(uri)
    assert type(source).__name__ == name
    assert source.uri == shown


def test_a_folder_is_known_by_looking(tmp_path: Path) -> None:
    (tmp_path / "shots.v2").mkdir()
    assert type(open_source(str(tmp_path / "shots.v2"))).__name__ == "ImagesSource"


def test_a_file_that_exists_wins_over_an_unknown_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "take:2.mp4").touch()
    assert type(open_source("take:2.mp4")).__name__ == "VideoFileSource"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "URI is empty"),
        ("  ", "URI is empty"),
        ("webcan:0", "no scheme 'webcan', did you mean 'webcam'?"),
        ("ftp://u:secret@host/x", "there are: csi, file, gstreamer, http"),
        ("0", "no such file, did you mean 'webcam:0'?"),
        ("rtsp:/cam/x", "two slashes, as in rtsp://host/path"),
        ("rtsp:///x", "host is missing, as in rtsp://host/path"),
        ("rtsp://u:secret@cam:port/x", "port must be a number"),
        ("rtsp://u:sec/ret@cam/x", "%2F"),
        ("rtsp://cam:0/x", "from 1 to 65535"),
        ("rtsp://cam/a b", "no spaces; write %20"),
        ("webcam:front", "must be a number or a device node"),
        ("webcam:", "must be a number or a device node"),
        ("webcam:0?width=640", "width and height go together"),
        ("webcam:0?width=640&height=480&size_wh=1280x720", "size_wh contradicts"),
        ("webcam:0?fourcc=MJPEG", "four letters such as MJPG or YUYV"),
        ("webcam:0?fbs=30", "no option 'fbs', did you mean 'fps'?"),
        ("clip.mp4?pace=slow", "option 'pace' must be 'real' or 'fast', got 'slow'"),
        ("frames/?fps=0", "option 'fps' must be a number from 0.01 to 1000"),
        ("rtsp://cam/x?ev.transport=tpc", "option 'transport' must be 'tcp' or 'udp'"),
        ("rtsp://cam/x?ev.timeout=3", "no option 'timeout'"),
        ("csi:left", "must be a number, as in csi:0"),
        ("csi:0?flip=8", "option 'flip' must be a whole number from 0 to 7"),
        ("gstreamer:", "pipeline is missing"),
        ("synthetic:street?people=2", "nothing comes between the colon and the options"),
        ("synthetic:?poeple=2", "people"),
        ("file://nas/clip.mp4", "machine 'nas'"),
    ],
)
def test_mistakes_are_named(uri: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_source(uri)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://u:se/cret@cam/x",
        "rtsp://u:se?cret@cam/x",
        "rtsp://u:se#cret@cam/x",
        "gopher://u:se/cret@cam/x",
    ],
)
def test_a_password_that_is_not_encoded_is_not_shown(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_source(uri)
    assert "cret" not in str(caught.value)


def test_an_at_sign_in_a_path_is_shown() -> None:
    assert open_source("rtsp://cam/view@2").uri == "rtsp://cam/view@2"
    assert open_source("rtsp://cam:554/view@2").uri == "rtsp://cam:554/view@2"


@pytest.mark.parametrize("number", [0, None, 3.5])
def test_something_that_is_no_text(number: object) -> None:
    with pytest.raises(ConfigurationError, match="URI in text"):
        open_source(number)  # type: ignore[arg-type]


def test_options_beside_the_uri() -> None:
    assert open_source("clip.mp4", loop=True, pace="fast").live is False
    with pytest.raises(ConfigurationError, match="'loop' is given in the URI and beside it"):
        open_source("clip.mp4?loop=1", loop=True)
    with pytest.raises(ConfigurationError, match="no option 'lop', did you mean 'loop'"):
        open_source("clip.mp4", lop=True)


@pytest.mark.parametrize(
    ("uri", "live"),
    [
        ("webcam:0", True),
        ("clip.mp4", False),
        ("frames/", False),
        ("rtsp://c/x", True),
        ("http://c/x", True),
        ("csi:0", True),
        ("gstreamer:videotestsrc", True),
    ],
)
def test_cameras_are_live_and_files_are_not(uri: str, live: bool) -> None:
    assert open_source(uri).live is live


@pytest.mark.parametrize(
    ("uri", "probes"),
    [("rtsp://c/x", True), ("http://c/x", True), ("csi:0", False), ("clip.mp4", False)],
)
def test_which_sources_can_be_probed(uri: str, probes: bool) -> None:
    assert open_source(uri).probes is probes


class Tally(Source):
    live = False

    def __init__(self, address: str, *, count: int = 1) -> None:
        self.uri = f"tally:{address}"
        self.count = count

    def open(self) -> None: ...

    def read(self, slot: Slot) -> bool:
        return False

    def close(self) -> None: ...


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgevision.sources, "_factories", dict(edgevision.sources._factories))


@pytest.mark.usefixtures("registry")
def test_a_scheme_can_be_added() -> None:
    register_source("tally", Tally)
    assert "tally" in schemes()
    source = open_source("tally:here?count=4")
    assert isinstance(source, Tally)
    assert (source.uri, source.count) == ("tally:here", 4)
    source = open_source("tally://host/a?b=c&ev.count=5")
    assert isinstance(source, Tally)
    assert (source.uri, source.count) == ("tally:tally://host/a?b=c", 5)
    with pytest.raises(ConfigurationError, match="'tally' is taken"):
        register_source("tally", Tally)


@pytest.mark.parametrize("scheme", ["t", "Tally", "ta lly", "", "9x"])
def test_a_scheme_that_cannot_be_one(scheme: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the scheme"):
        register_source(scheme, Tally)
