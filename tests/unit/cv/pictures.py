"""Images for the tests: odd sizes, not square, regions of larger images, all element types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DTYPES", "Image", "Pictures", "equal"]

Image = NDArray[Any]

DTYPES: dict[str, Any] = {
    "8U": np.uint8,
    "8S": np.int8,
    "16U": np.uint16,
    "16S": np.int16,
    "32S": np.int32,
    "32F": np.float32,
    "64F": np.float64,
}


@dataclass(frozen=True)
class Pictures:
    """Makes images of one type and size; equal settings make equal images.

    Args:
        dtype: one of `DTYPES`.
        channels: number of channels.
        size_wh: width and height in pixels.
        seed: of the content.
        region: the images are parts of larger ones, so their rows are not adjacent in memory.
    """

    dtype: str = "8U"
    channels: int = 1
    size_wh: tuple[int, int] = (53, 37)
    seed: int = 1
    region: bool = False

    def _random(self, salt: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, salt))

    def _placed(self, image: Image) -> Image:
        if not self.region:
            return np.ascontiguousarray(image)
        height, width = image.shape[:2]
        larger = np.zeros((height + 5, width + 9, *image.shape[2:]), image.dtype)
        larger[2 : 2 + height, 4 : 4 + width] = image
        return larger[2 : 2 + height, 4 : 4 + width]

    def _shape(self, channels: int) -> tuple[int, ...]:
        width, height = self.size_wh
        return (height, width) if channels == 1 else (height, width, channels)

    def noise(self, salt: int = 0, channels: int | None = None) -> Image:
        """Every value that the type can hold; floating-point ones from -2 to 2."""
        kind = DTYPES[self.dtype]
        shape = self._shape(self.channels if channels is None else channels)
        if np.issubdtype(kind, np.floating):
            return self._placed(self._random(salt).uniform(-2, 2, shape).astype(kind))
        limits = np.iinfo(kind)
        values = self._random(salt).integers(limits.min, limits.max, shape, kind, endpoint=True)
        return self._placed(values)

    def positive(self, salt: int = 0) -> Image:
        """Floating-point values from 0.1 to 4, or integers from 1 to 100."""
        kind = DTYPES[self.dtype]
        shape = self._shape(self.channels)
        if np.issubdtype(kind, np.floating):
            return self._placed(self._random(salt).uniform(0.1, 4, shape).astype(kind))
        return self._placed(self._random(salt).integers(1, 100, shape).astype(kind))

    def unit(self, salt: int = 0) -> Image:
        """Floating-point values from 0 to 1; integers as `noise`."""
        if self.dtype in ("32F", "64F"):
            values = self._random(salt).uniform(0, 1, self._shape(self.channels))
            return self._placed(values.astype(DTYPES[self.dtype]))
        return self.noise(salt)

    def scene(self, salt: int = 0, shift_px: int = 0) -> Image:
        """Rectangles and a disc with soft noise, moved to the right by ``shift_px``."""
        width, height = self.size_wh
        random = self._random(salt)
        y, x = np.mgrid[:height, :width]
        gray = 40.0 + 20.0 * np.sin(x / 5.0) + 15.0 * np.cos(y / 4.0)
        for _ in range(4):
            left, top = random.integers(0, width - 8), random.integers(0, height - 8)
            level = random.integers(80, 250)
            gray[top : top + 9, left + shift_px : left + 11 + shift_px] = level
        cx, cy = width // 2 + shift_px, height // 2
        gray[(x - cx) ** 2 + (y - cy) ** 2 < 36] = 230
        gray += random.normal(0, 2, gray.shape)
        pixels = np.clip(gray, 0, 255)
        if self.channels > 1:
            tint = np.linspace(1.0, 0.6, self.channels)
            pixels = pixels[..., np.newaxis] * tint
        if self.dtype in ("32F", "64F"):
            pixels = pixels / 255.0
        return self._placed(pixels.astype(DTYPES[self.dtype]))

    def mask(self, salt: int = 7) -> Image:
        """Zero or 255, (H, W) uint8."""
        random = self._random(salt)
        return self._placed((random.random(self._shape(1)) < 0.6).astype(np.uint8) * 255)

    def weights(self, salt: int = 8) -> Image:
        """Values from 0 to 1, (H, W) float32."""
        return self._placed(self._random(salt).random(self._shape(1), np.float32))


def equal(left: Any, right: Any) -> bool:
    """Tell whether two results are the same bit for bit, in type and shape too."""
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, Sequence) and not isinstance(left, str):
        return (
            type(left) is type(right)
            and len(left) == len(right)
            and all(equal(a, b) for a, b in zip(left, right, strict=True))
        )
    if type(left).__name__ in ("KeyPoint", "DMatch"):
        fields = [name for name in dir(left) if name in _FIELDS]
        return all(getattr(left, name) == getattr(right, name) for name in fields)
    return bool(left == right)


_FIELDS = {"pt", "size", "angle", "response", "octave", "class_id"} | {
    "queryIdx",
    "trainIdx",
    "imgIdx",
    "distance",
}
