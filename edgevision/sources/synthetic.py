"""A camera that needs no hardware: a rendered walkway with its ground truth."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import numpy as np

from edgevision.errors import SourceUnavailableError
from edgevision.slot import Slot
from edgevision.sources.option import Bounds, bind
from edgevision.sources.source import Source
from edgevision.sources.walkway import Walkway
from edgevision.sources.walkway_tamper import Tamper

__all__ = ["SyntheticSource"]

# A reader that is later than this is not caught up with.
_LATE_S = 0.5

_Count = Annotated[int, Bounds(0, 30)]
_Few = Annotated[int, Bounds(0, 6)]
_Time = Annotated[float, Bounds(0, 1e9)]


class SyntheticSource(Source):
    """A rendered walkway: people-sized figures with shadows, noise and changes of light.

    Frame ``i`` depends on the options and on ``i`` alone, bit for bit with one build of OpenCV, so
    a run can be repeated and `seek` reaches any frame at once. ``slot.truth`` holds what is in each
    picture: a box of the visible part of everything that shows at least half of itself (a code: all
    of itself), with one track_id for as long as it is there, labelled

    - ``person``: somebody who walks by;
    - ``face``: brows to chin and ear to ear, of those who stand close to the camera (``faces``);
    - ``qr`` and ``aruco``: a code without its margin (``codes``), its content in the data column
      ``text``. Of four boards two stand and two are carried.

    The values are ``lighting`` (factor on the brightness, 1 is normal); ``covered``, ``defocused``
    and ``moved``, which say whether the camera is interfered with; and ``partial``, label and box
    of what shows less than that, for which a detector earns neither praise nor blame. A covered
    lens shows no objects.

    Without ``frames`` the source is a live camera that never ends; with it, a finite one. It starts
    from the first frame each time it is opened. Values may be text, as they come from a URI.

    Args:
        width: picture width in pixels.
        height: picture height in pixels.
        fps: pictures per second of the scene.
        people: people who walk at a time.
        faces: people who stand close to the camera and look into it.
        codes: boards with a QR code or an ArUco marker (of DICT_4X4_50), by turns.
        seed: chooses the scene, the people and the noise.
        noise: standard deviation of the sensor's noise in grey levels.
        shadows: people cast shadows.
        lighting: the brightness drifts, and jumps when a cloud passes.
        frames: end after so many; without it the camera is live.
        pace: ``real`` is as fast as the scene, ``fast`` as fast as frames are read.
        cover_at_s: when the lens is covered, in seconds of the scene.
        defocus_at_s: when the lens is defocused.
        move_at_s: when the camera is turned.
        tamper_for_s: how long each of these lasts.

    Raises:
        ConfigurationError: a wrong type or a value out of bounds.
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Bounds(64, 3840)] = 640,
        height: Annotated[int, Bounds(64, 2160)] = 480,
        fps: Annotated[float, Bounds(0.1, 1000)] = 30.0,
        people: _Count = 3,
        faces: _Few = 0,
        codes: _Few = 0,
        seed: Annotated[int, Bounds(0, 2**31 - 1)] = 1,
        noise: Annotated[float, Bounds(0, 40)] = 3.0,
        shadows: bool = True,
        lighting: bool = True,
        frames: Annotated[int, Bounds(1, 2**53)] | None = None,
        pace: Literal["real", "fast"] = "real",
        cover_at_s: _Time | None = None,
        defocus_at_s: _Time | None = None,
        move_at_s: _Time | None = None,
        tamper_for_s: Annotated[float, Bounds(0.1, 1e9)] = 5.0,
    ) -> None:
        options: dict[str, Any] = {
            "width": width,
            "height": height,
            "fps": fps,
            "people": people,
            "faces": faces,
            "codes": codes,
            "seed": seed,
            "noise": noise,
            "shadows": shadows,
            "lighting": lighting,
            "frames": frames,
            "pace": pace,
            "cover_at_s": cover_at_s,
            "defocus_at_s": defocus_at_s,
            "move_at_s": move_at_s,
            "tamper_for_s": tamper_for_s,
        }
        self.options = bind(SyntheticSource, options, "synthetic")
        """The options with the types of the signature."""
        defaults = SyntheticSource.__init__.__kwdefaults__ or {}
        changed = {name: value for name, value in self.options.items() if value != defaults[name]}
        self.uri = "synthetic:" + (f"?{urlencode(changed)}" if changed else "")
        self.live = self.options["frames"] is None
        self.index = 0
        """Number of the next frame, from 0."""
        self._walkway: Walkway | None = None
        self._next_s = 0.0

    def open(self) -> None:
        """Render the scene without people, which takes some tenths of a second."""
        get = self.options.__getitem__
        size_wh = (get("width"), get("height"))
        self._walkway = Walkway(
            size_wh,
            seed=get("seed"),
            people=get("people"),
            faces=get("faces"),
            codes=get("codes"),
            noise_sigma=get("noise"),
            shadows=get("shadows"),
            lighting=get("lighting"),
            tamper=Tamper(
                size_wh,
                get("seed"),
                get("cover_at_s"),
                get("defocus_at_s"),
                get("move_at_s"),
                get("tamper_for_s"),
            ),
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
