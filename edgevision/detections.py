"""Boxes found in a frame, as columns of NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgevision.errors import ConfigurationError

if TYPE_CHECKING:
    import supervision

__all__ = ["Detection", "Detections"]

NO_TRACK = -1

# What supervision calls the label; a data column of that name would be lost on the way there.
_RESERVED = frozenset({"class_name"})


class Detection(NamedTuple):
    """One row of `Detections`, as plain Python values.

    Attributes:
        box_xyxy: left, top, right, bottom in pixels; right and bottom are exclusive.
        confidence: 0 to 1.
        label: class name.
        track_id: identity over frames, None without a tracker.
        data: further columns of this row.
    """

    box_xyxy: tuple[float, float, float, float]
    confidence: float
    label: str
    track_id: int | None
    data: dict[str, Any]


class Detections:
    """N boxes with their confidence, label and track, as columns of equal length.

    Arrays are copied when they come in, and columns are replaced as a whole and never grown in
    place. So a `Detections` that was handed on (to the preview, to a message) does not change
    under its reader.

    Args:
        box_xyxy: (N, 4) float32, left, top, right, bottom in pixels of ``frame.image``.
        confidence: (N,) float32 in 0 to 1; one number stands for all rows; default 1.
        label: (N,) strings; one string stands for all rows; default "".
        track_id: (N,) int64, -1 where there is none; default none.
        data: further columns by name, each an array of N rows (``text`` of a code, ``area_px``);
            one value stands for all rows.

    Raises:
        ValueError: columns of different lengths or of a wrong shape, boxes that are not (N, 4), or
            a data column with the name of another column.
    """

    __slots__ = ("box_xyxy", "confidence", "data", "label", "track_id")

    box_xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    label: NDArray[np.str_]
    track_id: NDArray[np.int64]
    data: dict[str, NDArray[Any]]

    def __init__(
        self,
        box_xyxy: ArrayLike,
        confidence: ArrayLike = 1.0,
        label: str | Iterable[str] = "",
        track_id: ArrayLike = NO_TRACK,
        data: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        boxes = np.array(box_xyxy, np.float32)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"box_xyxy must be (N, 4), got an array of shape {boxes.shape}")
        count = len(boxes)
        self.box_xyxy = boxes
        self.confidence = _column("confidence", confidence, np.float32, count)
        labels = label if isinstance(label, (str, np.ndarray)) else list(label)
        self.label = _column("label", labels, np.str_, count)
        self.track_id = _column("track_id", track_id, np.int64, count)
        self.data = {}
        for name, values in (data or {}).items():
            if name in _RESERVED:
                raise ValueError(f"a data column cannot be called {name!r}: that is the label")
            self.data[name] = _column(f"data[{name!r}]", values, None, count, flat=False)

    @classmethod
    def empty(cls) -> Detections:
        """Return detections without a row."""
        return _of(_NO_BOX, _NO_CONFIDENCE, _NO_LABEL, _NO_TRACK_ID, {})

    @classmethod
    def concat(cls, parts: Iterable[Detections]) -> Detections:
        """Return the rows of all ``parts`` in order.

        A data column that a part lacks is filled: NaN for floats, "" for strings, 0 for integers,
        False for truth values and None for objects.
        """
        chosen = [part for part in parts if len(part)]
        if not chosen:
            return cls.empty()
        if len(chosen) == 1:
            return chosen[0]
        names = dict.fromkeys(name for part in chosen for name in part.data)
        return _of(
            np.concatenate([part.box_xyxy for part in chosen]),
            np.concatenate([part.confidence for part in chosen]),
            np.concatenate([part.label for part in chosen]),
            np.concatenate([part.track_id for part in chosen]),
            {name: _concat_data(name, chosen) for name in names},
        )

    def __len__(self) -> int:
        return len(self.box_xyxy)

    def __getitem__(self, rows: Any) -> Detections:
        """Return the chosen rows: a bool mask, integer indices, a slice or one integer.

        Raises:
            IndexError: a row that there is not, or a mask of another length.
            TypeError: ``rows`` is something else.
        """
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows))
            if rows.size == 0:
                rows = rows.astype(np.intp)
            if rows.ndim != 1 or rows.dtype.kind not in "biu":
                raise TypeError(
                    "detections are indexed by a bool mask, integers or a slice, got an array of "
                    f"{rows.dtype} of shape {rows.shape}"
                )
        return _of(
            self.box_xyxy[rows],
            self.confidence[rows],
            self.label[rows],
            self.track_id[rows],
            {name: values[rows] for name, values in self.data.items()},
        )

    def __iter__(self) -> Iterator[Detection]:
        for i in range(len(self)):
            x0, y0, x1, y1 = self.box_xyxy[i].tolist()
            track = int(self.track_id[i])
            yield Detection(
                (x0, y0, x1, y1),
                float(self.confidence[i]),
                str(self.label[i]),
                None if track == NO_TRACK else track,
                {name: values[i] for name, values in self.data.items()},
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            len(self) == len(other)
            and np.array_equal(self.box_xyxy, other.box_xyxy)
            and np.array_equal(self.confidence, other.confidence)
            and np.array_equal(self.label, other.label)
            and np.array_equal(self.track_id, other.track_id)
            and self.data.keys() == other.data.keys()
            and all(_same(values, other.data[name]) for name, values in self.data.items())
        )

    __hash__ = None  # type: ignore[assignment]  # arrays compare by value and may be replaced

    def __repr__(self) -> str:
        names, counts = np.unique(self.label, return_counts=True)
        what = ", ".join(
            f"{name or 'unlabelled'}: {n}" for name, n in zip(names, counts, strict=True)
        )
        return f"Detections({what})" if what else "Detections(none)"

    @property
    def size_wh(self) -> NDArray[np.float32]:
        """(N, 2) float32: width and height of each box in pixels."""
        return self.box_xyxy[:, 2:] - self.box_xyxy[:, :2]

    @property
    def area_px(self) -> NDArray[np.float32]:
        """(N,) float32: area of each box in square pixels."""
        size_wh = self.size_wh
        return size_wh[:, 0] * size_wh[:, 1]

    @property
    def center_xy(self) -> NDArray[np.float32]:
        """(N, 2) float32: centre of each box in pixels."""
        return (self.box_xyxy[:, 2:] + self.box_xyxy[:, :2]) / np.float32(2)

    def scaled(self, factor_xy: tuple[float, float]) -> Detections:
        """Return the detections for an image resized by ``factor_xy`` (x, y)."""
        fx, fy = factor_xy
        return self.replaced(box_xyxy=self.box_xyxy * np.array([fx, fy, fx, fy], np.float32))

    def moved(self, offset_xy: tuple[float, float]) -> Detections:
        """Return the detections shifted by ``offset_xy`` pixels (x, y)."""
        dx, dy = offset_xy
        return self.replaced(box_xyxy=self.box_xyxy + np.array([dx, dy, dx, dy], np.float32))

    def clipped(self, size_wh: tuple[int, int]) -> Detections:
        """Return the detections cut to an image of ``size_wh``; those outside are left out."""
        width, height = size_wh
        limit = np.array([width, height, width, height], np.float32)
        cut = self.replaced(box_xyxy=np.clip(self.box_xyxy, 0, limit))
        return cut[(cut.size_wh > 0).all(axis=1)]

    def replaced(self, **columns: Any) -> Detections:
        """Return a copy with some columns replaced, such as ``replaced(label="person")``."""
        current = {name: getattr(self, name) for name in Detections.__slots__}
        return Detections(**{**current, **columns})

    def iou(self, other: Detections) -> NDArray[np.float32]:
        """(N, M) float32: intersection over union of each box with each box of ``other``."""
        a, b = self.box_xyxy[:, None], other.box_xyxy[None]
        size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
        overlap = np.clip(size, 0, None).prod(axis=2)
        union = self.area_px[:, None] + other.area_px[None] - overlap
        shares: NDArray[np.float32] = np.zeros_like(overlap)
        np.divide(overlap, union, out=shares, where=union > 0)
        return shares

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as JSON-serialisable dictionaries, boxes rounded to 0.1 px.

        Each has ``label``, ``confidence``, ``box_xyxy``, ``track_id`` if there is a track, and
        ``data`` if there are further columns. A number there that is not finite, which JSON cannot
        say, is None.
        """
        boxes = np.round(self.box_xyxy.astype(np.float64), 1).tolist()
        confidences = np.round(self.confidence.astype(np.float64), 3).tolist()
        columns = {name: _json_column(values) for name, values in self.data.items()}
        rows: list[dict[str, Any]] = []
        for i, label in enumerate(self.label.tolist()):
            row = {"label": label, "confidence": confidences[i], "box_xyxy": boxes[i]}
            if self.track_id[i] != NO_TRACK:
                row["track_id"] = int(self.track_id[i])
            if columns:
                row["data"] = {name: values[i] for name, values in columns.items()}
            rows.append(row)
        return rows

    def to_supervision(self) -> supervision.Detections:
        """Return a ``supervision.Detections`` with the same rows (needs the package supervision).

        The label goes to ``data["class_name"]``; ``class_id`` numbers the labels in sorted order.

        Raises:
            ConfigurationError: the package supervision is not installed.
        """
        try:
            import supervision
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "Detections.to_supervision needs the package supervision: "
                "pip install 'edgevision[supervision]'"
            ) from error

        class_id = np.unique(self.label, return_inverse=True)[1]
        return supervision.Detections(
            xyxy=self.box_xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=class_id.astype(int),
            tracker_id=self.track_id.copy() if (self.track_id != NO_TRACK).any() else None,
            data={
                "class_name": self.label.astype(object),
                **{name: values.copy() for name, values in self.data.items()},
            },
        )

    @classmethod
    def from_supervision(cls, other: supervision.Detections) -> Detections:
        """Return the rows of a ``supervision.Detections``.

        Labels come from ``data["class_name"]`` or else are the class numbers as text. Masks and
        metadata, which have no place in a message, are left behind.
        """
        data = dict(other.data)
        label: Any = data.pop("class_name", None)
        if label is None:
            label = "" if other.class_id is None else [str(c) for c in other.class_id]
        else:
            label = [str(name) for name in label]
        return cls(
            other.xyxy,
            1.0 if other.confidence is None else other.confidence,
            label,
            NO_TRACK if other.tracker_id is None else other.tracker_id,
            {name: np.asarray(values) for name, values in data.items()},
        )


