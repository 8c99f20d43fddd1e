"""What one camera has on a device: two streams, page-locked memory, and the frames in flight.

The capture thread decodes into page-locked memory and queues the upload on a stream of its own; the
worker's stream waits for it, the worker does not. A slot that goes round is written again when its
upload has ended (the host waits, which is over by then) and uploaded to again when the stages'
work on it has ended (the upload stream waits). So the copy of the next frame runs beside the work
on this one, and no thread waits for the default stream.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.cuda import fault
from edgevision.cuda.arena import nbytes
from edgevision.cuda.cuda_stream import current as current_stream
from edgevision.cuda.runtime import Runtime, mat_type, shape_and_dtype
from edgevision.errors import CudaUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgevision.arena import Arena
    from edgevision.slot import Slot

__all__ = ["DeviceSlot", "Fetch", "Lane"]

_DOWNLOAD = "cuda frame download"
_UPLOAD = "cuda frame upload"


class DeviceSlot:
    """The device's part of one slot; see `edgevision.slot.Slot`.

    Attributes:
        array: page-locked memory that the source decodes into; None before the first frame, and for
            a source that decodes on the device.
        mat: the frame in device memory.
    """

    __slots__ = ("_lane", "_read", "_written", "array", "done", "mat", "ready")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.array: NDArray[np.uint8] | None = None
        self.mat: Any = None
        self.ready = lane.runtime.fence()
        self.done = lane.runtime.fence()
        self._written = False  # an upload to the mat has been queued, and `ready` set
        self._read = False  # the stages' work on the mat has been queued, and `done` set

    def room(self, height: int, width: int) -> tuple[Any, Any]:
        """Return a GpuMat (height, width) 8UC3 to decode into, and the stream to do it on.

        For a source that decodes on the device, which calls `filled` when its work is queued; on
        the capture thread.

        Raises:
            CudaMemoryError: the device has not the memory.
        """
        if self.mat is None or self.mat.size() != (width, height) or self.mat.channels() != 3:
            self.array = None
            self.mat = self._lane.new_mat(height, width, cv2.CV_8UC3)
            self._read = False
        self.wait_for_stages()
        return self.mat, self._lane.upload_stream

    def new_fence(self) -> Any:
        """Return a fence of the source's own."""
        return self._lane.runtime.fence()

    def filled(self) -> None:
        """Say that the frame will be there once the work queued so far has been done."""
        self.ready.set(self._lane.upload_stream)
        self._written = True

    def wait_for_stages(self) -> None:
        """Let the upload stream wait until the stages have done with the last frame."""
        if self._read:
            self._read = False
            self.done.wait(self._lane.upload_stream)

    def block(self, *, mapped: bool) -> None:
        """Wait until the array may be written."""
        if mapped:
            if self._read:
                self._read = False
                self.done.block()
        elif self._written:
            self.ready.block()

    def hand_over(self, cuda_stream: Any) -> Any:
        """Let a stream wait for the frame, and return it."""
        if self._written:
            self.ready.wait(cuda_stream)
        return self.mat

    def hand_back(self, cuda_stream: Any) -> None:
        """Say that all work on the frame is queued on a stream."""
        self.done.set(cuda_stream)
        self._read = True


class Fetch:
    """A download under way, and what is to be done with the array when it is there."""

    __slots__ = ("_lane", "array", "fence", "stage", "use")

    def __init__(
        self, lane: Lane, array: NDArray[Any], use: Callable[[NDArray[Any]], object], stage: str
    ) -> None:
        self._lane = lane
        self.array = array
        self.use = use
        self.stage = stage
        self.fence = lane.take_fence()

    def finish(self) -> None:
        """Wait for the array, use it, and give its memory back."""
        try:
            self.fence.block()
            self.use(self.array)
        finally:
            self._lane.end_fetch(self)

    def cancel(self) -> None:
        """Wait for the array and give its memory back."""
        try:
            self.fence.block()
        finally:
            self._lane.end_fetch(self)


