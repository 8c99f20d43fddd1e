"""A camera that needs no hardware: a rendered walkway with its ground truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np

from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources.source import Source
from edgevision.sources.walkway import Walkway
from edgevision.suggestion import did_you_mean

__all__ = ["OPTIONS", "Option", "SyntheticSource"]

# A reader that is later than this is not caught up with.
_LATE_S = 0.5
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the synthetic source, as `SyntheticSource` and its URI take it.

    Attributes:
        name: keyword and URI key.
        type: bool, int, float or str.
        default: value without a setting; None where there is none.
        help: one line for people.
        unit: physical unit.
        bounds: smallest and largest value.
        choices: the values allowed, where they are few.
    """

    name: str
    type: type
    default: Any
    help: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return type and bounds for people, such as ``int 64 to 3840 px``."""
        if self.choices:
            return " | ".join(self.choices)
        bounds = f" {self.bounds[0]:g} to {self.bounds[1]:g}" if self.bounds else ""
        return f"{self.type.__name__}{bounds}{' ' + self.unit if self.unit else ''}"

    def check(self, value: Any) -> Any:
        """Return ``value`` as the option's type; text, as a URI has it, is converted.

        Raises:
            ConfigurationError: a wrong type or a value out of bounds.
        """
        if value is None and self.default is None:
            return None
        converted = _convert(value, self.type)
        if (
            converted is None
            or (self.choices and converted not in self.choices)
            or (self.bounds and not self.bounds[0] <= converted <= self.bounds[1])
        ):
            hint = did_you_mean(value, self.choices) if isinstance(value, str) else ""
            raise ConfigurationError(
                f"synthetic: option {self.name} must be {self.describe()}, got {value!r}{hint}"
            )
        return converted


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option("width", int, 640, "picture width", "px", (64, 3840)),
        Option("height", int, 480, "picture height", "px", (64, 2160)),
        Option("fps", float, 30.0, "pictures per second of the scene", "1/s", (0.1, 1000)),
        Option("people", int, 3, "people who walk at a time", "", (0, 30)),
        Option("seed", int, 1, "chooses the scene, the people and the noise", "", (0, 2**31 - 1)),
        Option("noise", float, 3.0, "sensor noise, standard deviation", "grey levels", (0, 40)),
        Option("shadows", bool, True, "people cast shadows"),
        Option("lighting", bool, True, "brightness drifts, and jumps when a cloud passes"),
        Option("frames", int, None, "end after so many frames; without it the camera is live"),
        Option(
            "pace",
            str,
            "real",
            "real: as fast as the scene; fast: as fast as frames are read",
            choices=("real", "fast"),
        ),
    )
}
"""What the source can be told, by name; the documentation lists this table."""


class SyntheticSource(Source):
    """A rendered walkway: people-sized figures with shadows, noise and changes of light.

    Frame ``i`` depends on the options and on ``i`` alone, bit for bit with one build of OpenCV, so
    a run can be repeated and `seek` reaches any frame at once. ``slot.truth`` holds what is in each
    picture: a box of the visible part of everything that shows at least half of itself, labelled
    ``person`` with one track_id from entering to leaving, and values:

    - ``lighting``: factor on the brightness, 1 is normal.

    Without ``frames`` the source is a live camera that never ends; with it, a finite one. It starts
    from the first frame each time it is opened.

    Args:
        **options: see `OPTIONS`; values may be text, as they come from a URI.

    Raises:
        ConfigurationError: an unknown option, a wrong type or a value out of bounds.
    """

    def __init__(self, **options: Any) -> None:
        for name in options:
            if name not in OPTIONS:
                raise ConfigurationError(
                    f"synthetic: there is no option {name!r}{did_you_mean(name, OPTIONS)} "
                    f"(there are: {', '.join(OPTIONS)})"
                )
        self.options: dict[str, Any] = {
            name: option.check(options.get(name, option.default))
            for name, option in OPTIONS.items()
        }
        frames = self.options["frames"]
        if frames is not None and frames < 1:
            raise ConfigurationError(f"synthetic: option frames must be at least 1, got {frames}")
        changed = {n: v for n, v in self.options.items() if v != OPTIONS[n].default}
        self.uri = "synthetic:" + (f"?{urlencode(changed)}" if changed else "")
        self.live = frames is None
        self.index = 0
        """Number of the next frame, from 0."""
        self._walkway: Walkway | None = None
        self._next_s = 0.0

    def open(self) -> None:
        """Render the scene without people, which takes some tenths of a second."""
        get = self.options.__getitem__
        self._walkway = Walkway(
            (get("width"), get("height")),
            seed=get("seed"),
            people=get("people"),
            noise_sigma=get("noise"),
            shadows=get("shadows"),
            lighting=get("lighting"),
        )
        self.index = 0
        self._next_s = time.monotonic()

    def seek(self, index: int) -> None:
        """Make ``index``, counted from 0, the next frame."""
        self.index = index

    def read(self, slot: Slot) -> bool:
        """Draw the next frame into ``slot.image``, at its time when the pace is real.

        Raises:
            SourceUnavailableError: the source is not open.
        """
        if self._walkway is None:
            raise SourceUnavailableError(f"{self.uri} is not open")
        frames = self.options["frames"]
        if frames is not None and self.index >= frames:
            return False
        if self.options["pace"] == "real":
            self._wait()
        shape = (self.options["height"], self.options["width"], 3)
        image = slot.image
        if image is None or image.shape != shape or not image.flags.c_contiguous:
            image = slot.image = np.empty(shape, np.uint8)
        slot.truth = self._walkway.draw(self.index, self.index / self.options["fps"], image)
        self.index += 1
        return True

    def close(self) -> None:
        """Free the scene."""
        self._walkway = None

    def _wait(self) -> None:
        now_s = time.monotonic()
        if self._next_s > now_s:
            time.sleep(self._next_s - now_s)
        elif now_s - self._next_s > _LATE_S:
            self._next_s = now_s
        self._next_s += 1 / self.options["fps"]


def _convert(value: Any, kind: type) -> Any:
    """Return ``value`` as ``kind``, or None if it is none."""
    if isinstance(value, str) and kind is not str:
        text = value.strip().lower()
        if kind is bool:
            return True if text in _TRUE else False if text in _FALSE else None
        try:
            return kind(text)
        except ValueError:
            return None
    if isinstance(value, bool) is not (kind is bool):
        return None
    if kind is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, kind) else None
