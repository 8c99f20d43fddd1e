"""What desired properties mean: a pipeline.yaml with parts replaced, checked as a whole.

The layout is that of pipeline.yaml, with names where the file has lists::

    {"cameras": {"door": {"stages": {"motion": {"min_area": 300}}, "paused": true}, "yard": false},
     "stages": {"faces": {"use": "faces"}, "codes": false}, "stage_order": ["faces", "motion"],
     "publish": {"when": "every"}, "log_level": "debug"}

docs/module-twin.md describes it for people.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.config import from_mapping
from edgevision.config.models import CameraConfig, PipelineConfig, StageConfig
from edgevision.config.stage_files import StageFiles
from edgevision.errors import ConfigurationError
from edgevision.harness.log import read_level
from edgevision.param import json_of
from edgevision.runner.revision import CameraPlan
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.param import ParamSpec

__all__ = ["Baseline", "Wanted", "changed_paths", "merge", "plan", "without"]

_TOP = ("cameras", "camera_order", "stages", "stage_order", "publish", "log_level")
_FIXED = frozenset(PipelineConfig.model_fields) - frozenset(_TOP)
_NOT_COPIED = frozenset({"cameras", "module", "publish", "stages", "upstream", "web"})
_OF_STAGE = ("use", "on_error", "max_consecutive_errors", "params")
_STAGE_PLACE = re.compile(r"(?P<owner>(?:cameras\.[\w-]+\.)?)stages\[(?P<index>\d+)\](?:\.params)?")

Way = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """A pipeline as it is to run.

    Attributes:
        config: the cameras, their stages and when messages are sent.
        paused: names of the cameras that take no frames.
        log_level: one of `edgevision.harness.log.LEVELS`; None: what the module started with.
    """

    config: PipelineConfig
    paused: frozenset[str] = frozenset()
    log_level: str | None = None


class Baseline:
    """The pipeline.yaml of a module, which desired properties change and fall back to.

    Args:
        config: the pipeline as it was read, substitutions, command line and all.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.config = config
        self._folder = config.file.parent if config.file is not None else Path()
        self._files = StageFiles()
        self._document = _document(config)

    def apply(self, wish: Mapping[str, Any]) -> Wanted:
        """Return the pipeline that ``wish`` asks for; may load stage files, so not on the loop.

        Raises:
            ConfigurationError: anything in it is unknown or wrong; the message has one line for
                each mistake, and begins with its path in the desired properties.
        """
        document = copy.deepcopy(self._document)
        stages = wish.get("stages")
        if isinstance(stages, list):
            # In the long form: what a camera changes in its stages finds them there by name.
            named = self._checked(_Change({**document, "stages": stages}))
            document["stages"] = _long(named.stages)
            if "stage_order" not in wish:
                wish = {key: value for key, value in wish.items() if key != "stages"}
        change = _Change(document)
        change.apply(wish)
        config = self._checked(change)
        config = config.model_copy(update={"module": self.config.module})
        config._file = self.config.file
        return Wanted(config, frozenset(change.paused & config.cameras.keys()), change.log_level)

    def _checked(self, change: _Change) -> PipelineConfig:
        try:
            return from_mapping(change.document, folder=self._folder, files=self._files)
        except ConfigurationError as error:
            raise _in_twin_words(error, change.names) from error


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` with ``patch`` merged in as a hub does: null deletes (RFC 7396)."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def changed_paths(before: Any, after: Any) -> list[Way]:
    """Return where two documents differ: ways to the values that came, went or changed."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return [] if before == after and type(before) is type(after) else [()]
    found: list[Way] = []
    for key in before.keys() | after.keys():
        if key in before and key in after:
            ways = changed_paths(before[key], after[key])
        else:
            ways = _leaves(before[key] if key in before else after[key])
        found += [(key, *way) for way in ways]
    return found


def without(document: Mapping[str, Any], way: Way) -> dict[str, Any]:
    """Return ``document`` without what stands at ``way``, and without what is empty by that."""
    if not way:
        return {}
    rest = dict(document)
    key = way[0]
    if key in rest:
        inner = rest[key]
        kept = without(inner, way[1:]) if isinstance(inner, Mapping) else {}
        if kept:
            rest[key] = kept
        else:
            del rest[key]
    return rest


def plan(now: Wanted, wanted: Wanted) -> list[CameraPlan]:
    """Return what has to be done so that ``wanted`` runs instead of ``now``."""
    plans = []
    for spec in wanted.config.camera_specs():
        name = spec.name
        paused = name in wanted.paused
        if name not in now.config.cameras:
            plans.append(CameraPlan(spec, "open", paused=paused))
            continue
        before, after = _camera(now.config, name), _camera(wanted.config, name)
        old, new = before.pop("stages"), after.pop("stages")
        if before != after:
            plans.append(CameraPlan(spec, "open", paused=paused))
        elif old == new:
            plans.append(CameraPlan(spec, "keep", paused=paused))
        elif [_shape(stage) for stage in old] == [_shape(stage) for stage in new]:
            values = _changed_values(old, new, wanted.config.stages_of(name))
            plans.append(CameraPlan(spec, "set", values, paused))
        else:
            plans.append(CameraPlan(spec, "stages", paused=paused))
    return plans


def _leaves(value: Any) -> list[Way]:
    if not isinstance(value, Mapping) or not value:
        return [()]
    return [(key, *way) for key, inner in value.items() for way in _leaves(inner)]


class _Change:
    """Writes a wish into a document in the long form of pipeline.yaml."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.paused: set[str] = set()
        self.log_level: str | None = None

    @property
    def names(self) -> dict[str, list[str]]:
        """Names of the stages in each list, by what leads to it: "" or "cameras.door."."""
        lists = {"": self.document["stages"]}
        for name, camera in self.document["cameras"].items():
            if isinstance(camera, dict) and isinstance(camera.get("stages"), list):
                lists[f"cameras.{name}."] = camera["stages"]
        return {
            owner: [s.get("name", "") if isinstance(s, dict) else "" for s in stages]
            for owner, stages in lists.items()
        }

    def apply(self, wish: Mapping[str, Any]) -> None:
        problems = [
            _problem((key,), "is set in pipeline.yaml alone")
            if key in _FIXED
            else _problem((key,), f"there is no such property{did_you_mean(key, _TOP)}")
            for key in wish
            if key not in _TOP and not key.startswith("$")
        ]
        if problems:
            raise _all(problems)
        if "stages" in wish or "stage_order" in wish:
            self.document["stages"] = _stages(self.document["stages"], wish, ())
        cameras = wish.get("cameras", {})
        if not isinstance(cameras, Mapping):
            raise _problem(("cameras",), f"must be an object of cameras, got {_kind(cameras)}")
        for name, camera in cameras.items():
            self._camera(name, camera)
        if "camera_order" in wish:
            order = _order(wish["camera_order"], list(self.document["cameras"]), ("camera_order",))
            known = self.document["cameras"]
            self.document["cameras"] = {name: known[name] for name in order}
        publish = wish.get("publish", {})
        if not isinstance(publish, Mapping):
            raise _problem(("publish",), f"must be an object, got {_kind(publish)}")
        self.document["publish"] = merge(self.document["publish"], publish)
        if "log_level" in wish:
            try:
                self.log_level = read_level(wish["log_level"])
            except ConfigurationError as error:
                raise _problem(("log_level",), error.message) from error

    def _camera(self, name: str, wish: Any) -> None:
        way = ("cameras", name)
        cameras = self.document["cameras"]
        if wish is False:
            cameras.pop(name, None)
            return
        if isinstance(wish, str):
            wish = {"source": wish}
        if not isinstance(wish, Mapping):
            raise _problem(way, f"a camera is an object, an address or false, got {_kind(wish)}")
        known = (*CameraConfig.model_fields, "paused", "stage_order")
        for key in wish:
            if key not in known:
                raise _problem(
                    (*way, key), f"there is no such setting of a camera{did_you_mean(key, known)}"
                )
        camera = cameras.setdefault(name, {})
        for key, value in wish.items():
            if key in ("stages", "stage_order", "paused"):
                continue
            old = camera.get(key)
            if isinstance(value, Mapping):
                value = merge(old if isinstance(old, Mapping) else {}, value)
            camera[key] = value
        if "stages" in wish or "stage_order" in wish:
            own = camera.get("stages")
            common = copy.deepcopy(self.document["stages"])
            camera["stages"] = _stages(common if own is None else own, wish, way)
        paused = wish.get("paused", False)
        if not isinstance(paused, bool):
            raise _problem((*way, "paused"), f"must be true or false, got {_kind(paused)}")
        if paused:
            self.paused.add(name)


def _stages(present: list[Any], wish: Mapping[str, Any], way: Way) -> list[Any]:
    """Return a list of stages as changed by ``stages`` and ``stage_order`` of ``wish``."""
    change = wish.get("stages", {})
    if isinstance(change, list):
        if "stage_order" in wish:
            raise _problem((*way, "stage_order"), "is not needed: stages is a list, in order")
        return change
    if not isinstance(change, Mapping):
        raise _problem(
            (*way, "stages"), f"must be an object of stages by name, or a list, got {_kind(change)}"
        )
    stages = {stage["name"]: stage for stage in present}
    for name, wanted in change.items():
        if wanted is False:
            stages.pop(name, None)
        else:
            stages[name] = _stage(stages.get(name), name, wanted, (*way, "stages", name), stages)
    if "stage_order" in wish:
        order = _order(wish["stage_order"], list(stages), (*way, "stage_order"))
        stages = {name: stages[name] for name in order}
    return list(stages.values())


def _stage(
    present: dict[str, Any] | None, name: str, wish: Any, way: Way, others: Mapping[str, Any]
) -> dict[str, Any]:
    if wish is True:
        wish = {}
    if not isinstance(wish, Mapping):
        raise _problem(way, f"a stage is an object of parameters, or false, got {_kind(wish)}")
    params = wish.get("params", {})
    if not isinstance(params, Mapping):
        raise _problem((*way, "params"), f"must be an object of parameters, got {_kind(params)}")
    given = {**{key: wish[key] for key in wish if key not in _OF_STAGE}, **params}
    settings = {key: wish[key] for key in wish if key in _OF_STAGE and key != "params"}
    other = present is not None and settings.get("use", present["use"]) != present["use"]
    if present is None or other:
        from edgevision.stages import BUILT_IN

        if present is None and "use" not in settings and name not in BUILT_IN:
            hint = did_you_mean(name, [*others, *BUILT_IN])
            raise _problem(
                way,
                f"there is no stage {name!r}{hint} (there are: {', '.join(others) or 'none'}; "
                "a new one says what it is with 'use')",
            )
        # Another class has other parameters: nothing of the old one's is kept.
        return {"use": name, **settings, "name": name, "params": given}
    return {**present, **settings, "params": merge(present["params"], given)}


def _order(wanted: Any, present: list[str], way: Way) -> list[str]:
    """Return ``present`` with those that ``wanted`` names first, in its order."""
    if not isinstance(wanted, Sequence) or isinstance(wanted, str):
        raise _problem(way, f"must be a list of names, got {_kind(wanted)}")
    for position, name in enumerate(wanted):
        if name not in present:
            hint = did_you_mean(str(name), present)
            known = ", ".join(present) or "none"
            raise _problem(way, f"there is no {name!r}{hint} (there are: {known})")
        if name in wanted[:position]:
            raise _problem(way, f"names {name!r} twice")
    return [*wanted, *(name for name in present if name not in wanted)]


def _document(config: PipelineConfig) -> dict[str, Any]:
    """Return a pipeline in its long form, with what was substituted and without its upstreams."""
    dump = config.model_dump(mode="json", exclude_unset=True)
    document: dict[str, Any] = {key: dump[key] for key in dump if key not in _NOT_COPIED}
    document["publish"] = dump.get("publish", {})
    document["stages"] = _long(config.stages)
    document["cameras"] = {
        name: {
            **{key: value for key, value in dump["cameras"][name].items() if key != "stages"},
            **({} if camera.stages is None else {"stages": _long(camera.stages)}),
        }
        for name, camera in config.cameras.items()
    }
    return document


def _long(stages: Sequence[StageConfig]) -> list[dict[str, Any]]:
    names: list[str] = []
    written = []
    for stage in stages:
        name = stage.spec().name
        number = 2
        # As the pipeline names two of a kind.
        while name in names:
            name = f"{stage.spec().name}-{number}"
            number += 1
        names.append(name)
        written.append(
            {
                "use": stage.use,
                "name": name,
                "on_error": stage.on_error,
                "max_consecutive_errors": stage.max_consecutive_errors,
                "params": {key: _plain(value) for key, value in stage.values.items()},
            }
        )
    return written


def _plain(value: Any) -> Any:
    """Return a parameter's value as JSON; a relative path would be taken for one of the twin's."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return json_of(value)


def _camera(config: PipelineConfig, name: str) -> dict[str, Any]:
    """Return one camera with its own or the common stages, so that it can be compared."""
    dump = config.cameras[name].model_dump(mode="json", exclude={"stages"})
    return {**dump, "stages": _long(config.stages_of(name))}


def _shape(stage: Mapping[str, Any]) -> list[Any]:
    return [stage[key] for key in ("use", "name", "on_error", "max_consecutive_errors")]


def _changed_values(
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    stages: Sequence[StageConfig],
) -> dict[str, dict[str, Any]]:
    """Return the parameters that differ, those that are not given any more at their default."""
    values: dict[str, dict[str, Any]] = {}
    for before, after, stage in zip(old, new, stages, strict=True):
        specs: Mapping[str, ParamSpec] = stage.stage.parameters()
        for key in before["params"].keys() | after["params"].keys():
            default = json_of(specs[key].default)
            was, wanted = (each["params"].get(key, default) for each in (before, after))
            if changed_paths({"": was}, {"": wanted}):
                values.setdefault(after["name"], {})[key] = wanted
    return values


def _in_twin_words(
    error: ConfigurationError, names: Mapping[str, Sequence[str]]
) -> ConfigurationError:
    """Return an error of the document with the paths that the twin's layout has."""

    def named(match: re.Match[str]) -> str:
        known = names.get(match["owner"], ())
        index = int(match["index"])
        name = known[index] if index < len(known) else ""
        return f"{match['owner']}stages.{name}" if name else match[0]

    def reworded(problem: ConfigurationError) -> ConfigurationError:
        path = _STAGE_PLACE.sub(named, problem.path or "")
        return ConfigurationError(problem.message, path=path or None)

    return _all([reworded(problem) for problem in error.problems or (error,)])


def _all(problems: Sequence[ConfigurationError]) -> ConfigurationError:
    if len(problems) == 1:
        return problems[0]
    error = ConfigurationError("\n".join(str(problem) for problem in problems))
    error.problems = tuple(problems)
    error.path = problems[0].path
    return error


def _problem(way: Way, message: str) -> ConfigurationError:
    return ConfigurationError(message, path=".".join(way))


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    if isinstance(value, Mapping):
        return "an object"
    return kinds.get(type(value), "a list" if isinstance(value, Sequence) else "null")
