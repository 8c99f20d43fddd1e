"""One picture of one camera, and what the stages found in it.

On a CUDA pipeline the picture lives in device memory and on a CPU pipeline in the host's. The side
that a pipeline runs on is the one that stages may change; the other is a copy to read, made when
somebody asks and kept until the picture may have changed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.blobs import Later, blobs
from edgevision.detections import Detections
from edgevision.errors import CudaUnavailableError, FrameReleasedError
from edgevision.json_value import NotJsonError, json_value
from edgevision.result import Event
from edgevision.slot import Image

if TYPE_CHECKING:
    from edgevision.arena import Arena
    from edgevision.cuda.lane import Fetch, Lane
    from edgevision.truth import Truth

__all__ = ["Frame"]

_OUTPUT = re.compile("[A-Za-z0-9_-]{1,64}")
_UINT8 = np.dtype(np.uint8)


class Frame:
    """One picture of one camera, and what the stages found in it.

    A stage changes the frame it is given: it sets ``image``, adds to ``detections`` and ``values``,
    or calls `publish`. The frame, its image and everything that `edgevision.cv` made from it are
    used again as soon as the last stage has returned; what must outlive the frame is copied.

    Args:
        image: (H, W, 3) uint8 BGR or (H, W) uint8 gray; None if there is only ``gpu``.
        camera: name of the camera.
        sequence: number of the frame, counted from 1 since the camera's start.
        captured_at_s: UTC seconds since 1970 of the capture; default now.
        truth: what is really in the picture, where the source knows.
        captured_ns: monotonic time of the capture in nanoseconds, for `age_s`; default now.
        gpu: the same picture as a GpuMat, where the capture has put it into device memory.

    Attributes:
        camera: see above.
        sequence: see above.
        captured_at_s: see above.
        truth: see above.
        events: what `publish` collected.
    """

    __slots__ = (
        "_arena",
        "_captured_ns",
        "_detections",
        "_gpu",
        "_image",
        "_lane",
        "_pending",
        "_stage",
        "_values",
        "camera",
        "captured_at_s",
        "events",
        "sequence",
        "truth",
    )

    def __init__(
        self,
        image: Image | None,
        *,
        camera: str = "camera",
        sequence: int = 1,
        captured_at_s: float | None = None,
        truth: Truth | None = None,
        captured_ns: int | None = None,
        gpu: Any = None,
    ) -> None:
        self._image: Image | None = image
        self._gpu: Any = gpu
        self._lane: Lane | None = None
        self._arena: Arena | None = None
        self._pending: list[Fetch] | None = None
        self._detections: Detections | None = None
        self._stage = ""
        self._captured_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        self.camera = camera
        self.sequence = sequence
        self.captured_at_s = time.time() if captured_at_s is None else captured_at_s
        self.truth = truth
        self._values: dict[str, Any] = {}
        self.events: list[Event] = []

    @property
    def image(self) -> Any:
        """The picture on the processor that the pipeline runs on: an ndarray, or a GpuMat.

        Raises:
            FrameReleasedError: the pipeline has finished with this frame.
        """
        if self._lane is not None:
            return self._device_side()
        if self._image is not None:
            self._gpu = None  # the array may be changed in place
            return self._image
        return self._host_side()

    @image.setter
    def image(self, image: Any) -> None:
        if self._image is None and self._gpu is None:
            raise self._released()
        if isinstance(image, np.ndarray):
            if (
                image.dtype != _UINT8
                or (image.ndim != 2 and (image.ndim != 3 or image.shape[2] != 3))
                or not image.size
            ):
                raise self._no_picture(f"{image.dtype} of shape {image.shape}")
            self._image, self._gpu = image, None
            return
        kind = image.type() if hasattr(image, "cudaPtr") else None
        if kind not in (cv2.CV_8UC1, cv2.CV_8UC3) or image.empty():
            what = type(image).__name__
            if kind is not None:
                what += f" of depth {image.depth()}, {image.channels()} channels, {image.size()}"
            raise self._no_picture(what)
        self._image, self._gpu = None, image

    @property
    def host(self) -> NDArray[Any]:
        """The picture as a NumPy array, whichever processor the pipeline runs on.

        On a CUDA pipeline it is there without a copy until a stage has asked for ``image``, and is
        downloaded once after that, into page-locked memory. It is read-only then: assign ``image``
        to change the picture.

        Raises:
            FrameReleasedError: the pipeline has finished with this frame.
            ConfigurationError: one copy more than the pipeline's ``max_copies``.
        """
        if self._lane is None:
            return self.image  # type: ignore[no-any-return]
        array = self._host_side()[...]
        array.flags.writeable = False
        return array

    @property
    def gpu(self) -> Any:
        """The picture as a `cv2.cuda.GpuMat`, whichever processor the pipeline runs on.

        On a CPU pipeline it is uploaded for the asking, and only to be read: assign ``image`` to
        change the picture. The copy has ended then, and any stream may use it.

        Raises:
            CudaUnavailableError: there is no CUDA device that OpenCV can use.
            FrameReleasedError: the pipeline has finished with this frame.
            ConfigurationError: one copy more than the pipeline's ``max_copies``.
        """
        return self._device_side()

    @property
    def cuda_stream(self) -> cv2.cuda.Stream:
        """The stream on which the pipeline works: for cv2.cuda, CuPy, torch and others.

        Raises:
            CudaUnavailableError: the pipeline does not run on CUDA.
        """
        if self._lane is None:
            raise CudaUnavailableError(
                f"camera {self.camera!r} does not run on CUDA, so that it has no stream; "
                "device: cuda in pipeline.yaml makes it"
            )
        stream: cv2.cuda.Stream = self._lane.cuda_stream
        return stream

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of ``image`` in pixels."""
        if self._image is not None:
            shape = self._image.shape
            return shape[1], shape[0]
        if self._gpu is None:
            raise self._released()
        width, height = self._gpu.size()
        return width, height

    @property
    def channels(self) -> int:
        """1 for a gray picture and 3 for BGR, on either side."""
        if self._image is not None:
            return 1 if self._image.ndim == 2 else 3
        if self._gpu is None:
            raise self._released()
        return int(self._gpu.channels())

    @property
    def pending(self) -> bool:
        """True while something that was left to `fetch` is not done."""
        return bool(self._pending)

    @property
    def values(self) -> dict[str, Any]:
        """JSON-serialisable values by name, sent with the frame's message.

        What an earlier stage left to `fetch` is done first.
        """
        pending = self._pending
        if pending and pending[0].stage != self._stage:
            self.settle()
        return self._values

    @values.setter
    def values(self, values: dict[str, Any]) -> None:
        self._values = values

    @property
    def detections(self) -> Detections:
        """Boxes found so far, in pixels of ``image``. What was left to `fetch` is done first."""
        if self._pending:
            self.settle()
        found = self._detections
        if found is None:
            found = self._detections = Detections.empty()
        return found

    @detections.setter
    def detections(self, detections: Detections) -> None:
        if not isinstance(detections, Detections):
            raise TypeError(
                f"frame.detections must be edgevision.Detections, got {type(detections).__name__}"
            )
        if self._pending:
            self.settle()
        self._detections = detections

    def add(self, detections: Detections) -> None:
        """Append ``detections`` to those already found."""
        if len(detections):
            self.detections = Detections.concat([self.detections, detections])

    def detect_blobs(
        self, mask: Any, *, min_area: float = 0, label: str = "blob", max_blobs: int = 1000
    ) -> Detections:
        """Box every connected area of ``mask`` that is not zero and append the boxes.

        A mask smaller than ``image`` is taken to show the same scene: boxes are scaled to
        ``image`` and areas count in pixels of ``image``.

        Args:
            mask: (h, w) uint8 or bool; what is not 0 belongs to a blob, diagonal neighbours
                included. Of a GpuMat, the mask alone is downloaded, and nothing waits for it until
                somebody looks at the boxes.
            min_area: blobs of fewer pixels are left out, in pixels of ``image``.
            label: label of each box.
            max_blobs: the largest blobs are kept when there are more, so that a flickering mask
                cannot flood the pipeline.

        Returns:
            What was appended: confidence 1, the blob's pixel count in ``data["area_px"]``.

        Raises:
            ValueError: the mask is not (h, w) uint8 or bool, or it is empty.
        """
        if not isinstance(mask, np.ndarray):
            return self._detect_later(mask, min_area, label, max_blobs)
        if mask.ndim != 2 or mask.dtype not in (_UINT8, np.bool_) or not mask.size:
            raise ValueError(
                "detect_blobs wants an (H, W) uint8 or bool mask, got "
                f"{mask.dtype} of shape {mask.shape}"
            )
        found = blobs(mask, self.size_wh, min_area=min_area, label=label, max_blobs=max_blobs)
        self.add(found)
        return found

    def fetch(self, image: Any, use: Callable[[NDArray[Any]], object]) -> None:
        """Have ``use`` called with ``image`` as an array, and do not wait for it.

        An array is used at once. A GpuMat is downloaded in the background into page-locked memory,
        while the next frame's work is already queued; ``use`` runs on the worker's thread before
        the frame's results go out, when a later stage asks for values or detections, or at
        `settle`. It may add detections and set values, and has the picture no more. The array is
        the framework's and is used again after the call.

        Args:
            image: (H, W) or (H, W, C), of any element type.
            use: called once with it as an array.

        Raises:
            ConfigurationError: one copy more than the pipeline's ``max_copies``.
        """
        if isinstance(image, np.ndarray):
            use(image)
            return
        if self._lane is None:
            from edgevision.cuda.on_demand import lane

            use(lane().download(image, self._arena))
            return
        fetch = self._lane.fetch(image, use, self._stage, self._arena)
        if self._pending is None:
            self._pending = [fetch]
        else:
            self._pending.append(fetch)

    def settle(self) -> None:
        """Wait for everything that was left to `fetch`, and use it.

        Raises:
            Exception: what a function given to `fetch` raised; those after it are not called.
        """
        while self._pending:
            # Away first: what is called may ask for the detections.
            waiting, self._pending = self._pending, None
            stage = self._stage
            while waiting:
                fetch = waiting.pop(0)
                self._stage = fetch.stage
                try:
                    fetch.finish()
                except BaseException:
                    for other in waiting:
                        other.cancel()
                    self._forget()
                    raise
            self._stage = stage

    def publish(self, output: str, body: Mapping[str, Any]) -> None:
        """Send an event of the stage's own to ``output``, whatever the publish policy says.

        Args:
            output: name of the output; up to 64 ASCII letters, digits, ``-`` and ``_``.
            body: what to send; turned into plain JSON now (see `edgevision.json_value`), so it may
                be changed afterwards.

        Raises:
            ValueError: the name of the output is none, or something in the body has no JSON form;
                the message says where in the body.
            TypeError: the body is no mapping.
        """
        if not _OUTPUT.fullmatch(output):
            raise ValueError(
                f"an output's name has up to 64 ASCII letters, digits, '-' and '_', got {output!r}"
            )
        if not isinstance(body, Mapping):
            raise TypeError(
                f"frame.publish({output!r}, body) wants a mapping, got {type(body).__name__}"
            )
        try:
            self.events.append(Event(output, json_value(body), self._stage))
        except NotJsonError as error:
            place = "".join(f"[{part!r}]" for part in error.path)
            raise ValueError(
                f"frame.publish({output!r}, body): body{place}: {error.reason}"
            ) from None

    def age_s(self) -> float:
        """Seconds since the capture ended, by the monotonic clock."""
        return (time.monotonic_ns() - self._captured_ns) * 1e-9

    def release(self) -> None:
        """Take the pixels away; every later use of ``image`` is a `FrameReleasedError`.

        The pipeline calls this after the last stage. Detections and values stay.
        """
        self._image = self._gpu = None

    def _attach(self, lane: Lane | None, arena: Arena) -> None:
        """Belong to a pipeline, which runs on a device or, without a lane, on the CPU."""
        self._arena = arena
        self._lane = lane
        if lane is not None and self._gpu is None and self._image is not None:
            meter, arena.meter = arena.meter, None  # the capture's copy, no stage's
            try:
                self._gpu = lane.upload(self._image, arena)
            finally:
                arena.meter = meter

    def _picture(self) -> Any:
        """Return the picture where it is, without a copy; for those who only watch it."""
        if self._lane is not None and self._gpu is not None:
            return self._gpu
        picture = self._image if self._image is not None else self._gpu
        if picture is None:
            raise self._released()
        return picture

    def _host_side(self) -> Image:
        if self._image is None:
            if self._gpu is None:
                raise self._released()
            self._image = self._some_lane().download(self._gpu, self._arena)
        return self._image

    def _device_side(self) -> Any:
        if self._gpu is None:
            if self._image is None:
                raise self._released()
            lane = self._some_lane()
            self._gpu = lane.upload(self._image, self._arena)
            if self._lane is None:
                lane.cuda_stream.waitForCompletion()
        if self._lane is not None:
            self._image = None  # the GpuMat may be changed in place
        return self._gpu

    def _some_lane(self) -> Lane:
        if self._lane is not None:
            return self._lane
        from edgevision.cuda.on_demand import lane

        return lane()

    def _detect_later(self, mask: Any, min_area: float, label: str, max_blobs: int) -> Detections:
        if not hasattr(mask, "cudaPtr") or mask.type() != cv2.CV_8UC1 or mask.empty():
            what = type(mask).__name__
            if hasattr(mask, "cudaPtr"):
                what += f" of depth {mask.depth()}, {mask.channels()} channels, {mask.size()}"
            raise ValueError(f"detect_blobs wants an (H, W) uint8 or bool mask, got {what}")
        later = Later(self.settle)
        size_wh = self.size_wh

        def box(array: NDArray[Any]) -> None:
            found = blobs(array, size_wh, min_area=min_area, label=label, max_blobs=max_blobs)
            later.fill(found)
            self.add(found)

        self.fetch(mask, box)
        return later

    def _state(self) -> tuple[Any, ...]:
        """Return what `_restore` needs, before a stage that may be tried again."""
        if self._pending:
            self.settle()
        return self._image, self._gpu, self._detections, dict(self._values), len(self.events)

    def _restore(self, state: tuple[Any, ...]) -> None:
        """Undo what a stage has done since, but for pixels that were changed in place."""
        self._forget()
        self._image, self._gpu, self._detections, self._values, count = state
        del self.events[count:]

    def _forget(self) -> None:
        """Drop what was left to `fetch`."""
        waiting, self._pending = self._pending, None
        for fetch in waiting or ():
            fetch.cancel()

    def _no_picture(self, what: str) -> TypeError:
        return TypeError(
            f"frame.image of camera {self.camera!r} must be uint8 of shape (H, W, 3), BGR, or "
            f"(H, W), gray; got {what}"
        )

    def _released(self) -> FrameReleasedError:
        return FrameReleasedError(
            f"frame {self.sequence} of camera {self.camera!r} was used after its pipeline had "
            "finished with it; copy what must outlive the frame: frame.image.copy(), or "
            "edgevision.cv.clone(frame.image)"
        )

    def __repr__(self) -> str:
        shape = "released"
        if self._image is not None:
            shape = "x".join(map(str, self._image.shape))
        elif self._gpu is not None:
            shape = "{1}x{0} on CUDA".format(*self.size_wh)
        found = self._detections if self._detections is not None else Detections.empty()
        return f"Frame({self.camera!r}, {self.sequence}, {shape}, {found!r})"
