"""Write a vision stage against a webcam; run it on a fleet of Jetson devices.

The package, from the bottom up:

- `edgevision.errors`: every error, as one tree.
- `Frame`, `Detections`: one picture and what was found in it.
- `Stage`, `Param`, `DropFrame`, `stage`: the step of a pipeline that you write; `BatchStage`: one
  that sees the frames of several cameras at once.
- `edgevision.cv`: cv2's functions, running where the image lives, into reused buffers.
- `edgevision.sources`: webcam, file, image folder, RTSP, HTTP, GStreamer, CSI, synthetic.
- `edgevision.stages`: the built-in stages.
- `Pipeline`: stages in order; `edgevision.runner`: cameras, threads and queues around pipelines.
- `edgevision.config`: pipeline.yaml.
- `edgevision.upstream`: where results go.
- `edgevision.web`: the preview page.
- `method`, `on_input`, `module_method`, `module_input`: what the hub may call and send, see
  `edgevision.harness`.
- `edgevision.testing`: what tests of your own stages need.
- `edgevision.cli`: the command line.

Importing edgevision loads cv2 and NumPy and nothing else that is large.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgevision import opencv

opencv.check()  # before the first module that imports cv2 itself

from edgevision.batch import BatchStage
from edgevision.detections import Detection, Detections
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.frame import Frame
from edgevision.param import Param
from edgevision.pipeline import Pipeline
from edgevision.stage import DropFrame, Stage, stage

if TYPE_CHECKING:
    from edgevision.harness.inputs import module_input, on_input
    from edgevision.harness.methods import MethodError, method, module_method

__all__ = [
    "BatchStage",
    "ConfigurationError",
    "Detection",
    "Detections",
    "DropFrame",
    "EdgeVisionError",
    "Frame",
    "MethodError",
    "Param",
    "Pipeline",
    "Stage",
    "__version__",
    "method",
    "module_input",
    "module_method",
    "on_input",
    "stage",
]

__version__ = "0.1.0"

# What only a module that the hub steers needs is imported when it is asked for.
_OF_MODULES = {
    "MethodError": "methods",
    "method": "methods",
    "module_input": "inputs",
    "module_method": "methods",
    "on_input": "inputs",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"edgevision.harness.{_OF_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
