"""Frames that carry their own number and time, readable after JPEG or H.264.

A stand-in camera stamps what it sends, and a test reads off the frame which one it is and how old:
no frame can be lost, repeated or delivered late unseen.

The mark is a band of 4 rows with 16 blocks each over the top sixth of the picture, one bit to a
block, white for 1, the highest bit on the left. The rows are four 16-bit words: the counter, the
high and the low half of the time in milliseconds of the monotonic clock, and the exclusive or of
these three with `CHECK`. Width and height of a stamped picture are at least 128 and 96 pixels.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CHECK", "Stamp", "read_stamp", "stamp", "stamped"]

CHECK = 0xA5C3
"""Keeps an all-black or all-white picture from reading as a stamp."""

_COLUMNS = 16
_ROWS = 4


class Stamp(NamedTuple):
    """What a stamped frame says about itself.

    Attributes:
        counter: number of the frame at its camera, modulo 65536.
        at_ms: ``time.monotonic()`` in ms when it was made, modulo 2**32.
    """

    counter: int
    at_ms: int

    def age_s(self) -> float:
        """Seconds since the frame was made, on the machine that made it."""
        return ((int(time.monotonic() * 1000) - self.at_ms) % 2**32) / 1000


def stamp(image: NDArray[np.uint8], counter: int, at_ms: int | None = None) -> None:
    """Draw the mark into ``image``, (H, W, 3) or (H, W) uint8, in place.

    Args:
        image: at least 128 x 96 pixels.
        counter: number of the frame.
        at_ms: milliseconds of the monotonic clock; now if left out.
    """
    if at_ms is None:
        at_ms = int(time.monotonic() * 1000)
    at_ms %= 2**32
    words = [counter & 0xFFFF, at_ms >> 16, at_ms & 0xFFFF]
    words.append(words[0] ^ words[1] ^ words[2] ^ CHECK)
    bits = (np.array(words)[:, None] >> np.arange(15, -1, -1)) & 1
    width, height = image.shape[1] // _COLUMNS, image.shape[0] // (6 * _ROWS)
    blocks = np.kron(bits, np.ones((height, width))).astype(np.uint8) * 255
    band = image[: height * _ROWS, : width * _COLUMNS]
    band[...] = blocks[..., None] if image.ndim == 3 else blocks


def read_stamp(image: NDArray[np.uint8]) -> Stamp | None:
    """Read the mark of ``image``, (H, W, 3) or (H, W) uint8; None if there is no intact one."""
    gray = image if image.ndim == 2 else image[..., 1]
    width, height = image.shape[1] // _COLUMNS, image.shape[0] // (6 * _ROWS)
    if width < 8 or height < 4:
        return None
    band = gray[: height * _ROWS, : width * _COLUMNS]
    inner = band.reshape(_ROWS, height, _COLUMNS, width)[
        :, height // 4 : height - height // 4, :, width // 4 : width - width // 4
    ]
    bits = (inner.mean(axis=(1, 3)) > 127).astype(np.int64)
    counter, high, low, check = (int(word) for word in bits @ (1 << np.arange(15, -1, -1)))
    if counter ^ high ^ low ^ CHECK != check:
        return None
    return Stamp(counter, high << 16 | low)


def stamped(size_wh: tuple[int, int], counter: int, at_ms: int | None = None) -> NDArray[np.uint8]:
    """Return a new stamped picture, (H, W, 3) uint8 BGR, in which a disc moves with the counter."""
    width, height = size_wh
    image = np.full((height, width, 3), 90, np.uint8)
    centre = (width // 8 + counter * 7 % (width * 3 // 4), height * 2 // 3)
    cv2.circle(image, centre, height // 8, (40, 120, 230), -1)
    stamp(image, counter, at_ms)
    return image
