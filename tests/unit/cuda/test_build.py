"""An OpenCV that is not the one it was meant to be."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edgevision.cuda import probe
from edgevision.cuda.driver import Driver
from edgevision.errors import ConfigurationError
from edgevision.sources import ffmpeg, open_source
from tests.unit.cuda.fake_driver import Card, FakeLibrary


@pytest.fixture
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "has_backend", lambda name: False)


@pytest.mark.usefixtures("without_ffmpeg")
def test_a_build_without_ffmpeg_is_named_where_a_file_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0\0\0\x08free" * 4)
    with pytest.raises(ConfigurationError, match=rf"OpenCV \({cv2.__version__}\) is built without"):
        open_source(str(path)).open()


def test_a_cuda_build_that_was_replaced_is_recognised() -> None:
    driver = Driver(FakeLibrary([Card()]))
    found = probe.status(driver=driver, build=probe.Build())
    assert (found.available, found.absence) == (False, "build")
    assert len(found.devices) == 1
    assert "another package may have replaced it" in found.reason
    assert str(Path(cv2.__file__).parent) in found.reason
