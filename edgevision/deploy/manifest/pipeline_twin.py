"""What pipeline.yaml gives a module's twin, and what it makes of desired properties.

`edgevision.harness.desired` decides on the device; here mistakes are found before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgevision.config.models import CameraConfig, PipelineConfig, StageConfig
from edgevision.errors import ConfigurationError
from edgevision.param import json_of
from edgevision.stage_check import unique_name
from edgevision.suggestion import did_you_mean

__all__ = ["CAMERA_KEYS", "STAGE_KEYS", "TOP_KEYS", "given_params", "twin_mistakes"]

TOP_KEYS = ("cameras", "camera_order", "stages", "stage_order", "publish", "log_level")
"""The desired properties of a module."""

CAMERA_KEYS = (*CameraConfig.model_fields, "paused", "stage_order")
"""The desired properties of a camera."""

STAGE_KEYS = ("use", "on_error", "max_consecutive_errors", "params")
"""The desired properties of a stage beside its parameters."""

_REFERENCE = "${"
Way = tuple[int | str, ...]
Mistake = tuple[Way, str]


def given_params(config: PipelineConfig) -> dict[str, Any]:
    """Return the parameters that a pipeline gives, as desired properties have them.

    Paths are left out, since they are those of this machine, and so are secrets.
    """
    found: dict[str, Any] = {}
    if common := _values(config.stages):
        found["stages"] = common
    for name, camera in config.cameras.items():
        if own := _values(camera.stages or ()):
            found.setdefault("cameras", {})[name] = {"stages": own}
    return found


def twin_mistakes(twin: Mapping[str, Any], config: PipelineConfig) -> Iterator[Mistake]:
    """Yield what the module would refuse, each with the way to its place.

    Values that are references, and stages that say what they are with ``use``, are left to the
    device.
    """
    for key in twin:
        if key in PipelineConfig.model_fields and key not in TOP_KEYS:
            yield (key,), "is set in pipeline.yaml alone"
        elif key not in TOP_KEYS:
            yield (
                (key,),
                f"the module knows no such property{did_you_mean(key, TOP_KEYS)} (it knows: "
                f"{', '.join(TOP_KEYS)})",
            )
    yield from _stage_mistakes(twin.get("stages"), config.stages, ("stages",))
    cameras = twin.get("cameras", {})
    if not isinstance(cameras, Mapping):
        yield ("cameras",), "must be an object of cameras by name"
        return
    for name, wish in cameras.items():
        yield from _camera_mistakes(str(name), wish, config)


def _camera_mistakes(name: str, wish: Any, config: PipelineConfig) -> Iterator[Mistake]:
    way = ("cameras", name)
    if wish is False or isinstance(wish, str):
        return
    if not isinstance(wish, Mapping):
        yield way, "a camera is an object, an address or false"
        return
    for key in wish:
        if key not in CAMERA_KEYS:
            yield (*way, key), f"a camera has no such setting{did_you_mean(key, CAMERA_KEYS)}"
    if name not in config.cameras and "source" not in wish:
        hint = did_you_mean(name, config.cameras)
        yield (
            way,
            f"there is no camera {name!r}{hint} (there are: {', '.join(config.cameras)}; a new one "
            "has a source)",
        )
        return
    stages = config.stages_of(name) if name in config.cameras else config.stages
    yield from _stage_mistakes(wish.get("stages"), stages, (*way, "stages"))


def _stage_mistakes(wishes: Any, stages: Sequence[StageConfig], way: Way) -> Iterator[Mistake]:
    if wishes is None or isinstance(wishes, list):
        return
    if not isinstance(wishes, Mapping):
        yield way, "must be an object of stages by name, or a list"
        return
    known = _named(stages)
    for name, wish in wishes.items():
        if isinstance(wish, bool):
            continue
        if not isinstance(wish, Mapping):
            yield (*way, name), "a stage is an object of parameters, or false"
        elif name in known and "use" not in wish:
            yield from _param_mistakes(wish, known[name], (*way, name))
        elif "use" not in wish and not _is_built_in(name):
            yield (
                (*way, name),
                f"there is no stage {name!r}{did_you_mean(name, known)} (there are: "
                f"{', '.join(known) or 'none'}; a new one says what it is with 'use')",
            )


def _param_mistakes(wish: Mapping[str, Any], stage: StageConfig, way: Way) -> Iterator[Mistake]:
    specs = stage.stage.parameters()
    places: dict[tuple[str, ...], Any] = {
        (key,): wish[key] for key in wish if key not in STAGE_KEYS
    }
    inner = wish.get("params")
    if isinstance(inner, Mapping):
        places |= {("params", key): value for key, value in inner.items()}
    for place, value in places.items():
        key = place[-1]
        if key not in specs:
            yield (
                (*way, *place),
                f"the stage has no parameter {key!r}{did_you_mean(key, specs)} (it has: "
                f"{', '.join(specs) or 'none'})",
            )
        elif not (isinstance(value, str) and _REFERENCE in value):
            try:
                specs[key].check(value)
            except ConfigurationError as error:
                yield (*way, *place), error.message


def _is_built_in(name: str) -> bool:
    from edgevision.stages import BUILT_IN

    return name in BUILT_IN


def _values(stages: Sequence[StageConfig]) -> dict[str, Any]:
    found = {}
    for name, stage in _named(stages).items():
        specs = stage.stage.parameters()
        values = {
            key: json_of(value)
            for key, value in stage.values.items()
            if not specs[key].secret and not _holds_path(value)
        }
        if values:
            found[name] = values
    return found


def _holds_path(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_path, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_path, value))
    return isinstance(value, Path)


def _named(stages: Sequence[StageConfig]) -> dict[str, StageConfig]:
    """Return stages by the names that the twin has for them: two of a kind are numbered."""
    found: dict[str, StageConfig] = {}
    for stage in stages:
        found[unique_name(stage.spec().name, found)] = stage
    return found
