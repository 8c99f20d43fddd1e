"""Frames with their timestamps in a folder, so that what a camera saw can be seen again.

A recording is a folder with one image per frame and ``index.jsonl``::

    {"edgevision_recording": 1, "source": "rtsp://***@10.0.0.8/stream1", "camera": "door"}
    {"file": "00000001.png", "sequence": 1, "captured_at_s": 1795503600.123456}
    {"file": "00000002.png", "sequence": 2, "captured_at_s": 1795503600.156789}

Each line is written after its image, so a recording that was cut off is good up to there. In a
test, a recording gives the frames that a stage failed on::

    for frame in Recording("tests/night"):
        stage.process(frame)

``replay:folder`` is the same as a source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from edgevision.detections import Detections
from edgevision.errors import ConfigurationError, SourceError
from edgevision.frame import Frame
from edgevision.json_value import json_value
from edgevision.redaction import redact_url
from edgevision.truth import Truth

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgevision.slot import Image

__all__ = ["INDEX", "ImageFormat", "RecordedFrame", "Recorder", "Recording"]

INDEX = "index.jsonl"
"""Name of the file that lists the frames."""

ImageFormat = Literal["png", "jpeg"]
"""``png`` keeps every bit; ``jpeg`` is several times smaller and faster to write."""

_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\.(png|jpg)")


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame:
    """One line of the index.

    Attributes:
        path: the image.
        sequence: the frame's number when it was recorded.
        captured_at_s: UTC seconds since 1970 of the capture.
        truth: what is really in the picture, where the source knew.
    """

    path: Path
    sequence: int
    captured_at_s: float
    truth: Truth | None

    def image(self) -> Image:
        """Read the image: (H, W, 3) uint8 BGR or (H, W) uint8 gray.

        Raises:
            SourceError: it is missing or cannot be decoded.
        """
        # IMREAD_UNCHANGED keeps gray gray.
        image = cv2.imread(str(self.path), cv2.IMREAD_UNCHANGED)
        if image is None:
            what = "cannot be decoded" if self.path.exists() else "is missing"
            raise SourceError(f"recording {self.path.parent}: {self.path.name} {what}")
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise SourceError(f"recording {self.path.parent}: {self.path.name} is no 8-bit picture")
        return image[:, :, :3] if image.ndim == 3 and image.shape[2] == 4 else image


class Recording:
    """A recorded folder; iterating gives its frames in order.

    Args:
        folder: the folder that holds ``index.jsonl``.

    Attributes:
        folder: see above.
        source: where the frames came from, without credentials.
        camera: name of the camera that was recorded.
        frames: the index.

    Raises:
        ConfigurationError: the folder is no recording, or its index is damaged; with file and line.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (FileNotFoundError, NotADirectoryError):
            what = f"has no {INDEX}" if self.folder.is_dir() else "does not exist"
            raise ConfigurationError(
                f"{self.folder} is no recording: it {what} (edgevision record makes one)"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
        # A last line without its end was being written when the recording was cut off.
        head, *rest = [*lines[:-1]] or [""]
        about = _parse(head, path, 1)
        if about.get("edgevision_recording") != _VERSION:
            raise ConfigurationError(
                f"is no index of a recording of version {_VERSION}", file=str(path), line=1
            )
        self.source = str(about.get("source", ""))
        self.camera = str(about.get("camera", "camera"))
        self.frames = [self._entry(line, path, number) for number, line in enumerate(rest, 2)]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        for entry in self.frames:
            yield Frame(
                entry.image(),
                camera=self.camera,
                sequence=entry.sequence,
                captured_at_s=entry.captured_at_s,
                truth=entry.truth,
            )

    def _entry(self, line: str, path: Path, number: int) -> RecordedFrame:
        fields = _parse(line, path, number)
        try:
            name, sequence = fields["file"], fields["sequence"]
            captured_at_s, truth = fields["captured_at_s"], fields.get("truth")
            # A recording may come from elsewhere, and must not name files outside of its folder.
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an image")
            return RecordedFrame(
                self.folder / name,
                int(sequence),
                float(captured_at_s),
                None if truth is None else _truth(truth),
            )
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ConfigurationError(
                f"is no line of an index: {reason}", file=str(path), line=number
            ) from error


class Recorder:
    """Writes a recording; one thread at a time.

    Args:
        folder: a new or an empty folder.
        source: where the frames come from; credentials are left out.
        camera: name of the camera.
        image_format: see `ImageFormat`.
        quality: of JPEG, 1 to 100.

    Attributes:
        frames: how many frames were written.
        nbytes: how many bytes of images were written.

    Raises:
        ConfigurationError: the folder has something in it, or cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        source: str = "",
        camera: str = "camera",
        image_format: ImageFormat = "png",
        quality: int = 95,
    ) -> None:
        self.folder = Path(folder)
        self.frames = 0
        self.nbytes = 0
        self._suffix, self._options = {
            # The lowest compression is several times as fast and hardly larger for camera noise.
            "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
            "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]),
        }[image_format]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise ConfigurationError(
                    f"{self.folder} is not empty: a recording needs a folder of its own"
                )
            self._index: IO[str] = (self.folder / INDEX).open("x", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder} cannot be recorded to: {error.strerror}"
            ) from error
        self._write({"edgevision_recording": 1, "source": redact_url(source), "camera": camera})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(
        self,
        image: Image,
        *,
        captured_at_s: float,
        sequence: int | None = None,
        truth: Truth | None = None,
    ) -> None:
        """Write a frame.

        Args:
            image: (H, W, 3) uint8 BGR or (H, W) uint8 gray.
            captured_at_s: UTC seconds since 1970.
            sequence: the frame's number; default one more than the frames written so far.
            truth: what is really in the picture.

        Raises:
            OSError: the disk is full or gone; the recording is good up to the frame before.
        """
        sequence = self.frames + 1 if sequence is None else sequence
        name = f"{self.frames + 1:08d}{self._suffix}"
        encoded = cv2.imencode(self._suffix, image, self._options)[1]
        (self.folder / name).write_bytes(encoded.tobytes())
        fields: dict[str, Any] = {
            "file": name,
            "sequence": sequence,
            "captured_at_s": captured_at_s,
        }
        if truth is not None:
            fields["truth"] = _truth_fields(truth)
        self._write(fields)
        self.frames += 1
        self.nbytes += encoded.nbytes

    def close(self) -> None:
        """Close the index; harmless when it is closed."""
        self._index.close()

    def _write(self, fields: dict[str, Any]) -> None:
        self._index.write(json.dumps(fields, separators=(",", ":")) + "\n")
        self._index.flush()


def _parse(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"is no JSON: {error}", file=str(path), line=number) from error
    if not isinstance(fields, dict):
        raise ConfigurationError("is no JSON object", file=str(path), line=number)
    return fields


def _truth_fields(truth: Truth) -> dict[str, Any]:
    objects = truth.objects
    return {
        "box_xyxy": objects.box_xyxy.tolist(),
        "confidence": objects.confidence.tolist(),
        "label": objects.label.tolist(),
        "track_id": objects.track_id.tolist(),
        "data": {name: column.tolist() for name, column in objects.data.items()},
        "values": json_value(truth.values),
    }


def _truth(fields: dict[str, Any]) -> Truth:
    return Truth(
        Detections(
            np.asarray(fields["box_xyxy"], np.float32).reshape(-1, 4),
            np.asarray(fields["confidence"], np.float32),
            np.asarray(fields["label"], np.str_),
            np.asarray(fields["track_id"], np.int64),
            {name: np.asarray(column) for name, column in fields["data"].items()},
        ),
        fields["values"],
    )
