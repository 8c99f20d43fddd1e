"""One picture of one camera, and what the stages found in it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import Detections
from edgevision.errors import FrameReleasedError
from edgevision.json_value import NotJsonError, json_value
from edgevision.result import Event
from edgevision.slot import Image

if TYPE_CHECKING:
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
        image: (H, W, 3) uint8 BGR or (H, W) uint8 gray.
        camera: name of the camera.
        sequence: number of the frame, counted from 1 since the camera's start.
        captured_at_s: UTC seconds since 1970 of the capture; default now.
        truth: what is really in the picture, where the source knows.
        captured_ns: monotonic time of the capture in nanoseconds, for `age_s`; default now.

    Attributes:
        camera: see above.
        sequence: see above.
        captured_at_s: see above.
        truth: see above.
        values: JSON-serialisable values by name, sent with the frame's message.
        events: what `publish` collected.
    """

    __slots__ = (
        "_captured_ns",
        "_detections",
        "_image",
        "_stage",
        "camera",
        "captured_at_s",
        "events",
        "sequence",
        "truth",
        "values",
    )

    def __init__(
        self,
        image: Image,
        *,
        camera: str = "camera",
        sequence: int = 1,
        captured_at_s: float | None = None,
        truth: Truth | None = None,
        captured_ns: int | None = None,
    ) -> None:
        self._image: Image | None = image
        self._detections: Detections | None = None
        self._stage = ""
        self._captured_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        self.camera = camera
        self.sequence = sequence
        self.captured_at_s = time.time() if captured_at_s is None else captured_at_s
        self.truth = truth
        self.values: dict[str, Any] = {}
        self.events: list[Event] = []

    @property
    def image(self) -> Image:
        """The picture, on whichever processor the pipeline runs; today an ndarray.

        Raises:
            FrameReleasedError: the pipeline has finished with this frame.
        """
        if self._image is None:
            raise self._released()
        return self._image

    @image.setter
    def image(self, image: Image) -> None:
        if self._image is None:
            raise self._released()
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != _UINT8
            or (image.ndim != 2 and (image.ndim != 3 or image.shape[2] != 3))
            or not image.size
        ):
            what = type(image).__name__
            if isinstance(image, np.ndarray):
                what = f"{image.dtype} of shape {image.shape}"
            raise TypeError(
                f"frame.image of camera {self.camera!r} must be uint8 of shape (H, W, 3), BGR, or "
                f"(H, W), gray; got {what}"
            )
        self._image = image

    @property
    def host(self) -> NDArray[Any]:
        """The picture as a NumPy array, whichever processor the pipeline runs on."""
        return self.image

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of ``image`` in pixels."""
        shape = self.image.shape
        return shape[1], shape[0]

    @property
    def detections(self) -> Detections:
        """Boxes found so far, in pixels of ``image``."""
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
        self._detections = detections

    def add(self, detections: Detections) -> None:
        """Append ``detections`` to those already found."""
        if len(detections):
            self.detections = Detections.concat([self.detections, detections])

    def detect_blobs(
        self, mask: Image, *, min_area: float = 0, label: str = "blob", max_blobs: int = 1000
    ) -> Detections:
        """Box every connected area of ``mask`` that is not zero and append the boxes.

        A mask smaller than ``image`` is taken to show the same scene: boxes are scaled to
        ``image`` and areas count in pixels of ``image``.

        Args:
            mask: (h, w) uint8 or bool; what is not 0 belongs to a blob, diagonal neighbours
                included.
            min_area: blobs of fewer pixels are left out, in pixels of ``image``.
            label: label of each box.
            max_blobs: the largest blobs are kept when there are more, so that a flickering mask
                cannot flood the pipeline.

        Returns:
            What was appended: confidence 1, the blob's pixel count in ``data["area_px"]``.

        Raises:
            ValueError: the mask is not (h, w) uint8 or bool, or it is empty.
        """
        if mask.ndim != 2 or mask.dtype not in (_UINT8, np.bool_) or not mask.size:
            raise ValueError(
                "detect_blobs wants an (H, W) uint8 or bool mask, got "
                f"{mask.dtype} of shape {mask.shape}"
            )
        mask = mask.view(np.uint8)
        # Row 0 is the background.
        statistics = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)[2][1:]
        width, height = self.size_wh
        fx, fy = width / mask.shape[1], height / mask.shape[0]
        area = statistics[:, cv2.CC_STAT_AREA] * (fx * fy)
        rows = np.flatnonzero(area >= min_area)
        if len(rows) > max_blobs:
            rows = rows[np.sort(np.argsort(-area[rows], kind="stable")[:max_blobs])]
        box = statistics[rows, :4].astype(np.float32)
        box[:, 2:] += box[:, :2]
        box *= np.array([fx, fy, fx, fy], np.float32)
        found = Detections(box, 1.0, label, data={"area_px": area[rows].astype(np.float32)})
        self.add(found)
        return found

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
        self._image = None

    def _state(self) -> tuple[Any, ...]:
        """Return what `_restore` needs, before a stage that may be tried again."""
        return self._image, self._detections, dict(self.values), len(self.events)

    def _restore(self, state: tuple[Any, ...]) -> None:
        """Undo what a stage has done since, but for pixels that were changed in place."""
        self._image, self._detections, self.values, count = state
        del self.events[count:]

    def _released(self) -> FrameReleasedError:
        return FrameReleasedError(
            f"frame {self.sequence} of camera {self.camera!r} was used after its pipeline had "
            "finished with it; copy what must outlive the frame: frame.image.copy()"
        )

    def __repr__(self) -> str:
        shape = "released" if self._image is None else "x".join(map(str, self._image.shape))
        return f"Frame({self.camera!r}, {self.sequence}, {shape}, {self.detections!r})"
