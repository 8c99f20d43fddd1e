"""Draw what was found onto a picture: boxes, labels, values, a caption."""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.detections import NO_TRACK, Detections

__all__ = ["bgr8", "caption", "color_of", "draw", "draw_values", "hex_of"]

MAX_BOXES = 500
"""Boxes drawn at most; of more, the largest."""
MAX_LABELS = 150
"""Labels drawn at most; of more, those of the largest boxes."""

_MAX_TEXT = 48
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK = (24, 24, 24)
_PAPER = (255, 255, 255)

# BGR. Bright enough for dark pictures, told apart by most people with a colour vision deficiency
# when neighbours in the list are taken, and each has a dark outline for bright pictures.
_COLORS: tuple[tuple[int, int, int], ...] = (
    (255, 178, 29),
    (60, 220, 255),
    (80, 235, 120),
    (110, 90, 255),
    (255, 130, 200),
    (0, 150, 255),
    (235, 225, 90),
    (190, 160, 255),
    (130, 250, 215),
    (230, 110, 130),
    (130, 190, 255),
    (90, 200, 60),
)


# Letters without a decomposition that have a customary spelling in ASCII.
_SPELLINGS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
)


def color_of(label: str, track_id: int = NO_TRACK) -> tuple[int, int, int]:
    """Return the BGR colour of a track, or else of a label; the same in every run."""
    if track_id != NO_TRACK:
        return _COLORS[track_id % len(_COLORS)]
    return _COLORS[zlib.crc32(label.encode("utf-8", "replace")) % len(_COLORS)]


def hex_of(color: tuple[int, int, int]) -> str:
    """Return a BGR colour as ``#rrggbb``."""
    blue, green, red = color
    return f"#{red:02x}{green:02x}{blue:02x}"


def bgr8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return ``image`` as (H, W, 3) uint8 BGR; the same array if it is that already.

    Gray and one-channel images get three equal channels, a fourth channel (alpha) is left out.
    Truth values become black and white. 16 bits are cut to their upper 8. Other types are
    stretched, so that the darkest pixel is black and the brightest white.

    Raises:
        ValueError: not (H, W) or (H, W, C) with 1, 3 or 4 channels, or no pixels.
    """
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or image.size == 0:
        raise ValueError(
            f"wanted an (H, W) or (H, W, C) picture of 1, 3 or 4 channels, got {image.shape}"
        )
    plain = _uint8(image)
    if channels == 1:
        return _typed(cv2.cvtColor(plain, cv2.COLOR_GRAY2BGR))
    if channels == 4:
        return _typed(cv2.cvtColor(plain, cv2.COLOR_BGRA2BGR))
    return plain


def draw(
    image: NDArray[Any],
    detections: Detections,
    scale: float | tuple[float, float] = 1.0,
) -> NDArray[np.uint8]:
    """Draw a box and a label for each detection.

    A box that is not finite or lies outside of the picture is left out. `MAX_BOXES` are drawn at
    most, and a note says how many there were. Line width and text grow with the picture.

    Args:
        image: (H, W, 3) uint8 BGR is drawn on in place; anything else is converted by `bgr8`.
        detections: boxes in pixels; their column ``text``, if they have one, joins the label.
        scale: factor from the boxes' pixels to those of ``image``, one or (x, y).

    Returns:
        The picture that was drawn on.
    """
    canvas = bgr8(image)
    if not len(detections):
        return canvas
    height, width = canvas.shape[:2]
    fx, fy = scale if isinstance(scale, tuple) else (scale, scale)
    corners = detections.box_xyxy.astype(np.float64) * (fx, fy, fx, fy)
    # Far outside is as good as just outside, and fits OpenCV's integers.
    finite = np.asarray(np.isfinite(corners).all(axis=1))
    corners = np.clip(np.where(finite[:, None], corners, -16), -16, (width + 16, height + 16) * 2)
    low = np.minimum(corners[:, :2], corners[:, 2:])
    high = np.maximum(corners[:, :2], corners[:, 2:])
    seen = finite & (high > 0).all(axis=1) & (low < (width, height)).all(axis=1)
    rows = np.flatnonzero(seen)
    # The largest first, so that small boxes and their labels lie on top.
    rows = rows[np.argsort(-(high[rows] - low[rows]).prod(axis=1), kind="stable")][:MAX_BOXES]
    # Right and bottom are exclusive in `Detections` and inclusive in cv2.rectangle.
    first = np.rint(low[rows]).astype(int)
    last = np.maximum(np.rint(high[rows]).astype(int) - 1, first)

    line = _line_width(canvas)
    colors = [
        color_of(label, track)
        for label, track in zip(
            detections.label[rows].tolist(), detections.track_id[rows].tolist(), strict=True
        )
    ]
    boxes = list(zip(first.tolist(), last.tolist(), colors, strict=True))
    for start, end, color in boxes:
        cv2.rectangle(canvas, start, end, _INK, line + 2)
        cv2.rectangle(canvas, start, end, color, line)
    for row, (start, end, color) in list(zip(rows.tolist(), boxes, strict=True))[:MAX_LABELS]:
        text = _label(detections, row)
        if text:
            _tag(canvas, text, start, end, color)
    if seen.sum() > len(rows):
        note = f"{len(rows)} of {int(seen.sum())} boxes shown"
        _lines(canvas, [note], right=True)
    return canvas


def draw_values(image: NDArray[Any], values: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Write a frame's values into the upper left corner, one a line, as many as fit.

    Args:
        image: (H, W, 3) uint8 BGR is drawn on in place; anything else is converted by `bgr8`.
        values: ``frame.values``.

    Returns:
        The picture that was drawn on.
    """
    canvas = bgr8(image)
    _lines(canvas, [f"{name}: {_value(value)}" for name, value in values.items()])
    return canvas


