"""Methods and inputs of users' stages and functions: found where the cameras are now."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from edgevision.errors import ConfigurationError
from edgevision.harness.inputs import inputs_of, module_inputs
from edgevision.harness.methods import (
    Handler,
    MethodError,
    MethodSpec,
    methods_of,
    module_methods,
    spec_of,
)
from edgevision.harness.transport import InputMessage
from edgevision.pipeline import Pipeline
from edgevision.redaction import redact
from edgevision.runner.camera import Camera
from edgevision.runner.runner import Runner
from edgevision.stage import Stage

__all__ = ["UserHandlers"]


class UserHandlers:
    """Calls what users have marked with `method`, `on_input` and their kin.

    A plain method of a stage runs on its camera's worker thread between two frames, a plain
    function on a thread for all functions; what is ``async def`` runs on the event loop.

    Args:
        runner: runs the cameras.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        # Not the loop's own executor: the connection to the hub needs that.
        self._thread = ThreadPoolExecutor(1, "module handlers")

    def close(self) -> None:
        """Run no function any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def method(self, name: str) -> tuple[Handler, float] | None:
        """Return what answers a call of ``name``, and its time limit; None if nothing does."""
        function = module_methods().get(name)
        if function is not None:
            called = function
            return lambda payload: self._call_function(called, payload), spec_of(called).timeout_s
        found = [spec for _, stage in self._stages() for spec, _ in _of(stage, name)]
        if not found:
            return None
        timeout_s = max(spec.timeout_s for spec in found)
        return lambda payload: self._call_stages(name, payload, timeout_s), timeout_s + 0.5

    def method_names(self) -> list[str]:
        """Return what can be called at this moment."""
        of_stages = (name for _, stage in self._stages() for name in methods_of(type(stage)))
        return sorted({*module_methods(), *of_stages})

    def input(self, name: str) -> Callable[[InputMessage], Awaitable[None]] | None:
        """Return what takes the messages of an input; None if nothing does."""
        function = module_inputs().get(name)
        stages = [
            (camera, stage.name, attribute)
            for camera, stage in self._stages()
            if (attribute := inputs_of(type(stage)).get(name))
        ]
        if function is None and not stages:
            return None

        async def handle(message: InputMessage) -> None:
            calls = [
                self._call_stage(c, stage, attribute, message) for c, stage, attribute in stages
            ]
            if function is not None:
                calls.append(self._call_function(function, message))
            for result in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result

        return handle

    def input_names(self) -> list[str]:
        """Return the inputs that something handles at this moment."""
        of_stages = (name for _, stage in self._stages() for name in inputs_of(type(stage)))
        return sorted({*module_inputs(), *of_stages})

    def _stages(self) -> Iterator[tuple[Camera, Stage]]:
        for camera in self._runner.cameras.values():
            pipeline = camera.worker.pipeline
            for stage in pipeline.stages if pipeline is not None else ():
                yield camera, stage

    async def _call_function(self, function: Callable[..., Any], argument: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(argument)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, argument)

    async def _call_stages(self, name: str, payload: Any, timeout_s: float) -> Any:
        """Call the method of each stage that the payload chooses; answer by camera and stage."""
        chosen, rest = self._choose(name, payload)
        calls = [
            self._call_within(timeout_s, self._call_stage(camera, stage, attribute, rest))
            for camera, stage, attribute in chosen
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        answers: dict[str, dict[str, Any]] = {}
        failures: list[BaseException] = []
        for (camera, stage, _), result in zip(chosen, results, strict=True):
            if isinstance(result, BaseException):
                failures.append(result)
                result = {"error": redact(f"{type(result).__name__}: {result}")}
            answers.setdefault(camera.name, {})[stage] = result
        if len(failures) == len(results):
            raise failures[0]
        return {"cameras": answers}

    def _choose(self, name: str, payload: Any) -> tuple[list[tuple[Camera, str, str]], Any]:
        camera = stage = None
        if isinstance(payload, dict):
            payload = dict(payload)
            camera, stage = payload.pop("camera", None), payload.pop("stage", None)
        if camera is not None:
            try:
                self._runner.camera(str(camera))
            except ConfigurationError as error:
                raise MethodError(404, str(error)) from error
        chosen = [
            (owner, each.name, attribute)
            for owner, each in self._stages()
            for _, attribute in _of(each, name)
            if camera in (None, owner.name) and stage in (None, each.name)
        ]
        if not chosen:
            where = f" {stage!r}" if stage is not None else ""
            at = f" of camera {camera!r}" if camera is not None else ""
            raise MethodError(404, f"no stage{where}{at} has a method {name!r}")
        return chosen, payload

    async def _call_within(self, timeout_s: float, call: Awaitable[Any]) -> Any:
        try:
            return await asyncio.wait_for(call, timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise MethodError(504, f"no answer within {timeout_s:g} s") from None

    async def _call_stage(self, camera: Camera, stage: str, attribute: str, argument: Any) -> Any:
        pipeline = camera.worker.pipeline
        if pipeline is not None and inspect.iscoroutinefunction(
            getattr(type(pipeline[stage]), attribute)
        ):
            return await getattr(pipeline[stage], attribute)(argument)

        def call(pipeline: Pipeline) -> Any:
            return getattr(pipeline[stage], attribute)(argument)

        return await camera.call(call)


def _of(stage: Stage, name: str) -> list[tuple[MethodSpec, str]]:
    found = methods_of(type(stage)).get(name)
    return [] if found is None else [found]
