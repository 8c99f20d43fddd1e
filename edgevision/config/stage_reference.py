"""Find the class that ``use: ...`` means: a built-in stage, a module's or a file's."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgevision.config.stage_files import StageFiles
from edgevision.errors import ConfigurationError
from edgevision.stage import Stage
from edgevision.suggestion import did_you_mean

__all__ = ["StageReference", "load_stage", "resolve"]

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class StageReference:
    """A stage as a pipeline names it.

    Attributes:
        use: the text in the pipeline.
        stage: the class.
        name: what the stage is called when the pipeline gives it no name.
        file: the stage file, or None for a stage that comes from a module.
    """

    use: str
    stage: type[Stage]
    name: str
    file: Path | None = None


def resolve(use: str, folder: Path, files: StageFiles) -> StageReference:
    """Return the stage that ``use`` names.

    Args:
        use: ``motion`` (built in), ``package.module:Class``, or ``./stages.py:Class``. The class
            may be left out where a file or module has a single stage.
        folder: what a relative path is relative to; modules are looked for there, too.
        files: loads files and modules.

    Raises:
        ConfigurationError: there is no such stage, or its file or module does not load.
    """
    place, colon, name = use.rpartition(":") if _has_class(use) else (use, "", "")
    if place.endswith(".py") or "/" in place or place.startswith("."):
        path = _file(place, folder)
        module = files.load(path)
        return _reference(use, module, name, place, path)
    if colon:
        if not _MODULE.fullmatch(place):
            raise ConfigurationError(
                f"{use!r} names no stage: {place!r} is neither a module nor a file (./{place}.py)"
            )
        return _reference(use, files.import_module(place, folder), name, f"module {place}", None)
    return _builtin(use, folder)


def load_stage(use: str, folder: str | Path = ".") -> type[Stage]:
    """Return the class that a stage's name means, loaded from the disk as it is now.

    Args:
        use: ``motion``, ``package.module:Class`` or ``./stages.py:Class``.
        folder: what a relative path is relative to.

    Raises:
        ConfigurationError: there is no such stage, or its file or module does not load.
    """
    return resolve(use, Path(folder), StageFiles()).stage


def _has_class(use: str) -> bool:
    return ":" in use and "/" not in use.rpartition(":")[2]


def _file(place: str, folder: Path) -> Path:
    path = Path(place).expanduser()
    path = path if path.is_absolute() else folder / path
    if not place.endswith(".py"):
        hint = f", did you mean '{place}.py:Class'?" if path.with_suffix(".py").is_file() else ""
        raise ConfigurationError(f"a stage file ends with .py, got {place!r}{hint}")
    return path


def _builtin(use: str, folder: Path) -> StageReference:
    from edgevision.stages import BUILT_IN, load

    if use in BUILT_IN:
        return StageReference(use, load(use), use)
    hint = did_you_mean(use, BUILT_IN)
    beside = folder / "stages.py"
    if not hint and beside.is_file() and f"class {use}" in beside.read_text("utf-8", "replace"):
        hint = f", did you mean './stages.py:{use}'?"
    known = ", ".join(sorted(BUILT_IN))
    raise ConfigurationError(
        f"there is no built-in stage {use!r}{hint} (there are: {known}; a stage of your own is "
        "'./file.py:Class' or 'package.module:Class')"
    )


def _reference(
    use: str, module: ModuleType, name: str, place: str, file: Path | None
) -> StageReference:
    own = _stages_of(module)
    if not name:
        if len(own) != 1:
            listed = f"it has: {', '.join(own)}" if own else "it has none"
            raise ConfigurationError(f"which stage of {place}? ({listed}) Write {place}:Class")
        name = next(iter(own))
    found = getattr(module, name, None)
    if found is None and not hasattr(module, name):
        listed = f"its stages: {', '.join(own)}" if own else "it has no stage"
        hint = did_you_mean(name, own)
        raise ConfigurationError(f"there is no {name!r} in {place}{hint} ({listed})")
    stage = _checked(found, name, place)
    return StageReference(use, stage, stage.name or name.lower(), file)


def _stages_of(module: ModuleType) -> dict[str, type[Stage]]:
    """Return the stages that a module defines itself, not those that it imported."""
    return {
        name: value
        for name, value in vars(module).items()
        if _is_stage(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def _is_stage(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Stage) and not _is_abstract(value)


def _is_abstract(stage: type[Stage]) -> bool:
    return stage.process is Stage.process


def _checked(found: Any, name: str, place: str) -> type[Stage]:
    if isinstance(found, Stage):
        kind = type(found).__name__
        raise ConfigurationError(
            f"{name} in {place} is a {kind} that is made already: name the class, {place}:{kind}"
        )
    if inspect.isfunction(found):
        raise ConfigurationError(
            f"{name} in {place} is a plain function: decorate it with @stage "
            "(from edgevision import stage)"
        )
    if not isinstance(found, type):
        raise ConfigurationError(f"{name} in {place} is a {type(found).__name__}, not a stage")
    if not issubclass(found, Stage):
        raise ConfigurationError(
            f"{name} in {place} is a class but no stage: derive it from edgevision.Stage"
        )
    if _is_abstract(found):
        raise ConfigurationError(f"{name} in {place} is abstract: it has no process(self, frame)")
    return found
