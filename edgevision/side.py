"""Where a pipeline's pictures are: on the CPU, or on a device with a lane and a stream."""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Any

from edgevision import arena as arenas
from edgevision.arena import Arena
from edgevision.copies import CopyMeter

if TYPE_CHECKING:
    from edgevision.cuda.lane import Lane
    from edgevision.frame import Frame

__all__ = ["Side"]


class Side:
    """The memory of one pipeline's frames.

    Args:
        camera: name of the camera, for messages.
        device: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.
        lane: the camera's lane, from the runner, in place of ``device``.
        poison: see `Arena`.
        max_copies: see `CopyMeter`.

    Attributes:
        arena: the frame's buffers.
        lane: the camera's lane on a device; None on the CPU.
        meter: counts copies.
    """

    def __init__(
        self,
        camera: str,
        device: str,
        lane: Lane | None,
        *,
        poison: bool,
        max_copies: int | None,
    ) -> None:
        self._camera = camera
        self._device = device
        self._owned = False
        self._token: Token[Arena | None]
        self._stream_token: Token[Any]
        self._streams: Any = None
        self.meter = CopyMeter(max_copies)
        self.lane = lane
        self.arena = self._new_arena(poison=poison)

    @property
    def device_nbytes(self) -> int:
        """Bytes of device memory held by the frame's buffers."""
        return self.arena.device_nbytes if self.lane is not None else 0  # type: ignore[attr-defined]

    def open(self) -> None:
        """Take a lane of one's own, if the pipeline runs on CUDA without a runner.

        Raises:
            CudaUnavailableError: CUDA was asked for and cannot be had.
            ConfigurationError: the device's name is none.
        """
        if self._device == "cpu" or self.lane is not None:
            return
        from edgevision.cuda.choice import choose
        from edgevision.cuda.lane import Lane

        chosen = choose(self._device)
        if chosen.device is None:
            return
        self.lane = Lane(chosen.device.index, camera=self._camera, frames=1)
        self._owned = True
        self.arena = self._new_arena(poison=self.arena.poison)

    def close(self) -> None:
        """Give a lane of one's own back."""
        if self._owned and self.lane is not None:
            lane, self.lane, self._owned = self.lane, None, False
            self.arena = self._new_arena(poison=self.arena.poison)
            lane.close()

    def enter(self) -> None:
        """Let the calling thread work in the arena and on the lane's stream, until `leave`."""
        self._token = arenas.enter(self.arena)
        if self.lane is not None:
            self._stream_token = self._streams.enter(self.lane.cuda_stream)

    def leave(self) -> None:
        """Undo the `enter` before."""
        self.meter.stage = None
        arenas.leave(self._token)
        if self.lane is not None:
            self._streams.leave(self._stream_token)

    def attach(self, frame: Frame) -> None:
        """Take a frame in; its picture is uploaded if the capture has not done so."""
        self.meter.frame_copies = 0
        frame._attach(self.lane, self.arena)

    def release(self, frame: Frame, *, whole: bool) -> tuple[str, ...]:
        """Take a frame's picture away, and, if ``whole``, its buffers back.

        Returns:
            The stages that kept one, with poisoning on.
        """
        if self.lane is None:
            frame.release()
            return self.arena.release() if whole else ()
        if not (whole and self.arena.poison):
            frame.release()
            return self.arena.release() if whole else ()
        from edgevision.cuda.arena import poison

        picture = frame._gpu
        frame.release()
        with self._streams.use(self.lane.cuda_stream):
            if picture is not None:
                poison(picture)
            del picture
            return self.arena.release()

    def _new_arena(self, *, poison: bool) -> Arena:
        arena = Arena(poison=poison)
        if self.lane is not None:
            # Here, since a pipeline on the CPU loads nothing of CUDA.
            from edgevision.cuda import cuda_stream
            from edgevision.cuda.arena import DeviceArena

            self._streams = cuda_stream
            arena = DeviceArena(poison=poison)
        arena.meter = self.meter
        return arena
