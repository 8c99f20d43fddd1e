"""The hardware decoder's source, with a decoder of numbers in its place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision.cuda import probe
from edgevision.cuda.lane import Lane
from edgevision.errors import ConfigurationError, SourceTruncatedError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources import open_source
from edgevision.sources.gstreamer import GStreamerSource
from edgevision.sources.nvdec import NvdecSource, jetson_pipeline, nvdec_source
from tests.unit.cuda.fake_device import FakeMat, FakeRuntime

_SIZE_WH = (8, 6)


class _Plane:
    def __init__(self, surface: np.ndarray, rows: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (rows, _SIZE_WH[0], 1),
            "strides": (_SIZE_WH[0], 1, 1),
            "data": (surface.ctypes.data, False),
        }


class FakeCodec:
    """A decoder with one surface, which it writes again with every packet.

    Attributes:
        batches: how many frames each packet gives.
        fails_at: the packet at which it breaks.
        opened: demuxers made.
        decoders: decoders made.
    """

    def __init__(self, batches: list[int], fails_at: int = -1) -> None:
        self.batches = batches
        self.fails_at = fails_at
        self.opened = 0
        self.decoders = 0
        self.surface = np.zeros(_SIZE_WH[::-1], np.uint8)
        self.number = 0

    def CreateDemuxer(self, filename: str) -> FakeCodec:  # noqa: N802
        if "unknown" in filename:
            raise RuntimeError(f"no such stream: {filename}")
        self.opened += 1
        return self

    def CreateDecoder(self, **options: Any) -> FakeCodec:  # noqa: N802
        assert options == {"gpuid": 0, "codec": 4, "usedevicememory": True}
        self.decoders += 1
        return self

    def GetNvCodecId(self) -> int:  # noqa: N802
        return 4

    def FrameRate(self) -> float:  # noqa: N802
        return 25.0

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.batches)))

    def Decode(self, packet: int) -> list[FakeCodec]:  # noqa: N802
        if packet == self.fails_at:
            raise RuntimeError("rtsp://user:secret@door/ broke")
        self.number += 1
        self.surface[:] = self.number
        return [self] * self.batches[packet]

    def cuda(self) -> list[_Plane]:
        return [_Plane(self.surface, _SIZE_WH[1]), _Plane(self.surface, _SIZE_WH[1] // 2)]


class FakeConverter:
    """Copies the surface as late as the stream lets it."""

    codec: FakeCodec
    lane: Lane

    def __init__(self, colors: str, *, full_range: bool) -> None:
        self.colors = colors

    def convert(self, surface: Any, mat: FakeMat, stream: int) -> None:
        assert stream == id(self.lane.upload_stream)
        assert (surface.width, surface.height) == _SIZE_WH
        source = self.codec.surface
        self.lane.upload_stream.queue.append(
            lambda: np.copyto(mat.pixels, np.repeat(source[..., None], 3, axis=2))
        )


def _source(codec: FakeCodec, lane: Lane, path: str, **options: Any) -> NvdecSource:
    kind = type("Converter", (FakeConverter,), {"codec": codec, "lane": lane})
    return NvdecSource(path, pace="fast", codec=codec, converter=kind, **options)


@pytest.fixture
def path(tmp_path: Path) -> str:
    made = tmp_path / "clip.h264"
    made.write_bytes(b"\0\0\0\1")
    return str(made)


def _play(source: NvdecSource, lane: Lane, count: int) -> list[int]:
    """What the stages see of up to ``count`` frames, two slots in turn."""
    slots = [Slot(), Slot()]
    seen: list[int] = []
    for number in range(count):
        slot = slots[number % 2]
        lane.prepare(slot)
        if not source.read(slot):
            break
        assert slot.image is None
        assert slot.size_wh == _SIZE_WH
        lane.send(slot)
        mat = lane.receive(slot)
        lane.cuda_stream.queue.append(lambda mat=mat: seen.append(int(mat.pixels[0, 0, 0])))
        lane.finish(slot)
    lane.cuda_stream.waitForCompletion()
    return seen


def test_each_surface_is_read_before_the_decoder_writes_it_again(path: str) -> None:
    lane = Lane(0, runtime=FakeRuntime(), frames=2)
    source = _source(FakeCodec([1, 1, 0, 1, 1]), lane, path)
    source.open()
    assert _play(source, lane, 10) == [1, 2, 4, 5]
    source.close()
    assert lane.runtime.copies == []  # type: ignore[attr-defined]


def test_a_packet_may_bring_several_frames_and_the_last_ones_come_too(path: str) -> None:
    lane = Lane(0, runtime=FakeRuntime(), frames=2)
    source = _source(FakeCodec([0, 0, 3]), lane, path)
    source.open()
    assert len(_play(source, lane, 10)) == 3
    source.close()


def test_a_file_begins_again_with_the_same_decoder(path: str) -> None:
    codec = FakeCodec([1, 1])
    lane = Lane(0, runtime=FakeRuntime(), frames=2)
    source = _source(codec, lane, path, loop=True)
    source.open()
    assert len(_play(source, lane, 7)) == 7
    assert (codec.opened, codec.decoders) == (4, 1)
    source.close()


def test_a_broken_file_ends_and_a_broken_stream_is_tried_again(path: str) -> None:
    lane = Lane(0, runtime=FakeRuntime(), frames=2)
    for address, error in ((path, SourceTruncatedError), ("udp://door/", SourceUnavailableError)):
        source = _source(FakeCodec([1, 1], fails_at=1), lane, address)
        source.open()
        with pytest.raises(error, match=r"rtsp://\*\*\*@door/ broke"):
            _play(source, lane, 5)
        source.close()


def test_a_camera_that_cannot_be_reached_is_tried_again() -> None:
    lane = Lane(0, runtime=FakeRuntime())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = f"rtsp://user:secret@127.0.0.1:{port}/unknown"
        source = _source(FakeCodec([1]), lane, address)
        assert source.probes
        assert source.reachable()
        with pytest.raises(SourceUnavailableError, match="cannot be opened: no such") as caught:
            source.open()
        assert "secret" not in str(caught.value)
    assert not source.reachable()
    with pytest.raises(SourceUnavailableError, match=f"nothing listens on port {port}"):
        source.open()
    with pytest.raises(SourceUnavailableError, match="is not open"):
        source.read(Slot())


def test_without_the_package_the_way_to_get_it_is_named(path: str) -> None:
    if find_spec("PyNvVideoCodec") is not None:
        pytest.skip("PyNvVideoCodec is installed")
    with pytest.raises(ConfigurationError, match=r"pip install 'edgevision\[nvdec\]'"):
        open_source(f"nvdec:{path}").open()


def test_a_file_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        open_source("nvdec:/nowhere/clip.mp4").open()


def test_options_follow_the_address_and_a_cameras_query_is_its_own() -> None:
    source = open_source("nvdec:rtsp://u:p@10.0.0.5/live?channel=2&ev.colors=bt709")
    assert isinstance(source, NvdecSource)
    assert source.live
    assert source.uri == "nvdec:rtsp://***@10.0.0.5/live?channel=2"
    assert not open_source("nvdec:clip.mp4?loop=true&pace=fast").live
    with pytest.raises(ConfigurationError, match="option 'colors' must be 'bt601' or 'bt709'"):
        open_source("nvdec:clip.mp4?colors=bt2020")
    with pytest.raises(ConfigurationError, match="a file or an rtsp:// URL is missing"):
        open_source("nvdec:")


def test_on_jetson_the_same_address_is_a_pipeline_of_gstreamers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "l4t_release", lambda: "36.4.3")
    source = nvdec_source("rtsp://u:p@10.0.0.5/live", transport="udp", latency_ms=50)
    assert isinstance(source, GStreamerSource)
    assert source.live
    assert source.pipeline.startswith(
        'rtspsrc location="rtsp://u:p@10.0.0.5/live" protocols=udp latency=50 ! parsebin ! '
        "nvv4l2decoder ! nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! "
        "video/x-raw,format=BGR ! appsink"
    )
    assert "u:p" not in source.uri
    assert not nvdec_source("clip.mp4").live
    assert jetson_pipeline('a "b".mp4').startswith(r'filesrc location="a \"b\".mp4" ! parsebin')


def test_the_runtime_reads_the_type_of_a_picture() -> None:
    assert FakeRuntime().mat(4, 6, cv2.CV_8UC3).channels() == 3
