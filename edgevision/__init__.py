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
- `edgevision.testing`: what tests of your own stages need.
- `edgevision.cli`: the command line.

Importing edgevision loads cv2 and NumPy and nothing else that is large.
"""

from __future__ import annotations

from edgevision import opencv

opencv.check()  # before the first module that imports cv2 itself

from edgevision.batch import BatchStage
from edgevision.detections import Detection, Detections
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.frame import Frame
from edgevision.param import Param
from edgevision.pipeline import Pipeline
from edgevision.stage import DropFrame, Stage, stage

__all__ = [
    "BatchStage",
    "ConfigurationError",
    "Detection",
    "Detections",
    "DropFrame",
    "EdgeVisionError",
    "Frame",
    "Param",
    "Pipeline",
    "Stage",
    "__version__",
    "stage",
]

__version__ = "0.1.0"