class Lane:
    """One camera's streams and memory on one device.

    Methods up to `send` belong to the capture thread, those from `receive` on to the worker's.

    Args:
        index: number of the device.
        camera: name of the camera, for messages.
        frames: how many slots go round.
        mapped: host and device share one memory, as on Jetson: frames are decoded where the device
            reads them, and nothing is copied.
        max_pinned_bytes: bound of the page-locked memory.
        runtime: what it is made of; default cv2.cuda.

    Attributes:
        index: see above.
        cuda_stream: where the stages' work is queued.
        upload_stream: where the capture thread's is.
        staged: frames that a source delivered in memory of its own, so that they were copied once
            more on the host.

    Raises:
        CudaUnavailableError: the device cannot be used.
    """

    def __init__(
        self,
        index: int = 0,
        *,
        camera: str = "camera",
        frames: int = 6,
        mapped: bool = False,
        max_pinned_bytes: int = 1 << 30,
        runtime: Runtime | None = None,
    ) -> None:
        self.index = index
        self.camera = camera
        self.mapped = mapped
        self.runtime = Runtime() if runtime is None else runtime
        self.staged = 0
        self._frames = frames
        self._reserve: list[Any] = []
        self._mats: list[Any] = []
        self._fences: list[Any] = []
        self._staging: tuple[NDArray[np.uint8], Any] | None = None
        self._closed = False
        try:
            self.runtime.use(index)
            self.cuda_stream = self.runtime.stream()
            self.upload_stream = self.runtime.stream()
            self._pool = self.runtime.pool(max_pinned_bytes)
            self._mapped_pool = self.runtime.mapped_pool(max_pinned_bytes) if mapped else None
        except cv2.error as error:
            raise self._cannot("its streams cannot be made", error) from error

    @property
    def device_bytes(self) -> int:
        """Bytes of device memory that the frames in flight take."""
        return sum(map(nbytes, self._mats))

    @property
    def pinned_bytes(self) -> int:
        """Bytes of page-locked memory."""
        more = 0 if self._mapped_pool is None else self._mapped_pool.nbytes
        return int(self._pool.nbytes + more)

    def enter(self) -> None:
        """Let the calling thread work on this lane's device; once, when the thread starts."""
        self.runtime.use(self.index)

    def attach(self, slot: Slot) -> None:
        """Give a slot its part on the device."""
        if slot.device is None:
            slot.device = DeviceSlot(self)

    def prepare(self, slot: Slot) -> None:
        """Wait until the source may write into the slot.

        Raises:
            CudaFaultError: CUDA is broken in this process.
        """
        try:
            self.attach(slot)
            if slot.device is not None:
                slot.device.block(mapped=self.mapped)
        except cv2.error as error:
            raise self._cannot("its last frame cannot be waited for", error) from error

    def send(self, slot: Slot) -> None:
        """Queue the upload of what the source has put into the slot.

        Raises:
            CudaMemoryError: the device has no memory for this camera's frames.
            CudaFaultError: CUDA is broken in this process.
        """
        state, image = slot.device, slot.image
        if state is None or image is None:
            return
        try:
            if image is not state.array:
                self._stage(slot, state, image)
            if not self.mapped:
                state.wait_for_stages()
                state.mat.upload(state.array, self.upload_stream)
                state.filled()
        except cv2.error as error:
            raise self._cannot("its frame cannot be uploaded", error) from error

    def receive(self, slot: Slot) -> Any:
        """Return the slot's frame; the worker's stream waits for its upload, the worker does not.

        Raises:
            CudaFaultError: CUDA is broken in this process.
        """
        if slot.device is None:
            raise RuntimeError("a slot of another camera")
        try:
            return slot.device.hand_over(self.cuda_stream)
        except cv2.error as error:
            raise self._cannot("its frame cannot be waited for", error) from error

    def finish(self, slot: Slot) -> None:
        """Say that all work on the slot's frame is queued."""
        if slot.device is not None:
            with contextlib.suppress(cv2.error):  # the next call on the device says it again
                slot.device.hand_back(self.cuda_stream)

    def upload(self, array: NDArray[np.uint8], arena: Arena | None) -> Any:
        """Return a stage's array as a GpuMat of the frame; the copy is queued, not waited for."""
        if arena is not None and arena.meter is not None:
            arena.meter.upload(array.nbytes)
        pinned, fence = self._staging_for(array)
        np.copyto(pinned, array)
        mat = None if arena is None else arena.take(_UPLOAD)
        kind = mat_type(array)
        if mat is None or mat.size() != (array.shape[1], array.shape[0]) or mat.type() != kind:
            mat = self.runtime.mat(array.shape[0], array.shape[1], kind)
        mat.upload(pinned, self.cuda_stream)
        fence.set(self.cuda_stream)
        working = self._other_stream()
        if working is not None:
            fence.wait(working)
        if arena is not None:
            arena.put(_UPLOAD, mat)
        return mat

    def download(self, mat: Any, arena: Arena | None) -> NDArray[Any]:
        """Return a GpuMat as an array of the frame, once all work on it has been done."""
        shape, dtype = shape_and_dtype(mat)
        size = math.prod(shape) * dtype.itemsize
        if arena is not None and arena.meter is not None:
            arena.meter.download(size)
        array: NDArray[Any] | None = None if arena is None else arena.take(_DOWNLOAD)
        if array is None or array.shape != shape or array.dtype != dtype:
            if array is not None:
                self._pool.give(array)
            array = self._pool.take(shape, dtype)
        self._wait_for_work()
        mat.download(self.cuda_stream, array)
        fence = self.take_fence()
        fence.set(self.cuda_stream)
        fence.block()
        self._fences.append(fence)
        if arena is None:
            # Nobody would give it back: a copy that is the caller's own.
            copy = np.array(array)
            self._pool.give(array)
            return copy
        arena.put(_DOWNLOAD, array)
        return array

    def fetch(
        self,
        mat: Any,
        use: Callable[[NDArray[Any]], object],
        stage: str,
        arena: Arena | None,
    ) -> Fetch:
        """Queue the download of a GpuMat into page-locked memory; `Fetch.finish` waits for it."""
        shape, dtype = shape_and_dtype(mat)
        if arena is not None and arena.meter is not None:
            arena.meter.download(math.prod(shape) * dtype.itemsize)
        fetch = Fetch(self, self._pool.take(shape, dtype), use, stage)
        self._wait_for_work()
        mat.download(self.cuda_stream, fetch.array)
        fetch.fence.set(self.cuda_stream)
        return fetch

    def take_fence(self) -> Any:
        """Return a fence that nobody uses; for `Fetch`."""
        return self._fences.pop() if self._fences else self.runtime.fence()

    def end_fetch(self, fetch: Fetch) -> None:
        """Take a fetch's memory and fence back; for `Fetch`."""
        self._pool.give(fetch.array)
        self._fences.append(fetch.fence)

    def _other_stream(self) -> Any:
        """Return the stream that this thread works on, if it is not the lane's: a batch's."""
        working = current_stream()
        return None if working is self.cuda_stream else working

    def _wait_for_work(self) -> None:
        """Let the lane's stream wait for the one that this thread works on."""
        working = self._other_stream()
        if working is not None:
            fence = self.take_fence()
            fence.set(working)
            fence.wait(self.cuda_stream)
            self._fences.append(fence)

    def new_mat(self, height: int, width: int, kind: int) -> Any:
        """Return device memory for one of the frames in flight.

        The memory for all of them is taken with the first, so that a camera has what it needs or is
        refused, and never runs short later.

        Raises:
            CudaMemoryError: it is not there.
        """
        fitting = [m for m in self._reserve if m.size() == (width, height) and m.type() == kind]
        if not fitting:
            known = any(m.size() == (width, height) and m.type() == kind for m in self._mats)
            count = 1 if known else self._frames
            if not known:
                self._reserve, self._mats = [], []
            wanted: list[Any] = []
            try:
                for _ in range(count):
                    wanted.append(self.runtime.mat(height, width, kind))
            except cv2.error as error:
                what = f"{count} frames of {width}x{height} do not fit into its memory"
                wanted.clear()
                raise self._cannot(what, error) from error
            self._reserve = fitting = wanted
            self._mats += wanted
        mat = fitting[-1]
        self._reserve = [other for other in self._reserve if other is not mat]
        return mat

    def close(self) -> None:
        """Free everything; both threads have ended. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        # After a fault nothing can be waited for, and the driver frees all when the process ends.
        with contextlib.suppress(cv2.error):
            self.runtime.use(self.index)
            self.upload_stream.waitForCompletion()
            self.cuda_stream.waitForCompletion()
        self._reserve, self._mats, self._staging = [], [], None
        self._pool.close()
        if self._mapped_pool is not None:
            self._mapped_pool.close()

    def _stage(self, slot: Slot, state: DeviceSlot, image: NDArray[np.uint8]) -> None:
        """Copy a frame that the source brought in memory of its own into the slot's."""
        array = state.array
        if array is None or array.shape != image.shape:
            height, width = image.shape[:2]
            if self._mapped_pool is not None:
                array = self._mapped_pool.take(image.shape)
                state.mat = self._mapped_pool.mat(array)
            else:
                state.mat = self.new_mat(height, width, mat_type(image))
                old, array = array, self._pool.take(image.shape)
                if old is not None:
                    self._pool.give(old)
            state.array = array
        np.copyto(array, image)
        # The next frame is decoded there, if the source takes what the slot has.
        slot.image = array
        self.staged += 1

    def _staging_for(self, array: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Any]:
        """Return page-locked memory of an array's shape that no copy reads any more."""
        if self._staging is not None:
            pinned, fence = self._staging
            fence.block()
            if pinned.shape == array.shape:
                return self._staging
            self._pool.give(pinned)
        self._staging = self._pool.take(array.shape), self.runtime.fence()
        return self._staging

    def _cannot(self, what: str, error: cv2.error) -> Exception:
        found = fault.translated(
            error, f"camera {self.camera!r} on CUDA device {self.index}: {what}"
        )
        if found is not error:
            return found
        return CudaUnavailableError(
            f"camera {self.camera!r} on CUDA device {self.index}: {what}: {error}"
        )