def _column(name: str, values: Any, dtype: Any, count: int, *, flat: bool = True) -> NDArray[Any]:
    array = np.array(values, dtype)
    if array.ndim == 0:
        return np.full(count, array)
    if array.size == 0 and count == 0:
        return array.reshape(0, *array.shape[1:])
    if flat and array.ndim != 1:
        raise ValueError(f"{name} must be (N,), got an array of shape {array.shape}")
    if len(array) != count:
        raise ValueError(f"{name} has {len(array)} rows, box_xyxy has {count}")
    return array


def _of(
    box_xyxy: NDArray[np.float32],
    confidence: NDArray[np.float32],
    label: NDArray[np.str_],
    track_id: NDArray[np.int64],
    data: dict[str, NDArray[Any]],
) -> Detections:
    """Make Detections of columns that fit already and that nobody else will change."""
    made = Detections.__new__(Detections)
    made.box_xyxy = box_xyxy
    made.confidence = confidence
    made.label = label
    made.track_id = track_id
    made.data = data
    return made


_NO_BOX = np.empty((0, 4), np.float32)
_NO_CONFIDENCE = np.empty(0, np.float32)
_NO_LABEL = np.empty(0, np.str_)
_NO_TRACK_ID = np.empty(0, np.int64)


def _concat_data(name: str, parts: list[Detections]) -> NDArray[Any]:
    known = next(part.data[name] for part in parts if name in part.data)
    filler: Any = {"f": np.nan, "U": "", "O": None}.get(known.dtype.kind, 0)
    columns = [
        part.data[name]
        if name in part.data
        else np.full((len(part), *known.shape[1:]), filler, known.dtype)
        for part in parts
    ]
    return np.concatenate(columns)


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Compare two columns; NaN, which fills what is missing, equals NaN."""
    return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def _json_column(values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        finite = np.isfinite(values)
        values = values.astype(object)
        values[~finite] = None
    rows: list[Any] = values.tolist()
    return rows
