"""The direct methods that every module has."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from edgevision import __version__
from edgevision.errors import ConfigurationError, SourceUnavailableError
from edgevision.harness.methods import MethodError, Methods
from edgevision.harness.recorder import MAX_CLIP_S, ClipRecorder
from edgevision.harness.recorder_folder import ArtifactFolder
from edgevision.harness.twin import Steering
from edgevision.json_value import utc_text
from edgevision.runner.camera import Camera
from edgevision.runner.runner import Runner
from edgevision.suggestion import did_you_mean

__all__ = ["BuiltInMethods"]

_INLINE_BYTES = 90_000  # as base64 it fits into an answer of 128 KB
_PICTURE_S = 5.0
_CLIP_S = 10.0


class BuiltInMethods:
    """Answers the direct methods of docs/direct-methods.md; all on the event loop.

    Args:
        runner: runs the cameras.
        steering: takes what is set.
        recorder: records clips.
        folder: where large pictures go.
        status: returns what ``status`` answers.
    """

    def __init__(
        self,
        runner: Runner,
        steering: Steering,
        recorder: ClipRecorder,
        folder: ArtifactFolder,
        status: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._runner = runner
        self._steering = steering
        self._recorder = recorder
        self._folder = folder
        self._status = status

    def add_to(self, methods: Methods) -> None:
        """Answer calls of all of them."""
        own: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "ping": self._ping,
            "status": self._tell,
            "snapshot": self._snapshot,
            "set": self._set,
            "restart": self._restart,
            "pause": self._pause,
            "resume": self._resume,
            "record": self._record,
            "log_level": self._log_level,
        }
        for name, function in own.items():
            methods.add(name, _of_object(function))

    async def _ping(self, payload: dict[str, Any]) -> Any:
        return {
            "module": self._runner.module,
            "edgevision": __version__,
            "time": utc_text(time.time()),
        }

    async def _tell(self, payload: dict[str, Any]) -> Any:
        _only(payload, "camera")
        status = dict(self._status())
        if "camera" in payload:
            name = self._camera(payload).name
            status["cameras"] = [each for each in status["cameras"] if each["name"] == name]
        return status

    async def _snapshot(self, payload: dict[str, Any]) -> Any:
        _only(payload, "camera", "inline")
        inline = payload.get("inline", True)
        if not isinstance(inline, bool):
            raise MethodError(400, f"inline must be true or false, got {inline!r}")
        camera = self._camera(payload)
        tap = self._runner.taps()[camera.name]
        try:
            picture = await tap.snapshot(_PICTURE_S)
        except SourceUnavailableError as error:
            state = camera.state
            why = f"{state.name}{': ' if state.detail else ''}{state.detail}"
            raise MethodError(409, f"{error} (it is {why})") from error
        answer: dict[str, Any] = {
            "camera": picture.camera,
            "sequence": picture.sequence,
            "captured_at": utc_text(picture.captured_at_s),
            "size_wh": list(picture.size_wh),
            "counts": picture.counts,
            "bytes": len(picture.jpeg),
        }
        if inline and len(picture.jpeg) <= _INLINE_BYTES:
            answer["jpeg"] = base64.b64encode(picture.jpeg).decode()
            return answer
        path = self._folder.name(camera.name, ".jpg")
        await asyncio.to_thread(self._folder.write, path, picture.jpeg)
        return {**answer, "path": str(path)}

    async def _set(self, payload: dict[str, Any]) -> Any:
        if not payload:
            raise MethodError(400, "nothing to set: the payload is like desired properties")
        await self._steering.set(payload)
        return {"set": True}

    async def _restart(self, payload: dict[str, Any]) -> Any:
        _only(payload, "camera")
        camera = self._camera(payload)
        await self._runner.restart(camera.name)
        return {"camera": camera.name, "state": self._runner.cameras[camera.name].state.name}

    async def _pause(self, payload: dict[str, Any]) -> Any:
        return await self._set_paused(payload, True)

    async def _resume(self, payload: dict[str, Any]) -> Any:
        return await self._set_paused(payload, False)

    async def _set_paused(self, payload: dict[str, Any], paused: bool) -> Any:
        _only(payload, "camera")
        chosen = [self._camera(payload)] if "camera" in payload else self._runner.cameras.values()
        names = [camera.name for camera in chosen]
        await self._steering.set({"cameras": {name: {"paused": paused} for name in names}})
        return {"cameras": {name: self._runner.cameras[name].state.name for name in names}}

    async def _record(self, payload: dict[str, Any]) -> Any:
        _only(payload, "camera", "seconds", "before_s")
        seconds = _number(payload, "seconds", _CLIP_S, 1.0, MAX_CLIP_S)
        before_s = _number(payload, "before_s", 0.0, 0.0, MAX_CLIP_S)
        camera = self._camera(payload)
        if camera.state.name != "live":
            raise MethodError(409, f"camera {camera.name!r} is {camera.state.name}, not live")
        return await self._recorder.record(camera.name, seconds, before_s)

    async def _log_level(self, payload: dict[str, Any]) -> Any:
        _only(payload, "level")
        if "level" in payload:
            # A payload of {"level": null} goes back to the desired properties' one.
            await self._steering.set({"log_level": payload["level"]})
        return {"level": self._steering.log_level}

    def _camera(self, payload: Mapping[str, Any]) -> Camera:
        """Return the camera that the payload names, or the only one."""
        cameras = self._runner.cameras
        if "camera" not in payload:
            if len(cameras) == 1:
                return next(iter(cameras.values()))
            raise MethodError(400, f"which camera? (there are: {', '.join(cameras)})")
        name = payload["camera"]
        if not isinstance(name, str):
            raise MethodError(400, f"camera must be the name of a camera, got {name!r}")
        try:
            return self._runner.camera(name)
        except ConfigurationError as error:
            raise MethodError(404, str(error)) from error


def _of_object(
    function: Callable[[dict[str, Any]], Awaitable[Any]],
) -> Callable[[Any], Awaitable[Any]]:
    async def call(payload: Any) -> Any:
        if payload is None:
            payload = {}
        if not isinstance(payload, dict):
            raise MethodError(400, f"the payload must be an object, got {type(payload).__name__}")
        return await function(payload)

    return call


def _only(payload: Mapping[str, Any], *known: str) -> None:
    for key in payload:
        if key not in known:
            hint = did_you_mean(key, known)
            raise MethodError(400, f"there is no {key!r}{hint} (there are: {', '.join(known)})")


def _number(
    payload: Mapping[str, Any], name: str, default: float, least: float, most: float
) -> float:
    value = payload.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise MethodError(400, f"{name} must be {least:g} to {most:g} s, got {value!r}")
    return float(value)
