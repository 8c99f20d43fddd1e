"""The cameras as reported properties show them."""

from __future__ import annotations

from typing import Any

from edgevision.param import json_of
from edgevision.redaction import HIDDEN, redact_url
from edgevision.runner.camera import Camera
from edgevision.runner.runner import Runner
from edgevision.stage import Stage

__all__ = ["CameraReports"]

_FPS_SHARE = 0.2


class CameraReports:
    """Describes cameras in words that do not change all the time: each change is a message.

    Args:
        runner: runs the cameras.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._fps: dict[str, float] = {}

    def states(self) -> dict[str, tuple[str, str]]:
        """Return state and reason of each camera, to see cheaply whether something changed."""
        return {
            name: (camera.state.name, camera.state.detail)
            for name, camera in self._runner.cameras.items()
        }

    def document(self) -> dict[str, Any]:
        """Return state, frame rate, source and effective parameters of each camera."""
        cameras = self._runner.cameras
        self._fps = {name: fps for name, fps in self._fps.items() if name in cameras}
        return {name: self._camera(camera) for name, camera in cameras.items()}

    def _camera(self, camera: Camera) -> dict[str, Any]:
        status = camera.status()
        document: dict[str, Any] = {
            "state": status.state,
            "detail": status.detail,
            "source": redact_url(status.source),
            "fps": self._coarse(camera.name, status.fps),
            "stages": {},
        }
        if status.size_wh is not None:
            document["size_wh"] = list(status.size_wh)
        if status.stuck_stage:
            document["stuck_stage"] = status.stuck_stage
        pipeline = camera.worker.pipeline
        for stage in pipeline.stages if pipeline is not None else ():
            document["stages"][stage.name] = _params(stage)
        document["stage_order"] = list(document["stages"])
        quarantined = [stage.name for stage in status.stages if stage.quarantined]
        if quarantined:
            document["quarantined"] = quarantined
        return document

    def _coarse(self, name: str, fps: float) -> float:
        """Return the rate as it was told last, unless it is quite another by now."""
        told = self._fps.get(name, 0.0)
        if abs(fps - told) > max(1.0, _FPS_SHARE * told) or (fps == 0.0 and told):
            told = self._fps[name] = float(round(fps))
        return told


def _params(stage: Stage) -> dict[str, Any]:
    specs = stage.parameters()
    return {
        name: HIDDEN if specs[name].secret else json_of(value)
        for name, value in stage.settings().items()
    }
