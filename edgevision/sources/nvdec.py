"""Video decoded by the GPU's own decoder, straight into device memory.

On a card it is PyNvVideoCodec that reads the file or the stream and drives the decoder (extra
``nvdec``). A decoded picture is a surface of the decoder's, NV12, that it writes again: it is
converted to BGR into the frame's own memory, and the decoder goes on only when that has been done.
On Jetson the same address becomes a GStreamer pipeline around nvv4l2decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import cv2

from edgevision.errors import (
    ConfigurationError,
    CudaUnavailableError,
    EdgeVisionError,
    SourceTruncatedError,
    SourceUnavailableError,
)
from edgevision.redaction import redact
from edgevision.slot import Slot
from edgevision.sources.container import missing_bytes
from edgevision.sources.option import Bounds
from edgevision.sources.pace import Pace
from edgevision.sources.probe import default_port, why_unreachable
from edgevision.sources.source import Source
from edgevision.sources.video_file import refuse_unreadable

__all__ = ["NvdecSource", "jetson_pipeline", "nvdec_source"]

Colors = Literal["bt601", "bt709"]

_CONNECT_S = 5.0
_PROBE_S = 0.5


def nvdec_source(
    address: str,
    *,
    loop: bool = False,
    pace: Literal["real", "fast"] = "real",
    colors: Colors = "bt601",
    full_range: bool = False,
    transport: Literal["tcp", "udp"] = "tcp",
    latency_ms: Annotated[int, Bounds(0, 10_000)] = 100,
) -> Source:
    """Make the source that ``nvdec:`` names on this machine.

    Args:
        address: a file, or an ``rtsp://`` or ``rtsps://`` URL.
        loop: begin a file again at its end.
        pace: ``real``: each frame of a file at its own time; ``fast``: as fast as it is decoded.
        colors: ``bt601``, as cv2 decodes on the CPU; ``bt709`` for what was recorded as HD.
        full_range: brightness goes from 0 to 255 rather than from 16 to 235.
        transport: of RTSP; Jetson only. PyNvVideoCodec chooses by itself.
        latency_ms: how long RTSP waits for late packets; Jetson only.

    Raises:
        ConfigurationError: the address is missing.
    """
    from edgevision.cuda.probe import l4t_release

    if not address.strip():
        raise ConfigurationError("nvdec: a file or an rtsp:// URL is missing")
    if l4t_release():
        from edgevision.sources.gstreamer import GStreamerSource

        pipeline = jetson_pipeline(address, transport=transport, latency_ms=latency_ms)
        return GStreamerSource(pipeline, live=_is_url(address))
    return NvdecSource(address, loop=loop, pace=pace, colors=colors, full_range=full_range)


def jetson_pipeline(
    address: str, *, transport: Literal["tcp", "udp"] = "tcp", latency_ms: int = 100
) -> str:
    """Return the GStreamer pipeline that decodes ``address`` on a Jetson module.

    nvv4l2decoder and nvvidconv are of L4T's multimedia packages; the latter cannot make BGR, which
    cv2 wants, so `GStreamerSource` drops the fourth channel on the CPU.
    """
    quoted = address.replace("\\", "\\\\").replace('"', '\\"')
    if _is_url(address):
        begin = f'rtspsrc location="{quoted}" protocols={transport} latency={latency_ms}'
    else:
        begin = f'filesrc location="{quoted}"'
    return f"{begin} ! parsebin ! nvv4l2decoder ! nvvidconv ! video/x-raw,format=BGRx"


class NvdecSource(Source):
    """A file or an RTSP camera, decoded by the card.

    On a camera that runs on CUDA the frame never leaves the device. On one that runs on the CPU it
    is downloaded, which costs a copy of every frame.

    Args:
        address: a file, or an ``rtsp://`` or ``rtsps://`` URL.
        loop: begin a file again at its end.
        pace: ``real`` or ``fast``, for a file.
        colors: see `nvdec_source`.
        full_range: see `nvdec_source`.
        codec: what decodes; default PyNvVideoCodec.
        converter: makes what turns NV12 into BGR; default `edgevision.cuda.nv12.Nv12Converter`.

    Attributes:
        frames: frames read since ``open``.
    """

    def __init__(
        self,
        address: str,
        *,
        loop: bool = False,
        pace: Literal["real", "fast"] = "real",
        colors: Colors = "bt601",
        full_range: bool = False,
        codec: Any = None,
        converter: Any = None,
    ) -> None:
        self.live = _is_url(address)
        self.uri = redact(f"nvdec:{address}")
        self.frames = 0
        self._address = address
        self._loop = loop
        self._real = pace == "real" and not self.live
        self._colors: Colors = colors
        self._full_range = full_range
        self._codec = codec
        self._make_converter = converter
        self._converter: Any = None
        self._demuxer: Any = None
        self._decoder: Any = None
        self._packets: Iterator[Any] = iter(())
        self._surfaces: deque[Any] = deque()
        self._reading: Any = None
        self._pace = Pace(0.04, real=False)
        self._interval_s = 0.04

    def open(self) -> None:
        """Open the file or the stream, and make a decoder for it.

        Raises:
            ConfigurationError: PyNvVideoCodec is missing, or the file is no video that it reads.
            CudaUnavailableError: there is no device that decodes.
            SourceUnavailableError: the camera cannot be reached.
        """
        self.close()
        if not self.live:
            refuse_unreadable(self._address)
        codec = self._load()
        if why := self._why_unreachable(_CONNECT_S):
            raise SourceUnavailableError(f"{self.uri}: {why}")
        self.frames = 0
        self._start(codec)
        fps = float(self._demuxer.FrameRate())
        self._interval_s = 1 / fps if 0 < fps < 1000 else 0.04
        self._pace = Pace(self._interval_s, real=self._real)

    def read(self, slot: Slot) -> bool:
        """Decode the next frame into the slot's device memory, and wait until it is due.

        Raises:
            SourceTruncatedError: the file is cut off here.
            SourceUnavailableError: the stream broke off.
        """
        if self._decoder is None:
            raise SourceUnavailableError(f"{self.uri} is not open")
        while not self._surfaces:
            packet = self._next_packet()
            if packet is None:
                if not self._at_end():
                    return False
                continue
            # From here on the decoder writes its surfaces again.
            self._finish_reading()
            self._surfaces.extend(self._guarded(self._decoder.Decode, packet))
        self._show(self._surfaces.popleft(), slot)
        self._pace.wait(self.frames * self._interval_s)
        self.frames += 1
        return True

    def reachable(self) -> bool:
        """Say whether the camera's server takes connections."""
        return self._why_unreachable(_PROBE_S) is None

    def close(self) -> None:
        """Give decoder and stream back; harmless when nothing is open."""
        self._finish_reading()
        self._surfaces.clear()
        self._packets = iter(())
        # The decoder first: it holds on to what the demuxer read.
        self._decoder = None
        self._demuxer = None

    def _why_unreachable(self, timeout_s: float) -> str | None:
        """Ask the server itself: FFmpeg would wait for minutes, and not say what for."""
        url = urlsplit(self._address)
        if not self.live or not url.hostname or url.scheme not in ("rtsp", "rtsps"):
            return None
        return why_unreachable(url.hostname, url.port or default_port(url.scheme), timeout_s)

    def _load(self) -> Any:
        if self._codec is None:
            try:
                self._codec = import_module("PyNvVideoCodec")
            except ImportError as error:
                raise ConfigurationError(
                    f"{self.uri}: nvdec needs PyNvVideoCodec: pip install 'edgevision[nvdec]'"
                ) from error
            except Exception as error:
                raise CudaUnavailableError(
                    f"{self.uri}: PyNvVideoCodec does not start: {_line(error)}"
                ) from error
        return self._codec

    def _start(self, codec: Any) -> None:
        try:
            self._demuxer = codec.CreateDemuxer(filename=self._address)
        except Exception as error:
            text = f"{self.uri}: it cannot be opened: {redact(_line(error))}"
            if self.live:
                raise SourceUnavailableError(text) from error
            raise ConfigurationError(text) from error
        self._packets = iter(self._demuxer)
        if self._decoder is not None:
            return  # the same video again: making a decoder takes a tenth of a second
        try:
            index = cv2.cuda.getDevice() if self._make_converter is None else 0
            self._decoder = codec.CreateDecoder(
                gpuid=index, codec=self._demuxer.GetNvCodecId(), usedevicememory=True
            )
            if self._converter is None:
                self._converter = self._new_converter()
        except EdgeVisionError:
            raise
        except Exception as error:
            raise CudaUnavailableError(
                f"{self.uri}: the device has no decoder for it: {redact(_line(error))}"
            ) from error

    def _new_converter(self) -> Any:
        if self._make_converter is not None:
            return self._make_converter(self._colors, full_range=self._full_range)
        from edgevision.cuda.nv12 import Nv12Converter

        return Nv12Converter(self._colors, full_range=self._full_range)

    def _next_packet(self) -> Any:
        return self._guarded(next, self._packets, None)

    def _guarded(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:
            from edgevision.cuda.fault import translated

            found = translated(error, self.uri)
            if found is error:
                text = f"{self.uri}: decoding failed: {redact(_line(error))}"
                found = (SourceUnavailableError if self.live else SourceTruncatedError)(text)
            raise found from error

    def _at_end(self) -> bool:
        """Begin a file again if that was asked for; say whether there is more."""
        if self.live:
            return False
        missing = missing_bytes(self._address)
        if missing:
            raise SourceTruncatedError(
                f"{self._address}: the file is cut off after {self.frames} frames; at least "
                f"{missing} bytes are missing"
            )
        if not self._loop or not self.frames:
            return False
        self._start(self._codec)
        return True

    def _show(self, decoded: Any, slot: Slot) -> None:
        """Convert a surface into the slot, or download it where the camera runs on the CPU."""
        from edgevision.cuda.nv12 import Surface

        luma, chroma = (plane.__cuda_array_interface__ for plane in decoded.cuda()[:2])
        height, width = luma["shape"][:2]
        steps = luma["strides"][0], chroma["strides"][0]
        surface = Surface(luma["data"][0], chroma["data"][0], *steps, width, height)
        if slot.device is not None:
            mat, stream = slot.device.room(height, width)
            self._converter.convert(surface, mat, int(stream.cudaPtr()))
            slot.device.filled()
            if self._reading is None:
                self._reading = slot.device.new_fence()
            self._reading.set(stream)
            slot.image = None
            return
        from edgevision.cuda.on_demand import lane

        own = lane()
        mat = own.runtime.mat(height, width, cv2.CV_8UC3)
        self._converter.convert(surface, mat, int(own.cuda_stream.cudaPtr()))
        slot.image = own.download(mat, None)

    def _finish_reading(self) -> None:
        """Wait until nothing reads the decoder's surfaces any more."""
        if self._reading is not None:
            self._guarded(self._reading.block)


def _is_url(address: str) -> bool:
    return "://" in address


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