def caption(image: NDArray[np.uint8], sequence: int, captured_at_s: float) -> None:
    """Write the frame's number and its capture time (UTC) into the lower left corner, in place.

    Args:
        image: (H, W, 3) uint8 BGR.
        sequence: number of the frame.
        captured_at_s: UTC seconds since 1970; a time no calendar has is left out.
    """
    text = f"#{sequence}"
    try:
        when = datetime.fromtimestamp(captured_at_s, timezone.utc)
    except (ValueError, OverflowError, OSError):
        when = None
    if when is not None:
        text += when.strftime("  %Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
    size = _text_scale(image) * 0.8
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, size, 1)
    pad = max(2, text_height // 2)
    height, width = image.shape[:2]
    if text_width + 2 * pad > width or (text_height + 2 * pad) * 4 > height:
        return  # a thumbnail: the picture matters more
    _darken(image, 0, height - text_height - 2 * pad, text_width + 2 * pad, height)
    cv2.putText(image, text, (pad, height - pad), _FONT, size, _PAPER, 1, cv2.LINE_AA)


def _tag(
    canvas: NDArray[np.uint8],
    text: str,
    start: list[int],
    end: list[int],
    color: tuple[int, int, int],
) -> None:
    """Write ``text`` on the box's colour above the box, or inside where there is no room."""
    size, weight = _text_scale(canvas), _text_weight(canvas)
    (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, size, weight)
    pad = max(2, text_height // 4)
    height, width = canvas.shape[:2]
    tag_width, tag_height = text_width + 2 * pad, text_height + baseline + pad
    left = max(0, min(start[0], width - tag_width))
    top = start[1] - tag_height
    if top < 0:
        top = max(0, start[1])
    top = max(0, min(top, height - tag_height))
    cv2.rectangle(canvas, (left, top), (left + tag_width, top + tag_height), color, cv2.FILLED)
    origin = left + pad, top + text_height + pad // 2
    cv2.putText(canvas, text, origin, _FONT, size, _contrast(color), weight, cv2.LINE_AA)


def _lines(canvas: NDArray[np.uint8], texts: list[str], *, right: bool = False) -> None:
    """Write ``texts`` on a darkened area in an upper corner, as many as fit."""
    size, weight = _text_scale(canvas), _text_weight(canvas)
    height, width = canvas.shape[:2]
    drawable = [_drawable(text) for text in texts]
    sizes = [cv2.getTextSize(text, _FONT, size, weight) for text in drawable]
    if not sizes:
        return
    step = max(text_height + baseline for (_, text_height), baseline in sizes)
    pad = max(2, step // 4)
    drawable = drawable[: max(0, (height - 2 * pad) // step)]
    if not drawable:
        return
    area_width = max(text_width for (text_width, _), _ in sizes[: len(drawable)]) + 2 * pad
    left = max(0, width - area_width) if right else 0
    _darken(canvas, left, 0, min(width, left + area_width), 2 * pad + step * len(drawable))
    for number, text in enumerate(drawable, 1):
        origin = left + pad, number * step
        cv2.putText(canvas, text, origin, _FONT, size, _PAPER, weight, cv2.LINE_AA)


def _label(detections: Detections, row: int) -> str:
    parts = [str(detections.label[row])]
    text = detections.data.get("text")
    if text is not None and str(text[row]):
        parts.append(str(text[row]))
    confidence = float(detections.confidence[row])
    # Sources of boxes that know no confidence say 1.
    if math.isfinite(confidence) and confidence < 1:
        parts.append(f"{confidence:.2f}")
    if detections.track_id[row] != NO_TRACK:
        parts.append(f"#{detections.track_id[row]}")
    return _drawable(" ".join(part for part in parts if part))


def _drawable(text: str) -> str:
    """Return ``text`` in the letters that `cv2.putText` has: printable ASCII.

    Accents are left out, what has no ASCII letter becomes one ``?``, line breaks become spaces.
    """
    letters: list[str] = []
    for letter in unicodedata.normalize("NFKD", text[: 2 * _MAX_TEXT].translate(_SPELLINGS)):
        if unicodedata.combining(letter):
            continue
        if letter.isascii() and letter.isprintable():
            letters.append(letter)
        elif letter.isspace():
            letters.append(" ")
        elif letters[-1:] != ["?"]:
            letters.append("?")
    plain = " ".join("".join(letters).split())
    return plain if len(plain) <= _MAX_TEXT else plain[: _MAX_TEXT - 2] + ".."


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    finite = np.nan_to_num(image.astype(np.float32), posinf=0, neginf=0)
    low, high = float(finite.min()), float(finite.max())
    return ((finite - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def _typed(image: Any) -> NDArray[np.uint8]:
    typed: NDArray[np.uint8] = image
    return typed


def _darken(canvas: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> None:
    area = canvas[max(0, top) : bottom, max(0, left) : right]
    np.right_shift(area, 2, out=area)


def _contrast(color: tuple[int, int, int]) -> tuple[int, int, int]:
    blue, green, red = color
    # Weights of ITU-R BT.601, which are those of COLOR_BGR2GRAY.
    return _INK if 0.114 * blue + 0.587 * green + 0.299 * red > 110 else _PAPER


def _line_width(canvas: NDArray[np.uint8]) -> int:
    return max(1, round(math.sqrt(canvas.shape[0] * canvas.shape[1]) / 320))


def _text_scale(canvas: NDArray[np.uint8]) -> float:
    """Return cv2's font scale: 9 px letters are the smallest legible, larger on larger pictures."""
    return max(0.4, math.sqrt(canvas.shape[0] * canvas.shape[1]) / 1200)


def _text_weight(canvas: NDArray[np.uint8]) -> int:
    return max(1, round(_text_scale(canvas) * 1.8))
