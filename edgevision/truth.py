"""Ground truth that a synthetic source puts on its frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevision.detections import Detections

__all__ = ["Truth"]


@dataclass(slots=True)
class Truth:
    """What is really in the picture.

    Attributes:
        objects: boxes of everything drawn, labelled (``person``, ``face``, ``qr``, ``aruco``) and
            with the identity of each figure as its track_id, in pixels of the frame as captured.
        values: further facts by name, such as ``{"lighting": 0.8, "covered": False}``.
    """

    objects: Detections
    values: dict[str, Any] = field(default_factory=dict)
