"""The built-in stages. All but ``detect`` need no model file. They run where the image lives.

========== ==============================================================
``resize``  another size of picture; detections stay in step
``roi``     only what lies inside, or outside, a polygon
``motion``  boxes around what moves
``people``  upright people
``detect``  whatever a network was trained to find
``faces``   faces that look into the camera
``codes``   QR codes and ArUco markers, with what they say
``edges``   outlines
``flow``    how fast and in which direction the picture moves
``blur``    makes detections unrecognisable
``tamper``  tells when the camera is covered, defocused or turned
========== ==============================================================

``docs/stages.md`` shows each with its parameters, a picture and how well it does. A class is
imported when it is asked for: ``from edgevision.stages import Motion`` or `load`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.stage import Stage
    from edgevision.stages.blur import Blur as Blur
    from edgevision.stages.codes import Codes as Codes
    from edgevision.stages.detect import Detect as Detect
    from edgevision.stages.edges import Edges as Edges
    from edgevision.stages.faces import Faces as Faces
    from edgevision.stages.flow import Flow as Flow
    from edgevision.stages.motion import Motion as Motion
    from edgevision.stages.people import People as People
    from edgevision.stages.resize import Resize as Resize
    from edgevision.stages.roi import Roi as Roi
    from edgevision.stages.tamper import Tamper as Tamper

__all__ = [
    "BUILT_IN",
    "Blur",
    "Codes",
    "Detect",
    "Edges",
    "Faces",
    "Flow",
    "Motion",
    "People",
    "Resize",
    "Roi",
    "Tamper",
    "load",
]

BUILT_IN: dict[str, str] = {
    "resize": "edgevision.stages.resize:Resize",
    "roi": "edgevision.stages.roi:Roi",
    "motion": "edgevision.stages.motion:Motion",
    "people": "edgevision.stages.people:People",
    "detect": "edgevision.stages.detect:Detect",
    "faces": "edgevision.stages.faces:Faces",
    "codes": "edgevision.stages.codes:Codes",
    "edges": "edgevision.stages.edges:Edges",
    "flow": "edgevision.stages.flow:Flow",
    "blur": "edgevision.stages.blur:Blur",
    "tamper": "edgevision.stages.tamper:Tamper",
}
"""Where each built-in stage is, by the name that pipeline.yaml calls it."""


def load(name: str) -> type[Stage]:
    """Import a built-in stage.

    Raises:
        ConfigurationError: there is none of this name; the message names those there are.
    """
    if name not in BUILT_IN:
        raise ConfigurationError(
            f"there is no built-in stage {name!r}{did_you_mean(name, BUILT_IN)} "
            f"(there are: {', '.join(BUILT_IN)})"
        )
    module, _, member = BUILT_IN[name].partition(":")
    return cast("type[Stage]", getattr(import_module(module), member))


def __getattr__(name: str) -> Any:
    """Import a class when it is asked for, so that `import edgevision.stages` costs nothing."""
    for place in BUILT_IN.values():
        module, _, member = place.partition(":")
        if member == name:
            return getattr(import_module(module), member)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
